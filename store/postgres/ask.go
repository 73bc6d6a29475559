package postgres

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/jmoiron/sqlx"
)

// attempts is how often a call is made at most that the server gives up, and
// newConnections how often with a connection that was made for it. After a restart
// of the server each connection of the pool may cost an attempt besides.
const (
	attempts       = 100
	newConnections = 3
)

// ask makes a call on one connection of the pool, and again where that is safe:
// when the server has given it up, or when the connection was lost, which it
// tells. The caller has to bear that the call may then have been done twice.
//
// database/sql would repeat a call after a lost connection too, but without
// telling; it doesn't on a connection that was taken out of the pool, as here.
//
// The driver waits for the server even after the context has ended. So it waits in
// a goroutine of its own, which is left behind until the server answers or the
// connection breaks.
func ask[T any](ctx context.Context, db *sqlx.DB, doing string, call func(context.Context, *sqlx.Conn) (T, error)) (result T, lost bool, err error) {
	type answer struct {
		result T
		lost   bool
		err    error
	}
	answers := make(chan answer, 1)
	go func() {
		var a answer
		losses, most := 0, db.Stats().OpenConnections+newConnections
		for n := range attempts {
			var again bool
			a.result, again, a.err = once(ctx, db, call)
			if !again || ctx.Err() != nil {
				break
			}
			if isLost(a.err) {
				a.lost = true
				if losses++; losses >= most {
					break
				}
			}
			pause(ctx, rand.N(time.Duration(min(n+1, 100))*time.Millisecond))
		}
		answers <- a
	}()
	select {
	case a := <-answers:
		return a.result, a.lost, explain(ctx, doing, a.err)
	case <-ctx.Done():
		return result, false, explain(ctx, doing, ctx.Err())
	}
}

// once makes a call and tells whether its error is one to make it again for. None
// is when no connection can be had: the server is down, or refuses us.
func once[T any](ctx context.Context, db *sqlx.DB, call func(context.Context, *sqlx.Conn) (T, error)) (result T, again bool, err error) {
	c, err := db.Connx(ctx)
	if err != nil {
		return result, false, err
	}
	defer c.Close()
	if err := ctx.Err(); err != nil {
		return result, false, err // lest it be done after all, with nobody to be told
	}
	result, err = call(ctx, c)
	return result, err != nil && (isLost(err) || isGivenUp(err)), err
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
