package clients

import (
	"context"
	"fmt"
	"os/exec"

	"github.com/oidcgate/oidcgate/e2e/internal/harness"
)

// peer is a py-oidc-auth broker.
type peer struct {
	Port int    `json:"port"`
	URL  string `json:"url"` // its issuer
}

// startPeer starts one that trusts the application. The application need not be served
// yet: its keys are fetched when they are needed.
func (s *suite) startPeer(ctx context.Context) (*harness.Process, error) {
	port, err := harness.FreePort()
	if err != nil {
		return nil, err
	}
	origin := fmt.Sprintf("http://127.0.0.1:%d", port)
	s.target.Peer = &peer{Port: port, URL: origin + "/api"}
	return s.Start(ctx, "peer", origin+"/openapi.json", func() *exec.Cmd { return s.command(ctx, s.programs.python("peer.py")) })
}
