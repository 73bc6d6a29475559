package browsers

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/oidcgate/oidcgate/e2e/internal/harness"
)

// startDemo starts the program that shows people how everything works, with a provider of
// its own.
func startDemo(ctx context.Context, r *harness.Run) (site, error) {
	program := filepath.Join(r.Folder, "demo")
	if err := harness.Command(ctx, "", "go", "build", "-o", program, "github.com/oidcgate/oidcgate/examples/demo"); err != nil {
		return site{}, err
	}
	port, err := harness.FreePort()
	if err != nil {
		return site{}, err
	}
	secret := make([]byte, 32)
	_, _ = rand.Read(secret)
	address := fmt.Sprintf("localhost:%d", port)
	_, err = r.Start(ctx, "demo", "http://"+address+"/", func() *exec.Cmd {
		cmd := exec.Command(program, "-addr", address, "-store", "memory:")
		cmd.Env = append(os.Environ(), "OIDC_SECRETS="+base64.StdEncoding.EncodeToString(secret))
		return cmd
	})
	return site{URL: "http://" + address, User: user{"alice", "wonderland"}}, err
}
