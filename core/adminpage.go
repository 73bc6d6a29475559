package core

import (
	"crypto/sha256"
	"encoding/base64"
	"html/template"
	"time"
)

// adminStyle is all that the page may use besides its forms. It has no comments, as
// pageStyle.
const adminStyle = `
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; line-height: 1.2; }
h2 { font-size: 1.125rem; margin: 2rem 0 .5rem; }
dl, ul { margin: 0; padding: 0; list-style: none; }
li { border-top: 1px solid color-mix(in srgb, currentColor 20%, transparent); padding: .5rem 0; overflow-wrap: anywhere; }
form { margin: .5rem 0; }
li form { margin: .25rem 0 0; }
input, button { font: inherit; padding: .4rem .75rem; max-width: 100%; box-sizing: border-box; }
button { cursor: pointer; }
label { display: block; }
.id { font-family: ui-monospace, monospace; font-size: .875rem; }
.note { opacity: .8; font-size: .875rem; }
.state { font-weight: 600; }
.down, .error { color: #b00020; }
.stale { color: #8a5a00; }
.message { border: 1px solid currentColor; padding: .5rem .75rem; }
@media (prefers-color-scheme: dark) { .down, .error { color: #ff8a80; } .stale { color: #ffcc66; } }
`

// adminPolicy is the page's Content-Security-Policy.
var adminPolicy = func() string {
	hash := sha256.Sum256([]byte(adminStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) + "'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
}()

var adminTemplate = template.Must(template.New("admin").Funcs(template.FuncMap{
	"at": func(t time.Time) string {
		if t.IsZero() {
			return "–"
		}
		return t.UTC().Format("2006-01-02 15:04:05 UTC")
	},
}).Parse(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Operations</title>
<style>` + adminStyle + `</style>
</head>
<body>
<main>
<h1>Operations</h1>
<p class="note">As of {{at .Now}}.</p>
{{with .Notice}}<p class="message" role="status">{{.}}</p>
{{end}}{{with .Error}}<p class="message error" role="alert">{{.}} <span class="note">Error: {{$.Code}}</span></p>
{{end}}
<h2>Health</h2>
<ul>
{{range .Health}}<li>{{.Name}}: <span class="state {{.State}}">{{.State}}</span>
<div class="note">last success {{at .LastGood}}, last failure {{at .LastBad}}{{with .Error}}<br>{{.}}{{end}}</div></li>
{{end}}</ul>
{{if .Broker}}
<h2>Signing keys</h2>
<ul>
{{range .Keys}}<li><span class="state">{{.State}}</span> {{.Algorithm}} <span class="id">{{.ID}}</span>
<div class="note">published {{at .Published}}, signs {{at .Signs}}, retires {{at .Retires}}, removed {{at .Removed}}</div></li>
{{end}}</ul>
<form method="post"><button name="do" value="rotate">Publish the next key</button>
<span class="note">It signs a day later. Nobody notices.</span></form>
<form method="post"><label><input type="checkbox" name="sure" required> Somebody else may have the keys.</label>
<button name="do" value="compromised">Withdraw all keys now</button>
<span class="note">All access tokens become invalid. Clients refresh, and sessions go on.</span></form>

<h2>Sessions</h2>
<form method="get"><label for="subject">Subject (claim sub)</label>
<input id="subject" name="subject" value="{{.Subject}}" autocomplete="off" required> <button>Show</button></form>
{{if .Subject}}{{if .Sessions}}<ul>
{{range .Sessions}}<li>{{.Client}} <span class="id">{{.ID}}</span>
<div class="note">began {{at .Began}}, last refresh {{at .Refreshed}}, ends {{at .Ends}}{{with .Device.Address}}<br>from {{.}}{{end}}{{with .Device.UserAgent}}<br>{{.}}{{end}}</div>
<form method="post"><input type="hidden" name="subject" value="{{$.Subject}}"><input type="hidden" name="session" value="{{.ID}}">
<button name="do" value="end">End this session</button></form></li>
{{end}}</ul>
<form method="post"><input type="hidden" name="subject" value="{{.Subject}}"><button name="do" value="end">End all sessions of this user</button></form>
{{else}}<p>There is no session of this user.</p>
{{end}}{{end}}{{end}}</main>
</body>
</html>
`))
