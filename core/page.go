package core

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"html/template"
	"net/http"
	"strconv"
	"strings"
)

// pageStyle is all that the page may use: no script, no image, nothing from elsewhere.
// It has no comments, which the template would take out, so that the hash would not fit.
const pageStyle = `
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 34rem; margin: 15vh auto 2rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; line-height: 1.2; }
p { overflow-wrap: anywhere; }
a { display: inline-block; padding: .4rem 0; }
.code { opacity: .75; font-size: .875rem; }
`

// pagePolicy is the page's Content-Security-Policy.
var pagePolicy = func() string {
	hash := sha256.Sum256([]byte(pageStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}()

var errorPage = template.Must(template.New("error").Parse(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sign-in failed</title>
<style>` + pageStyle + `</style>
</head>
<body>
<main>
<h1>Sign-in failed</h1>
<p>{{.Description}}</p>
{{with .Back}}<p><a href="{{.}}">Sign in again</a></p>
{{end}}<p class="code">Error: {{.Code}}</p>
</main>
</body>
</html>
`))

// writePage answers a request of a browser with a page for the error, and any other
// request as [WriteError] does.
func (a *Auth) writePage(w http.ResponseWriter, r *http.Request, err error) {
	if !prefersHTML(r.Header.Values("Accept")) {
		WriteError(w, err)
		return
	}
	e := answerTo(err)
	var page bytes.Buffer
	if err := errorPage.Execute(&page, struct{ Code, Description, Back string }{e.Code, e.Description, a.config.loginURL()}); err != nil {
		WriteError(w, err) // can't be: there is nothing in it that fails
		return
	}
	header := w.Header()
	protect(header)
	e.addHeaders(header)
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Security-Policy", pagePolicy)
	w.WriteHeader(e.Status)
	_, _ = w.Write(page.Bytes())
}

// loginURL begins a login that ends at our callback, "" where there is none.
func (c Config) loginURL() string {
	if c.callbackURL() == "" || c.Routes.Login == Off {
		return ""
	}
	return c.PublicURL + c.Routes.Login
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
