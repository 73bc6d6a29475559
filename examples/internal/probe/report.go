// Package probe goes through an application as its users and clients do. The
// -check of the examples is made of it: a browser, requests and what they are held
// against, and a report.
package probe

import (
	"errors"
	"fmt"
	"io"
)

// ErrFailed is told by the exit code alone: the steps have said why.
var ErrFailed = errors.New("a step of the check failed")

// Report says how each step went, and counts.
type Report struct {
	out            io.Writer
	passed, failed int
}

// NewReport begins a report.
func NewReport(out io.Writer) *Report { return &Report{out: out} }

// Step reports how one step went.
func (r *Report) Step(name string, err error) {
	if err != nil {
		r.failed++
		fmt.Fprintf(r.out, "FAIL %s: %v\n", name, err)
		return
	}
	r.passed++
	fmt.Fprintf(r.out, "ok %s\n", name)
}

// End says how many steps passed, and fails if any did not.
func (r *Report) End() error {
	fmt.Fprintf(r.out, "%d passed, %d failed\n", r.passed, r.failed)
	if r.failed > 0 {
		return ErrFailed
	}
	return nil
}

// InOrder runs parts of a step until one fails.
func InOrder(parts ...func() error) error {
	for _, part := range parts {
		if err := part(); err != nil {
			return err
		}
	}
	return nil
}
