package soak_test

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/oidcgate/oidcgate/core/oidctest"
)

// answer is what a process has answered.
type answer struct {
	from       *process // nil: there was none to ask
	late       bool     // it was dead already
	begun      time.Time
	status     int // 0: it was killed meanwhile
	location   string
	retryAfter string
	tokens     oidctest.Tokens
	session    string // and subject: of a page by cookie
	subject    string
	code, said string // of an error
	err        error  // why there is no answer
}

func (a answer) String() string {
	if a.from == nil {
		return "nobody to ask"
	}
	text := fmt.Sprintf("%s answered %d", a.from.name, a.status)
	for _, part := range []string{a.code, a.said, tail(a.tokens.RefreshToken)} {
		if part != "" {
			text += " " + part
		}
	}
	if a.err != nil {
		text += " " + a.err.Error()
	}
	return text
}

// tail is enough of a token to know it by.
func tail(token string) string { return token[max(0, len(token)-8):] }

// send makes one request to a replica. An answer must have the good status or be
// one that the contract has for trouble.
func (c *client) send(replica int, method, path, bearer string, form url.Values, good ...int) answer {
	select {
	case <-c.s.requests.C:
	case <-c.s.ctx.Done():
		return answer{}
	}
	route, _, _ := strings.Cut(path, "?")
	a := answer{from: c.s.replicas[replica%len(c.s.replicas)].current.Load(), begun: time.Now()}
	p := a.from
	if p != nil {
		a.late = p.doomed.Load()
		a.err = c.exchange(&a, method, path, bearer, form)
	}
	switch {
	case p == nil: // it has not started yet
	case slices.Contains(good, a.status) && a.err == nil:
		return a
	case a.err != nil && p.doomed.Load():
		a.status = 0
		c.s.count("requests cut by a kill", 1)
	case a.err != nil:
		c.broken("whoever is not killed answers", route+": "+a.String())
	case a.status != http.StatusServiceUnavailable:
		c.broken("answers are those of the contract", route+": "+a.String())
	default:
		c.s.count("answers 503", 1)
		if seconds, err := strconv.Atoi(a.retryAfter); err != nil || seconds < 1 {
			c.broken("a 503 says when to come again", route+": "+a.String())
		}
	}
	if c.s.isOverdue() {
		c.broken("when the trouble is over, everything works", route+": "+a.String())
	}
	return a
}

// exchange sends a request and reads the answer.
func (c *client) exchange(a *answer, method, path, bearer string, form url.Values) error {
	request, err := http.NewRequestWithContext(c.s.ctx, method, a.from.api+path, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	if method == http.MethodPost {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if bearer != "" {
		request.Header.Set("Authorization", "Bearer "+bearer)
	}
	if cookies := cmp.Or(c.sent, cookieHeader(c.jar)); cookies != "" {
		request.Header.Set("Cookie", cookies)
		request.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	response, err := c.s.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	for _, cookie := range response.Cookies() {
		if c.jar == nil {
			break
		}
		c.jar[cookie.Name] = cookie.Value
		if cookie.MaxAge < 0 {
			delete(c.jar, cookie.Name)
		}
	}
	a.status, a.location, a.retryAfter = response.StatusCode, response.Header.Get("Location"), response.Header.Get("Retry-After")
	if !strings.HasPrefix(response.Header.Get("Content-Type"), "application/json") {
		return nil
	}
	var body struct {
		oidctest.Tokens
		Session     string `json:"session"`
		Subject     string `json:"subject"`
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	err = json.NewDecoder(response.Body).Decode(&body)
	a.tokens, a.session, a.subject, a.code, a.said = body.Tokens, body.Session, body.Subject, body.Error, body.Description
	return err
}

// cookieHeader is what a browser with these cookies sends.
func cookieHeader(jar map[string]string) string {
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(jar)) {
		pairs = append(pairs, name+"="+jar[name])
	}
	return strings.Join(pairs, "; ")
}

// isOverdue tells whether nothing should be refused any more.
func (s *soak) isOverdue() bool {
	select {
	case <-s.calm:
	default:
		return false
	}
	select {
	case <-s.overdue:
		return s.ctx.Err() == nil
	default:
		return false
	}
}

// claims are what a token says of whose it is.
type claims struct {
	Subject string `json:"sub"`
	Session string `json:"sid"`
}

// claimsOf reads them without a look at the signature; that of nonsense are none.
func claimsOf(token string) (c claims) {
	if parts := strings.Split(token, "."); len(parts) == 3 {
		if payload, err := base64.RawURLEncoding.DecodeString(parts[1]); err == nil {
			_ = json.Unmarshal(payload, &c)
		}
	}
	return c
}
