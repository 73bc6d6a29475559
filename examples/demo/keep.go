package main

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/store"
	"github.com/oidcgate/oidcgate/store/memory"
	_ "github.com/oidcgate/oidcgate/store/postgres" // -store postgres:…
	"github.com/oidcgate/oidcgate/store/sqlite"
)

// What the demo keeps from one run to the next is in one folder, unless -store or
// the environment names other places.

// dataFolder is where programs of this user keep their data.
func dataFolder() (string, error) {
	folder, err := os.Getenv("XDG_DATA_HOME"), error(nil)
	if !filepath.IsAbs(folder) { // or is not set
		switch runtime.GOOS {
		case "darwin", "windows":
			folder, err = os.UserConfigDir()
		default:
			if folder, err = os.UserHomeDir(); err == nil {
				folder = filepath.Join(folder, ".local", "share")
			}
		}
	}
	if err != nil {
		return "", fmt.Errorf("there is no folder to keep sessions and secrets in: set XDG_DATA_HOME, or else OIDC_STORE and OIDC_SECRETS_FILE: %w", err)
	}
	return filepath.Join(folder, "oidcgate-demo"), nil
}

// chooseStore makes the broker's store, and tells where it is in words that hold
// no password, as a URL may. Records are of one client at one provider, so that a
// file of ours is, too, and none is worth it if the next run has another provider.
func chooseStore(named string, config core.Config, sameAgain bool) (records store.Store, where string, err error) {
	switch {
	case named != "":
		if records, err = store.Open(named); err != nil {
			err = fmt.Errorf("-store: %w", err)
		}
		return records, "in the store that -store names", err
	case config.Broker != nil:
		return config.Broker.Store, "in the store that OIDC_STORE names", nil
	case !sameAgain:
		return memory.New(), "in memory, for this run: the next one will have its provider at another port", nil
	}
	folder, err := dataFolder()
	if err != nil {
		return nil, "", err
	}
	hash := sha256.Sum256([]byte(config.Providers[0].Issuer + " " + config.Providers[0].ClientID))
	path := filepath.Join(folder, "demo-"+hex.EncodeToString(hash[:4])+".db")
	return sqlite.New(path), "in " + path + ", for the next run too", nil
}

// keptSecrets reads the file of secrets in the data folder, which OIDC_SECRETS_FILE
// can name for another program, and makes it where there is none.
func keptSecrets() (secrets []string, path string, err error) {
	folder, err := dataFolder()
	if err != nil {
		return nil, "", err
	}
	path = filepath.Join(folder, "secrets")
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeSecrets(path); err != nil {
			return nil, "", fmt.Errorf("the file of secrets can't be made: %w; set XDG_DATA_HOME to another folder, or OIDC_SECRETS_FILE to a file of yours", err)
		}
		info, err = os.Stat(path)
	}
	if err != nil {
		return nil, "", fmt.Errorf("the file of secrets: %w", err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, "", fmt.Errorf("others may read the secrets in %s (mode %#o): if nobody has, run chmod 600 on it; else remove it, and the databases beside it", path, info.Mode().Perm())
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, "", fmt.Errorf("the file of secrets: %w", err)
	}
	secrets = strings.Fields(string(text))
	for _, secret := range secrets {
		if raw, err := base64.StdEncoding.DecodeString(secret); err != nil || len(raw) < 32 {
			secrets = nil // said below, for all of it
			break
		}
	}
	if len(secrets) == 0 {
		return nil, "", fmt.Errorf("%s does not hold a secret as openssl rand -base64 32 makes one: restore it, or remove it and the databases beside it, to begin anew", path)
	}
	return secrets, path, nil
}

// makeSecrets makes a file with one secret, for this user alone. Whatever else
// starts at the same time, the file is whole from the moment that it is there,
// and is never replaced.
func makeSecrets(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), "secrets-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	_, err = fmt.Fprintln(file, newSecret())
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Link(file.Name(), path); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil // somebody else was faster
}

// newSecret makes a secret as "openssl rand -base64 32" does.
func newSecret() string {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // documented never to fail
	return base64.StdEncoding.EncodeToString(secret)
}
