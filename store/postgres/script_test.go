package postgres_test

import (
	"bufio"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

const script = "../../scripts/with-postgres"

// without is the environment without some variables.
func without(names ...string) []string {
	return slices.DeleteFunc(os.Environ(), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return slices.Contains(names, name)
	})
}

// TestScriptLeavesNothingBehind has the script, which gives tests their server, end
// by itself, and by signals that it alone is sent.
func TestScriptLeavesNothingBehind(t *testing.T) {
	if serverURL(t); os.Getenv("TEST_POSTGRES_CONTROL") == "" {
		t.Skip("TEST_POSTGRES_URL names a server, so there may be no programs to start one with")
	}
	for name, row := range map[string]struct {
		command string
		signal  os.Signal
		status  int
	}{
		"the command ends well":     {"exit 0", nil, 0},
		"the command fails":         {"exit 7", nil, 7},
		"it is interrupted":         {"exec sleep 600", os.Interrupt, 130},
		"it is ended":               {"exec sleep 600", syscall.SIGTERM, 143},
		"a child of it is in a way": {"sleep 600 & wait", syscall.SIGTERM, 143},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(script, "sh", "-c", `echo "$TEST_POSTGRES_URL"; `+row.command)
			cmd.Env = without("TEST_POSTGRES_URL", "TEST_POSTGRES_CONTROL")
			cmd.Stderr = os.Stderr
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			line, err := bufio.NewReader(out).ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			u, err := url.Parse(strings.TrimSpace(line))
			if err != nil {
				t.Fatal("no URL")
			}
			dir := u.Query().Get("host")
			if _, err := os.Stat(filepath.Join(dir, "data", "postmaster.pid")); row.signal != nil && err != nil {
				t.Fatal(err)
			}
			if row.signal != nil {
				if err := cmd.Process.Signal(row.signal); err != nil {
					t.Fatal(err)
				}
			}
			kill := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
			_ = cmd.Wait()
			if !kill.Stop() || cmd.ProcessState.ExitCode() != row.status {
				t.Errorf("it ended with %s, not with status %d", cmd.ProcessState, row.status)
			}
			if _, err := os.Stat(dir); !os.IsNotExist(err) {
				t.Errorf("it has left %s behind", dir)
			}
		})
	}
}

// TestScriptSaysWhatToDo has no Postgres on the machine, and none that can be
// installed.
func TestScriptSaysWhatToDo(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("the script is bash's, and there is none")
	}
	empty := t.TempDir()
	for _, tool := range []string{"id", "ls", "sort", "tail", "echo"} {
		if path, err := exec.LookPath(tool); err == nil {
			if err := os.Symlink(path, filepath.Join(empty, tool)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for ci, status := range map[string]int{"true": 1, "": 0} {
		// The places in which servers are looked for are hidden from it.
		text, err := os.ReadFile(script)
		if err != nil {
			t.Fatal(err)
		}
		hidden := strings.NewReplacer("/usr/lib/postgresql", empty, "/usr/pgsql-", empty+"/", "/opt/homebrew", empty, "/usr/local/opt", empty).Replace(string(text))
		cmd := exec.Command(bash, "-c", hidden, "with-postgres", "echo", "it ran")
		cmd.Env = append(without("TEST_POSTGRES_URL", "CI", "PATH"), "CI="+ci, "PATH="+empty)
		out, _ := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != status || strings.Count(string(out), "set TEST_POSTGRES_URL=") != 1 || strings.Contains(string(out), "it ran") != (status == 0) {
			t.Errorf("CI=%q: status %d\n%s", ci, cmd.ProcessState.ExitCode(), out)
		}
	}
}
