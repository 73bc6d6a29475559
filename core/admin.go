package core

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/oidcgate/oidcgate/core/internal/fault"
)

// Admin gives a page for operators: what [Auth.Health] reports, the signing keys with their
// times, the sessions of a user, and forms to end sessions and to rotate the signing key.
// It checks nobody's rights. Mount it behind a guard of your own, under any path:
//
//	mux.Handle("/operations", auth.Required(core.AnyRole("admin")).Handler(core.Admin(auth)))
//
// The page is one URL without further paths, and needs no script. A GET changes nothing; what
// changes something is a POST that pages of other sites can't send (Sec-Fetch-Site, or else
// Origin against Config.PublicURL; 403 otherwise). Without a [Broker] it shows health alone.
// The handler may be called concurrently.
func Admin(auth *Auth) http.Handler {
	p := &adminPage{auth: auth}
	if public, err := url.Parse(auth.config.PublicURL); err == nil && public.Host != "" {
		// Behind a proxy the request's Host may be another than the browser's.
		_ = p.crossSite.AddTrustedOrigin(public.Scheme + "://" + public.Host)
	}
	return p
}

type adminPage struct {
	auth      *Auth
	crossSite http.CrossOriginProtection
}

// ServeHTTP implements [http.Handler].
func (p *adminPage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		notice := ""
		if r.URL.Query().Has("done") {
			notice = adminDone
		}
		p.show(w, r, r.URL.Query().Get("subject"), notice, nil)
	case http.MethodPost:
		// Every browser sends one of these with a form.
		told := r.Header.Get("Sec-Fetch-Site") != "" || r.Header.Get("Origin") != ""
		if !told || p.crossSite.Check(r) != nil {
			p.show(w, r, "", "", errCrossSite)
			return
		}
		p.act(w, r)
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
		WriteError(w, errMethod)
	}
}

var errCrossSite = &Error{Status: http.StatusForbidden, Code: "cross_site", Description: "The form comes from another site. Open the page itself and try again."}

// adminDone is what the page says after an action. It names none, since a link of somebody
// else's can lead to it as well.
const adminDone = "Done. This is how it is now."

// act does what a form asks for, and leads back to the page, so that reloading it does
// nothing again.
func (p *adminPage) act(w http.ResponseWriter, r *http.Request) {
	limitBody(w, r)
	form, err := formValues(w, r)
	if err != nil {
		p.show(w, r, "", "", err)
		return
	}
	subject, do := form.Get("subject"), form.Get("do")
	switch {
	case p.auth.broker == nil:
		err = ErrInvalidRequest.because("There are neither sessions nor keys without a Broker.")
	case do == "end":
		err = p.end(r.Context(), Who{Session: form.Get("session"), Subject: subject})
	case do == "rotate":
		err = p.auth.RotateSigningKey(r.Context(), RotateOptions{})
	case do == "compromised" && !form.Has("sure"):
		err = ErrInvalidRequest.because("Say that somebody else may have the keys: all access tokens become invalid.")
	case do == "compromised":
		err = p.auth.RotateSigningKey(r.Context(), RotateOptions{Compromised: true})
	default:
		err = ErrInvalidRequest.because("The form asks for nothing that this page does.")
	}
	if err != nil {
		p.show(w, r, subject, "", err)
		return
	}
	query := url.Values{"done": {""}}
	if subject != "" {
		query.Set("subject", subject)
	}
	protect(w.Header())
	w.Header().Set("Location", "?"+query.Encode())
	w.WriteHeader(http.StatusSeeOther)
}

// end ends one session of a user, or all of them.
func (p *adminPage) end(ctx context.Context, who Who) error {
	if who.Subject == "" {
		return ErrInvalidRequest.because("Name the user whose sessions are to end.")
	}
	_, err := p.auth.Revoke(ctx, who)
	return err
}

// show writes the page. A store that is down leaves out what it would tell.
func (p *adminPage) show(w http.ResponseWriter, r *http.Request, subject, notice string, failed error) {
	view := adminView{Now: p.auth.now(), Subject: subject, Notice: notice, Broker: p.auth.broker != nil, Health: p.health()}
	if view.Broker {
		keys, err := p.auth.SigningKeys(r.Context())
		failed = errors.Join(failed, err)
		for _, key := range keys {
			view.Keys = append(view.Keys, adminKey{key, key.state(view.Now)})
		}
	}
	if view.Broker && subject != "" {
		var err error
		view.Sessions, err = p.auth.Sessions(r.Context(), subject)
		failed = errors.Join(failed, err)
	}
	status, header := http.StatusOK, w.Header()
	if failed != nil {
		e := answerTo(failed)
		e.addHeaders(header)
		status, view.Error, view.Code = e.Status, e.Description, e.Code
	}
	p.auth.complaints.note(r.Context(), "the page for operators", failed)
	var page bytes.Buffer
	if err := adminTemplate.Execute(&page, view); err != nil {
		WriteError(w, fault.Internal.New("The page can't be shown.").From(fmt.Errorf("the page for operators: %w", err)))
		return
	}
	protect(header)
	// With no-referrer browsers say Origin: null in a form, also to the page's own site.
	header.Set("Referrer-Policy", "same-origin")
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Security-Policy", adminPolicy)
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(page.Bytes())
	}
}

// health lists what the application depends on, in the order in which it matters.
func (p *adminPage) health() []adminDependency {
	h := p.auth.Health()
	list := []adminDependency{{"Provider", h.Provider}, {"Provider's keys", h.Keys}, {"Store", h.Store}, {"Signing keys", h.SigningKeys}}
	for _, url := range slices.Sorted(maps.Keys(h.Issuers)) {
		list = append(list, adminDependency{url, h.Issuers[url]})
	}
	return list
}

// adminView is what the page shows.
type adminView struct {
	Now             time.Time
	Broker          bool
	Notice, Subject string
	Error, Code     string
	Health          []adminDependency
	Keys            []adminKey
	Sessions        []Session
}

type adminDependency struct {
	Name string
	Dependency
}

type adminKey struct {
	SigningKey
	State string
}

// state tells what a key is for at a time.
func (k SigningKey) state(now time.Time) string {
	switch {
	case now.Before(k.Signs):
		return "coming"
	case !k.Retires.IsZero() && !now.Before(k.Retires):
		return "retiring"
	}
	return "signing"
}
