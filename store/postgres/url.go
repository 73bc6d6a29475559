package postgres

import (
	"context"
	"database/sql"
	"errors"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/oidcgate/oidcgate/store"
)

func init() {
	store.Register("postgres", fromURL)
	store.Register("postgresql", fromURL)
}

func fromURL(u *url.URL) (store.Store, error) {
	q := u.Query()
	schema, limit := q.Get("schema"), 10
	if raw := q.Get("pool_max_conns"); raw != "" {
		var err error
		if limit, err = strconv.Atoi(raw); err != nil || limit < 1 {
			return nil, errors.New("pool_max_conns is not a number of 1 or more")
		}
	}
	q.Del("schema")
	q.Del("pool_max_conns")
	q.Set("binary_parameters", "yes") // a statement and its parameters in one request
	clean := *u
	clean.RawQuery = q.Encode()
	connector, err := pq.NewConnector(clean.String())
	if err != nil {
		// Some errors of the driver repeat what they don't understand.
		if password, _ := u.User.Password(); q.Has("password") || password != "" && strings.Contains(err.Error(), password) {
			err = errors.New("it can't be understood: compare it to postgres://user:password@host:5432/database?sslmode=verify-full")
		}
		return nil, err
	}
	connector.Dialer(&dialer{})
	db := sqlx.NewDb(sql.OpenDB(connector), "postgres")
	db.SetMaxOpenConns(limit)
	db.SetMaxIdleConns(limit)
	db.SetConnMaxIdleTime(5 * time.Minute)
	s := New(db, Options{Schema: schema}).(*records)
	s.close = db.Close
	return s, nil
}

// silence is how long a server may leave a request without a byte of an answer
// before its connection is given up. Without that, connections to a server that
// is gone without a word would fill the pool until TCP gives up, a quarter of an hour later.
const silence = time.Minute

// dialer has the methods that the driver wants; it calls DialContext alone.
type dialer struct{ net.Dialer }

func (d *dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := d.Dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return impatient{c}, nil
}

func (d *dialer) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	return net.DialTimeout(network, address, timeout)
}

// impatient is a connection whose reads have a time limit. The driver reads only
// when it waits for an answer, so idle connections are not affected.
type impatient struct{ net.Conn }

func (c impatient) Read(b []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(silence)); err != nil {
		return 0, err
	}
	return c.Conn.Read(b)
}
