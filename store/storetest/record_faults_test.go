package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/oidcgate/oidcgate/store"
)

var recordFaults = []fault{
	{name: "keeps no key at a change", rule: "a record comes back as it was put", inject: changesPut(func(r *store.Record) {
		if r.Version > 0 {
			r.Keys = [2]string{}
		}
	})},
	{name: "ends data at a zero byte", rule: "any bytes are kept", inject: changesPut(func(r *store.Record) {
		r.Data, _, _ = bytes.Cut(r.Data, []byte{0})
	})},
	{name: "cuts data at 64 KiB", rule: "any bytes are kept", inject: changesPut(func(r *store.Record) {
		r.Data = r.Data[:min(len(r.Data), 1<<16)]
	})},
	{name: "keeps data that became empty", rule: "no data is empty data", inject: func(s *faulty) {
		s.put = func(ctx context.Context, r store.Record) (int64, error) {
			if len(r.Data) == 0 {
				old, _ := s.Store.Get(ctx, r.Kind, r.ID)
				r.Data = old.Data
			}
			return s.Store.Put(ctx, r)
		}
	}},
	{name: "keeps seconds", rule: "an expiry is kept to the millisecond", inject: changesPut(func(r *store.Record) {
		r.Expires = r.Expires.Truncate(time.Second)
	})},
	{name: "takes 1970 for never", rule: "an expiry is kept to the millisecond", inject: changesPut(func(r *store.Record) {
		if r.Expires.Equal(time.UnixMilli(0)) {
			r.Expires = time.Time{}
		}
	})},
	{name: "keeps 32 bits of seconds", rule: "an expiry is kept to the millisecond", inject: changesPut(func(r *store.Record) {
		if r.Expires.Unix() > math.MaxInt32 {
			r.Expires = time.Unix(math.MaxInt32, 0)
		}
	})},
	{name: "folds keys", rule: "any key is kept and found", inject: filters(func(r store.Record, key string) bool {
		return key == "" || strings.EqualFold(r.Keys[0], key) || strings.EqualFold(r.Keys[1], key)
	})},
	{name: "trims keys", rule: "any key is kept and found", inject: filters(func(r store.Record, key string) bool {
		return key == "" || strings.TrimSpace(r.Keys[0]) == strings.TrimSpace(key) || strings.TrimSpace(r.Keys[1]) == strings.TrimSpace(key)
	})},
	{name: "cuts keys at 255 bytes", rule: "any key is kept and found", inject: changesPut(func(r *store.Record) {
		r.Keys[1] = r.Keys[1][:min(len(r.Keys[1]), 255)]
	})},
	{name: "takes % for a wildcard", rule: "any key is kept and found", inject: filters(func(r store.Record, key string) bool {
		return key == "" || key == "%" || slices.Contains(r.Keys[:], key)
	})},
	{name: "folds IDs", rule: "any ID is kept", inject: changesPut(func(r *store.Record) { r.ID = strings.ToLower(r.ID) })},
	{name: "trims IDs", rule: "any ID is kept", inject: changesPut(func(r *store.Record) { r.ID = strings.TrimRight(r.ID, " ") })},
	{name: "cuts IDs", rule: "any ID is kept", inject: changesPut(func(r *store.Record) { r.ID = r.ID[:min(len(r.ID), 127)] })},
	{name: "joins kind and ID", rule: "a kind is a space of its own", inject: changesPut(func(r *store.Record) {
		joined := r.Kind + r.ID
		r.ID = strings.TrimLeft(joined, "-abk")
		r.Kind = strings.TrimSuffix(joined, r.ID)
	})},
	{name: "keeps the caller's slice", rule: "slices are not kept", inject: func(s *faulty) {
		var data sync.Map
		s.put = func(ctx context.Context, r store.Record) (int64, error) {
			data.Store(r.ID, r.Data)
			return s.Store.Put(ctx, r)
		}
		s.get = func(ctx context.Context, kind, id string) (store.Record, error) {
			r, err := s.Store.Get(ctx, kind, id)
			if kept, ok := data.Load(id); ok {
				r.Data = kept.([]byte)
			}
			return r, err
		}
	}},
	{name: "hands out one slice", rule: "slices are not kept", inject: func(s *faulty) {
		var data sync.Map
		s.get = func(ctx context.Context, kind, id string) (store.Record, error) {
			r, err := s.Store.Get(ctx, kind, id)
			kept, _ := data.LoadOrStore(fmt.Sprint(id, r.Version), r.Data)
			r.Data = kept.([]byte)
			return r, err
		}
	}},
	{name: "has the data of a page in one buffer", rule: "slices are not kept", inject: changesFound(func(page []store.Record) []store.Record {
		var buffer []byte
		for _, r := range page {
			buffer = append(buffer, r.Data...)
		}
		for i, r := range page {
			page[i].Data, buffer = buffer[:len(r.Data)], buffer[len(r.Data):]
		}
		return page
	})},
}

var versionFaults = []fault{
	{name: "finds nothing without an error", rule: "what is not there is not found", inject: func(s *faulty) {
		s.get = func(ctx context.Context, kind, id string) (store.Record, error) {
			r, err := s.Store.Get(ctx, kind, id)
			if errors.Is(err, store.ErrNotFound) {
				err = nil
			}
			return r, err
		}
	}},
	{name: "insert overwrites", rule: "an insert of what is there is a conflict", inject: func(s *faulty) {
		s.put = func(ctx context.Context, r store.Record) (int64, error) {
			if r.Version == 0 {
				return s.force(ctx, r)
			}
			return s.Store.Put(ctx, r)
		}
	}},
	{name: "insert changes keys in spite of a conflict", rule: "an insert of what is there is a conflict", inject: func(s *faulty) {
		s.put = func(ctx context.Context, r store.Record) (int64, error) {
			version, err := s.Store.Put(ctx, r)
			if errors.Is(err, store.ErrConflict) {
				current, _ := s.Store.Get(ctx, r.Kind, r.ID)
				current.Keys = r.Keys
				s.force(ctx, current)
			}
			return version, err
		}
	}},
	{name: "gives the old version", rule: "versions count from one", inject: func(s *faulty) {
		s.put = func(ctx context.Context, r store.Record) (int64, error) {
			_, err := s.Store.Put(ctx, r)
			return r.Version, err
		}
	}},
	{name: "put ignores the version", rule: "a put of another version is a conflict", inject: func(s *faulty) {
		s.put = func(ctx context.Context, r store.Record) (int64, error) {
			if _, err := s.Store.Get(ctx, r.Kind, r.ID); err == nil || r.Version == 0 {
				return s.force(ctx, r)
			}
			return 0, store.ErrConflict
		}
	}},
	{name: "put inserts what is missing", rule: "a put of another version is a conflict", inject: func(s *faulty) {
		s.put = func(ctx context.Context, r store.Record) (int64, error) {
			if _, err := s.Store.Get(ctx, r.Kind, r.ID); err != nil {
				return s.force(ctx, r)
			}
			return s.Store.Put(ctx, r)
		}
	}},
	{name: "delete ignores the version", rule: "a delete of another version is a conflict", inject: func(s *faulty) {
		s.delete = func(ctx context.Context, kind, id string, _ int64) error {
			r, err := s.Store.Get(ctx, kind, id)
			if err != nil {
				return store.ErrConflict
			}
			return s.Store.Delete(ctx, kind, id, r.Version)
		}
	}},
	{name: "delete of nothing is fine", rule: "a delete of another version is a conflict", inject: func(s *faulty) {
		s.delete = func(ctx context.Context, kind, id string, version int64) error {
			if _, err := s.Store.Get(ctx, kind, id); errors.Is(err, store.ErrNotFound) {
				return nil
			}
			return s.Store.Delete(ctx, kind, id, version)
		}
	}},
}
