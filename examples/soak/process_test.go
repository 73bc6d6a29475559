package soak_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// build makes the demonstration's program, with the race detector if the test has
// it.
func build(t *testing.T) string {
	program := filepath.Join(t.TempDir(), "demo")
	args := []string{"build", "-o", program}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, setting := range info.Settings {
			if setting.Key == "-race" && setting.Value == "true" {
				args = append(args, "-race")
			}
		}
	}
	out, err := exec.CommandContext(t.Context(), "go", append(args, "../demo")...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return program
}

// foreign is the environment of the test, without what configures a program.
func foreign() (env []string) {
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "OIDC_") && !strings.HasPrefix(variable, "TEST_POSTGRES_") {
			env = append(env, variable)
		}
	}
	return env
}

// routers are what the replicas differ in, for that must make no difference.
var routers = []string{"chi", "fiber", "echo"}

// replica is a place in which one process runs after the other.
type replica struct {
	s       *soak
	number  int
	program string
	env     []string
	current atomic.Pointer[process] // the last one that could be reached
	started int

	mu     sync.Mutex
	all    []*process
	killed time.Time // when one was killed last
}

// live runs processes and kills them, some before they have begun to serve. The
// last one is left alone.
func (r *replica) live(rough context.Context, random *rand.Rand) {
	longest := 3 * time.Second // so that a short soak has a kill, too
	for r.s.ctx.Err() == nil {
		p, err := r.start()
		if err != nil {
			r.s.broken("the program can be started", err.Error())
			return
		}
		if random.IntN(4) == 0 && pause(rough, random, 0, 500*time.Millisecond) {
			r.s.count("kills while starting", 1)
			r.kill(p)
			continue
		}
		if !r.s.serves(p) {
			continue // to start it again, or the soak has ended
		}
		r.current.Store(p)
		if !pause(rough, random, 500*time.Millisecond, longest) {
			return
		}
		longest = 8 * time.Second
		r.s.mercy.wait(rough)
		if rough.Err() != nil {
			return
		}
		r.s.count("kills", 1)
		r.kill(p)
		pause(rough, random, 0, 500*time.Millisecond)
	}
}

// process is a run of the program.
type process struct {
	name   string
	addr   string
	api    string
	cmd    *exec.Cmd
	doomed atomic.Bool // set before it is killed or told to stop
	ended  chan struct{}
	err    error // how it ended
}

// start starts the next process, at a free port. The port can be lost to somebody
// else until the process listens there.
func (r *replica) start() (*process, error) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	addr := free.Addr().String()
	free.Close()
	r.started++
	p := &process{
		name: fmt.Sprintf("replica %d, process %d", r.number+1, r.started),
		addr: addr, api: "http://" + addr + "/api", ended: make(chan struct{}),
	}
	p.cmd = exec.Command(r.program, "-addr", addr, "-router", routers[r.number], "-token-lifetime", tokenLifetime.String())
	p.cmd.Env = r.env
	p.cmd.Stderr = &lines{book: r.s.log, process: p.name}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.err = p.cmd.Wait()
		// Whoever runs it starts it again, if its port was taken or Postgres was down.
		again := r.s.log.has(p.name, "address already in use") || r.s.database && r.s.log.has(p.name, "the store can't be opened")
		if !p.doomed.Load() && !again {
			r.s.broken("no process ends by itself", fmt.Sprintf("%s: %v", p.name, p.err), p.name)
		}
		close(p.ended)
	}()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, p)
	return p, nil
}

// serves waits until the process answers, or has ended.
func (s *soak) serves(p *process) bool {
	again, late := time.NewTicker(10*time.Millisecond), time.NewTimer(patience)
	defer again.Stop()
	defer late.Stop()
	for {
		select {
		case <-p.ended:
			return false
		case <-late.C:
			s.broken("a process serves soon after its start", p.name, p.name)
			return false
		case <-s.ctx.Done():
			return false
		case <-again.C:
			if response, err := s.http.Get(p.api + "/hello"); err == nil {
				response.Body.Close()
				if response.StatusCode == http.StatusOK { // or somebody else has the port
					return true
				}
			}
		}
	}
}

// kill kills a process, and notes when.
func (r *replica) kill(p *process) {
	p.kill()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.killed = time.Now()
}

// kill ends a process without its knowing.
func (p *process) kill() {
	p.doomed.Store(true)
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.ended
}

// stopAll tells the last processes to stop, which they must do in order.
func (s *soak) stopAll() {
	late := time.NewTimer(patience)
	defer late.Stop()
	for _, r := range s.replicas {
		p := r.current.Load()
		p.doomed.Store(true)
		err := p.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-late.C:
			err = errors.New("it runs on")
		case <-p.ended:
			err = errors.Join(err, p.err)
		}
		if err != nil {
			s.broken("a process that is told to stop does so", fmt.Sprintf("%s: %v", p.name, err), p.name)
		}
	}
}

// killAll leaves no process behind.
func (s *soak) killAll() {
	for _, r := range s.replicas {
		r.mu.Lock()
		all := r.all
		r.mu.Unlock()
		for _, p := range all {
			p.kill()
		}
	}
}
