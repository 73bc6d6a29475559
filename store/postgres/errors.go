package postgres

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/lib/pq"
	"github.com/oidcgate/oidcgate/store"
)

// sqlState is the code that the server gave an error, or "". Every driver's
// errors have that method.
func sqlState(err error) string {
	var failed interface{ SQLState() string }
	if errors.As(err, &failed) {
		return failed.SQLState()
	}
	return ""
}

// isLost tells of an error that says nothing about whether the call was done.
func isLost(err error) bool {
	var failed *net.OpError
	state := sqlState(err)
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &failed) ||
		strings.HasPrefix(state, "08") || // connection exceptions
		state == "57P01" || state == "57P02" // the server stops, or has crashed
}

// isGivenUp tells of a transaction that the server rolled back for reasons of its own.
func isGivenUp(err error) bool {
	state := sqlState(err)
	return state == "40001" || state == "40P01" // serialization failure, deadlock
}

// advice is what to do about the errors of the server, by their code: first about
// those that waiting won't mend.
var (
	mistakes = map[string]string{
		"25006": "the server is read-only, maybe a standby: connect to the primary",
		"28000": "the server does not let this user in: compare user, password, sslmode and the server's pg_hba.conf",
		"28P01": "the server refuses the user's password: correct it where the store is configured",
		"3D000": "the database is missing: create it",
		"3F000": "there is no schema to create tables in: name one in the store's options",
		"42704": "the URL has a parameter that neither this store nor the server knows: those of the store are schema and pool_max_conns",
		"42501": "the role lacks a right: GRANT it USAGE and CREATE on the schema (CREATE on the database, if the schema is missing), or have another role open the store once, and grant SELECT, INSERT, UPDATE and DELETE on its tables",
		"42P01": "a table is missing: restore a backup, or drop the table oidcgate_schema as well, to begin anew",
	}
	advice = map[string]string{
		"53100": "the server's disk is full: make room; what was written before is safe",
		"53300": "the server has no connection left: lower pool_max_conns, or raise the server's max_connections",
		"57P03": "the server is starting or stopping: try again",
	}
)

// explain makes errors those of the context where it has ended, which drivers
// report in ways of their own, and says what to do about others.
func explain(ctx context.Context, doing string, err error) error {
	if err == nil {
		return nil
	}
	var dialing *net.OpError
	state := sqlState(err)
	switch {
	case ctx.Err() != nil:
		err = ctx.Err()
	case mistakes[state] != "":
		err = store.Unusable("%s: %w", mistakes[state], err)
	case errors.Is(err, pq.ErrSSLNotSupported):
		err = store.Unusable("the server has no TLS, which is asked for unless sslmode says otherwise: switch it on there, or add sslmode=disable: %w", err)
	case advice[state] != "":
		err = fmt.Errorf("%s: %w", advice[state], err)
	case errors.As(err, &dialing) && dialing.Op == "dial":
		err = fmt.Errorf("the server can't be reached: start it, or correct its address where the store is configured: %w", err)
	case isLost(err):
		err = fmt.Errorf("connections break as soon as they are used: look at the server, or at the pooler before it: %w", err)
	}
	return fmt.Errorf("postgres: %s: %w", doing, err)
}
