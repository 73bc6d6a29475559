package main

import (
	"bytes"
	"embed"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/examples/internal/probe"
)

//go:embed web
var web embed.FS

// pageData is what every page knows.
type pageData struct {
	Path   string // of the page
	Origin string // where the pages live
	API    string // the path of the routes
	Issuer string
	Broker *core.Broker // nil: passthrough mode
	Router string
	People []probe.Person
	Routes []route
}

// at is the same for another page.
func (d pageData) at(path string) pageData {
	d.Path = path
	return d
}

// Menu leads to the pages.
func (pageData) Menu() []struct{ Path, Name string } {
	return []struct{ Path, Name string }{{"/", "Home"}, {"/notes", "Notes"}, {"/admin", "Operations"}, {"/tokens", "Tokens"}}
}

// tokensPage is the path of the page that holds tokens. In passthrough mode there is no
// other.
func tokensPage(broker *core.Broker) string {
	if broker == nil {
		return "/"
	}
	return "/tokens"
}

// policy allows a page its own files and nothing else: no inline script, no other origin,
// no frame around it. A page that holds tokens needs one, for any script that runs on it
// can read them. Its forms sign the user out; browsers want what a form leads to in the
// policy as well, which is the provider.
func (d pageData) policy() string {
	provider, err := url.Parse(d.Issuer)
	if err != nil {
		provider = &url.URL{} // core.New has refused it before
	}
	return "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
		"base-uri 'none'; form-action 'self' " + provider.Scheme + "://" + provider.Host + "; frame-ancestors 'none'"
}

// newFiles serves the page that holds tokens, and the files of all pages.
func newFiles(data pageData) (http.Handler, error) {
	files, err := fs.Sub(web, "web")
	if err != nil {
		return nil, err
	}
	all, err := template.ParseFS(pages, "pages/*.html")
	if err != nil {
		return nil, err
	}
	path := tokensPage(data.Broker)
	var html bytes.Buffer
	if err := all.ExecuteTemplate(&html, "tokens.html", data.at(path)); err != nil {
		return nil, err
	}
	static := http.FileServerFS(files)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", data.policy())
		header.Set("X-Content-Type-Options", "nosniff")
		// The page's URL has a code in it for a moment, after a login.
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cache-Control", "no-cache")
		if r.URL.Path != path {
			static.ServeHTTP(w, r)
			return
		}
		header.Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(html.Bytes()) // fails only when the browser has gone
	}), nil
}
