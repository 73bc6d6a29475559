package adaptertest

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// faultVariable tells a process that is one of TestEveryRuleFindsItsFaults which
// adapter to test.
const faultVariable = "ADAPTERTEST_FAULT"

// plain is the adapter that is none: a ServeMux with core's handlers on it.
func plain(t *testing.T, listener net.Listener, app App) {
	Serve(t, listener, plainMux(app))
}

func plainMux(app App) *http.ServeMux {
	mux := http.NewServeMux()
	for _, e := range app.Auth.Endpoints() {
		mux.Handle(app.Prefix+e.Path, e.Handler)
	}
	for _, e := range app.Auth.RootEndpoints() {
		mux.Handle(e.Path, e.Handler)
	}
	for _, route := range app.Routes {
		mux.Handle(route.Method+" "+app.Prefix+route.Path, guarded(app.Auth, route))
	}
	return mux
}

func TestRunPassesForAnAdapterWithoutFault(t *testing.T) { Run(t, plain) }

// TestEveryRuleFindsItsFaults runs the rule that is to find a fault in a process of
// its own, where a test can fail without failing this one.
func TestEveryRuleFindsItsFaults(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	held := map[string]bool{}
	for _, f := range faults {
		held[f.rule] = true
		t.Run(f.rule+"/"+f.name, func(t *testing.T) {
			t.Parallel()
			rule := strings.ReplaceAll(f.rule, " ", "_")
			cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestFaultyAdapter$/^"+regexp.QuoteMeta(rule)+"$")
			cmd.Env = append(os.Environ(), faultVariable+"="+f.rule+"/"+f.name)
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "--- FAIL: TestFaultyAdapter/"+rule) || strings.Contains("\n"+string(out), "\npanic: ") {
				t.Fatalf("the rule doesn't find it: %v\n%s", err, out)
			}
			t.Logf("%s", out)
		})
	}
	for _, rule := range rules {
		if !held[rule.name] {
			t.Errorf("no fault shows that the rule %q finds any", rule.name)
		}
	}
}

func TestFaultyAdapter(t *testing.T) {
	for _, f := range faults {
		if f.rule+"/"+f.name == os.Getenv(faultVariable) {
			Run(t, f.serve)
			return
		}
	}
	t.Skip("for TestEveryRuleFindsItsFaults alone")
}
