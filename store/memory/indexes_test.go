package memory

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"
	"unsafe"

	"github.com/oidcgate/oidcgate/store"
	"github.com/oidcgate/oidcgate/store/internal/require"
)

// size is what the set holds of memory.
func (s *orderedSet[T]) size() int {
	var item T
	size := cap(s.chunks) * int(unsafe.Sizeof(s.chunks[0]))
	for _, c := range s.chunks {
		size += cap(c) * int(unsafe.Sizeof(item))
	}
	return size
}

// filled is a store of n records that expire in a second or more after from.
func filled(t *testing.T, n int, from time.Time) *Store {
	s := New()
	for _, i := range rand.New(rand.NewPCG(1, 1)).Perm(n) {
		_, err := s.Put(t.Context(), store.Record{
			Kind: "session", ID: fmt.Sprintf("%06d", i), Keys: [2]string{fmt.Sprint("user ", i%1000), fmt.Sprint("login ", i)},
			Expires: from.Add(time.Duration(1+i) * time.Second),
		})
		require.NoError(t, err)
	}
	return s
}

func TestOrderedSetDoesAsASortedSliceDoes(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	s := newOrderedSet(cmp.Compare[int])
	var model []int
	check := func() {
		require.Equal(t, model, slices.Collect(s.from(-1)))
		from := random.IntN(5000)
		i, _ := slices.BinarySearch(model, from)
		require.Equal(t, model[i:], append([]int{}, slices.Collect(s.from(from))...))
		for i, c := range s.chunks[1:] {
			require.Less(t, len(c), chunkSize+1)
			require.Less(t, chunkSize/2-1, len(s.chunks[i])+len(c), "two chunks are nearly empty, the first is", i)
		}
	}
	// It grows, stays, shrinks to nothing and grows again.
	for _, adds := range []int{90, 50, 0, 90} {
		for step := range 20000 {
			if x := random.IntN(5000); random.IntN(100) < adds {
				s.add(x)
				if i, found := slices.BinarySearch(model, x); !found {
					model = slices.Insert(model, i, x)
				}
			} else {
				if adds == 0 && len(model) > 0 {
					x = model[random.IntN(len(model))]
				}
				s.remove(x)
				if i, found := slices.BinarySearch(model, x); found {
					model = slices.Delete(model, i, i+1)
				}
			}
			if step%500 == 0 && len(model) > 0 {
				check()
			}
		}
		if adds == 0 {
			require.Equal(t, 0, len(model))
			require.Equal(t, 0, len(slices.Collect(s.from(-1))))
		}
	}
}

func TestOrderedSetJoinsChunksThatFitIntoOne(t *testing.T) {
	const full = chunkSize
	for _, row := range []struct {
		sizes      []int
		at, chunks int
	}{
		{[]int{100, full - 99, full}, 1, 2},
		{[]int{full, full - 99, 100}, 1, 2},
		{[]int{full, full - 98, 100}, 1, 3},
		{[]int{100, full - 98, full}, 1, 3},
		{[]int{100, full - 99}, 0, 1},
		{[]int{100, full - 99}, 1, 1},
		{[]int{full, 1, full}, 1, 2},
		{[]int{1, full}, 0, 1},
		{[]int{full, 1}, 1, 1},
		{[]int{1}, 0, 1},
		{[]int{100, 100, 57}, 1, 1},
	} {
		s := newOrderedSet(cmp.Compare[int])
		s.chunks = nil
		n := 0
		for _, size := range row.sizes {
			chunk := make([]int, size)
			for i := range chunk {
				chunk[i], n = n, n+1
			}
			s.chunks = append(s.chunks, chunk)
		}
		s.remove(s.chunks[row.at][0])
		require.Equal(t, row.chunks, len(s.chunks), row)
		require.Equal(t, n-1, len(slices.Collect(s.from(0))))
	}
}

func TestAStoreDoesNotGrowWithUpdates(t *testing.T) {
	s := New()
	r := store.Record{Kind: "session", ID: "id"}
	for i := range 100_000 {
		r.Keys = [2]string{fmt.Sprint(i), fmt.Sprint(-i)}
		r.Expires = time.Unix(int64(i), 0)
		version, err := s.Put(t.Context(), r)
		require.NoError(t, err)
		r.Version = version
	}
	require.Less(t, s.byKey.size()+s.byDue.size(), 1024)
}

func TestAStoreNeedsAKilobyteBesidesARecord(t *testing.T) {
	before := heap()
	s := filled(t, 20_000, time.Unix(0, 0))
	perRecord := func(n int) int64 { return (heap() - before) / int64(n) }
	require.Less(t, perRecord(20_000), int64(1024))

	// Nine of ten go, from everywhere.
	for i := range 20_000 {
		if i%10 != 0 {
			require.NoError(t, s.Delete(t.Context(), "session", fmt.Sprintf("%06d", i), 1))
		}
	}
	t.Logf("%d bytes", perRecord(2_000))
	require.Less(t, perRecord(2_000), int64(1024))
	runtime.KeepAlive(s)
}

// What expires later than before is looked at when it would have expired, and what
// expires sooner in time.
func TestAStorePurgesByTheLastExpiry(t *testing.T) {
	begin := time.Unix(1e9, 0)
	at := func(seconds int) time.Time { return begin.Add(time.Duration(seconds) * time.Second) }
	s := New()
	put := func(id string, seconds ...int) {
		r := store.Record{Kind: "session", ID: id}
		for _, n := range seconds {
			if r.Expires = at(n); n == 0 {
				r.Expires = time.Time{}
			}
			version, err := s.Put(t.Context(), r)
			require.NoError(t, err)
			r.Version = version
		}
	}
	put("put off", 10, 20, 30)
	put("brought forward", 30, 20, 5)
	put("never", 10, 0)
	put("after all", 0, 15)
	put("there and back", 10, 0, 25)
	for _, row := range []struct {
		seconds, limit, purged int
	}{{4, 9, 0}, {5, 9, 1}, {14, 9, 0}, {15, 9, 1}, {24, 9, 0}, {40, 1, 1}, {40, 9, 1}, {1e6, 9, 0}} {
		n, err := s.Purge(t.Context(), at(row.seconds), row.limit)
		require.NoError(t, err)
		require.Equal(t, row.purged, n, row)
	}
	left, err := s.Find(t.Context(), "session", "", "", 9)
	require.NoError(t, err)
	require.Equal(t, 1, len(left))
	require.Equal(t, "never", left[0].ID)
}

// TestAStoreLooksAtFewRecords takes records away from the indexes, but for
// the first of each chunk and the chunks that a call needs; looking at one of those
// that are gone is a nil dereference.
func TestAStoreLooksAtFewRecords(t *testing.T) {
	begin := time.Unix(1e9, 0)
	for name, row := range map[string]struct {
		key, after string
		limit      int // of Find
		now        time.Time
		want       int
	}{
		"a page of all":                  {limit: 1, after: "002500", want: 1},
		"Find by a key":                  {limit: 10, key: "login 777", want: 1},
		"Purge when nothing has expired": {now: begin, want: 0},
		"Purge of one":                   {now: begin.Add(time.Second), want: 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := filled(t, 5000, begin)
			compared := 0
			byKey, byDue := s.byKey.compare, s.byDue.compare
			s.byKey.compare = func(a, b keyedRecord) int { compared++; return byKey(a, b) }
			s.byDue.compare = func(a, b *entry) int { compared++; return byDue(a, b) }
			n := 0
			if row.limit > 0 {
				spoil(&s.byKey, keyedRecord{row.key, &entry{Record: store.Record{Kind: "session", ID: row.after}}})
				page, err := s.Find(t.Context(), "session", row.key, row.after, row.limit)
				require.NoError(t, err)
				n = len(page)
			} else {
				spoil(&s.byDue, &entry{})
				var err error
				n, err = s.Purge(t.Context(), row.now, 1000)
				require.NoError(t, err)
			}
			require.Equal(t, row.want, n)
			require.Less(t, compared, 200)
		})
	}
}

// spoil empties the chunks of the set but those near x.
func spoil[T any](s *orderedSet[T], x T) {
	near, _, _ := s.seek(x)
	for i, c := range s.chunks {
		if i < near-1 || i > near+1 {
			clear(c[1:])
		}
	}
}

// heap is how much memory is in use.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
