package core

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/oidcgate/oidcgate/core/internal/address"
	"github.com/oidcgate/oidcgate/core/internal/text"
)

// ProtectedResource is a part of the application that tokens can be narrowed to (RFC
// 8707), such as an MCP server: see Broker.Resources. What is here is published, for
// clients that know nothing but the URL (RFC 9728).
type ProtectedResource struct {
	// URL is the resource identifier (RFC 9728 1.2), and the name of the resource in the
	// aud of tokens. It is required: an https URL (or http, if PublicURL is) of PublicURL's
	// origin, without a query, a fragment or a slash at its end.
	URL string
	// Name is shown to people (resource_name). "": none is published.
	Name string
	// Scopes are those that clients may need here (scopes_supported). They are published
	// only: what a route demands is what its guard demands. nil: none are published.
	Scopes []string
}

// Resource makes a guard one of the resource with this URL, which must be in
// Broker.Resources: it accepts only tokens that have the URL in aud, and its challenge
// names the resource's metadata (RFC 9728 5.1). Without it, a guard is one of
// Broker.Audience. A guard belongs to one resource. It is for [Auth.Required] and
// [Auth.Optional], not for Config.Require.
func Resource(url string) Constraint {
	c := Constraint{resource: url}
	if url == "" {
		c.err = errors.New("core.Resource needs a URL of Broker.Resources")
	}
	return c
}

// resourceOf finds whose guard the constraints make: "" for that of Broker.Audience.
func (a *Auth) resourceOf(constraints []Constraint) (string, error) {
	found := ""
	for _, c := range constraints {
		switch {
		case c.resource == "" || c.resource == found:
		case found != "":
			return "", fmt.Errorf("core.Resource is there for %q and %q: a guard belongs to one resource", found, c.resource)
		case a.broker == nil || !slices.ContainsFunc(a.config.Broker.Resources, c.resourceIs):
			return "", fmt.Errorf("core.Resource(%q): there is no such URL in Broker.Resources", c.resource)
		default:
			found = c.resource
		}
	}
	return found, nil
}

func (c Constraint) resourceIs(r ProtectedResource) bool { return r.URL == c.resource }

// metadataOf is the URL of the metadata of a guard's resource, "" when there is none.
func (a *Auth) metadataOf(resource string) string {
	path := a.config.Routes.ProtectedResource
	if a.broker == nil || path == Off {
		return ""
	}
	for _, r := range a.config.Broker.Resources {
		if r.URL == cmp.Or(resource, a.config.Broker.Audience) {
			return a.config.PublicURL + path + r.mounted(a.config)
		}
	}
	return ""
}

// rooted is what follows the well-known part of the metadata's path at the root of the
// host (RFC 9728 3.1).
func (r ProtectedResource) rooted() string { return pathOf(r.URL) }

// mounted is what follows it below the mount, where the resource that is the mount needs
// nothing to tell it apart.
func (r ProtectedResource) mounted(c Config) string {
	if r.URL == c.PublicURL {
		return ""
	}
	return r.rooted()
}

// pathOf is the path of a URL, "" for none.
func pathOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return u.Path
}

// resourceParts are the endpoints of the resources' metadata.
func resourceParts(c Config) []part {
	var parts []part
	for _, r := range c.Broker.Resources {
		parts = append(parts, part{mounted: r.mounted(c), rooted: r.rooted(), serve: r.serve})
	}
	return parts
}

// serve tells clients what there is to know about the resource (RFC 9728 2, 3.2).
func (r ProtectedResource) serve(a *Auth, w http.ResponseWriter, req *http.Request) error {
	body, err := json.Marshal(struct {
		Resource string   `json:"resource"`
		Servers  []string `json:"authorization_servers"`
		Methods  []string `json:"bearer_methods_supported"`
		Scopes   []string `json:"scopes_supported,omitempty"`
		Name     string   `json:"resource_name,omitempty"`
	}{r.URL, []string{a.config.PublicURL}, []string{"header"}, r.Scopes, r.Name})
	if err != nil {
		return err
	}
	writePublic(w, req, body)
	return nil
}

// ownResources are the resources of a configuration, which shares none of them: those
// that are listed, or else Broker.Audience, if clients can ask there for its metadata.
func (b *Broker) ownResources(publicURL string) []ProtectedResource {
	if b.Resources == nil && checkResource(b.Audience, publicURL) == nil {
		return []ProtectedResource{{URL: b.Audience}}
	}
	resources := slices.Clone(b.Resources)
	for i := range resources {
		resources[i].Scopes = slices.Clone(resources[i].Scopes)
	}
	return resources
}

// checkResource checks the URL of a resource.
func checkResource(raw, publicURL string) error {
	u, err := address.Absolute(raw)
	if err != nil {
		return err
	}
	public, err := url.Parse(publicURL)
	switch {
	case err != nil || address.Origin(u) != address.Origin(public):
		return errors.New("must have the scheme, host and port of PublicURL")
	case raw == publicURL:
		return nil
	case strings.Contains(raw, "?"):
		return errors.New("has a query")
	case u.EscapedPath() != "" && !validPath(u.EscapedPath()):
		return errors.New("must have a path of letters, digits and the characters -._~ without a slash at its end, or none")
	}
	return nil
}

// checkResources reports what is wrong with the resources.
func (b *Broker) checkResources(c Config) []error {
	var problems []error
	places := map[string]string{}
	for i, r := range b.Resources {
		wrong := func(format string, args ...any) {
			problems = append(problems, fmt.Errorf("Config.Broker.Resources[%d]."+format, append([]any{i}, args...)...))
		}
		if err := checkResource(r.URL, c.PublicURL); err != nil {
			wrong("URL %q: %w", address.Shown(r.URL), err)
			continue
		}
		if slices.Contains(b.PeerAudiences, r.URL) {
			wrong("URL %q is in Broker.PeerAudiences, too: those are other applications", r.URL)
		}
		// What has one place is for clients one resource, however it is written.
		for _, place := range []string{"/" + r.rooted(), r.mounted(c)} {
			if other, taken := places[place]; taken {
				wrong("URL %q has its metadata where %q has it: name one of them", r.URL, other)
				break
			}
			places[place] = r.URL
		}
		for _, row := range routeTable() {
			if path := *c.Routes.of(row); row.parts == nil && path == c.Routes.ProtectedResource+r.mounted(c) && path != Off {
				wrong("URL %q has its metadata at %s, which is Config.Routes.%s: move one of them", r.URL, path, row.field)
			}
		}
		for _, scope := range r.Scopes {
			if !text.ValidScope(scope) {
				wrong("Scopes holds %q, which is not one scope (RFC 6749 3.3): give each its own entry", scope)
			}
		}
	}
	return problems
}
