// Package recorder records the statements of a store in an SQL database, for tests of
// their plans.
package recorder

import (
	"context"
	"database/sql/driver"
	"sync"
)

// Recorder is a driver that remembers statements and their parameters. It may be used
// concurrently.
type Recorder struct {
	driver.Connector
	mu   sync.Mutex
	seen []Statement
}

// Statement is what was asked.
type Statement struct {
	Query string
	Args  []any
}

// Connect implements driver.Connector.
func (r *Recorder) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := r.Connector.Connect(ctx)
	return recorded{c, r}, err
}

// Take gives the statements since the last call.
func (r *Recorder) Take() []Statement {
	r.mu.Lock()
	defer r.mu.Unlock()
	seen := r.seen
	r.seen = nil
	return seen
}

func (r *Recorder) add(query string, named []driver.NamedValue) {
	args := make([]any, len(named))
	for i, n := range named {
		args[i] = n.Value
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = append(r.seen, Statement{query, args})
}

type recorded struct {
	driver.Conn
	*Recorder
}

func (c recorded) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	c.add(query, args)
	return c.Conn.(driver.QueryerContext).QueryContext(ctx, query, args)
}

func (c recorded) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	c.add(query, args)
	return c.Conn.(driver.ExecerContext).ExecContext(ctx, query, args)
}

func (c recorded) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	return c.Conn.(driver.ConnBeginTx).BeginTx(ctx, o)
}
