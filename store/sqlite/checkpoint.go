package sqlite

import (
	"context"
	"database/sql"
	"sync/atomic"
)

// checkpoints move what was written from the -wal file into the database. SQLite would
// have the writer do that who happens to be the thousandth, and all the others wait
// for it meanwhile; a goroutine and a connection of their own stop hardly anybody. A
// nil one does nothing, since in memory there is nothing to move.
type checkpoints struct {
	db     *sql.DB
	writes atomic.Int64
	due    chan struct{}
	stop   context.CancelFunc
	ended  chan struct{}
}

const (
	// writesBetween is how many writes come before the next checkpoint: each puts a
	// handful of pages into the -wal file.
	writesBetween = 200
	long          = 4000 // pages in that file: 16 MB
	// autoCheckpoint has SQLite do it after all when the file has 80 MB.
	autoCheckpoint = "&_pragma=wal_autocheckpoint(20000)"
	// checkpointing waits for others no longer than they may wait for it: who reads for
	// long, for a backup, has the file grow and stops nobody.
	checkpointing = "?mode=rw&_pragma=busy_timeout(20)"
)

// newCheckpoints begins to make them in the file of that URI.
func newCheckpoints(uri string) (*checkpoints, error) {
	db, err := sql.Open("sqlite", uri+checkpointing)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	ctx, stop := context.WithCancel(context.Background())
	c := &checkpoints{db: db, due: make(chan struct{}, 1), stop: stop, ended: make(chan struct{})}
	go func() {
		defer close(c.ended)
		for {
			select {
			case <-c.due:
				c.make(ctx)
			case <-ctx.Done():
				return
			}
		}
	}()
	return c, nil
}

// make moves what there is. While others write all the time it never has the
// last page, and the file is not begun anew: once it is long they wait for that, which
// takes a moment, since nearly all was moved. One that fails is made up for by the
// next, or by SQLite.
func (c *checkpoints) make(ctx context.Context) {
	var busy, pages, moved int
	err := c.db.QueryRowContext(ctx, "PRAGMA wal_checkpoint(PASSIVE)").Scan(&busy, &pages, &moved)
	if err == nil && pages > long {
		_, _ = c.db.ExecContext(ctx, "PRAGMA wal_checkpoint(RESTART)")
	}
}

// written is called after each write.
func (c *checkpoints) written() {
	if c != nil && c.writes.Add(1)%writesBetween == 0 {
		select {
		case c.due <- struct{}{}:
		default: // one is due already
		}
	}
}

// end waits for the one that is under way.
func (c *checkpoints) end() error {
	if c == nil {
		return nil
	}
	c.stop()
	<-c.ended
	return c.db.Close()
}
