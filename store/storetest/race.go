package storetest

import (
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/oidcgate/oidcgate/store"
)

// racers are as many as change one record at once, half of them by another
// handle, as if in another process.
const racers = 64

func (p place) both() [2]handle { return [2]handle{p.store(), p.store()} }

// winner gives who won a race, when just one did and the others got ErrConflict.
func (p place) winner(errs []error) int {
	p.Helper()
	winner := -1
	for i, err := range errs {
		switch {
		case err == nil && winner >= 0:
			p.Fatalf("%d and %d have both won", winner, i)
		case err == nil:
			winner = i
		case !errors.Is(err, store.ErrConflict):
			p.Fatalf("the error of one who lost is %v, not ErrConflict", err)
		}
	}
	if winner < 0 {
		p.Fatal("none has won")
	}
	return winner
}

func oneInsertWins(p place) {
	handles := p.both()
	for round := range 5 {
		one := func(i int) store.Record {
			r := keyed(fmt.Sprint(round), "key", fmt.Sprint("of ", i))
			r.Data = fmt.Append(nil, i)
			return r
		}
		errs := together(racers, func(i int) error {
			_, err := handles[i%2].put(one(i))
			return err
		})
		want := one(p.winner(errs))
		want.Version = 1
		for _, s := range handles {
			s.want(want)
			s.wantFound(kind, want.Keys[1], want)
		}
		handles[0].mustDelete(want)
	}
}

// oneChangeWins has puts and deletes race.
func oneChangeWins(p place) {
	handles := p.both()
	for round := range 5 {
		r := handles[0].mustPut(record(fmt.Sprint(round)))
		change := func(i int) store.Record {
			c := r
			c.Keys[0], c.Data = fmt.Sprint(round, " of ", i), fmt.Append(nil, i)
			return c
		}
		deletes := func(i int) bool { return (i+round)%4 == 0 }
		errs := together(racers, func(i int) error {
			s := handles[i%2]
			if deletes(i) {
				return s.delete(kind, r.ID, r.Version)
			}
			_, err := s.put(change(i))
			return err
		})
		winner := p.winner(errs)
		for _, s := range handles {
			if deletes(winner) {
				s.wantMissing(kind, r.ID)
				continue
			}
			want := change(winner)
			want.Version++
			s.want(want)
			s.wantFound(kind, want.Keys[0], want)
		}
	}
}

func noUpdateIsLost(p place) {
	handles := p.both()
	counter := record("counter")
	counter.Data = []byte("0")
	handles[0].mustPut(counter)

	// All have read the first version before one writes, so that they are in each
	// other's way at least once.
	var read sync.WaitGroup
	read.Add(racers)
	errs := together(racers, func(i int) error {
		s := handles[i%2]
		// Whoever gets a conflict lost to one who is done; so nobody needs more tries
		// than there are others.
		for try := range racers {
			r, err := s.get(kind, counter.ID)
			if try == 0 {
				read.Done()
				read.Wait()
			}
			if err != nil {
				return err
			}
			count, err := strconv.Atoi(string(r.Data))
			if err != nil {
				return err
			}
			r.Data = strconv.AppendInt(nil, int64(count+1), 10)
			if _, err = s.put(r); !errors.Is(err, store.ErrConflict) {
				return err
			}
		}
		return errors.New("there were more conflicts than changes")
	})
	s := handles[0]
	s.must(errors.Join(errs...), "counting")
	counter.Version, counter.Data = racers+1, []byte(strconv.Itoa(racers))
	s.want(counter)
}
