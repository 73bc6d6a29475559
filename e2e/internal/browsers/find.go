package browsers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

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
// reported, in CI as well: a machine without the network can't have it.
func find(ctx context.Context, r *harness.Run) map[string]string {
	found := map[string]string{}
	for _, b := range stock {
		program, err := b.find(ctx)
		if err != nil {
			r.Skip(b.name, err)
			continue
		}
		found[b.name] = program
	}
	return found
}

// maxInstall is how long the installation of a browser may take.
const maxInstall = 4 * time.Minute

// find gives the browser's program. By root it is installed with apt-get when there is none.
func (b browser) find(ctx context.Context) (string, error) {
	if path := b.path(); path != "" {
		return path, nil
	}
	missing := fmt.Errorf("there is no %s: install it (apt-get install %s)", b.name, b.debian)
	if _, err := exec.LookPath("apt-get"); err != nil || os.Getuid() != 0 {
		return "", missing
	}
	ctx, cancel := context.WithTimeout(ctx, maxInstall)
	defer cancel()
	for _, args := range [][]string{{"update"}, {"install", "-y", "--no-install-recommends", b.debian}} {
		args = append([]string{"DEBIAN_FRONTEND=noninteractive", "apt-get", "-o", "DPkg::Lock::Timeout=60", "-o", "Acquire::http::Timeout=20", "-o", "Acquire::Retries=0"}, args...)
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
