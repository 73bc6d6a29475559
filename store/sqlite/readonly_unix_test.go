//go:build unix

package sqlite_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/oidcgate/oidcgate/store"
)

// TestFileThatMayNotBeWritten has a process without the right to write. Root has
// it always, so there the process is another user's.
func TestFileThatMayNotBeWritten(t *testing.T) {
	dir, err := os.MkdirTemp("", "readonly")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = os.Chmod(dir, 0o700)
		os.RemoveAll(dir)
	})
	program := self(t)
	if os.Getuid() == 0 {
		binary, err := os.ReadFile(program)
		if err != nil {
			t.Fatal(err)
		}
		program = filepath.Join(dir, "program")
		if err := os.WriteFile(program, binary, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "app.db")
	s := opened(t, path)
	put(t, s, store.Record{Kind: "session", ID: "kept"})
	s.Close()
	for _, row := range []struct {
		name      string
		file, dir os.FileMode
		advice    string
	}{
		{"a file to read alone", 0o444, 0o777, "it is read-only"},
		{"a folder to read alone", 0o666, 0o555, "it is read-only"},
		{"a file to keep out of", 0o000, 0o777, "must be able to read and write it"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if err := os.Chmod(path, row.file); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(dir, row.dir); err != nil {
				t.Fatal(err)
			}
			cmd := process(t, program, "write", path)
			asAnotherUser(cmd)
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "sqlite: opening") || !strings.Contains(string(out), row.advice) {
				t.Errorf("error %v without %q: %s", err, row.advice, out)
			}
			t.Logf("%s", out)
		})
	}
	t.Run("a folder that can't be made", func(t *testing.T) {
		if err := os.Chmod(dir, 0o555); err != nil {
			t.Fatal(err)
		}
		cmd := process(t, program, "write", filepath.Join(dir, "new", "app.db"))
		asAnotherUser(cmd)
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "must be able to read and write it") {
			t.Errorf("error %v: %s", err, out)
		}
	})
	t.Run("another user's file beside it", func(t *testing.T) {
		if err := errors.Join(os.Chmod(path, 0o666), os.Chmod(dir, 0o777), os.WriteFile(path+"-wal", nil, 0o000)); err != nil {
			t.Fatal(err)
		}
		defer os.Remove(path + "-wal")
		cmd := process(t, program, "write", path)
		asAnotherUser(cmd)
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), "-wal") {
			t.Errorf("error %v: %s", err, out)
		}
	})
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := opened(t, path).Get(t.Context(), "session", "kept"); err != nil {
		t.Fatal(err)
	}
}

func asAnotherUser(cmd *exec.Cmd) {
	if os.Getuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
}
