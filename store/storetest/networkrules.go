package storetest

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/oidcgate/oidcgate/store"
)

// endings are the ways in which a context ends during a call. A store may obey one and
// not the other: some clients hand the deadline to the connection, and never look at
// the context again.
var endings = []struct {
	want error
	make func(context.Context) (context.Context, context.CancelFunc)
}{
	{context.DeadlineExceeded, func(ctx context.Context) (context.Context, context.CancelFunc) {
		return context.WithTimeout(ctx, untilEnd)
	}},
	{context.Canceled, func(ctx context.Context) (context.Context, context.CancelFunc) {
		ctx, cancel := context.WithCancel(ctx)
		time.AfterFunc(untilEnd, cancel)
		return ctx, cancel
	}},
}

// untilEnd is long enough for a call to be waiting for the server when its context ends.
const untilEnd = 50 * time.Millisecond

func endsWhileSilent(w wire) {
	s, ctx, cancel := w.silent()
	defer cancel()
	for _, ending := range endings {
		end := func(name string, call func(context.Context) error) {
			ctx, cancel := ending.make(ctx)
			defer cancel()
			err := w.ends(ctx, name, func() error { return call(ctx) })
			if !errors.Is(err, ending.want) {
				w.far.Fatalf("%s of a silent server: the error is %v, not %v", name, err, ending.want)
			}
			w.wantOutage(name, err)
		}
		for _, call := range networkCalls {
			end(call.name, func(ctx context.Context) error { return call.make(ctx, s, s.r) })
		}
		// The first call of all has nobody to talk to either.
		unopened := w.far.open()
		w.far.Cleanup(func() { _ = unopened.Close() })
		end("Open", unopened.Open)
	}
}

// silentStore is an open store, with a record in version 1, whose server has fallen
// silent.
type silentStore struct {
	handle
	r store.Record
}

func (w wire) silent() (silentStore, context.Context, context.CancelFunc) {
	w.far.Helper()
	s := w.far.store()
	r := s.mustPut(record("id"))
	w.proxy.Hang()
	ctx, cancel := limited()
	return silentStore{s, r}, ctx, cancel
}

func deadConnectionsAreReplaced(w wire) {
	s, ctx, cancel := w.silent()
	defer cancel()
	for range 3 {
		ctx, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		_ = w.ends(ctx, "Get", func() error { _, err := s.Get(ctx, kind, s.r.ID); return err })
		cancel()
	}
	w.proxy.Pass()
	w.wantWorking(s.handle, s.r)
}

// wantWorking asks for the record until the store gives it.
func (w wire) wantWorking(s handle, r store.Record) {
	w.far.Helper()
	var err error
	for began := time.Now(); time.Since(began) < recoverSoon; {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		var got store.Record
		err = w.ends(ctx, "Get", func() (err error) { got, err = s.Get(ctx, r.Kind, r.ID); return err })
		cancel()
		if err == nil {
			s.wantSame(got, r)
			return
		}
	}
	w.far.Fatalf("the server is there again, and the store doesn't work after %s: %v", recoverSoon, err)
}

func cutIsAnOutage(w wire) {
	s := w.far.store()
	r := s.mustPut(record("id"))
	w.proxy.Cut()
	for _, call := range networkCalls {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		err := w.ends(ctx, call.name, func() error { return call.make(ctx, s, r) })
		cancel()
		if err == nil {
			w.far.Fatalf("%s without a server gave no error", call.name)
		}
		w.wantOutage(call.name, err)
	}
	w.proxy.Pass()
	w.wantWorking(s, r)
}

// eachLoss makes a call for each answer that may get lost on the way, on a record of
// its own, until a call gets all of its answers. check sees what came of it.
func (w wire) eachLoss(call networkCall, lost func(near handle, r store.Record), check func(near handle, r store.Record, err error)) {
	w.far.Helper()
	far, near := w.far.store(), w.near.store()
	for skip := range 100 {
		r := near.mustPut(record(call.name + " " + string(rune('a'+skip%26)) + string(rune('a'+skip/26))))
		var then func()
		if lost != nil {
			then = func() { lost(near, r) }
		}
		w.proxy.LoseAnswer(skip, then)
		ctx, cancel := limited()
		err := w.ends(ctx, call.name, func() error { return call.make(ctx, far, r) })
		cancel()
		was := w.proxy.lost()
		w.proxy.Pass()
		w.wantOutage(call.name, err)
		check(near, r, err)
		if !was {
			return
		}
	}
	w.far.Fatalf("%s has a hundred answers of the server, and no end", call.name)
}

func lostAnswerIsNoOutcome(w wire) {
	for _, call := range networkCalls {
		w.eachLoss(call, nil, func(near handle, r store.Record, err error) {
			got, gotErr := near.get(r.Kind, r.ID)
			switch call.name {
			case "Put":
				if done := r.Version + 1; gotErr != nil || got.Version > done || err == nil && got.Version != done {
					near.t.Fatalf("after one Put whose error was %v, the record has version %d, not %d: %v", err, got.Version, done, gotErr)
				}
			case "Delete":
				if err == nil && !errors.Is(gotErr, store.ErrNotFound) {
					near.t.Fatalf("the Delete gave no error, and the record is there")
				}
			case "Put of a new record":
				if got, gotErr := near.get(r.Kind, "new "+r.ID); err == nil && gotErr != nil || got.Version > 1 {
					near.t.Fatalf("after one Put whose error was %v, the new record has version %d: %v", err, got.Version, gotErr)
				}
			default:
				near.want(r)
			}
		})
	}
}

// noInsertIsMadeTwice has a record be deleted before a second insert could bring it
// back: it would be a session that somebody has ended.
func noInsertIsMadeTwice(w wire) {
	var deleted sync.Map // by the id, written by the proxy
	w.eachLoss(networkCalls[2], func(near handle, r store.Record) {
		if near.delete(r.Kind, "new "+r.ID, 1) == nil {
			deleted.Store(r.ID, true)
		}
	}, func(near handle, r store.Record, err error) {
		if _, ok := deleted.Load(r.ID); ok {
			near.wantMissing(r.Kind, "new "+r.ID)
		}
	})
}
