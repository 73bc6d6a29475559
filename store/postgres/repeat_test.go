package postgres_test

import (
	"context"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/store"
)

// once gives a fate to the first request with that text.
func once(text string, what fate) func(string) fate {
	var done atomic.Bool
	return func(request string) fate {
		if strings.Contains(request, text) && done.CompareAndSwap(false, true) {
			return what
		}
		return pass
	}
}

var statements = map[string]string{
	"insert": "VALUES ($1, $2, 1,", "update": "SET version =", "delete": "AND version = $3", "get": "AND id = $2\x00", "find": "AND id > $2", "purge": "SKIP LOCKED",
}

// TestCallsAreMadeAgain has connections break, and transactions be given up, where
// that leaves no doubt about what was done.
func TestCallsAreMadeAgain(t *testing.T) {
	for name, driver := range drivers {
		for call, text := range statements {
			if call == "insert" {
				text = driver.ping // an insert itself is made once
			}
			for fate, what := range map[string]fate{"lost before the server has it": cutBefore, "given up by the server": givenUp} {
				t.Run(name+" "+call+" "+fate, func(t *testing.T) {
					p := startProxy(t, &proxy{deal: once(text, what)})
					useAll(t, opened(t, driver.open(t, p.url, newSchema(t))))
				})
			}
		}
		for _, call := range []string{"get", "find", "purge"} {
			t.Run(name+" "+call+" lost after the server has done it", func(t *testing.T) {
				p := startProxy(t, &proxy{deal: once(statements[call], cutAfter)})
				useAll(t, opened(t, driver.open(t, p.url, newSchema(t))))
			})
		}
	}
}

// TestConnectionsThatBreakAllTheTimeAreNotMadeForEver has a pooler that lets everybody
// in while there is no server behind it.
func TestConnectionsThatBreakAllTheTimeAreNotMadeForEver(t *testing.T) {
	for name, driver := range drivers {
		t.Run(name, func(t *testing.T) {
			var broken atomic.Bool
			var asked atomic.Int64
			p := startProxy(t, &proxy{deal: func(string) fate {
				if broken.Load() {
					asked.Add(1)
					return cutBefore
				}
				return pass
			}})
			s := opened(t, driver.open(t, p.url, newSchema(t)))
			broken.Store(true)
			for n := range 5 {
				_, err := s.Get(t.Context(), "session", "id")
				wantAdvice(t, err, "look at the server, or at the pooler before it")
				if asked.Load() > int64(5*(n+1)) {
					t.Fatalf("%d calls were made %d times", n+1, asked.Load())
				}
			}
			broken.Store(false)
			useAll(t, s)
		})
	}
}

// TestCallsThatAreLeftBehindReadNothingOfTheCallers has calls end with their context
// while the driver still writes what they were given.
func TestCallsThatAreLeftBehindReadNothingOfTheCallers(t *testing.T) {
	s := opened(t, open(t, with(serverURL(t), "schema", newSchema(t)).String()))
	data := make([]byte, 1<<20)
	for n := range 200 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(n%5)*time.Millisecond)
		_, _ = s.Put(ctx, store.Record{Kind: "session", ID: strconv.Itoa(n), Data: data})
		cancel()
		for i := range data { // the race detector sees whoever reads it now
			data[i]++
		}
	}
}

// TestUnknownOutcomeIsNoConflict has the answers to changes get lost. The store
// can't tell its own change from another's, and has to say so.
func TestUnknownOutcomeIsNoConflict(t *testing.T) {
	for name, driver := range drivers {
		for _, call := range []string{"insert", "update", "delete"} {
			t.Run(name+" "+call, func(t *testing.T) { unknownOutcome(t, driver.open, call) })
		}
	}
}

func unknownOutcome(t *testing.T, open func(testing.TB, *url.URL, string) store.Store, call string) {
	ctx := t.Context()
	var deal func(string) fate
	p := startProxy(t, &proxy{deal: func(request string) fate { return deal(request) }})
	deal = func(string) fate { return pass }
	s := opened(t, open(t, p.url, newSchema(t)))
	r := store.Record{Kind: "session", ID: "id"}
	var err error
	if call != "insert" {
		if r.Version, err = s.Put(ctx, r); err != nil {
			t.Fatal(err)
		}
	}
	deal = once(statements[call], cutAfter)
	if call == "delete" {
		err = s.Delete(ctx, r.Kind, r.ID, r.Version)
	} else {
		_, err = s.Put(ctx, r)
	}
	if err == nil || errors.Is(err, store.ErrConflict) || !strings.Contains(err.Error(), "not known whether") {
		t.Fatalf("the error is %v", err)
	}
	got, err := s.Get(ctx, r.Kind, r.ID)
	if call == "delete" {
		if !errors.Is(err, store.ErrNotFound) {
			t.Fatalf("the record is still there: %v", err)
		}
	} else if got.Version != r.Version+1 {
		t.Fatalf("the record has version %d, error %v", got.Version, err)
	}
}

// TestNoInsertIsMadeTwice has a record be deleted before a second insert could bring
// it back, of which the first lost its answer, or was given up before.
func TestNoInsertIsMadeTwice(t *testing.T) {
	ctx := t.Context()
	schema := newSchema(t)
	direct := opened(t, open(t, with(serverURL(t), "schema", schema).String()))
	inserts := 0
	p := startProxy(t, &proxy{deal: func(request string) fate {
		if !strings.Contains(request, statements["insert"]) {
			return pass
		}
		switch inserts++; inserts {
		case 1:
			return givenUp
		case 2:
			return cutAfter
		}
		if err := direct.Delete(ctx, "session", "id", 1); err != nil {
			t.Error(err)
		}
		return pass
	}})
	s := opened(t, open(t, with(p.url, "schema", schema).String()))
	if _, err := s.Put(ctx, store.Record{Kind: "session", ID: "id"}); err == nil || !strings.Contains(err.Error(), "not known whether") {
		t.Errorf("the error is %v", err)
	}
	if r, err := direct.Get(ctx, "session", "id"); err != nil || r.Version != 1 || inserts != 2 {
		t.Fatalf("after %d inserts: version %d, %v", inserts, r.Version, err)
	}
}
