package core_test

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"github.com/oidcgate/oidcgate/core"
	"github.com/stretchr/testify/require"
)

// journal is all that an application logs, observes and answers as errors. At
// the end of each test it must contain none of the secrets that were used.
type journal struct {
	mu      sync.Mutex
	text    bytes.Buffer
	secrets []string
	events  []core.Event
	changes []core.Event // of dependencies, at any time
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) add(text string) { _, _ = j.Write([]byte(text + "\n")) }

// keep adds secrets that must not come out.
func (j *journal) keep(secrets ...string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.secrets = append(j.secrets, secrets...)
}

// observe is for Config.Observe.
func (j *journal) observe(_ context.Context, event core.Event) {
	j.mu.Lock()
	if event.Kind == core.EventDown || event.Kind == core.EventUp {
		j.changes = append(j.changes, event)
	} else {
		j.events = append(j.events, event)
	}
	j.mu.Unlock()
	text, _ := json.Marshal(event)
	j.add(string(text))
	if event.Error != nil {
		j.add(event.Error.Error())
	}
}

// logged is all that came out so far.
func (j *journal) logged() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// lines are the lines of the log, above the level Debug, that hold a text.
func (j *journal) lines(text string) []string {
	var found []string
	for line := range strings.Lines(j.logged()) {
		if strings.Contains(line, text) && strings.Contains(line, `"level":"`) && !strings.Contains(line, `"level":"DEBUG"`) {
			found = append(found, line)
		}
	}
	return found
}

// last gives the latest event.
func (j *journal) last(t *testing.T) core.Event {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	require.NotEmpty(t, j.events)
	return j.events[len(j.events)-1]
}

// ends are the reasons of the sessions that were ended so far.
func (j *journal) ends() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	var reasons []string
	for _, event := range j.events {
		if event.Kind == core.EventEnd {
			reasons = append(reasons, event.Reason)
		}
	}
	return reasons
}

// check fails the test if a secret came out.
func (j *journal) check(t *testing.T) {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, secret := range j.secrets {
		if len(secret) > 8 {
			require.NotContains(t, j.text.String(), secret, "a secret came out")
		}
	}
}

// mayBeUsedUp is what the log says when a session's outcome is unknown.
const mayBeUsedUp = "the provider may have used up the refresh token of a session"
