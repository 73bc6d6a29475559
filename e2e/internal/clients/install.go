package clients

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/oidcgate/oidcgate/e2e/internal/harness"
)

//go:embed programs
var sources embed.FS

// programs is a folder with the programs and the packages that they need.
type programs string

func (p programs) file(name string) string { return filepath.Join(string(p), name) }

func (p programs) node(name string) []string { return []string{"node", p.file(name)} }

func (p programs) python(name string) []string {
	return []string{p.file("python/bin/python"), p.file(name)}
}

// install puts the programs into a folder of the cache that is named after the packages
// that they need, so that a second run downloads nothing.
func install(ctx context.Context, cache string) (programs, error) {
	hash := sha256.New()
	for _, name := range []string{"package-lock.json", "requirements.txt"} {
		pinned, err := sources.ReadFile("programs/" + name)
		if err != nil {
			return "", err
		}
		hash.Write(pinned)
	}
	p := programs(filepath.Join(cache, "clients-"+hex.EncodeToString(hash.Sum(nil))[:12]))
	if err := p.write(); err != nil {
		return "", err
	}
	complete := p.file("complete")
	if _, err := os.Stat(complete); !errors.Is(err, fs.ErrNotExist) {
		return p, err
	}
	for _, command := range [][]string{
		{"npm", "ci", "--no-audit", "--no-fund"},
		{"python3", "-m", "venv", "--clear", "python"},
		{p.file("python/bin/python"), "-m", "pip", "install", "--requirement", "requirements.txt"},
	} {
		if err := harness.Command(ctx, string(p), command[0], command[1:]...); err != nil {
			return "", err
		}
	}
	return p, os.WriteFile(complete, nil, 0o600)
}

// write writes the programs as they are in this version.
func (p programs) write() error {
	if err := os.MkdirAll(string(p), 0o700); err != nil {
		return err
	}
	files, err := sources.ReadDir("programs")
	for _, file := range files {
		content, readErr := sources.ReadFile("programs/" + file.Name())
		err = errors.Join(err, readErr, os.WriteFile(p.file(file.Name()), content, 0o600))
	}
	return err
}
