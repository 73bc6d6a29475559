package providers

import (
	"archive/zip"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/oidcgate/oidcgate/e2e/internal/harness"
)

const (
	keycloakVersion = "26.7.3"
	// The Maven plugin that downloads it.
	dependencyPlugin = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1"
)

// installation is Keycloak in the cache: unpacked, built for its database, started
// once. What a first start does once, and what Java learns in it, is kept.
type installation struct {
	program  string // its folder
	database string // the folder of a database that has its tables
	classes  string // Java's archive of loaded classes
}

// installKeycloak gives the installation in the cache, and makes it when there is none.
func installKeycloak(ctx context.Context, r *harness.Run) (k installation, err error) {
	name := "keycloak-" + keycloakVersion
	// The paths are part of the archive of classes: nothing can be moved afterwards.
	in := func(folder string) installation {
		return installation{filepath.Join(folder, name), filepath.Join(folder, "h2"), filepath.Join(folder, "classes.jsa")}
	}
	folder, err := r.Made(name, func(folder string) error { return in(folder).make(ctx, r, folder) })
	return in(folder), err
}

func (k installation) make(ctx context.Context, r *harness.Run, folder string) error {
	name := "keycloak-quarkus-dist"
	if err := harness.Command(ctx, folder, "mvn", "-q", "-B", dependencyPlugin+":copy",
		"-Dartifact=org.keycloak:"+name+":"+keycloakVersion+":zip", "-DoutputDirectory="+folder); err != nil {
		return err
	}
	archive := filepath.Join(folder, name+"-"+keycloakVersion+".zip")
	if err := errors.Join(unzip(archive, folder), os.Remove(archive)); err != nil {
		return err
	}
	if err := harness.Command(ctx, folder, filepath.Join(k.program, "bin", "kc.sh"), "build", "--db=dev-file", "--cache=local"); err != nil {
		return err
	}
	return k.startOnce(ctx, r, folder)
}

// startOnce makes the database and the archive of classes. Both are complete when the
// program has ended by itself.
func (k installation) startOnce(ctx context.Context, r *harness.Run, folder string) error {
	home := filepath.Join(folder, "home")
	if err := k.link(home); err != nil {
		return err
	}
	port, err := harness.FreePort()
	if err != nil {
		return err
	}
	process, err := r.Start(ctx, "keycloak-first-start", rootURL(port)+"/realms/master", func() *exec.Cmd {
		return k.start(home, port, "-XX:ArchiveClassesAtExit="+k.classes)
	})
	if err != nil {
		return err
	}
	if err := process.End(ctx); err != nil {
		return err
	}
	return errors.Join(os.Rename(filepath.Join(home, "data", "h2"), k.database), os.RemoveAll(home))
}

// link puts what is installed into a folder in which it is to run.
func (k installation) link(home string) error {
	if err := os.MkdirAll(home, 0o700); err != nil {
		return err
	}
	for _, name := range []string{"conf", "lib", "providers", "themes"} {
		if err := os.Symlink(filepath.Join(k.program, name), filepath.Join(home, name)); err != nil {
			return err
		}
	}
	return nil
}

func unzip(archive, folder string) error {
	in, err := zip.OpenReader(archive)
	if err != nil {
		return err
	}
	defer in.Close()
	root, err := os.OpenRoot(folder)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, file := range in.File {
		if err := extract(root, file); err != nil {
			return err
		}
	}
	return nil
}

func extract(root *os.Root, file *zip.File) error {
	if strings.HasSuffix(file.Name, "/") {
		return root.MkdirAll(filepath.FromSlash(strings.TrimSuffix(file.Name, "/")), 0o755)
	}
	if err := root.MkdirAll(filepath.Dir(filepath.FromSlash(file.Name)), 0o755); err != nil {
		return err
	}
	from, err := file.Open()
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := root.OpenFile(filepath.FromSlash(file.Name), os.O_CREATE|os.O_WRONLY, file.Mode().Perm())
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from)
	return errors.Join(err, to.Close())
}
