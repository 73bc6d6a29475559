package core_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

// together holds all who write a signing key until so many of them have found none that
// they could use.
func (s *spyStore) together(count int32) {
	var writing atomic.Int32
	all := make(chan struct{})
	s.fail(func(_ context.Context, call string, done bool) error {
		if call == "put signing-key" && !done {
			if writing.Add(1) == count {
				close(all)
			}
			<-all
		}
		return nil
	})
}

// atOnce has each application rotate, in its own way.
func atOnce(t *testing.T, spy *spyStore, all []*app, how ...core.RotateOptions) {
	t.Helper()
	spy.together(int32(len(how)))
	var done sync.WaitGroup
	for i, o := range how {
		done.Go(func() {
			if err := all[i].auth.RotateSigningKey(t.Context(), o); err != nil {
				t.Error(err)
			}
		})
	}
	done.Wait()
	spy.fail(nil)
}

func TestTwoOperatorsWhoRotateAtOnceAgree(t *testing.T) {
	plain, compromised, other := core.RotateOptions{}, core.RotateOptions{Compromised: true}, core.RotateOptions{Algorithm: "EdDSA"}
	otherCompromised := core.RotateOptions{Algorithm: "EdDSA", Compromised: true}
	for name, row := range map[string]struct {
		how  [2]core.RotateOptions
		keys []int // how many there may be then
		old  bool  // whether the old one is among them
	}{
		"both for tomorrow":                 {[2]core.RotateOptions{plain, plain}, []int{2}, true},
		"both compromised":                  {[2]core.RotateOptions{compromised, compromised}, []int{1}, false},
		"one compromised":                   {[2]core.RotateOptions{plain, compromised}, []int{1}, false},
		"of different algorithms":           {[2]core.RotateOptions{plain, other}, []int{3}, true},
		"compromised, different algorithms": {[2]core.RotateOptions{compromised, otherCompromised}, []int{1}, false},
		"one compromised, of another":       {[2]core.RotateOptions{other, compromised}, []int{1, 2}, false},
	} {
		t.Run(name, func(t *testing.T) {
			spy := newSpyStore()
			all := replicas(t, spy, 2, onDemand)
			old := all[0].signer()
			atOnce(t, spy, all, row.how[:]...)
			all[0].after(refreshed)
			all[1].reread()
			require.Equal(t, all[0].signer(), all[1].signer())
			require.Equal(t, all[0].published(), all[1].published())
			require.Contains(t, row.keys, len(all[0].published()))
			if row.old {
				require.Equal(t, old, all[0].signer())
			} else {
				require.NotContains(t, all[0].published(), old)
			}
			all[0].clock.Add(day)
			require.Equal(t, all[0].signer(), all[1].signer())
			require.NotEqual(t, old, all[0].signer())
		})
	}
}

func TestTenInstancesThatRotateAtOnceMakeOneKey(t *testing.T) {
	for _, o := range []core.RotateOptions{{}, {Compromised: true}} {
		spy := newSpyStore()
		all := replicas(t, spy, 10, onDemand)
		old := all[0].signer()
		how := make([]core.RotateOptions, len(all))
		for i := range how {
			how[i] = o
		}
		atOnce(t, spy, all, how...)
		if o.Compromised {
			require.Len(t, all[0].signingKeys(), 1)
		} else {
			require.Len(t, all[0].signingKeys(), 2)
		}
		require.Equal(t, "2", spy.all(t)[len(spy.all(t))-1].ID)
		all[0].clock.Add(day)
		for _, a := range all {
			require.Equal(t, all[0].published(), a.published())
			require.Equal(t, all[0].signer(), a.signer())
			require.NotEqual(t, old, a.signer())
		}
	}
}

// A call of the store may fail before it has done anything, or its answer may be lost.
func TestARotationMayFailAtAnyCallOfTheStoreAndBeMadeAgain(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	for _, compromised := range []bool{false, true} {
		for _, lost := range []bool{false, true} {
			for n, hit := 1, true; hit; n++ {
				name := fmt.Sprintf("compromised %t, answer lost %t, call %d", compromised, lost, n)
				spy, o := newSpyStore(), core.RotateOptions{Compromised: compromised}
				a := newApp(t, provider, stored(spy), onDemand)
				b := a.replica(spy, onDemand)
				require.NoError(t, a.auth.Start(t.Context()))
				old := b.signer()

				hit = false
				var failed string
				spy.failAt(n, func(_ context.Context, done bool) error {
					if hit = true; done != lost {
						return nil
					}
					failed = spy.lastCall()
					return errors.New("unplugged")
				})
				err := a.auth.RotateSigningKey(t.Context(), o)
				spy.fail(nil)
				a.clock.Add(time.Minute)
				switch {
				case !hit, lost && failed == "put signing-key", failed == "delete signing-key":
					require.NoError(t, err, name)
				default:
					require.ErrorIs(t, err, core.ErrUnavailable, name)
					a.rotate(o)
				}
				if compromised {
					require.Len(t, a.signingKeys(), 1, name)
				} else {
					require.Len(t, a.signingKeys(), 2, name)
					require.Equal(t, old, a.signer(), name)
				}
				a.clock.Add(day)
				a.reread()
				b.reread()
				require.Equal(t, a.signer(), b.signer(), name)
				require.NotEqual(t, old, a.signer(), name)
				require.Len(t, spy.all(t), len(a.signingKeys()), name+": what is withdrawn is deleted at last")
			}
		}
	}
}

// stuckStore can't delete one signing key.
type stuckStore struct {
	*spyStore
	id string
}

func (s *stuckStore) Delete(ctx context.Context, kind, id string, version int64) error {
	if kind == "signing-key" && id == s.id {
		return errors.New("unplugged")
	}
	return s.spyStore.Delete(ctx, kind, id, version)
}

// A key that is withdrawn must not come back when the record that withdraws it is out of use
// as well.
func TestAKeyDoesNotOutliveTheRecordThatWithdrawsIt(t *testing.T) {
	spy := newSpyStore()
	a := newApp(t, newProvider(t, oidctest.Options{}), stored(&stuckStore{spy, "1"}), onDemand)
	old, stolen := a.signer(), a.minted()
	a.rotate(core.RotateOptions{Compromised: true})
	for range 3 {
		a.rotate(core.RotateOptions{})
		a.after(3 * day) // the one that withdraws it is out of use, too
		require.NotContains(t, a.published(), old)
		require.Equal(t, "1", spy.all(t)[0].ID)
		require.ErrorIs(t, a.verify(stolen), core.ErrInvalidToken)
	}
	require.NotEmpty(t, a.log.lines("a signing key that is out of use can't be deleted yet"))
	last := a.replica(spy, onDemand)
	require.Equal(t, a.published(), last.published())
	require.Len(t, spy.all(t), 1)
}
