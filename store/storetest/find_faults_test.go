package storetest

import (
	"context"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/oidcgate/oidcgate/store"
)

var findFaults = []fault{
	{name: "finds by the first key alone", rule: "a record is found by each of its keys", inject: filters(func(r store.Record, key string) bool {
		return key == "" || r.Keys[0] == key
	})},
	{name: "finds by the beginning of a key", rule: "a record is found by each of its keys", inject: filters(func(r store.Record, key string) bool {
		return strings.HasPrefix(r.Keys[0], key) || strings.HasPrefix(r.Keys[1], key)
	})},
	{name: "finds twice by the same key", rule: "a record is found by each of its keys", inject: changesFound(func(page []store.Record) []store.Record {
		var twice []store.Record
		for _, r := range page {
			if twice = append(twice, r); r.Keys[0] == r.Keys[1] && r.Keys[0] != "" {
				twice = append(twice, r)
			}
		}
		return twice
	})},
	{name: "takes no key for a key", rule: "the empty key finds all of a kind", inject: filters(func(r store.Record, key string) bool {
		return slices.Contains(r.Keys[:], key)
	})},
	{name: "forgets a change of keys", rule: "a record is found by its present keys alone", inject: remembers(func(s *faulty, inserted func(string) store.Record) {
		filters(func(r store.Record, key string) bool {
			keys := inserted(r.ID).Keys
			return key == "" || slices.Contains(keys[:], key)
		})(s)
	})},
	{name: "finds by the keys of before too", rule: "a record is found by its present keys alone", inject: remembers(func(s *faulty, inserted func(string) store.Record) {
		filters(func(r store.Record, key string) bool {
			first := inserted(r.ID).Keys
			return key == "" || slices.Contains(r.Keys[:], key) || slices.Contains(first[:], key)
		})(s)
	})},
	{name: "finds in no order", rule: "pages are in the order of bytes", inject: changesFound(func(page []store.Record) []store.Record {
		slices.Reverse(page)
		return page
	})},
	{name: "finds in the order of a dictionary", rule: "pages are in the order of bytes", inject: changesFound(func(page []store.Record) []store.Record {
		slices.SortFunc(page, func(a, b store.Record) int {
			return strings.Compare(strings.ToLower(a.ID), strings.ToLower(b.ID))
		})
		return page
	})},
	{name: "pages begin with the last one again", rule: "pages are complete for every limit", inject: func(s *faulty) {
		s.find = func(ctx context.Context, kind, key, after string, limit int) ([]store.Record, error) {
			page, err := s.Store.Find(ctx, kind, key, after, limit)
			if last, found := s.Store.Get(ctx, kind, after); found == nil {
				page = append([]store.Record{last}, page...)
			}
			return page[:min(limit, len(page))], err
		}
	}},
	{name: "pages have one more than the limit", rule: "pages are complete for every limit", inject: func(s *faulty) {
		s.find = func(ctx context.Context, kind, key, after string, limit int) ([]store.Record, error) {
			return s.Store.Find(ctx, kind, key, after, limit+1)
		}
	}},
	{name: "the limit counts before the key", rule: "pages are complete for every limit", inject: func(s *faulty) {
		s.find = func(ctx context.Context, kind, key, after string, limit int) ([]store.Record, error) {
			page, err := s.Store.Find(ctx, kind, "", after, limit)
			return slices.DeleteFunc(page, func(r store.Record) bool {
				return key != "" && !slices.Contains(r.Keys[:], key)
			}), err
		}
	}},
	{name: "a page needs the last one's end", rule: "pages are complete for every limit", inject: func(s *faulty) {
		s.find = func(ctx context.Context, kind, key, after string, limit int) ([]store.Record, error) {
			if _, err := s.Store.Get(ctx, kind, after); err != nil && after != "" {
				return nil, nil
			}
			return s.Store.Find(ctx, kind, key, after, limit)
		}
	}},
	{name: "pages go by counting", rule: "pages miss nothing while others write", inject: func(s *faulty) {
		var seen int
		s.find = func(ctx context.Context, kind, key, after string, limit int) ([]store.Record, error) {
			if after == "" {
				seen = 0
			}
			all, err := s.Store.Find(ctx, kind, key, "", math.MaxInt)
			page := all[min(seen, len(all)):min(seen+limit, len(all))]
			seen += limit
			return page, err
		}
	}},
}

var purgeFaults = []fault{
	{name: "drops an hour too early", rule: "a record is there until it expires", inject: func(s *faulty) {
		s.get = func(ctx context.Context, kind, id string) (store.Record, error) {
			r, err := s.Store.Get(ctx, kind, id)
			if err == nil && expiredThen(r, time.Now().Add(time.Hour)) {
				return store.Record{}, store.ErrNotFound
			}
			return r, err
		}
	}},
	{name: "purges what expires before now alone", rule: "purge takes what expires now or earlier", inject: func(s *faulty) {
		s.purge = func(ctx context.Context, now time.Time, limit int) (int, error) {
			return s.Store.Purge(ctx, now.Add(-1), limit)
		}
	}},
	{name: "rounds now to milliseconds", rule: "purge takes what expires now or earlier", inject: func(s *faulty) {
		s.purge = func(ctx context.Context, now time.Time, limit int) (int, error) {
			return s.Store.Purge(ctx, now.Round(time.Millisecond), limit)
		}
	}},
	{name: "purges what never expires", rule: "purge takes what expires now or earlier", inject: func(s *faulty) {
		purges(s, func(r store.Record, now time.Time) bool { return !r.Expires.After(now) }, kind)
	}},
	{name: "purges by a clock of its own", rule: "purge goes by the time it is given", inject: func(s *faulty) {
		s.purge = func(ctx context.Context, _ time.Time, limit int) (int, error) {
			return s.Store.Purge(ctx, time.Now(), limit)
		}
	}},
	{name: "purges without limit", rule: "purge keeps to its limit and counts", inject: func(s *faulty) {
		s.purge = func(ctx context.Context, now time.Time, limit int) (int, error) {
			n, err := s.Store.Purge(ctx, now, math.MaxInt)
			return min(n, limit), err
		}
	}},
	{name: "doesn't count what it purges", rule: "purge keeps to its limit and counts", inject: func(s *faulty) {
		s.purge = func(ctx context.Context, now time.Time, limit int) (int, error) {
			_, err := s.Store.Purge(ctx, now, limit)
			return 0, err
		}
	}},
	{name: "purges by the first expiry", rule: "purge sees the present expiry", inject: remembers(func(s *faulty, inserted func(string) store.Record) {
		purges(s, func(r store.Record, now time.Time) bool { return expiredThen(inserted(r.ID), now) }, kind)
	})},
	{name: "purges one kind", rule: "purge leaves nothing of a record", inject: func(s *faulty) { purges(s, expiredThen, kind) }},
	{name: "purges what was changed meanwhile", rule: "purge loses no live record while others write", inject: func(s *faulty) {
		purges(s, expiredThen, kind)
	}},
}
