package postgres_test

import (
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// proxy stands between a store and the server. It knows of the protocol no more
// than where messages begin and end.
type proxy struct {
	url *url.URL
	// pooled has each transaction run on another connection to the server than the
	// one before, as PgBouncer may in transaction mode.
	pooled bool
	// deal tells what becomes of a request, by the text of its messages. nil passes
	// all of them.
	deal func(request string) fate

	t       *testing.T
	servers chan net.Conn // logged in and in no transaction
	mu      sync.Mutex
	conns   map[net.Conn]bool
}

type fate int

const (
	pass      fate = iota
	cutBefore      // the connection breaks before the server has seen the request
	cutAfter       // the server has done it, and the connection breaks before its answer
	noAnswer       // the connection stays, and nothing is heard any more
	givenUp        // the proxy answers with the error of a rolled back transaction
	diskFull       // the proxy answers with the error of a full disk
)

func startProxy(t *testing.T, p *proxy) *proxy {
	t.Helper()
	p.t, p.servers, p.conns = t, make(chan net.Conn, 1000), map[net.Conn]bool{}
	dir, err := os.MkdirTemp("", "proxy")
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("unix", filepath.Join(dir, ".s.PGSQL.5432"))
	if err != nil {
		t.Fatal(err)
	}
	server := serverURL(t)
	p.url = with(server, "host", dir)
	p.url.Host = ""
	var all sync.WaitGroup
	all.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			p.keep(client)
			all.Go(func() { p.serve(client, server) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		p.mu.Lock()
		for c := range p.conns {
			c.Close()
		}
		p.conns = nil
		p.mu.Unlock()
		all.Wait()
		os.RemoveAll(dir)
	})
	return p
}

// keep has a connection closed at the end at the latest.
func (p *proxy) keep(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conns == nil {
		c.Close()
		return
	}
	p.conns[c] = true
}

func dialServer(u *url.URL) (net.Conn, error) {
	network, address := serverAddress(u)
	return net.Dial(network, address)
}

func (p *proxy) serve(client net.Conn, u *url.URL) {
	defer client.Close()
	server, err := dialServer(u)
	if err != nil {
		return
	}
	p.keep(server)
	if !logIn(client, server) {
		server.Close()
		return
	}
	release := func() {
		if p.pooled {
			p.servers <- server
			server = nil
		}
	}
	release()
	defer func() {
		if server != nil { // a transaction that was not ended
			server.Close()
		}
	}()
	for {
		request, last := readUntil(client, 'Q', 'S', 'X')
		if last == nil || last[0] == 'X' {
			return
		}
		what := pass
		if p.deal != nil {
			what = p.deal(string(request))
		}
		switch what {
		case cutBefore:
			return
		case noAnswer:
			_, _ = io.Copy(io.Discard, client)
			return
		case givenUp, diskFull:
			code := map[fate]string{givenUp: "40001", diskFull: "53100"}[what]
			_, _ = client.Write([]byte("E\x00\x00\x00\x1dSERROR\x00C" + code + "\x00Mgiven up\x00\x00Z\x00\x00\x00\x05I"))
			continue
		}
		if server == nil {
			server = <-p.servers
		}
		if _, err := server.Write(request); err != nil {
			return
		}
		answer, last := readUntil(server, 'Z')
		if last == nil || what == cutAfter {
			return
		}
		if last[5] == 'I' {
			release()
		}
		if _, err := client.Write(answer); err != nil {
			return
		}
	}
}

// logIn hands messages to and fro until the server is ready for a query.
func logIn(client, server net.Conn) bool {
	startup := readMessage(client, 0)
	if len(startup) < 8 || binary.BigEndian.Uint32(startup[4:]) == 80877102 {
		return false // a request to cancel, which the double doesn't pass on
	}
	if _, err := server.Write(startup); err != nil {
		return false
	}
	for {
		m := readMessage(server, 1)
		if m == nil {
			return false
		}
		if _, err := client.Write(m); err != nil {
			return false
		}
		switch m[0] {
		case 'Z':
			return true
		case 'R': // the server asks for a password, or goes on with asking
			if code := binary.BigEndian.Uint32(m[5:]); code != 0 && code != 12 {
				if _, err := server.Write(readMessage(client, 1)); err != nil {
					return false
				}
			}
		}
	}
}

// readUntil reads messages up to one of a type, and gives that one besides. It is
// nil when the connection has ended.
func readUntil(c net.Conn, types ...byte) (all, last []byte) {
	for {
		m := readMessage(c, 1)
		if m == nil {
			return all, nil
		}
		all = append(all, m...)
		for _, t := range types {
			if m[0] == t {
				return all, m
			}
		}
	}
}

// readMessage reads a message with so many bytes before its length.
func readMessage(c net.Conn, before int) []byte {
	m := make([]byte, before+4)
	if _, err := io.ReadFull(c, m); err != nil {
		return nil
	}
	m = append(m, make([]byte, binary.BigEndian.Uint32(m[before:])-4)...)
	if _, err := io.ReadFull(c, m[before+4:]); err != nil {
		return nil
	}
	return m
}
