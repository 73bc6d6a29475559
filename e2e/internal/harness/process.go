package harness

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// Process is a program of its own that serves on loopback.
type Process struct {
	command func() *exec.Cmd
	ready   string // answers 200 when it serves
	log     *os.File
	running *exec.Cmd
	ended   chan error
}

// readyTimeout is how long a process may take to serve, on a busy machine and
// with everything cold.
const readyTimeout = 4 * time.Minute

// Start starts the program that command makes, and waits until ready, a URL,
// answers 200. What it prints goes to <name>.log in the suite's folder. It ends with
// the suite, and its children with it.
func (r *Run) Start(ctx context.Context, name string, ready string, command func() *exec.Cmd) (*Process, error) {
	log, err := os.OpenFile(filepath.Join(r.Folder, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	p := &Process{command: command, ready: ready, log: log}
	r.Cleanup(func() {
		p.Kill()
		_ = log.Close()
	})
	return p, p.Start(ctx)
}

// Start starts the program again after Kill, and waits until it serves.
func (p *Process) Start(ctx context.Context) error {
	cmd := p.command()
	cmd.Stdout, cmd.Stderr = p.log, p.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // so that its children end with it
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	p.running, p.ended = cmd, ended
	go func() { ended <- cmd.Wait() }()
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	return Until(ctx, 100*time.Millisecond, func(ctx context.Context) error {
		select {
		case err := <-ended:
			ended <- err
			cancel()
			return fmt.Errorf("%s ended before it served (%v): see %s", filepath.Base(cmd.Path), err, p.log.Name())
		default:
			return serves(ctx, p.ready)
		}
	})
}

// Kill ends the program at once, as a crash does, and waits for its end.
func (p *Process) Kill() {
	if p.running == nil {
		return
	}
	_ = syscall.Kill(-p.running.Process.Pid, syscall.SIGKILL)
	<-p.ended
	p.running = nil
}

// End asks the program to end, and waits until it has.
func (p *Process) End(ctx context.Context) error {
	_ = syscall.Kill(-p.running.Process.Pid, syscall.SIGTERM)
	select {
	case <-p.ended:
		p.running = nil
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func serves(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, response.Status)
	}
	return nil
}

// Until asks, again and again after an interval, until the answer is nil or ctx ends; its
// error then is the last answer.
func Until(ctx context.Context, interval time.Duration, ask func(context.Context) error) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		err := ask(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}

// Command runs a program to its end, for downloads and builds. Its output is part of
// the error.
func Command(ctx context.Context, folder, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = folder
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	return nil
}

// FreePort gives a port of loopback that nobody listens at.
func FreePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}
