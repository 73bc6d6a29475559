package browsers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"

	"github.com/oidcgate/oidcgate/e2e/internal/harness"
)

// browser is one that this machine may have.
type browser struct {
	name    string // its own
	driven  string // what the driver calls it
	debian  string // Debian's package
	program []string
}

var stock = []browser{
	{"Chromium", "chrome", "chromium", []string{
		"chromium", "chromium-browser", "google-chrome", "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
	}},
	{"Firefox", "firefox", "firefox-esr", []string{"firefox", "firefox-esr", "/Applications/Firefox.app/Contents/MacOS/firefox"}},
}

// find gives the program of each browser, by name. What can be neither found nor installed is
// reported; but in CI nothing is left out.
func find(ctx context.Context, r *harness.Run) (map[string]string, error) {
	found := map[string]string{}
	for _, b := range stock {
		program, err := b.find(ctx)
		switch {
		case err == nil:
			found[b.name] = program
		case os.Getenv("CI") == "true":
			return nil, err
		default:
			r.Skip(b.name, err)
		}
	}
	return found, nil
}

// find gives the browser's program. By root it is installed with apt-get when there is none.
func (b browser) find(ctx context.Context) (string, error) {
	if path := b.path(); path != "" {
		return path, nil
	}
	missing := fmt.Errorf("there is no %s: install it (apt-get install %s)", b.name, b.debian)
	if _, err := exec.LookPath("apt-get"); err != nil || os.Getuid() != 0 {
		return "", missing
	}
	for _, args := range [][]string{{"update"}, {"install", "-y", "--no-install-recommends", b.debian}} {
		args = append([]string{"DEBIAN_FRONTEND=noninteractive", "apt-get", "-o", "DPkg::Lock::Timeout=300"}, args...)
		if err := harness.Command(ctx, "", "env", args...); err != nil {
			return "", errors.Join(missing, err)
		}
	}
	if path := b.path(); path != "" {
		return path, nil
	}
	return "", missing
}

// path is where the program is, "" for nowhere.
func (b browser) path() string {
	for _, name := range b.program {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}
