package main

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/examples/internal/probe"
)

//go:embed web
var web embed.FS

// pageData is what the page knows from the start.
type pageData struct {
	Origin string // where the page lives
	API    string // the path of the routes
	Issuer string
	Broker *core.Broker // nil: passthrough mode
	Router string
	People []probe.Person
	Routes []route
}

// policy allows the page its own files and nothing else: no inline script, no
// other origin, no frame around it. A page that holds tokens needs one, for any
// script that runs on it can read them. Its one form signs the user out; browsers
// want what a form leads to in the policy as well, which is the provider.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'self' %s; frame-ancestors 'none'"

// newPage serves the page and its files.
func newPage(data pageData) (http.Handler, error) {
	files, err := fs.Sub(web, "web")
	if err != nil {
		return nil, err
	}
	index, err := template.ParseFS(files, "index.html")
	if err != nil {
		return nil, err
	}
	var html bytes.Buffer
	if err := index.Execute(&html, data); err != nil {
		return nil, err
	}
	provider, err := url.Parse(data.Issuer)
	if err != nil {
		return nil, err
	}
	allowed := fmt.Sprintf(policy, provider.Scheme+"://"+provider.Host)
	static := http.FileServerFS(files)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", allowed)
		header.Set("X-Content-Type-Options", "nosniff")
		// The page's URL has a code in it for a moment, after a login.
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cache-Control", "no-cache")
		if r.URL.Path != "/" {
			static.ServeHTTP(w, r)
			return
		}
		header.Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(html.Bytes()) // fails only when the browser has gone
	}), nil
}
