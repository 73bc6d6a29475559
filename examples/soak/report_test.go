package soak_test

import (
	"bytes"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// findings are what a soak has seen.
type findings struct {
	mu         sync.Mutex
	failure    *failure
	counts     map[string]int
	successors map[string]string // by refresh token: the one that came for it
	contested  map[string]bool   // sessions that were ended by their client while it refreshed them
	losses     []loss
}

// failure is a broken rule. names are what the log is searched for: a session, a
// subject, a process.
type failure struct {
	at           time.Time
	rule, detail string
	names        []string
}

// loss is a session that is gone though its client did not end it.
type loss struct {
	at      time.Time
	client  *client
	session string
	cause   string // what explains it, "" for nothing
	// cut: a process was killed while it was asked. It may have ended the session
	// and not have lived to tell.
	cut bool
}

func (f *findings) count(what string, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.counts[what] += n
}

// broken ends the soak. Only the first broken rule counts.
func (s *soak) broken(rule, detail string, names ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure == nil && s.ctx.Err() == nil {
		s.failure = &failure{time.Now(), rule, detail, names}
	}
	s.end()
}

// judge holds what the processes have told against what the clients have seen,
// now that all have ended, and reports.
func (s *soak) judge(t *testing.T) {
	t.Helper()
	failed := s.failure
	for _, check := range []func() *failure{s.lossesAreExplained, s.endsAreLosses, s.somethingHappened} {
		if failed == nil {
			failed = check()
		}
	}
	var counts strings.Builder
	for _, what := range slices.Sorted(maps.Keys(s.counts)) {
		fmt.Fprintf(&counts, ", %d %s", s.counts[what], what)
	}
	t.Logf("seed %d%s", s.seed, &counts)
	if failed == nil {
		return
	}
	t.Errorf("broken: %s\n%s\n\nAgain with: go test ./examples/soak -run '/%s' -soak %s -seed %d\n\nFrom the log, %s:\n%s",
		failed.rule, failed.detail, strings.ReplaceAll(s.name, " ", "_"), *length, s.seed, failed.at.Format(clock), s.log.about(*failed))
}

// lossesAreExplained: a session can be lost only when the provider's answer to a
// refresh got lost and it won't answer that again; and then an event says so.
func (s *soak) lossesAreExplained() *failure {
	for _, l := range s.losses {
		var rule, detail string
		reasons := s.log.reasons(l.session)
		if l.cause == "" && s.log.doubts(l.session) {
			l.cause = "after an answer came too late to be heard, or could not be saved"
		}
		switch {
		case l.cause == "":
			rule, detail = "a session is lost only after an answer of the provider was", "nothing was killed or cut that it had to do with"
		case len(reasons) == 0 && l.cut:
		case len(reasons) != 1 || reasons[0] != outcomeUnknown:
			rule, detail = "a lost session has one event of its end, with the reason "+outcomeUnknown, "lost "+l.cause
		}
		if rule != "" {
			detail = fmt.Sprintf("%s, session %s: %s; events of its end: %v", l.client.name, l.session, detail, reasons)
			return &failure{l.at, rule, detail, []string{l.session, l.client.subject}}
		}
		s.counts["losses "+l.cause]++
	}
	return nil
}

// endsAreLosses: what an event says has ended has ended for a client.
func (s *soak) endsAreLosses() *failure {
	for _, session := range s.log.ended() {
		lost := slices.ContainsFunc(s.losses, func(l loss) bool { return l.session == session })
		reasons := s.log.reasons(session)
		// The provider refuses the tokens of a session that is being logged out.
		byLogout := s.contested[session] && !slices.ContainsFunc(reasons, func(r string) bool { return r != providerRefused && r != outcomeUnknown && r != replaced })
		if !lost && !byLogout {
			return &failure{time.Now(), "an event tells of an end only where there is one", fmt.Sprintf("session %s: %v", session, reasons), []string{session}}
		}
	}
	return nil
}

// somethingHappened holds that the soak has not passed by doing nothing.
func (s *soak) somethingHappened() *failure {
	wanted := []string{"logins", "refreshes", "logouts", "kills", "pages by cookie", "sign-ins of browsers", "sign-outs of browsers"}
	if s.database {
		wanted = append(wanted, "outages of Postgres")
	}
	for _, what := range wanted {
		if s.counts[what] == 0 {
			return &failure{time.Now(), "a soak has " + what, "there were none; take a longer -soak", nil}
		}
	}
	if !s.log.has("", "event kind=refresh") {
		return &failure{time.Now(), "the processes log their events", "there is none of a refresh", nil}
	}
	return nil
}

// Reasons of events, as core names them.
const (
	outcomeUnknown  = "refresh_outcome_unknown"
	providerRefused = "provider_refused"
	replaced        = "replaced"
)

// logbook is what the processes of a case have said.
type logbook struct {
	alarm func(process, line string)

	mu    sync.Mutex
	lines []logLine
}

type logLine struct {
	at            time.Time
	process, text string
}

var (
	alarming = regexp.MustCompile(`(?i)\bpanic|DATA RACE|fatal error`)
	endEvent = regexp.MustCompile(`event kind=end .*session=(\S+) .*reason=(\S+)`)
)

func (b *logbook) add(process, text string) {
	b.mu.Lock()
	b.lines = append(b.lines, logLine{time.Now(), process, text})
	b.mu.Unlock()
	if alarming.MatchString(text) {
		b.alarm(process, text)
	}
}

// has tells whether a process has said something; "" is any of them.
func (b *logbook) has(process, text string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.ContainsFunc(b.lines, func(l logLine) bool {
		return (process == "" || process == l.process) && strings.Contains(l.text, text)
	})
}

// doubts tells whether a process has said that it does not know what the provider
// has made of a session's refresh token. A machine that is too busy brings that about
// by itself.
func (b *logbook) doubts(session string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.ContainsFunc(b.lines, func(l logLine) bool {
		return strings.Contains(l.text, "the provider may have used up the refresh token") && strings.Contains(l.text, "session="+session)
	})
}

// ended are the sessions that there is an event of the end of.
func (b *logbook) ended() (sessions []string) {
	b.eachEnd(func(session, _ string) { sessions = append(sessions, session) })
	return sessions
}

// reasons are those of the events of a session's end.
func (b *logbook) reasons(of string) (reasons []string) {
	b.eachEnd(func(session, reason string) {
		if session == of {
			reasons = append(reasons, reason)
		}
	})
	return reasons
}

func (b *logbook) eachEnd(do func(session, reason string)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, l := range b.lines {
		if found := endEvent.FindStringSubmatch(l.text); found != nil {
			do(found[1], found[2])
		}
	}
}

// about gives the lines that one would look at first: those with a name in them,
// and what was said when it happened.
func (b *logbook) about(f failure) string {
	const most = 100
	b.mu.Lock()
	defer b.mu.Unlock()
	var found []string
	for _, l := range b.lines {
		named := slices.ContainsFunc(f.names, func(name string) bool {
			return name != "" && (l.process == name || strings.Contains(l.text, name))
		})
		if ago := f.at.Sub(l.at); named || -100*time.Millisecond < ago && ago < time.Second {
			found = append(found, fmt.Sprintf("%s [%s] %s", l.at.Format(clock), l.process, l.text))
		}
	}
	return strings.Join(found[max(0, len(found)-most):], "\n")
}

const clock = "15:04:05.000"

// lines is where a process writes to.
type lines struct {
	book    *logbook
	process string
	rest    []byte
}

func (l *lines) Write(p []byte) (int, error) {
	l.rest = append(l.rest, p...)
	for {
		line, rest, whole := bytes.Cut(l.rest, []byte("\n"))
		if !whole {
			return len(p), nil
		}
		if len(bytes.TrimSpace(line)) > 0 {
			l.book.add(l.process, string(line))
		}
		l.rest = rest
	}
}
