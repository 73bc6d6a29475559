package oidctest

import (
	"bytes"
	"io"
	"net/http"
	"sync"
	"time"
)

// hook is what Answer is given.
type hook = func(w http.ResponseWriter, r *http.Request, real http.Handler)

// trouble is what a test has in store for requests, and what it has seen.
type trouble struct {
	mu       sync.Mutex
	down     bool
	delay    time.Duration
	cut      chan struct{} // closed to cut those that wait for the delay
	hooks    map[string]hook
	requests map[string]int
	total    int
}

// Down makes the provider unreachable, or reachable again. While it is down, the connection
// of each request is cut without an answer. Idle connections, and those of requests that
// wait for [Provider.Delay], are cut at once. A request that is already being answered gets
// its answer.
func (p *Provider) Down(down bool) {
	t := &p.trouble
	t.mu.Lock()
	t.down = down
	if down && t.cut != nil {
		close(t.cut)
		t.cut = nil
	}
	t.mu.Unlock()
	if down {
		p.server.closeIdle()
	}
}

// Delay delays every answer by d, or until the client disconnects. Zero ends the delay for
// later requests.
func (p *Provider) Delay(d time.Duration) {
	p.trouble.mu.Lock()
	defer p.trouble.mu.Unlock()
	p.trouble.delay = d
}

// Answer lets h answer the requests to a path, which is one of the constants of this
// package. If h is nil, the provider answers again. h may call real, the provider's own
// handler: with the same or another request, and with an
// [net/http/httptest.ResponseRecorder] to change the answer. The path of the request's URL
// does not contain the issuer's path. Down and Delay still apply, and Requests counts the
// requests that h answers.
func (p *Provider) Answer(path string, h func(w http.ResponseWriter, r *http.Request, real http.Handler)) {
	t := &p.trouble
	t.mu.Lock()
	defer t.mu.Unlock()
	if h == nil {
		delete(t.hooks, path)
		return
	}
	if t.hooks == nil {
		t.hooks = map[string]hook{}
	}
	t.hooks[path] = h
}

// Requests returns the number of requests to a path since the provider started. It includes
// requests that were cut, or answered by a function of Answer. The path is one of the
// constants of this package; "" counts all requests.
func (p *Provider) Requests(path string) int {
	t := &p.trouble
	t.mu.Lock()
	defer t.mu.Unlock()
	if path == "" {
		return t.total
	}
	return t.requests[path]
}

// RotateKeys makes the provider sign with a new key. The old key is no longer published, so
// a client that fetches the keys again can't verify older tokens. The provider rejects
// older access tokens, too.
func (p *Provider) RotateKeys() { p.storage.keys.rotate(false) }

// ReplaceKey is like [Provider.RotateKeys], but the new key has the kid of the old one.
func (p *Provider) ReplaceKey() { p.storage.keys.rotate(true) }

// arrive counts a request and lets the trouble happen to it. It does not return
// if the connection is cut.
func (t *trouble) arrive(r *http.Request, path string) hook {
	t.mu.Lock()
	if t.requests == nil {
		t.requests = map[string]int{}
	}
	t.requests[path]++
	t.total++
	if t.cut == nil {
		t.cut = make(chan struct{})
	}
	delay, down, cut := t.delay, t.down, t.cut
	t.mu.Unlock()

	if delay > 0 && !down {
		wait(r, delay, cut)
	}

	t.mu.Lock()
	defer t.mu.Unlock()
	if t.down {
		panic(http.ErrAbortHandler) // net/http's way to cut a connection in silence
	}
	return t.hooks[path]
}

// wait waits for d, or until the client has gone away or cut is closed.
func wait(r *http.Request, d time.Duration, cut <-chan struct{}) {
	// net/http watches a connection only when the request's body has been read.
	if body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20)); err == nil {
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-cut:
	case <-r.Context().Done():
		panic(http.ErrAbortHandler)
	}
}
