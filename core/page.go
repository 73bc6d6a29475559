package core

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/oidcgate/oidcgate/core/internal/address"
	"github.com/oidcgate/oidcgate/core/internal/browser"
)

// pageStyle is all that the pages may use: no script, no image, nothing from elsewhere.
// It has no comments, which the template would take out, so that the hash would not fit.
const pageStyle = `
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 34rem; margin: 15vh auto 2rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; line-height: 1.2; }
p { overflow-wrap: anywhere; }
a { display: inline-block; padding: .4rem 0; }
button { font: inherit; padding: .4rem 1.2rem; cursor: pointer; }
.code { opacity: .75; font-size: .875rem; }
`

// pagePolicy is the Content-Security-Policy of the pages that have no form. formPolicy says
// nothing about forms: that of the logout leads to the provider in the end, and browsers hold
// a form's policy against that as well.
var pagePolicy, formPolicy = func() (page, form string) {
	hash := sha256.Sum256([]byte(pageStyle))
	form = "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) + "'; base-uri 'none'; frame-ancestors 'none'"
	return form + "; form-action 'none'", form
}()

// page is a page for a person.
type page struct {
	Title string
	Text  string
	Link  *pageLink
	Form  *pageForm
	Code  string // of an error
}

type pageLink struct {
	URL, Text string
	Target    string // "": here
}

// pageForm is a form with one button.
type pageForm struct {
	Action string
	Hidden []pageField
	Button string
}

type pageField struct{ Name, Value string }

var pageTemplate = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Title}}</title>
<style>` + pageStyle + `</style>
</head>
<body>
<main>
<h1>{{.Title}}</h1>
<p>{{.Text}}</p>
{{with .Form}}<form method="post" action="{{.Action}}">
{{range .Hidden}}<input type="hidden" name="{{.Name}}" value="{{.Value}}">
{{end}}<button>{{.Button}}</button>
</form>
{{end}}{{with .Link}}<p><a href="{{.URL}}"{{with .Target}} target="{{.}}" rel="noopener"{{end}}>{{.Text}}</a></p>
{{end}}{{with .Code}}<p class="code">Error: {{.}}</p>
{{end}}</main>
</body>
</html>
`))

// write answers with the page.
func (p *page) write(w http.ResponseWriter, status int) {
	var text bytes.Buffer
	if err := pageTemplate.Execute(&text, p); err != nil {
		text.Reset() // can't be: there is nothing in it that fails
	}
	header := w.Header()
	protect(header)
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Security-Policy", pagePolicy)
	if p.Form != nil {
		header.Set("Content-Security-Policy", formPolicy)
		header.Set("Referrer-Policy", "same-origin") // with no-referrer its Origin would be null
	}
	w.WriteHeader(status)
	_, _ = w.Write(text.Bytes())
}

// writePage answers a request of a browser with a page for the error, and any other
// request as [WriteError] does.
func (a *Auth) writePage(w http.ResponseWriter, r *http.Request, err error) {
	if prefersHTML(r.Header["Accept"]) {
		err = a.failurePage(answerTo(err), r.URL.Query().Get("return_to"))
	}
	WriteError(w, err)
}

// failurePage is an error of a route to which people come with a browser. returnTo is the
// page to which they wanted; "": it is not known.
func (a *Auth) failurePage(e *Error, returnTo string) *Error {
	p := &page{Title: "Sign-in failed", Text: e.Description, Code: e.Code}
	if a.config.loginURL() != "" {
		p.Link = &pageLink{URL: a.config.loginFrom(returnTo), Text: "Sign in again"}
	}
	return e.on(p)
}

// on gives a copy of the error that is answered with this page.
func (e *Error) on(p *page) *Error {
	c := *e
	c.page = p
	return &c
}

// loginURL begins a login that ends at our callback, "" where there is none.
func (c Config) loginURL() string {
	if c.callbackURL() == "" || c.Routes.Login == Off {
		return ""
	}
	return c.PublicURL + c.Routes.Login
}

// loginFrom begins a login that leads back to the target of a request.
func (c Config) loginFrom(target string) string {
	if back := browser.ReturnTo(target); back != "" {
		return c.loginURL() + "?" + url.Values{"return_to": {back}}.Encode()
	}
	return c.loginURL()
}

// forPage makes of the error of a guard for pages what a person is to see: the provider's
// login where signing in is what is missing, and a page otherwise. A request that no person
// waits for gets the error itself.
func (a *Auth) forPage(request Request, err error) error {
	var e *Error
	if !errors.As(err, &e) || e == nil || len(request.Authorization) > 0 || !request.navigates() {
		return err
	}
	signedOut := errors.Is(e, ErrMissingToken) || errors.Is(e, ErrInvalidToken)
	safe := browser.Safe(request.Method)
	if signedOut && !safe && a.foreign(request) { // to sign in and send it again would be a mistake
		signedOut, e = false, ErrCrossSite
	}
	target := strings.Clone(request.URL) // which may be a view of memory that is used again
	here, login := browser.ReturnTo(target), a.config.loginFrom(target)
	p := &page{Code: e.Code, Text: e.Description}
	switch {
	case signedOut && safe && (request.FetchDest == "" || request.FetchDest == "document"):
		c := *e
		c.Status, c.location = http.StatusFound, login
		return &c
	case signedOut && safe: // in a frame, where the provider shows nothing
		p.Title, p.Text = "Signed out", "Sign in to see this page."
		p.Link = &pageLink{URL: login, Text: "Sign in", Target: "_top"}
	case signedOut:
		p.Title = "Signed out: the form was not sent"
		p.Text = "You are not signed in any more, so nothing was done with what you entered. Open another tab and sign in there. Then come back to this one and reload the page: your browser sends the form again."
		p.Link = &pageLink{URL: a.config.loginURL(), Text: "Sign in (opens a new tab)", Target: "_blank"}
	case errors.Is(e, ErrCrossSite):
		p.Title = "This was not done"
	case e.Status == http.StatusForbidden:
		p.Title = "No access"
		p.Text, p.Code = "You are signed in, but you may not open this page.", e.Code+". "+e.Description
		// The provider would answer for whoever is signed in there, without asking.
		p.Link = &pageLink{URL: address.WithParams(login, url.Values{"prompt": {"login"}}), Text: "Sign in as somebody else"}
	case e.Status == http.StatusServiceUnavailable:
		p.Title = "Not available at the moment"
		p.Text = "Your session could not be looked up. You are still signed in. Try again in a moment."
		if safe && here != "" {
			p.Link = &pageLink{URL: here, Text: "Try again"}
		}
	default:
		p.Title = "This did not work"
	}
	return e.on(p)
}

// navigates reports whether a person waits for a page as the answer to the request. Where
// the browser says so it is believed; a script may accept HTML, too.
func (r Request) navigates() bool {
	if r.FetchMode != "" {
		return r.FetchMode == "navigate"
	}
	return prefersHTML(r.Accept)
}

// halfwayPage tells of a logout that did not get as far as the provider.
var halfwayPage = &page{
	Title: "You are signed out here",
	Text:  "The provider can't be reached at the moment. You may still be signed in there.",
}

// logoutPage asks whether a person wants to be signed out.
func (a *Auth) logoutPage(asked logoutRequest) *page {
	form := &pageForm{Action: a.config.PublicURL + a.config.Routes.Logout, Button: "Sign out"}
	for _, field := range []pageField{{"post_logout_redirect_uri", asked.target}, {"state", asked.state}} {
		if field.Value != "" {
			form.Hidden = append(form.Hidden, field)
		}
	}
	return &page{
		Title: "Sign out?", Text: "You are signed in here.", Form: form,
		Link: &pageLink{URL: a.config.Browser.LandingPath, Text: "Stay signed in"},
	}
}

// prefersHTML reports whether an Accept header (RFC 9110 12.5.1) names text/html and
// wants it more than JSON. Programs ask for anything (*/*) or name what they read.
func prefersHTML(accept []string) bool {
	html, json := 0.0, 0.0
	for entry := range strings.SplitSeq(strings.Join(accept, ","), ",") {
		mediaType, parameters, _ := strings.Cut(entry, ";")
		switch strings.ToLower(strings.TrimSpace(mediaType)) {
		case "text/html":
			html = max(html, weight(parameters))
		case "application/json", "application/*":
			json = max(json, weight(parameters))
		}
	}
	return html > json
}

// weight reads the q of the parameters of one entry, 1 when there is none.
func weight(parameters string) float64 {
	for parameter := range strings.SplitSeq(parameters, ";") {
		name, value, _ := strings.Cut(parameter, "=")
		if strings.EqualFold(strings.TrimSpace(name), "q") {
			q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil || !(q >= 0 && q <= 1) {
				return 0
			}
			return q
		}
	}
	return 1
}
