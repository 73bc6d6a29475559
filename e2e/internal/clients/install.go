package clients

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"os"
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
	packages, err := installPackages(ctx, r)
	if err != nil {
		return programs{}, err
	}
	folder, err := os.MkdirTemp(r.Folder, "programs-")
	if err != nil {
		return programs{}, err
	}
	err = errors.Join(
		write(folder, names()...),
		os.Symlink(filepath.Join(packages, "node_modules"), filepath.Join(folder, "node_modules")),
	)
	return programs{folder, packages}, err
}

// installPackages gives the folder of the cache that is named after what is pinned.
func installPackages(ctx context.Context, r *harness.Run) (string, error) {
	pins := []string{"package.json", "package-lock.json", "requirements.txt"}
	hash := sha256.New()
	for _, name := range pins {
		pinned, err := source(name)
		if err != nil {
			return "", err
		}
		hash.Write(pinned)
	}
	return r.Made("clients-"+hex.EncodeToString(hash.Sum(nil)[:6]), func(folder string) error {
		if err := write(folder, pins...); err != nil {
			return err
		}
		for _, command := range [][]string{
			{"npm", "ci", "--no-audit", "--no-fund"},
			{"python3", "-m", "venv", "python"},
			{"python/bin/python", "-m", "pip", "install", "--requirement", "requirements.txt"},
		} {
			if err := harness.Command(ctx, folder, command[0], command[1:]...); err != nil {
				return err
			}
		}
		return nil
	})
}

func source(name string) ([]byte, error) { return sources.ReadFile("programs/" + name) }

// names are those of all sources.
func names() (all []string) {
	files, _ := sources.ReadDir("programs") // it is embedded
	for _, file := range files {
		all = append(all, file.Name())
	}
	return all
}

// write writes sources to a folder.
func write(folder string, names ...string) error {
	for _, name := range names {
		content, err := source(name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}
