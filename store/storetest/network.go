package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/store"
)

// How long a store may take: to end a call whose context has ended, and to work again
// once its server does. They are for stores that never do, not for slow ones.
var (
	promptly    = 5 * time.Second
	recoverSoon = 2 * time.Minute
)

// RunNetwork tests a store over a network against the rules of [store.Store] for calls
// without an answer, in one subtest per rule. network and address are those of the server,
// as for [net.Dial]. The suite puts a [Proxy] before the server.
//
// Like [Run], it calls fresh once for each subtest to make an empty place for records. Each
// call of open returns a new store for that place, which connects to the host and port of
// address without TLS. Use RunNetwork in addition to Run.
func RunNetwork(t *testing.T, network, address string, fresh func(t *testing.T) (open func(address string) store.Store)) {
	for _, rule := range networkRules {
		t.Run(rule.name, func(t *testing.T) {
			proxy, direct := NewProxy(t, network, address), NewProxy(t, network, address)
			open := fresh(t)
			rule.check(wire{
				proxy: proxy,
				far:   place{t, func() store.Store { return open(proxy.Addr()) }},
				near:  place{t, func() store.Store { return open(direct.Addr()) }},
			})
		})
	}
}

var networkRules = []struct {
	name  string
	check func(wire)
}{
	{"a call ends with its context while the server is silent", endsWhileSilent},
	{"dead connections are replaced", deadConnectionsAreReplaced},
	{"a cut connection is an outage", cutIsAnOutage},
	{"a lost answer is no outcome", lostAnswerIsNoOutcome},
	{"no insert is made twice", noInsertIsMadeTwice},
}

// wire is one place for records, with a network that fails and with one that doesn't.
type wire struct {
	proxy     *Proxy
	far, near place
}

// networkCall is a call of each kind, on a record that is there in version 1.
type networkCall struct {
	name string
	make func(context.Context, store.Store, store.Record) error
}

var networkCalls = []networkCall{
	{"Get", func(ctx context.Context, s store.Store, r store.Record) error {
		_, err := s.Get(ctx, r.Kind, r.ID)
		return err
	}},
	{"Find", func(ctx context.Context, s store.Store, r store.Record) error {
		_, err := s.Find(ctx, r.Kind, "", "", 10)
		return err
	}},
	{"Put of a new record", func(ctx context.Context, s store.Store, r store.Record) error {
		_, err := s.Put(ctx, record("new "+r.ID))
		return err
	}},
	{"Put", func(ctx context.Context, s store.Store, r store.Record) error {
		_, err := s.Put(ctx, r)
		return err
	}},
	{"Purge", func(ctx context.Context, s store.Store, r store.Record) error {
		_, err := s.Purge(ctx, time.Unix(1, 0), 10)
		return err
	}},
	{"Delete", func(ctx context.Context, s store.Store, r store.Record) error {
		return s.Delete(ctx, r.Kind, r.ID, r.Version)
	}},
}

// ends makes a call and returns its error, and fails the test if the call goes on
// long after its context has ended.
func (w wire) ends(ctx context.Context, name string, call func() error) error {
	w.far.Helper()
	failed := make(chan error, 1)
	go func() { failed <- call() }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	timer := time.NewTimer(promptly)
	defer timer.Stop()
	select {
	case err := <-failed:
		return err
	case <-timer.C:
		w.far.Fatalf("%s goes on %s after its context has ended", name, promptly)
		return nil
	}
}

// wantOutage checks the error of a call that got no answer: nobody knows what was
// done, and waiting may help.
func (w wire) wantOutage(name string, err error) {
	w.far.Helper()
	for text, not := range map[string]error{"ErrConflict": store.ErrConflict, "ErrNotFound": store.ErrNotFound, "ErrUnusable": store.ErrUnusable} {
		if errors.Is(err, not) {
			w.far.Fatalf("%s got no answer, and its error is %s: %v", name, text, err)
		}
	}
}
