package providers

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/e2e/internal/harness"
)

// People of the realm. Alice has the realm role admin and is in the group staff; bob has
// the role admin of the client other.
var (
	Alice = harness.Person{Name: "alice", Password: "wonderland"}
	Bob   = harness.Person{Name: "bob", Password: "builder"}
	Carol = harness.Person{Name: "carol", Password: "singer"}
)

//go:embed keycloak.json
var keycloakRealm string

const keycloakAdmin, keycloakPassword = "admin", "admin"

// Keycloak runs with the realm of keycloak.json.
type Keycloak struct {
	Provider
	root     string // its URL
	priority int    // of the key that was added last
}

// StartKeycloak starts it as a process of its own, with a database of its own. It sends the
// logout tokens of BackchannelClient to logoutURI, unless that is "".
func StartKeycloak(ctx context.Context, r *harness.Run, redirectURIs []string, logoutURI string) (*Keycloak, error) {
	installed, err := installKeycloak(ctx, r)
	if err != nil {
		return nil, err
	}
	home := filepath.Join(r.Folder, "keycloak")
	if err := installed.newHome(home, redirectURIs, logoutURI); err != nil {
		return nil, err
	}
	port, err := harness.FreePort()
	if err != nil {
		return nil, err
	}
	root := rootURL(port)
	process, err := r.Start(ctx, "keycloak", root+"/realms/e2e", func() *exec.Cmd {
		return installed.start(home, port, "-XX:SharedArchiveFile="+installed.classes)
	})
	if err != nil {
		return nil, err
	}
	return &Keycloak{root: root, Provider: Provider{
		Process: process,
		Config:  core.Config{Providers: []core.Provider{{Issuer: root + "/realms/e2e", ClientID: "app", ClientSecret: "app-secret"}}},
		User:    Alice,
	}}, nil
}

// newHome makes a folder in which Keycloak runs, with what is installed and a database
// and a realm of its own.
func (k installation) newHome(home string, redirectURIs []string, logoutURI string) error {
	if err := os.CopyFS(filepath.Join(home, "data", "h2"), os.DirFS(k.database)); err != nil {
		return err
	}
	uris, err := json.Marshal(redirectURIs)
	if err != nil {
		return err
	}
	realm := strings.NewReplacer(`["$REDIRECT_URIS"]`, string(uris), "$LOGOUT_URI", logoutURI).Replace(keycloakRealm)
	folder := filepath.Join(home, "data", "import")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, "e2e-realm.json"), []byte(realm), 0o600); err != nil {
		return err
	}
	return k.link(home)
}

// start is the command that runs Keycloak in a folder.
func (k installation) start(home string, port int, javaOption string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(k.program, "bin", "kc.sh"), "start", "--optimized", "--import-realm",
		"--http-enabled=true", "--hostname-strict=false", "--http-host=127.0.0.1", "--http-port="+strconv.Itoa(port),
		"-Dkc.home.dir="+home)
	cmd.Env = append(os.Environ(),
		"KC_BOOTSTRAP_ADMIN_USERNAME="+keycloakAdmin, "KC_BOOTSTRAP_ADMIN_PASSWORD="+keycloakPassword,
		// What was answered is to be on the disk.
		"KC_DB_URL_PROPERTIES=;NON_KEYWORDS=VALUE;WRITE_DELAY=0",
		// It lives for minutes: the second compiler costs more than it gives.
		"JAVA_OPTS=-Xms64m -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 "+javaOption)
	return cmd
}

// Admin calls the admin interface below the realm. body, unless nil, is sent as JSON.
// The answer's JSON is decoded into result, unless that is nil.
func (k *Keycloak) Admin(ctx context.Context, method, path string, body, result any) error {
	token := harness.Send(ctx, http.DefaultClient, k.root+"/realms/master/protocol/openid-connect/token", "", url.Values{
		"grant_type": {"password"}, "client_id": {"admin-cli"}, "username": {keycloakAdmin}, "password": {keycloakPassword},
	})
	if err := token.Is(http.StatusOK, ""); err != nil {
		return err
	}
	sent, err := json.Marshal(body)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, method, k.root+"/admin/realms/e2e"+path, bytes.NewReader(sent))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+token.Value("access_token"))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode >= 300 {
		return fmt.Errorf("%s %s answered %s %s: %w", method, path, response.Status, answer, err)
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(answer, result)
}
