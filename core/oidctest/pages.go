package oidctest

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
)

//go:embed pages/*.html
var pageFiles embed.FS

var pages = template.Must(template.ParseFS(pageFiles, "pages/*.html"))

type loginPage struct {
	Client   string
	Username string
	Error    string
	Users    []User
}

type devicePage struct {
	UserCode string
	SignedIn string
	Username string
	Error    string
	Users    []User
}

type messagePage struct {
	Title string
	Text  string
	Bad   bool
}

func render(w http.ResponseWriter, status int, name string, data any) {
	var page bytes.Buffer
	if err := pages.ExecuteTemplate(&page, name, data); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	header.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = page.WriteTo(w) // the reader has gone away: nobody to tell
}

// refuse shows the person what is wrong, where there is no application to tell.
func refuse(w http.ResponseWriter, what, detail string) {
	render(w, http.StatusBadRequest, "message", messagePage{Title: what, Text: detail, Bad: true})
}
