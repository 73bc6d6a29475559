package main

import (
	"context"
	"fmt"
	"net/http"

	jwtmiddleware "github.com/auth0/go-jwt-middleware/v2"
	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/go-chi/jwtauth/v5"
	"github.com/gofiber/fiber/v3"
	"github.com/labstack/echo/v4"
	"github.com/oidcgate/oidcgate/chiauth"
	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/adaptertest"
	"github.com/oidcgate/oidcgate/echoauth"
	"github.com/oidcgate/oidcgate/fiberauth"
	"github.com/oidcgate/oidcgate/ginauth"
	"github.com/oidcgate/oidcgate/stdauth"
	"github.com/valyala/fasthttp"
)

// adapters are ours, by the names that the summary calls them by.
var adapters = []struct {
	name     string
	requests adaptertest.Requests
}{{"std", onStd}, {"chi", onChi}, {"fiber", onFiber}, {"gin", onGin}, {"echo", onEcho}}

func onStd(auth *core.Auth, header http.Header) (bare, guarded func()) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /bare", done)
	mux.Handle("GET /guarded", stdauth.Required(auth)(http.HandlerFunc(done)))
	return adaptertest.Get(mux, "/bare", header), adaptertest.Get(mux, "/guarded", header)
}

func onChi(auth *core.Auth, header http.Header) (bare, guarded func()) {
	r := chi.NewRouter()
	r.Get("/bare", done)
	r.With(chiauth.Required(auth)).Get("/guarded", done)
	return adaptertest.Get(r, "/bare", header), adaptertest.Get(r, "/guarded", header)
}

func onGin(auth *core.Auth, header http.Header) (bare, guarded func()) {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	done := func(c *gin.Context) { c.Status(http.StatusNoContent) }
	r.GET("/bare", done)
	r.GET("/guarded", ginauth.Required(auth), done)
	return adaptertest.Get(r, "/bare", header), adaptertest.Get(r, "/guarded", header)
}

func onEcho(auth *core.Auth, header http.Header) (bare, guarded func()) {
	e := echo.New()
	done := func(c echo.Context) error { return c.NoContent(http.StatusNoContent) }
	e.GET("/bare", done)
	e.GET("/guarded", done, echoauth.Required(auth))
	return adaptertest.Get(e, "/bare", header), adaptertest.Get(e, "/guarded", header)
}

func onFiber(auth *core.Auth, header http.Header) (bare, guarded func()) {
	app := fiber.New()
	done := func(c fiber.Ctx) error { return c.SendStatus(http.StatusNoContent) }
	app.Get("/bare", done)
	app.Get("/guarded", fiberauth.Required(auth), done)
	handler := app.Handler()
	request := func(path string) func() {
		var c fasthttp.RequestCtx
		c.Request.SetRequestURI(path)
		for name := range header {
			c.Request.Header.Set(name, header.Get(name))
		}
		return func() {
			c.ResetUserValues()
			c.Response.Reset()
			handler(&c)
			if c.Response.StatusCode() != http.StatusNoContent {
				panic(string(c.Response.Body()))
			}
		}
	}
	return request("/bare"), request("/guarded")
}

func done(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }

// guards is how long requests take through routers and guards.
type guards struct {
	algorithm string
	times     map[string]times
	cost      map[string]cost
}

const withoutGuard = ", no guard"

// guard measures requests to our adapters and to the peers that bring a middleware.
func guard(ctx context.Context, e effort, i *issuer, algorithm string) (guards, error) {
	g := guards{algorithm: algorithm, cost: map[string]cost{}}
	raw := i.token(algorithm, algorithm, nil)
	header := http.Header{"Authorization": {"Bearer " + raw}}
	var contestants []contestant
	add := func(name string, run func()) {
		run() // now the keys are there
		contestants = append(contestants, contestant{name, 1, run})
	}
	for _, cache := range []struct {
		name string
		size int
	}{{nameHit, withCache}, {nameMiss, withoutCache}} {
		auth, err := newAuth(i, cache.size, nil)
		if err != nil {
			return g, err
		}
		defer auth.Close()
		add(cache.name, func() { must(auth.Verify(ctx, raw)) })
		for _, adapter := range adapters {
			bare, guarded := adapter.requests(auth, header)
			if cache.name == nameHit {
				add(adapter.name+withoutGuard, bare)
			}
			add(adapter.name+cache.name, guarded)
		}
	}
	v, err := auth0Validator(i, algorithm, auth0TTL)
	if err != nil {
		return g, err
	}
	add(nameAuth0, adaptertest.Get(jwtmiddleware.New(v.ValidateToken).CheckJWT(http.HandlerFunc(done)), "/", header))
	r, ja := chi.NewRouter(), chiJWTAuthOf(i, algorithm)
	r.With(jwtauth.Verifier(ja), jwtauth.Authenticator(ja)).Get("/", done)
	add(nameChiJWTAuth, adaptertest.Get(r, "/", header))

	g.times = measure(e, processor, contestants)
	for _, c := range contestants {
		g.cost[c.name] = costOf(c.run)
	}
	return g, nil
}

// allocations are those that the guard of an adapter makes for a hit, besides those
// of the router and of Verify.
func (g guards) allocations(adapter string) float64 {
	return g.cost[adapter+nameHit].allocations - g.cost[adapter+withoutGuard].allocations - g.cost[nameHit].allocations
}

func (g guards) table() table {
	t := table{title: fmt.Sprintf("Requests behind a guard, %s, in the process", g.algorithm), columns: []string{"router", "µs, no guard", "µs, hit", "µs, miss", "allocations of the guard"}}
	for _, adapter := range adapters {
		t.add(adapter.name, micro(g.times[adapter.name+withoutGuard]), micro(g.times[adapter.name+nameHit]), micro(g.times[adapter.name+nameMiss]), g.allocations(adapter.name))
	}
	for _, peer := range []struct{ name, router string }{{nameAuth0, "std"}, {nameChiJWTAuth, "chi"}} {
		bare := peer.router + withoutGuard
		t.add(peer.name+" on "+peer.router, micro(g.times[bare]), nil, micro(g.times[peer.name]), g.cost[peer.name].allocations-g.cost[bare].allocations)
	}
	return t
}
