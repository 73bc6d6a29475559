package browsers

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"sync/atomic"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/oidcgate/oidcgate/e2e/internal/harness"
)

// shop is an application whose browsers have a session by cookie, on https as in production.
// Its clock can be put forward, and its provider taken away.
type shop struct {
	auth     *core.Auth
	provider *oidctest.Provider
	module   string       // the file oidcgate.js
	ahead    atomic.Int64 // of the clock, a time.Duration
	orders   atomic.Int64
}

// Names of this machine: browsers ask nobody for those below localhost. The blog is of the
// shop's site, though of another origin. Elsewhere is another site.
const (
	shopName      = "app.shop.localhost"
	blogName      = "blog.shop.localhost"
	elsewhereName = "evil.localhost"
)

// startShop starts a shop with a provider of its own, and two origins of somebody else's.
func startShop(ctx context.Context, r *harness.Run) (site, error) {
	s := &shop{}
	var err error
	if s.module, err = moduleFile(ctx); err != nil {
		return site{}, err
	}
	s.provider, err = oidctest.Start("127.0.0.1:0", oidctest.Options{
		StrictRefresh: true, IDTokenLifetime: 365 * 24 * time.Hour, // by the shop's clock
	})
	if err != nil {
		return site{}, err
	}
	r.Cleanup(func() { _ = s.provider.Close() })
	server := httptest.NewUnstartedServer(nil)
	address := at(server, shopName)
	if s.auth, err = newAuth(r, core.Config{
		Providers: []core.Provider{{Issuer: s.provider.Issuer, ClientID: s.provider.ClientID, ClientSecret: s.provider.ClientSecret}},
		PublicURL: address + "/api", Browser: &core.Browser{LandingPath: "/orders"},
		Now: func() time.Time { return time.Now().Add(time.Duration(s.ahead.Load())) },
	}); err != nil {
		return site{}, err
	}
	server.Config.Handler = s.handler()
	control := httptest.NewServer(s.control())
	r.Cleanup(control.Close)
	told := site{URL: address, User: user{"alice", "wonderland"}, Control: control.URL}
	for name, of := range map[string]*string{blogName: &told.Blog, elsewhereName: &told.Elsewhere} {
		foreign := httptest.NewUnstartedServer(http.HandlerFunc(foreignPage))
		*of = at(foreign, name)
		serveTLS(r, foreign)
	}
	serveTLS(r, server)
	return told, nil
}

// at is the origin that a server has under a name.
func at(server *httptest.Server, name string) string {
	return "https://" + net.JoinHostPort(name, port(server.Listener.Addr()))
}

func port(address net.Addr) string {
	_, port, _ := net.SplitHostPort(address.String()) // a listener's
	return port
}

// serveTLS serves until the suite ends. Streams and sockets are cut then.
func serveTLS(r *harness.Run, server *httptest.Server) {
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // browsers that don't know the certificate
	server.StartTLS()
	r.Cleanup(func() { _ = server.Config.Close() })
}

// newAuth gives what is to be closed with the suite, and logs into its folder.
func newAuth(r *harness.Run, config core.Config) (*core.Auth, error) {
	file, err := os.CreateTemp(r.Folder, "shop-*.log")
	if err != nil {
		return nil, err
	}
	r.Cleanup(func() { _ = file.Close() })
	secret := make([]byte, 32)
	_, _ = rand.Read(secret)
	config.Secrets = []string{base64.StdEncoding.EncodeToString(secret)}
	config.Logger = slog.New(slog.NewJSONHandler(file, nil))
	config.Observe = core.LogEvents(config.Logger)
	auth, err := core.New(config)
	if err != nil {
		return nil, err
	}
	r.Cleanup(func() { _ = auth.Close() })
	return auth, nil
}

// foreignPage is a page of somebody else's, in which scenarios do what they like. It sets the
// cookie that its query tells.
func foreignPage(w http.ResponseWriter, r *http.Request) {
	if cookie := r.FormValue("cookie"); cookie != "" {
		w.Header().Set("Set-Cookie", cookie)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write([]byte("<!doctype html><title>Somebody else's</title>")) // fails only when the browser has gone
}
