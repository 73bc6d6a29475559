package customadapter

import (
	"net/http"

	"github.com/oidcgate/oidcgate/core"
)

// Mount adds every route of auth that is switched on, below a prefix to which
// Config.PublicURL leads.
func Mount(r *Router, prefix string, auth *core.Auth) {
	for _, e := range auth.Endpoints() {
		r.Add("", prefix+e.Path, Wrap(e.Handler)) // every method: the endpoint knows its own
	}
}

// Wrap makes a handler of net/http one of the router.
func Wrap(h http.Handler) Handler {
	return func(c *Call) bool {
		h.ServeHTTP(c.Answer, c.Request.WithContext(c.Context))
		return false
	}
}

// Required rejects calls without a valid access token that satisfies the constraints. For
// the others core.TokenFrom finds the token in the context of the call.
func Required(auth *core.Auth, constraints ...core.Constraint) Handler {
	return guard(auth.Required(constraints...)) // made once, not for each call
}

// Optional takes calls without a valid access token for anonymous.
func Optional(auth *core.Auth, constraints ...core.Constraint) Handler {
	return guard(auth.Optional(constraints...))
}

// Pages sends people who are not signed in to the provider, and back to the page.
func Pages(auth *core.Auth, constraints ...core.Constraint) Handler {
	return guard(auth.Pages(constraints...))
}

func guard(g *core.Guard) Handler {
	return func(c *Call) bool {
		token, err := g.Check(c.Context, core.RequestOf(c.Request))
		if err != nil {
			core.WriteError(c.Answer, err)
			return false
		}
		if value := g.CacheControl(); value != "" {
			c.Answer.Header().Set("Cache-Control", value)
		}
		c.Context = core.WithToken(c.Context, token)
		return true
	}
}
