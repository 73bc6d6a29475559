package storetest

import (
	"net"
	"sync"
	"testing"
)

// Proxy stands between a store and its server, and does what a bad network does. It
// hands bytes to and fro and knows nothing of the protocol. Make one with [NewProxy].
// Its methods may be called concurrently.
type Proxy struct {
	network, address string // of the server
	listener         net.Listener
	all              sync.WaitGroup

	mu     sync.Mutex
	state  proxyState
	links  map[*link]bool // nil once the test has ended
	skip   int            // answers that still pass before one is lost; -1: none is
	onLoss func()
}

type proxyState int

const (
	passing proxyState = iota
	hanging            // nothing passes, and no connection ends
	cut                // no connection is possible
)

// link is a client's connection and the one to the server.
type link struct {
	client, server net.Conn
	dead           bool // it has hung, and stays so
}

// NewProxy starts a proxy before the server at an address, as [net.Dial] takes them.
// It listens on 127.0.0.1 and ends with the test.
func NewProxy(t testing.TB, network, address string) *Proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{network: network, address: address, listener: listener, links: map[*link]bool{}, skip: -1}
	p.all.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

// Addr returns the host and port that clients are to connect to.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Pass lets everything through again. A connection that has hung stays silent for
// ever, as one whose server is gone without a word; new ones work.
func (p *Proxy) Pass() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state, p.skip, p.onLoss = passing, -1, nil
}

// Hang swallows all that is sent from now on, in both directions, without ending a
// connection. New connections are accepted, and silent as well.
func (p *Proxy) Hang() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state = hanging
	for l := range p.links {
		l.dead = true
	}
}

// Cut ends all connections, and each new one at once.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state = cut
	for l := range p.links {
		l.close()
	}
}

// LoseAnswer lets skip answers of the server pass and loses the one after them: its
// connection ends when the server has done what it was asked. Before it ends, then is
// called, if it is not nil. Later connections work. An answer is what one read from
// the server gives.
func (p *Proxy) LoseAnswer(skip int, then func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.skip, p.onLoss = skip, then
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.all.Go(func() { p.serve(client) })
	}
}

func (p *Proxy) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial(p.network, p.address)
	if err != nil {
		return
	}
	defer server.Close()
	l := &link{client: client, server: server}
	p.mu.Lock()
	if p.links == nil || p.state == cut {
		p.mu.Unlock()
		return
	}
	l.dead = p.state == hanging
	p.links[l] = true
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.links, l)
		p.mu.Unlock()
	}()
	var both sync.WaitGroup
	both.Go(func() { p.copy(l, l.server, l.client, false) })
	both.Go(func() { p.copy(l, l.client, l.server, true) })
	both.Wait()
}

// copy hands bytes on until one of the connections has ended, and then ends both.
func (p *Proxy) copy(l *link, to, from net.Conn, answers bool) {
	defer l.close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			dead, lost, then := p.fate(l, answers)
			switch {
			case lost:
				if then != nil {
					then()
				}
				return
			case !dead:
				if _, err := to.Write(buffer[:n]); err != nil {
					return
				}
			}
		}
		if err != nil {
			return
		}
	}
}

// fate tells what becomes of bytes that were read.
func (p *Proxy) fate(l *link, answer bool) (dead, lost bool, then func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l.dead || !answer || p.skip < 0 {
		return l.dead, false, nil
	}
	p.skip--
	if p.skip >= 0 {
		return false, false, nil
	}
	return false, true, p.onLoss
}

// lost tells whether the answer that LoseAnswer named was lost.
func (p *Proxy) lost() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.skip < 0
}

func (p *Proxy) close() {
	p.listener.Close()
	p.mu.Lock()
	for l := range p.links {
		l.close()
	}
	p.links = nil
	p.mu.Unlock()
	p.all.Wait()
}

func (l *link) close() {
	l.client.Close()
	l.server.Close()
}
