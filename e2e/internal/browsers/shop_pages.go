package browsers

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"

	"github.com/go-chi/chi/v5"
	"github.com/oidcgate/oidcgate/chiauth"
	"github.com/oidcgate/oidcgate/core"
	"golang.org/x/net/websocket"
)

//go:embed pages
var pages embed.FS

var ordersPage = template.Must(template.ParseFS(pages, "pages/orders.html"))

// moduleFile is where the module is that applications copy.
func moduleFile(ctx context.Context) (string, error) {
	folder, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/oidcgate/oidcgate/examples").Output()
	if err != nil {
		return "", fmt.Errorf("where the examples are: %w", err)
	}
	return filepath.Join(string(bytes.TrimSpace(folder)), "web", "oidcgate.js"), nil
}

// handler is the application.
func (s *shop) handler() http.Handler {
	r := chi.NewRouter()
	r.Mount("/api", chiauth.Router(s.auth))
	page, script := chiauth.Pages(s.auth), chiauth.Required(s.auth)
	r.With(page).Get("/orders", s.showOrders)
	r.With(page).Post("/orders", s.order)
	r.With(page).Get("/file", sendFile)
	r.With(chiauth.Pages(s.auth, core.AnyRole("boss"))).Get("/boss", s.showOrders) // nobody has the role
	r.With(chiauth.Pages(s.auth, core.AnyRole("admin"))).Handle("/operations", core.Admin(s.auth))
	r.With(script).Get("/me", me)
	r.With(script).Get("/events", sendEvents)
	r.With(script).Handle("/socket", websocket.Server{Handler: func(socket *websocket.Conn) { _, _ = io.Copy(socket, socket) }})
	r.Get("/oidcgate.js", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, s.module) })
	for path, file := range map[string]string{"/app": "pages/app.html", "/app.js": "pages/app.js"} {
		r.Get(path, func(w http.ResponseWriter, r *http.Request) { http.ServeFileFS(w, r, pages, file) })
	}
	return r
}

func (s *shop) showOrders(w http.ResponseWriter, r *http.Request) {
	who, err := core.ClaimsFrom[struct {
		Name string `json:"name"`
	}](r.Context())
	if err != nil {
		core.WriteError(w, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_ = ordersPage.Execute(w, map[string]string{"Name": who.Name, "Query": r.URL.RawQuery}) // fails only when the browser has gone
}

func (s *shop) order(w http.ResponseWriter, r *http.Request) {
	s.orders.Add(1)
	http.Redirect(w, r, "/orders?ordered="+template.URLQueryEscaper(r.PostFormValue("what")), http.StatusSeeOther)
}

func sendFile(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/csv")
	w.Header().Set("Content-Disposition", `attachment; filename="orders.csv"`)
	_, _ = io.WriteString(w, "what\ntea\n")
}

func me(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{"sub": core.TokenFrom(r.Context()).Subject()})
}

// sendEvents sends events until the browser goes away, after the first one only a beginning.
func sendEvents(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	_, _ = fmt.Fprintf(w, "data: %s\n\n", core.TokenFrom(r.Context()).Subject())
	_ = http.NewResponseController(w).Flush()
	<-r.Context().Done()
}
