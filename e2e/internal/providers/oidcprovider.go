package providers

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/e2e/internal/harness"
)

//go:embed oidc-provider
var oidcProviderFiles embed.FS

// OIDCProvider is npm's oidc-provider, as strict as it can be.
type OIDCProvider struct {
	Provider // its client app has opaque access tokens
	folder   string
}

// JWTClient is the configuration of the client that has JWTs for access tokens.
func (p *OIDCProvider) JWTClient(c *core.Config) {
	c.Providers[0].ClientID, c.Providers[0].ClientSecret = "jwt", "jwt-secret"
	c.Providers[0].Audiences = []string{"https://api.example"}
}

// StartOIDCProvider starts it as a process of its own. It sends the logout tokens of
// BackchannelClient to logoutURI.
func StartOIDCProvider(ctx context.Context, r *harness.Run, redirectURIs []string, logoutURI string) (*OIDCProvider, error) {
	installed, err := installOIDCProvider(ctx, r)
	if err != nil {
		return nil, err
	}
	port, err := harness.FreePort()
	if err != nil {
		return nil, err
	}
	folder := filepath.Join(r.Folder, "oidc-provider")
	if err := os.Mkdir(folder, 0o700); err != nil {
		return nil, err
	}
	told, err := json.Marshal(map[string]any{
		"port": port, "folder": folder, "kid": "the-same", "redirectURIs": redirectURIs, "postLogoutURIs": []string{Page},
		"logoutURI": logoutURI,
	})
	if err != nil {
		return nil, err
	}
	process, err := r.Start(ctx, "oidc-provider", rootURL(port)+"/.well-known/openid-configuration", func() *exec.Cmd {
		cmd := exec.Command("node", "--no-warnings", filepath.Join(installed, "server.mjs"))
		cmd.Env = append(os.Environ(), "E2E_PROVIDER="+string(told))
		return cmd
	})
	if err != nil {
		return nil, err
	}
	return &OIDCProvider{folder: folder, Provider: Provider{
		Process: process,
		Config:  core.Config{Providers: []core.Provider{{Issuer: rootURL(port), ClientID: "app", ClientSecret: "app-secret"}}},
		User:    Alice,
	}}, nil
}

// ReplaceKey has it start again with another key under the same name.
func (p *OIDCProvider) ReplaceKey(ctx context.Context) error {
	p.Process.Kill()
	return errors.Join(os.Remove(filepath.Join(p.folder, "keys.json")), p.Process.Start(ctx))
}

// installOIDCProvider gives the folder of the cache where it and its packages are.
func installOIDCProvider(ctx context.Context, r *harness.Run) (string, error) {
	files, err := fs.Sub(oidcProviderFiles, "oidc-provider")
	if err != nil {
		return "", err
	}
	return r.Install(ctx, "oidc-provider", files, []string{"package-lock.json", "package.json", "server.mjs"}, harness.NodePackages)
}
