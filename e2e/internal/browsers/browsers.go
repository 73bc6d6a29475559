// Package browsers drives real browsers, as they come from their makers, through pages of
// ours and of a provider. Scenarios are in the folder programs.
package browsers

import (
	"cmp"
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

// Suites is the one of all scenarios.
func Suites() []harness.Suite {
	return []harness.Suite{
		{Name: "browsers", About: "Chromium and Firefox, as they come", Needs: []string{"go", "node", "npm"}, Run: run},
	}
}

// group is a file of scenarios.
type group struct {
	name  string                                            // of the file, without its .mjs
	start func(context.Context, *harness.Run) (site, error) // what the scenarios need
}

var groups = []group{
	{"demo", startDemo},
	{"sessions", startShop},
	{"attacks", startShop},
	{"transfers", startShop},
	{"hands", startShop},
	{"pages", startShop},
}

// site is what scenarios are told of an application.
type site struct {
	URL  string `json:"url"` // its origin
	User user   `json:"user"`

	// Of a shop: what lets scenarios act, and the origins of others.
	Control   string `json:"control"`
	Blog      string `json:"blog"`
	Elsewhere string `json:"elsewhere"`
}

// user is who signs in.
type user struct {
	Name     string `json:"name"`
	Password string `json:"password"`
}

// target is what scenarios are told.
type target struct {
	site
	Browser     string `json:"browser"` // as the driver calls it
	Program     string `json:"program"`
	Screenshots string `json:"screenshots"` // a folder
	Downloads   string `json:"downloads"`   // a folder
}

// run runs every group in every browser.
func run(ctx context.Context, r *harness.Run) error {
	programs := find(ctx, r)
	if len(programs) == 0 {
		return nil
	}
	folder, err := install(ctx, r)
	if err != nil {
		return err
	}
	for _, g := range groups {
		site, err := g.start(ctx, r)
		if err != nil {
			return err
		}
		for _, b := range stock {
			if programs[b.name] == "" {
				continue
			}
			told := target{
				site: site, Browser: b.driven, Program: programs[b.name],
				Screenshots: cmp.Or(os.Getenv("E2E_SCREENSHOTS"), r.Folder), Downloads: r.Folder,
			}
			err := r.Program(ctx, b.name+", "+g.name+":", func(ctx context.Context) *exec.Cmd {
				return command(ctx, r, filepath.Join(folder, "main.mjs"), g.name, told)
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// install writes the scenarios to a folder, and downloads what they need unless the cache
// has it.
func install(ctx context.Context, r *harness.Run) (folder string, err error) {
	files, err := fs.Sub(sources, "programs")
	if err != nil {
		return "", err
	}
	packages, err := r.Install(ctx, "browsers", files, []string{"package.json", "package-lock.json"}, harness.NodePackages)
	if err != nil {
		return "", err
	}
	return r.Programs(files, packages)
}

// command runs a group. What the browsers write is in the suite's folder.
func command(ctx context.Context, r *harness.Run, program, group string, told target) *exec.Cmd {
	text, _ := json.Marshal(told) // texts
	cmd := exec.CommandContext(ctx, "node", program, group)
	cmd.Env = append(os.Environ(), "E2E_TARGET="+string(text), "HOME="+r.Folder, "TMPDIR="+r.Folder)
	return cmd
}
