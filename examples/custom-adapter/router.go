// Package customadapter shows how an adapter is written, for a router that nobody has
// heard of. This file is the router, as somebody else might have made it; adapter.go is
// the adapter.
package customadapter

import (
	"context"
	"net/http"
	"strings"
)

// Router finds the handlers of a request by its path, in the order in which they were
// added. It is an http.Handler, and knows no other.
type Router struct{ routes []route }

type route struct {
	method   string // "": any
	segments []string
	handlers []Handler
}

// Handler handles a call, or leaves it to the next one of its route: then it gives
// true.
type Handler func(*Call) (next bool)

// Call is a request on its way through the handlers of a route.
type Call struct {
	Context context.Context
	Request *http.Request
	Answer  http.ResponseWriter
	Params  map[string]string
}

// Add adds a route. A segment of the path that begins with a $ takes any value.
func (r *Router) Add(method, path string, handlers ...Handler) {
	r.routes = append(r.routes, route{method, strings.Split(path, "/"), handlers})
}

// ServeHTTP is for net/http.
func (r *Router) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	for _, route := range r.routes {
		params, ok := match(route.segments, strings.Split(req.URL.Path, "/"))
		if !ok || route.method != "" && route.method != req.Method {
			continue
		}
		call := &Call{req.Context(), req, w, params}
		for _, handle := range route.handlers {
			if !handle(call) {
				return
			}
		}
		return
	}
	http.NotFound(w, req)
}

func match(segments, path []string) (map[string]string, bool) {
	if len(segments) != len(path) {
		return nil, false
	}
	params := map[string]string{}
	for i, segment := range segments {
		if name, ok := strings.CutPrefix(segment, "$"); ok {
			params[name] = path[i]
		} else if segment != path[i] {
			return nil, false
		}
	}
	return params, true
}
