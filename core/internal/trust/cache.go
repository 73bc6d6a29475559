package trust

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/oidcgate/oidcgate/core/internal/claim"
	"github.com/oidcgate/oidcgate/core/internal/jose"
	"github.com/oidcgate/oidcgate/core/internal/verify"
)

// cachedToken is a token that was found valid, or an opaque one that was refused.
type cachedToken struct {
	name    tokenName
	token   *verify.Token
	refused error     // why it was refused; nil: it is valid
	key     *jose.Key // that signed it; nil: none
	until   time.Time // when that does not count any more
	size    int64     // bytes
	// recent is set by whoever finds it, and taken away by the search for one to
	// forget: those that nobody wants go first.
	recent atomic.Bool
}

func (r *cachedToken) valid(now time.Time) bool {
	return now.Before(r.until) && (r.key == nil || !r.key.Withdrawn())
}

// bucketSize is how many tokens share a bucket: as many pointers as a line of the
// processor's cache holds.
const bucketSize = 8

// tokenCache remembers tokens in a bounded amount of memory. Whoever looks for one takes
// no lock and allocates nothing; whoever adds one is the only one at a time.
//
// It is a hash table without chains: a name leads to one bucket, and a token has
// its place anywhere in there. Names are hashes, so that they spread evenly and
// nobody can make many of them meet in one bucket.
type tokenCache struct {
	buckets [][bucketSize]atomic.Pointer[cachedToken]
	size    int64 // bytes that tokens may take

	mu   sync.Mutex // guards what follows, and every change of the buckets
	free int64      // bytes
	hand int        // the place where the next search for one to forget begins
}

// typicalToken is how many bytes a remembered token has mostly. It decides how
// many buckets there are: enough to leave half of the places empty.
const typicalToken = 8 << 10

// newTokenCache makes a cache of at most so many bytes, or nil, which remembers
// nothing, for a negative number.
func newTokenCache(size int) *tokenCache {
	if size < 0 {
		return nil
	}
	count := 1 << bits.Len(uint(size/typicalToken*2/bucketSize))
	c := &tokenCache{buckets: make([][bucketSize]atomic.Pointer[cachedToken], count)}
	c.size = int64(size) - int64(count)*int64(unsafe.Sizeof(c.buckets[0]))
	c.free = c.size
	return c
}

func (c *tokenCache) bucket(name *tokenName) *[bucketSize]atomic.Pointer[cachedToken] {
	return &c.buckets[binary.LittleEndian.Uint64(name[:])&uint64(len(c.buckets)-1)]
}

// get gives the token of that name, nil when there is none that is valid.
func (c *tokenCache) get(name *tokenName, now time.Time) *cachedToken {
	if c == nil {
		return nil
	}
	b := c.bucket(name)
	for i := range b {
		r := b[i].Load()
		if r == nil || r.name != *name {
			continue
		}
		if !r.valid(now) {
			return nil
		}
		if !r.recent.Load() { // writing would take the line from other processors
			r.recent.Store(true)
		}
		return r
	}
	return nil
}

// add remembers a token, in the place of others if need be, unless it is larger than
// the cache.
func (c *tokenCache) add(r *cachedToken, now time.Time) {
	if c == nil || r.size > c.size {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	place := c.place(r, now)
	c.forget(place)
	for c.free < r.size && c.forgetOne(now) {
	}
	c.free -= r.size
	place.Store(r)
}

// place is where in its bucket a token goes: where it was before, else to an empty
// place, else to that of one that is not valid any more or that nobody wants, else
// to anybody's.
func (c *tokenCache) place(r *cachedToken, now time.Time) *atomic.Pointer[cachedToken] {
	b := c.bucket(&r.name)
	best, bestRank := &b[r.name[8]%bucketSize], 0
	for i := range b {
		rank := 0
		switch old := b[i].Load(); {
		case old == nil:
			rank = 3
		case old.name == r.name:
			return &b[i]
		case !old.valid(now):
			rank = 2
		case !old.recent.Load():
			rank = 1
		}
		if rank > bestRank {
			best, bestRank = &b[i], rank
		}
	}
	return best
}

// forgetOne makes room: of the tokens in turn the first that is not valid any more,
// or that nobody wanted since the last turn. It reports whether there was any.
func (c *tokenCache) forgetOne(now time.Time) bool {
	places := len(c.buckets) * bucketSize
	for range 2 * places { // in the second turn nothing is recent
		place := &c.buckets[c.hand/bucketSize][c.hand%bucketSize]
		c.hand = (c.hand + 1) % places
		if r := place.Load(); r != nil && (!r.valid(now) || !r.recent.Swap(false)) {
			c.forget(place)
			return true
		}
	}
	return false
}

func (c *tokenCache) forget(place *atomic.Pointer[cachedToken]) {
	if r := place.Swap(nil); r != nil {
		c.free += r.size
	}
}

// sizeOf is how many bytes a Token takes at most, with its claims decoded twice: for
// the checks and, when somebody asks, as a map. What JSON turns into goes by its
// objects, lists and their entries, which need not be decoded to be counted.
func sizeOf(c *claim.Set) int64 {
	const (
		fixed  = 11 << 7 // the structs, and the place in the cache
		object = 384     // the smallest map
		member = 96      // its place in a map, twice as large as needed, and its value
		list   = 64
		entry  = 56
		scope  = 32
	)
	count := func(s string) int64 { return int64(bytes.Count(c.Payload, []byte(s))) }
	return fixed + 3*int64(len(c.Payload)) + object*count("{") + member*count(":") + list*count("[") + entry*count(",") +
		scope*int64(len(c.Scope)+len(c.ScopeShort))
}
