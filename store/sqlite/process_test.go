package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/oidcgate/oidcgate/store"
	"github.com/oidcgate/oidcgate/store/sqlite"
)

// roleVariable makes a process of the test binary one of those that TestMain has.
const roleVariable = "SQLITE_TEST_ROLE"

func TestMain(m *testing.M) {
	role, path, _ := strings.Cut(os.Getenv(roleVariable), " ")
	switch role {
	case "":
		os.Exit(m.Run())
	case "count":
		exit(count(path, 300))
	case "write":
		exit(count(path, 1))
	case "die":
		// What was answered has to be there after the process was killed.
		for {
			if err := count(path, 1); err != nil {
				exit(err)
			}
			fmt.Print(".")
		}
	}
}

func exit(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(0)
}

// count raises one counter so many times, as others do at the same time.
func count(path string, times int) error {
	ctx := context.Background()
	s := sqlite.New(path)
	if err := s.Open(ctx); err != nil {
		return err
	}
	for range times {
		for {
			r, err := s.Get(ctx, "counter", "id")
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
			n, _ := strconv.Atoi(string(r.Data))
			r.Kind, r.ID, r.Data = "counter", "id", []byte(strconv.Itoa(n+1))
			if _, err = s.Put(ctx, r); err == nil {
				break
			} else if !errors.Is(err, store.ErrConflict) {
				return err
			}
		}
	}
	return s.Close()
}

func process(t *testing.T, program, role, path string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program)
	cmd.Env = append(os.Environ(), roleVariable+"="+role+" "+path)
	return cmd
}

func self(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// TestProcessesShareAFile has several processes open a new file at once and change
// one record: none fails, and none of the changes is lost.
func TestProcessesShareAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "app.db")
	const processes = 4
	failed := make(chan error)
	for range processes {
		cmd := process(t, self(t), "count", path)
		go func() {
			out, err := cmd.CombinedOutput()
			if err != nil {
				err = fmt.Errorf("%w: %s", err, out)
			}
			failed <- err
		}()
	}
	for range processes {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
	r, err := opened(t, path).Get(t.Context(), "counter", "id")
	if err != nil || string(r.Data) != fmt.Sprint(300*processes) || r.Version != 300*processes {
		t.Fatalf("the counter is at %s, version %d, error %v", r.Data, r.Version, err)
	}
}

// TestWhatWasAnsweredOutlivesAKilledProcess kills processes that open the file,
// write and close it over and over, wherever that finds them.
func TestWhatWasAnsweredOutlivesAKilledProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.db")
	counted := 0
	for answers := range 12 {
		cmd := process(t, self(t), "die", path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(out, make([]byte, answers)); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Process.Kill()
		more, _ := io.ReadAll(out)
		_ = cmd.Wait()

		s := sqlite.New(path)
		if err := s.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		r, err := s.Get(t.Context(), "counter", "id")
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			t.Fatal(err)
		}
		n, _ := strconv.Atoi(string(r.Data))
		// One more may have been written without its answer.
		if least := counted + answers + len(more); n < least || n > least+1 {
			t.Fatalf("the counter is at %d, after %d that were answered", n, least)
		}
		counted = n
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	var sound string
	if err := plain(t, path).QueryRow("PRAGMA integrity_check").Scan(&sound); err != nil || sound != "ok" {
		t.Fatalf("the file is damaged: %s, %v", sound, err)
	}
}
