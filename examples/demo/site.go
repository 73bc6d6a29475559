package main

import (
	"bytes"
	"cmp"
	"embed"
	"html/template"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/oidcgate/oidcgate/core"
)

//go:embed pages
var pages embed.FS

// site is the part of the application that browsers see: pages that it makes itself, for
// people who are signed in by a cookie. They need no script.
type site struct {
	auth  *core.Auth
	about pageData
	all   *template.Template

	mu    sync.Mutex
	notes map[string][]note // by subject, the newest first
}

// note is what somebody has written.
type note struct{ About, Text string }

// maxNotes are the notes that are kept of each person.
const maxNotes = 20

func newSite(auth *core.Auth, about pageData) (*site, error) {
	all, err := template.ParseFS(pages, "pages/*.html")
	return &site{auth: auth, about: about, all: all, notes: map[string][]note{}}, err
}

// routes are the pages, at the root of the host, and where their forms are sent.
func (s *site) routes() []route {
	operators := []core.Constraint{core.AnyRole("admin")}
	operations := core.Admin(s.auth).ServeHTTP
	return []route{
		{Path: "/", guard: isOptional, serve: s.home},
		{Path: "/notes", guard: isPage, serve: s.showNotes},
		{Path: "/notes", guard: isPage, serve: s.addNote, method: http.MethodPost},
		{Path: "/sessions/end", guard: isPage, serve: s.endSession, method: http.MethodPost},
		{Path: "/admin", guard: isPage, needs: operators, serve: operations},
		{Path: "/admin", guard: isPage, needs: operators, serve: operations, method: http.MethodPost},
	}
}

// view is what a page shows.
type view struct {
	pageData
	User     core.Token // not valid: nobody is signed in
	Name     string
	Initial  string
	Cookie   string // its name
	Sessions []shownSession
	About    string
	Notes    []note
}

// shownSession is one of the sessions of whoever looks at the page.
type shownSession struct {
	core.Session
	Browser string
	Current bool
}

func (s *site) home(w http.ResponseWriter, r *http.Request) {
	token := core.TokenFrom(r.Context())
	v := view{pageData: s.about.at("/"), User: token}
	if token.Valid() {
		claims, _ := core.ClaimsFrom[struct {
			Name string `json:"name"`
		}](r.Context()) // fails only for a name that is no text
		v.Name = cmp.Or(claims.Name, token.Username(), "Somebody")
		v.Initial = strings.ToUpper(string([]rune(v.Name)[:1]))
		v.Cookie = sessionCookie(r)
		sessions, err := s.auth.Sessions(r.Context(), token.Subject())
		if err != nil {
			core.WriteError(w, err)
			return
		}
		for _, session := range sessions {
			v.Sessions = append(v.Sessions, shownSession{session, browserName(session.Device.UserAgent), session.ID == token.SessionID()})
		}
	}
	s.show(w, "home.html", v)
}

// endSession ends a session of whoever is signed in, and leads back to the list.
func (s *site) endSession(w http.ResponseWriter, r *http.Request) {
	// With the subject, so that nobody ends a session of somebody else.
	who := core.Who{Session: r.PostFormValue("session"), Subject: core.TokenFrom(r.Context()).Subject()}
	if who.Session == "" {
		http.Error(w, "The form names no session.", http.StatusBadRequest)
		return
	}
	if _, err := s.auth.Revoke(r.Context(), who); err != nil {
		core.WriteError(w, err)
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (s *site) showNotes(w http.ResponseWriter, r *http.Request) {
	token := core.TokenFrom(r.Context())
	s.mu.Lock()
	notes := slices.Clone(s.notes[token.Subject()])
	s.mu.Unlock()
	s.show(w, "notes.html", view{pageData: s.about.at("/notes"), User: token, About: r.URL.Query().Get("about"), Notes: notes})
}

func (s *site) addNote(w http.ResponseWriter, r *http.Request) {
	written := note{About: r.PostFormValue("about"), Text: r.PostFormValue("text")}
	if written.Text == "" || len(written.About)+len(written.Text) > 1<<10 {
		http.Error(w, "The note is empty, or too long.", http.StatusBadRequest)
		return
	}
	subject := core.TokenFrom(r.Context()).Subject()
	s.mu.Lock()
	notes := append([]note{written}, s.notes[subject]...)
	s.notes[subject] = notes[:min(len(notes), maxNotes)]
	s.mu.Unlock()
	http.Redirect(w, r, "/notes", http.StatusSeeOther) // so that reloading the page does not add it again
}

func (s *site) show(w http.ResponseWriter, name string, v view) {
	var html bytes.Buffer
	if err := s.all.ExecuteTemplate(&html, name, v); err != nil {
		core.WriteError(w, err)
		return
	}
	header := w.Header()
	header.Set("Content-Security-Policy", v.policy())
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "same-origin")
	header.Set("Cache-Control", "no-store") // it is about one person
	header.Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(html.Bytes()) // fails only when the browser has gone
}

// sessionCookie is the name of the cookie by which a browser is signed in.
func sessionCookie(r *http.Request) string {
	for _, cookie := range r.Cookies() {
		if strings.Contains(cookie.Name, "oidcgate-session-") {
			return cookie.Name
		}
	}
	return ""
}

// deviceOf is what the list of sessions says of the browser or program of a login. An
// application behind a proxy takes the address from the header that its proxy sets.
func deviceOf(r *http.Request) core.Device {
	address, _, _ := net.SplitHostPort(r.RemoteAddr)
	return core.Device{Address: address, UserAgent: r.UserAgent()}
}

// browserName is a short name for a User-Agent.
func browserName(userAgent string) string {
	first := func(names ...[2]string) string {
		for _, name := range names {
			if strings.Contains(userAgent, name[0]) {
				return name[1]
			}
		}
		return ""
	}
	// Most browsers name others as well, behind their own names.
	browser := first([2]string{"Edg/", "Edge"}, [2]string{"OPR/", "Opera"}, [2]string{"Firefox/", "Firefox"}, [2]string{"Chrome/", "Chrome"}, [2]string{"Safari/", "Safari"})
	system := first([2]string{"Windows", "Windows"}, [2]string{"Android", "Android"}, [2]string{"iPhone", "iPhone"}, [2]string{"iPad", "iPad"}, [2]string{"Mac OS", "macOS"}, [2]string{"Linux", "Linux"})
	switch {
	case browser == "":
		return "A program"
	case system == "":
		return browser
	}
	return browser + " on " + system
}
