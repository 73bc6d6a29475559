package session

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"
)

// story is a session whose refreshes are told by hand.
type story struct {
	record   record
	provider provider
	now      time.Time
	asked    []State // what the provider was shown
	salt     byte
}

// newStory begins with a session in its third generation, and a strict provider.
func newStory() *story {
	return &story{record: record{version: 7, state: session3()}, provider: provider{strict: true, current: 1}, now: epoch.Add(time.Minute)}
}

// script is what happens at a step instead of it, by the step's name and number:
// "save 2" is the second. A step that is not in it is done.
type script map[string]func(do func() error) error

// actor is an instance in a story.
type actor struct {
	*story
	holder string
	offset time.Duration // of its clock
	script script
	counts map[string]int
}

func (s *story) actor(holder string, script script) *actor {
	return &actor{story: s, holder: holder, script: script, counts: map[string]int{}}
}

func (a *actor) refresh(token Generation) (State, error) {
	return Refresh(context.Background(), a, token, policy)
}

func (a *actor) step(name string, do func() error) error {
	a.counts[name]++
	if happens := a.script[fmt.Sprint(name, " ", a.counts[name])]; happens != nil {
		return happens(do)
	}
	return do()
}

func (a *actor) Load(context.Context) (state State, version int64, err error) {
	err = a.step("load", func() (err error) {
		state, version, err = a.record.load()
		return err
	})
	return state, version, err
}

func (a *actor) Save(_ context.Context, state State, version int64) (saved int64, err error) {
	err = a.step("save", func() (err error) {
		saved, err = a.record.save(state, version)
		return err
	})
	return saved, err
}

func (a *actor) Delete(_ context.Context, version int64) error {
	return a.step("delete", func() error { return a.record.delete(version) })
}

func (a *actor) Holder() string { return a.holder }

func (a *actor) Now() time.Time { return a.now.Add(a.offset) }

func (a *actor) Next(number int64) (Generation, error) {
	a.salt++
	g := generation(number)
	g.Salt[15] = a.salt
	return g, nil
}

func (a *actor) Pause(ctx context.Context) error {
	return a.step("pause", func() error {
		a.now = a.now.Add(time.Second)
		return ctx.Err()
	})
}

func (a *actor) Ask(_ context.Context, state State) (Answer, error) {
	var tokens Tokens
	err := a.step("ask", func() error {
		a.asked = append(a.asked, state)
		var valid bool
		if tokens, valid = a.provider.refresh(state.RefreshToken, false); !valid {
			return &Ended{Reason: ReasonRefused}
		}
		return nil
	})
	return &told{a, tokens}, err
}

type told struct {
	*actor
	tokens Tokens
}

func (a *told) Tokens() Tokens { return a.tokens }

func (a *told) Judge(_ context.Context, save func() error) (jsontext.Value, error) {
	return jsontext.Value(`{"a":2}`), a.step("judge", func() error {
		if a.script["judge 1"] == nil {
			return nil
		}
		return save()
	})
}

// Things that happen at a step.

func fails(func() error) error { return errStore }

func answerIsLost(do func() error) error {
	_ = do()
	return errStore
}

// after has something happen when the step was done.
func after(then func()) func(do func() error) error {
	return func(do func() error) error {
		err := do()
		then()
		return err
	}
}

func endedFor(t *testing.T, err error) Reason {
	t.Helper()
	var ended *Ended
	require.ErrorAs(t, err, &ended)
	return ended.Reason
}
