package storetest

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/oidcgate/oidcgate/store"
	"github.com/oidcgate/oidcgate/store/memory"
)

// faultVariable tells a process that is one of TestEveryRuleFindsItsFaults which
// store to test.
const faultVariable = "STORETEST_FAULT"

func TestRunPassesForAStoreWithoutFault(t *testing.T) {
	Run(t, freshFaulty(fault{}))
}

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
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			rule := strings.ReplaceAll(f.rule, " ", "_")
			cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestFaultyStore$/^"+regexp.QuoteMeta(rule)+"$")
			cmd.Env = append(os.Environ(), faultVariable+"="+f.name)
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "--- FAIL: TestFaultyStore/"+rule) || strings.Contains(string(out), "panic:") {
				t.Fatalf("the rule %q doesn't find it: %v\n%s", f.rule, err, out)
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

func TestFaultyStore(t *testing.T) {
	for _, f := range faults {
		if f.name == os.Getenv(faultVariable) {
			Run(t, freshFaulty(f))
			return
		}
	}
	t.Skip("for TestEveryRuleFindsItsFaults alone")
}

func freshFaulty(f fault) func(*testing.T) func() store.Store {
	return func(*testing.T) func() store.Store {
		place := memory.New()
		handle := func() store.Store {
			s := &faulty{Store: place}
			if f.inject != nil {
				f.inject(s)
			}
			return s
		}
		if f.perHandle {
			return handle
		}
		s := handle()
		return func() store.Store { return s }
	}
}
