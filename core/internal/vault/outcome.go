package vault

import (
	"sync"
	"time"
)

// Outcome is how the calls to the store went.
type Outcome struct {
	Good, Bad time.Time // when one last succeeded and last failed; zero: never
	Err       error     // of the last call
}

// Outcome tells how the calls to the store are going.
func (v *Vault) Outcome() Outcome {
	v.outcomes.mu.Lock()
	defer v.outcomes.mu.Unlock()
	return v.outcomes.last
}

// outcomes remembers how the calls went.
type outcomes struct {
	mu   sync.Mutex
	last Outcome
}

// note keeps the outcome of a call, and reports whether the store has gone away by it, or
// is back.
func (o *outcomes) note(now time.Time, err error) (changed bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	changed = (err == nil) != (o.last.Err == nil)
	o.last.Err = err
	if err == nil {
		o.last.Good = now
	} else {
		o.last.Bad = now
	}
	return changed
}
