// Package harness runs suites of steps: processes that surely end, applications on
// any router, a browser that fills in forms, and a report.
package harness

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// ErrFailed is told by the exit code alone: the steps have said why.
var ErrFailed = errors.New("a step failed")

// stepTimeout is how long one step may take, so that nothing hangs the run. On a busy
// machine a provider takes a minute to start again.
const stepTimeout = 3 * time.Minute

// Suite is a group of steps around one provider or client.
type Suite struct {
	Name  string   // for -only: lower case, no spaces
	About string   // one line, for -list
	Needs []string // programs that must be on the path
	// Run starts what the steps need, and runs them with Run.Step. Its error says
	// why it could not begin, and counts as a failed step.
	Run func(context.Context, *Run) error
}

// Run is one run of a suite. It is used by one goroutine.
type Run struct {
	Folder string // the suite's own: logs, and whatever its processes write
	Cache  string // shared by all runs: downloads and what is built of them

	suite    string
	report   *report
	only     string // runs the steps alone that contain it
	sites    int
	cleanups []func()
}

// Step runs a step, and reports how it went. A step gets three minutes.
func (r *Run) Step(ctx context.Context, name string, step func(context.Context) error) {
	if ctx.Err() != nil || !strings.Contains(name, r.only) {
		return
	}
	limited, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	began := time.Now()
	if err := step(limited); ctx.Err() == nil { // or it was not the step that failed
		r.report.step(r.suite+": "+name, err, time.Since(began))
	}
}

// Skip reports what is left out, and why.
func (r *Run) Skip(name string, why error) { r.report.skip(r.suite+": "+name, why) }

// Cleanup has f called when the suite ends, however it ends; the last one first.
func (r *Run) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }

func (r *Run) clean() {
	for _, f := range slices.Backward(r.cleanups) {
		f()
	}
}

// Options are what the command line says about the suites to run.
type Options struct {
	Only  string // a suite's name, or name/text for its steps that contain text; "": all
	Cache string // "": E2E_CACHE, or a folder in the user's cache
}

// RunAll runs suites, one after the other, and reports to out. A folder with the
// logs is left behind, and named, when something failed.
func RunAll(ctx context.Context, out io.Writer, o Options, suites []Suite) error {
	cache, err := cacheFolder(o.Cache)
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "oidcgate-e2e-")
	if err != nil {
		return err
	}
	name, only, _ := strings.Cut(o.Only, "/")
	report := &report{out: out}
	found := false
	for _, suite := range suites {
		if name == "" || name == suite.Name {
			found = true
			r := &Run{Folder: filepath.Join(folder, suite.Name), Cache: cache, suite: suite.Name, report: report, only: only}
			if err := r.all(ctx, suite); err != nil && ctx.Err() == nil {
				report.step(suite.Name+": start", err, 0)
			}
		}
	}
	if !found {
		return fmt.Errorf("there is no suite %q: -list shows them", name)
	}
	if report.failed == 0 && ctx.Err() == nil {
		return errors.Join(os.RemoveAll(folder), report.end())
	}
	fmt.Fprintf(out, "logs are in %s\n", folder)
	return errors.Join(ctx.Err(), report.end())
}

func (r *Run) all(ctx context.Context, suite Suite) error {
	defer r.clean()
	for _, program := range suite.Needs {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("needs %s: %w", program, err)
		}
	}
	if err := os.MkdirAll(r.Folder, 0o700); err != nil {
		return err
	}
	return suite.Run(ctx, r)
}

func cacheFolder(folder string) (string, error) {
	if folder == "" {
		folder = os.Getenv("E2E_CACHE")
	}
	if folder == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", err
		}
		folder = filepath.Join(user, "oidcgate-e2e")
	}
	folder, err := filepath.Abs(folder)
	if err != nil {
		return "", err
	}
	return folder, os.MkdirAll(folder, 0o700)
}

// report says how each step went, and counts.
type report struct {
	out                     io.Writer
	passed, failed, skipped int
}

func (r *report) step(name string, err error, took time.Duration) {
	if err != nil {
		r.failed++
		fmt.Fprintf(r.out, "FAIL %s (%.1f s): %v\n", name, took.Seconds(), err)
		return
	}
	r.passed++
	fmt.Fprintf(r.out, "ok %s (%.1f s)\n", name, took.Seconds())
}

func (r *report) skip(name string, why error) {
	r.skipped++
	fmt.Fprintf(r.out, "SKIP %s: %s\n", name, shortened(why.Error()))
}

func (r *report) end() error {
	skipped := ""
	if r.skipped > 0 {
		skipped = fmt.Sprintf(", %d skipped", r.skipped)
	}
	fmt.Fprintf(r.out, "%d passed, %d failed%s\n", r.passed, r.failed, skipped)
	if r.failed > 0 {
		return ErrFailed
	}
	return nil
}
