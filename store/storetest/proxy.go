package storetest

import (
	"net"
	"sync"
	"testing"
)

// Proxy stands between a store and its server and behaves like a bad network. It copies
// bytes and does not know the protocol. Make one with [NewProxy]. Its methods are safe for
// concurrent use.
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

// NewProxy starts a proxy for the server at network and address, as for [net.Dial]. It
// listens on 127.0.0.1 and ends with the test.
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

// Addr returns the host and port that clients must connect to.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Pass ends Hang and Cut: new connections work. A connection that has hung stays silent
// forever, as if its server had disappeared.
func (p *Proxy) Pass() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state, p.skip, p.onLoss = passing, -1, nil
}

// Hang drops all data from now on, in both directions, without closing a connection. New
// connections are accepted and are silent, too.
func (p *Proxy) Hang() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state = hanging
	for l := range p.links {
		l.dead = true
	}
}

// Cut closes all connections, and closes each new one at once.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state = cut
	for l := range p.links {
		l.close()
	}
}

// LoseAnswer passes skip answers of the server and loses the next one: the connection is
// closed after the server has done the work. Before that, then is called if it is not nil.
// Later connections work. An answer is the data of one read from the server.
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
