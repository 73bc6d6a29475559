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

// Down makes the provider unreachable, or reachable again: while it is down, each
// request has its connection cut without an answer. Idle connections, and those
// of requests that wait for [Provider.Delay], are cut at once. A request that is
// being answered already gets its answer.
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

// Delay makes every answer wait for d first, or until whoever asked has gone
// away. Zero ends that, for requests that are still to come.
func (p *Provider) Delay(d time.Duration) {
	p.trouble.mu.Lock()
	defer p.trouble.mu.Unlock()
	p.trouble.delay = d
}

// Answer has h answer the requests to a path, which is one of the constants of
// this package; nil gives them back to the provider. The real handler is there
// for h to call: with the request as it is or another, to an
// [net/http/httptest.ResponseRecorder] if the answer is to be changed. The path
// of the request's URL has no issuer path in front. Down and Delay come first,
// and Requests counts what h answers too.
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

// Requests tells how many requests have arrived at a path since the provider was
// started, those included that were cut or answered by a function of Answer. The
// path is one of the constants of this package; empty, all requests are counted.
func (p *Provider) Requests(path string) int {
	t := &p.trouble
	t.mu.Lock()
	defer t.mu.Unlock()
	if path == "" {
		return t.total
	}
	return t.requests[path]
}

// RotateKeys has the provider sign with a new key from now on. The old one is no
// longer published, so whoever fetches the keys anew cannot verify what it has
// signed: access tokens from before are no good at the provider either.
func (p *Provider) RotateKeys() { p.storage.keys.rotate(false) }

// ReplaceKey is [Provider.RotateKeys] by a provider that gives the new key the name
// (kid) of the old one.
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
