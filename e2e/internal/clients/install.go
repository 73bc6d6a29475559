package clients

import (
	"context"
	"embed"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/oidcgate/oidcgate/e2e/internal/harness"
)

//go:embed programs
var sources embed.FS

// programs are in a folder of the suite, the packages that they need in one of the cache.
type programs struct{ folder, packages string }

func (p programs) node(name string) []string {
	return []string{"node", filepath.Join(p.folder, name)}
}

func (p programs) python(name string) []string {
	return []string{filepath.Join(p.packages, "python/bin/python"), filepath.Join(p.folder, name)}
}

// install writes the programs, and downloads what they need unless the cache has it.
func install(ctx context.Context, r *harness.Run) (programs, error) {
	files, err := fs.Sub(sources, "programs")
	if err != nil {
		return programs{}, err
	}
	packages, err := r.Install(ctx, "clients", files, []string{"package.json", "package-lock.json", "requirements.txt"},
		harness.NodePackages,
		[]string{"python3", "-m", "venv", "python"},
		[]string{"python/bin/python", "-m", "pip", "install", "--requirement", "requirements.txt"},
	)
	if err != nil {
		return programs{}, err
	}
	folder, err := r.Programs(files, packages)
	return programs{folder, packages}, err
}

// command makes a program that is told the target, and whose user has a cache folder of
// the suite's.
func (s *suite) command(ctx context.Context, args []string) *exec.Cmd {
	told, _ := json.Marshal(s.target) // texts and numbers
	command := exec.CommandContext(ctx, args[0], args[1:]...)
	command.Env = append(os.Environ(), "E2E_TARGET="+string(told), "XDG_CACHE_HOME="+s.programs.folder)
	return command
}

// run runs a program, and reports its steps.
func (s *suite) run(ctx context.Context, name string, args []string) error {
	return s.Program(ctx, name, func(ctx context.Context) *exec.Cmd { return s.command(ctx, args) })
}
