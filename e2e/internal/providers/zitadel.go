package providers

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/e2e/internal/harness"
	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
)

// ZitadelCommand is the first argument with which this program is the example server of
// zitadel/oidc: its port and redirect URIs follow.
const ZitadelCommand = "serve-zitadel"

// ServeZitadel is that server, until the process ends.
func ServeZitadel(port string, redirectURIs []string) error {
	issuer := "http://127.0.0.1:" + port + "/"
	storage.RegisterClients(storage.WebClient("web", "secret", redirectURIs...), storage.DeviceClient("device", "secret"))
	logger := slog.New(slog.NewTextHandler(os.Stderr, nil))
	router := exampleop.SetupServer(issuer, storage.NewStorage(storage.NewUserStore(issuer)), logger, false)
	server := &http.Server{Addr: net.JoinHostPort("127.0.0.1", port), Handler: router, ReadHeaderTimeout: 10 * time.Second}
	return server.ListenAndServe()
}

// StartZitadel starts that server as a process of its own. Its tokens are opaque, and
// it rotates refresh tokens.
func StartZitadel(ctx context.Context, r *harness.Run, redirectURIs []string) (*Provider, error) {
	port, err := harness.FreePort()
	if err != nil {
		return nil, err
	}
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	issuer := rootURL(port) + "/"
	process, err := r.Start(ctx, "zitadel", issuer+".well-known/openid-configuration", func() *exec.Cmd {
		return exec.Command(program, append([]string{ZitadelCommand, strconv.Itoa(port)}, redirectURIs...)...)
	})
	if err != nil {
		return nil, err
	}
	return &Provider{
		Process: process,
		Config:  core.Config{Providers: []core.Provider{{Issuer: issuer, ClientID: "web", ClientSecret: "secret"}}},
		User:    harness.Person{Name: "test-user@127.0.0.1", Password: "verysecure"},
	}, nil
}
