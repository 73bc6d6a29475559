package harness

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// programTimeout is what all steps of a program may take.
const programTimeout = 5 * time.Minute

// report.mjs is what programs for Node report their steps with.
//
//go:embed report.mjs
var reportModule []byte

// Install gives a folder of the cache that has some of the files, and what the commands make
// of them, for all runs: downloads. It is named after what those files say.
func (r *Run) Install(ctx context.Context, name string, files fs.FS, pins []string, commands ...[]string) (string, error) {
	hash := sha256.New()
	pinned := make([][]byte, len(pins))
	for i, pin := range pins {
		var err error
		if pinned[i], err = fs.ReadFile(files, pin); err != nil {
			return "", err
		}
		hash.Write(pinned[i])
	}
	return r.Made(name+"-"+hex.EncodeToString(hash.Sum(nil)[:6]), func(folder string) error {
		for i, pin := range pins {
			if err := os.WriteFile(filepath.Join(folder, pin), pinned[i], 0o600); err != nil {
				return err
			}
		}
		for _, command := range commands {
			if err := Command(ctx, folder, command[0], command[1:]...); err != nil {
				return err
			}
		}
		return nil
	})
}

// NodePackages is the command that installs what a package-lock.json pins.
var NodePackages = []string{"npm", "ci", "--no-audit", "--no-fund"}

// Programs gives a new folder of the suite's with programs, report.mjs, and the Node packages
// of a folder that Install has given.
func (r *Run) Programs(files fs.FS, installed string) (string, error) {
	folder, err := os.MkdirTemp(r.Folder, "programs-")
	if err != nil {
		return "", err
	}
	return folder, errors.Join(
		os.CopyFS(folder, files),
		os.WriteFile(filepath.Join(folder, "report.mjs"), reportModule, 0o600),
		os.Symlink(filepath.Join(installed, "node_modules"), filepath.Join(folder, "node_modules")),
	)
}

// Program runs a program, and reports the steps that it writes: {"name": …} for one that
// passed, {"name": …, "error": …} for one that failed. The programs that it has started
// itself it has to end, also at SIGTERM.
func (r *Run) Program(ctx context.Context, name string, command func(context.Context) *exec.Cmd) error {
	limited, cancel := context.WithTimeout(ctx, programTimeout)
	defer cancel()
	cmd := command(limited)
	var errorOutput bytes.Buffer
	cmd.Stderr = &errorOutput
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	output, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%s: %w\n%s", name, err, &errorOutput)
	}
	steps := json.NewDecoder(bytes.NewReader(output))
	for n := 0; ; n++ {
		var step struct{ Name, Error string }
		switch end := steps.Decode(&step); {
		case end == io.EOF && n == 0 && err == nil:
			return fmt.Errorf("%s has reported no step", name)
		case end == io.EOF:
			return err
		case end != nil:
			return errors.Join(err, fmt.Errorf("%s writes what is no step: %w", name, end))
		}
		r.Step(ctx, name+" "+step.Name, func(context.Context) error { return failure(step.Error) })
	}
}

// failure is an error with a text, nil for "".
func failure(text string) error {
	if text == "" {
		return nil
	}
	return errors.New(text)
}
