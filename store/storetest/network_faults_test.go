package storetest

import (
	"context"
	"errors"
	"io"
	"net"
	"net/rpc"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/store"
	"github.com/oidcgate/oidcgate/store/memory"
)

// networkFaults are what authors of stores over a network get wrong, and the rule that
// has to find it.
var networkFaults = []struct {
	name, rule string
	fault      remote
}{
	{"cancellation is ignored", "a call ends with its context while the server is silent", remote{ignoresContext: true}},
	{"cancellation is ignored, and a deadline obeyed", "a call ends with its context while the server is silent", remote{onlyDeadlines: true}},
	{"an ended context is the driver's error", "a call ends with its context while the server is silent", remote{rawErrors: true}},
	{"a dead connection is kept", "dead connections are replaced", remote{keepsDead: true}},
	{"an outage is a mistake", "a cut connection is an outage", remote{outage: store.ErrUnusable}},
	{"an outage is an absent record", "a cut connection is an outage", remote{outage: store.ErrNotFound}},
	{"every call is repeated", "a lost answer is no outcome", remote{repeats: true}},
	{"a conflict of one's own is overwritten", "a lost answer is no outcome", remote{repeats: true, overwrites: true}},
	{"an insert is repeated", "no insert is made twice", remote{repeats: true}},
}

func TestRunNetworkPassesForAStoreWithoutFault(t *testing.T) {
	RunNetwork(t, "tcp", serve(t), remote{}.fresh)
}

func TestEveryNetworkRuleFindsItsFaults(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	held := map[string]bool{}
	for _, f := range networkFaults {
		held[f.rule] = true
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			rule := strings.ReplaceAll(f.rule, " ", "_")
			cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestFaultyNetworkStore$/^"+regexp.QuoteMeta(rule)+"$")
			cmd.Env = append(os.Environ(), faultVariable+"="+f.name)
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "--- FAIL: TestFaultyNetworkStore/"+rule) || strings.Contains(string(out), "panic:") {
				t.Fatalf("the rule %q doesn't find it: %v\n%s", f.rule, err, out)
			}
			t.Logf("%s", out)
		})
	}
	for _, rule := range networkRules {
		if !held[rule.name] {
			t.Errorf("no fault shows that the rule %q finds any", rule.name)
		}
	}
}

func TestFaultyNetworkStore(t *testing.T) {
	for _, f := range networkFaults {
		if f.name == os.Getenv(faultVariable) {
			promptly, recoverSoon = time.Second, 3*time.Second
			RunNetwork(t, "tcp", serve(t), f.fault.fresh)
			return
		}
	}
	t.Skip("for TestEveryNetworkRuleFindsItsFaults alone")
}

// Server gives the methods of a store in memory to other processes.
type Server struct{ place *memory.Store }

// Request is a call of a method, and Answer what it gave.
type Request struct {
	Method, Key, After string
	Record             store.Record
	Limit              int
	Now                time.Time
}

type Answer struct {
	Records []store.Record
	N       int64
	Fault   string
}

func (s *Server) Do(r Request, a *Answer) (err error) {
	ctx := context.Background()
	switch r.Method {
	case "get":
		var found store.Record
		found, err = s.place.Get(ctx, r.Record.Kind, r.Record.ID)
		a.Records = []store.Record{found}
	case "find":
		a.Records, err = s.place.Find(ctx, r.Record.Kind, r.Key, r.After, r.Limit)
	case "put":
		a.N, err = s.place.Put(ctx, r.Record)
	case "delete":
		err = s.place.Delete(ctx, r.Record.Kind, r.Record.ID, r.Record.Version)
	case "purge":
		var n int
		n, err = s.place.Purge(ctx, r.Now, r.Limit)
		a.N = int64(n)
	}
	if err != nil {
		a.Fault = err.Error()
	}
	return nil
}

// serve starts a server for all places: their names are prefixes of its IDs.
func serve(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := rpc.NewServer()
	if err := server.RegisterName("Store", &Server{memory.New()}); err != nil {
		t.Fatal(err)
	}
	go server.Accept(listener)
	t.Cleanup(func() { listener.Close() })
	return listener.Addr().String()
}

// remote is a store on a server, with one connection at a time.
type remote struct {
	ignoresContext, onlyDeadlines, rawErrors, keepsDead, repeats, overwrites bool
	outage                                                                   error // in the place of one that says what happened

	address, prefix string
	conn            *connection
}

type connection struct {
	sync.Mutex
	client *rpc.Client
}

func (s remote) fresh(t *testing.T) func(string) store.Store {
	s.prefix = t.Name() + " "
	if len(s.prefix) > 90 {
		s.prefix = s.prefix[len(s.prefix)-90:]
	}
	return func(address string) store.Store {
		s := s
		s.address, s.conn = address, &connection{}
		return &s
	}
}

func (s *remote) connect() (*rpc.Client, error) {
	s.conn.Lock()
	defer s.conn.Unlock()
	if s.conn.client == nil {
		c, err := rpc.Dial("tcp", s.address)
		if err != nil {
			return nil, err
		}
		s.conn.client = c
	}
	return s.conn.client, nil
}

// drop has the next call connect anew.
func (s *remote) drop(c *rpc.Client) {
	s.conn.Lock()
	defer s.conn.Unlock()
	if s.conn.client == c {
		s.conn.client = nil
	}
	_ = c.Close()
}

func (s *remote) do(ctx context.Context, r Request) (Answer, error) {
	if err := ctx.Err(); err != nil {
		return Answer{}, err
	}
	r.Record.ID = s.prefix + r.Record.ID
	if r.After != "" {
		r.After = s.prefix + r.After
	}
	a, err := s.once(ctx, r)
	if s.repeats && err != nil && ctx.Err() == nil {
		a, err = s.once(ctx, r)
		if s.overwrites && a.Fault == store.ErrConflict.Error() && r.Method == "put" {
			r.Record.Version++
			a, err = s.once(ctx, r)
		}
	}
	if err != nil && s.outage != nil && ctx.Err() == nil {
		err = s.outage
	}
	if err != nil {
		return Answer{}, err
	}
	for _, known := range []error{store.ErrNotFound, store.ErrConflict} {
		if a.Fault == known.Error() {
			return Answer{}, known
		}
	}
	for i := range a.Records {
		a.Records[i].ID = strings.TrimPrefix(a.Records[i].ID, s.prefix)
	}
	return a, nil
}

func (s *remote) once(ctx context.Context, r Request) (Answer, error) {
	c, err := s.connect()
	if err != nil {
		return Answer{}, err
	}
	var a Answer
	call := c.Go("Store.Do", r, &a, make(chan *rpc.Call, 1))
	done := ctx.Done()
	if s.ignoresContext {
		done = nil
	}
	if s.onlyDeadlines { // as a client that has the context's deadline for its reads, and no more
		late, cancel := context.WithTimeout(context.Background(), time.Minute)
		if at, ok := ctx.Deadline(); ok {
			late, cancel = context.WithDeadline(context.Background(), at)
		}
		defer cancel()
		ctx, done = late, late.Done()
	}
	select {
	case <-call.Done:
		if call.Error != nil {
			s.drop(c)
		}
		return a, call.Error
	case <-done:
		if !s.keepsDead {
			s.drop(c)
		}
		if s.rawErrors {
			return Answer{}, errors.New("read: i/o timeout")
		}
		return Answer{}, ctx.Err()
	}
}

func (s *remote) Open(ctx context.Context) error {
	_, err := s.do(ctx, Request{Method: "open"})
	return err
}

func (s *remote) Close() error {
	s.conn.Lock()
	defer s.conn.Unlock()
	if c := s.conn.client; c != nil {
		s.conn.client = nil
		if err := c.Close(); err != nil && !errors.Is(err, rpc.ErrShutdown) && !errors.Is(err, io.EOF) {
			return err
		}
	}
	return nil
}

func (s *remote) Get(ctx context.Context, kind, id string) (store.Record, error) {
	a, err := s.do(ctx, Request{Method: "get", Record: store.Record{Kind: kind, ID: id}})
	if err != nil {
		return store.Record{}, err
	}
	return a.Records[0], nil
}

func (s *remote) Find(ctx context.Context, kind, key, after string, limit int) ([]store.Record, error) {
	a, err := s.do(ctx, Request{Method: "find", Record: store.Record{Kind: kind}, Key: key, After: after, Limit: limit})
	return a.Records, err
}

func (s *remote) Put(ctx context.Context, r store.Record) (int64, error) {
	a, err := s.do(ctx, Request{Method: "put", Record: r})
	return a.N, err
}

func (s *remote) Delete(ctx context.Context, kind, id string, version int64) error {
	_, err := s.do(ctx, Request{Method: "delete", Record: store.Record{Kind: kind, ID: id, Version: version}})
	return err
}

func (s *remote) Purge(ctx context.Context, now time.Time, limit int) (int, error) {
	a, err := s.do(ctx, Request{Method: "purge", Now: now, Limit: limit})
	return int(a.N), err
}
