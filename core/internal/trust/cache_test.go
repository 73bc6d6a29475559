package trust

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core/internal/claim"
	"github.com/oidcgate/oidcgate/core/internal/jose"
	"github.com/oidcgate/oidcgate/core/internal/verify"
	"github.com/stretchr/testify/require"
)

// cacheable is a token with claims of so many bytes, decoded in every way.
func cacheable(t testing.TB, n, size int) *cachedToken {
	claims := map[string]any{
		"iss": "https://id.example.org", "sub": fmt.Sprint("user-", n), "exp": 2e9, "iat": 1e9, "jti": fmt.Sprint(rand.Int64()),
		"aud": []string{"one", "two"}, "scope": "openid profile email", "azp": "app", "preferred_username": "alice",
		"realm_access":    map[string]any{"roles": []string{"admin", "user"}},
		"resource_access": map[string]any{"app": map[string]any{"roles": []string{"a", "b", "c"}}, "account": map[string]any{"roles": []string{"view"}}},
	}
	for i := 0; i < size-400; i += i%40 + 15 {
		claims[fmt.Sprint("claim_", i)] = strings.Repeat("x", i%40)
	}
	payload, err := json.Marshal(claims)
	require.NoError(t, err)
	c, err := claim.Parse(payload)
	require.NoError(t, err)
	token := verify.NewToken(c, &verify.Verifier{Roles: claim.RolePaths{"realm_access.roles", "groups", "roles"}.In})
	token.Roles()
	return &cachedToken{name: nameOf(fmt.Sprint(n)), token: token, until: time.Unix(2e9, 0), size: sizeOf(c)}
}

// used counts the bytes of what a cache holds.
func (c *tokenCache) used() (size int64, count int) {
	for i := range c.buckets {
		for j := range c.buckets[i] {
			if r := c.buckets[i][j].Load(); r != nil {
				size, count = size+r.size, count+1
			}
		}
	}
	return size, count
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// Four times as many tokens as there is room for go through, small ones and large
// ones, each with its claims decoded as they are when somebody has asked for them.
func TestRememberedTokensStayWithinTheirMemory(t *testing.T) {
	now := time.Unix(1e9, 0)
	for _, size := range []int{500, 1200, 6000} {
		const limit = 4 << 20
		before := heap()
		c := newTokenCache(limit)
		total := int64(0)
		for n := 0; total < 4*limit; n++ {
			r := cacheable(t, n, size)
			total += r.size
			c.add(r, now)
		}
		used, count := c.used()
		taken := heap() - before
		t.Logf("%d tokens of %d bytes: %d of %d bytes are taken", count, size, taken, limit)
		require.LessOrEqual(t, taken, int64(limit), "tokens of %d bytes", size)
		require.Equal(t, int64(limit)-int64(len(c.buckets))*64-used, c.free)
		require.Greater(t, used, int64(limit)*3/4, "%d tokens of %d bytes: memory is left unused", count, size)
		runtime.KeepAlive(c)
	}
}

func TestTheSizeOfATokenIsNotLessThanItTakes(t *testing.T) {
	for name, claims := range map[string]string{
		"nothing":       `"a":1`,
		"a long text":   `"a":"` + strings.Repeat("x", 4000) + `"`,
		"many texts":    strings.Repeat(`"%d":"",`, 300) + `"a":1`,
		"many numbers":  strings.Repeat(`"%d":1.5,`, 300) + `"a":1`,
		"objects":       strings.Repeat(`"%d":{},`, 300) + `"a":1`,
		"deep objects":  strings.Repeat(`"a":{`, 300) + strings.Repeat(`}`, 300),
		"lists":         strings.Repeat(`"%d":[],`, 300) + `"a":1`,
		"deep lists":    `"a":` + strings.Repeat(`[`, 300) + strings.Repeat(`]`, 300),
		"a long list":   `"a":[` + strings.Repeat(`"x",`, 1000) + `1]`,
		"many roles":    `"groups":[` + strings.Repeat(`"role %d",`, 300) + `"a"]`,
		"audiences":     `"aud":[` + strings.Repeat(`"service %d",`, 300) + `"a"]`,
		"many scopes":   `"scope":"` + strings.Repeat(`s%d `, 300) + `"`,
		"other spaces":  `"scope":"` + strings.Repeat(`s\t`, 2000) + strings.Repeat(`s\u0020`, 2000) + `"`,
		"nine claims":   strings.Repeat(`"%d":"x",`, 8) + `"a":1`,
		"list of lists": `"a":[` + strings.Repeat(`[1,2],`, 300) + `1]`,
	} {
		t.Run(name, func(t *testing.T) {
			for i := 0; strings.Contains(claims, "%d"); i++ {
				claims = strings.Replace(claims, "%d", fmt.Sprint(i), 1)
			}
			before, size := heap(), int64(0)
			tokens := make([]*verify.Token, 200)
			for i := range tokens {
				payload := []byte("{" + claims + "}")
				c, err := claim.Parse(payload)
				require.NoError(t, err)
				tokens[i] = verify.NewToken(c, &verify.Verifier{Roles: claim.RolePaths{"realm_access.roles", "groups", "roles"}.In})
				tokens[i].Roles()
				size += sizeOf(c)
			}
			taken := heap() - before
			t.Logf("%d of %d bytes", taken/200, size/200)
			require.LessOrEqual(t, taken, size)
			runtime.KeepAlive(tokens)
		})
	}
}

// All of a name counts, and not the part of it that chooses the bucket.
func TestTokensWithSimilarNamesAreNotMixedUp(t *testing.T) {
	c, now := newTokenCache(64<<10), time.Unix(1e9, 0)
	first, second := cacheable(t, 1, 300), cacheable(t, 2, 300)
	second.name = first.name
	second.name[len(second.name)-1] ^= 1
	c.add(first, now)
	require.Nil(t, c.get(&second.name, now))
	c.add(second, now)
	require.Same(t, first, c.get(&first.name, now))
	require.Same(t, second, c.get(&second.name, now))
}

func TestWhoeverIsWantedIsRemembered(t *testing.T) {
	now := time.Unix(1e9, 0)
	c := newTokenCache(1 << 20)
	wanted := cacheable(t, -1, 1000)
	c.add(wanted, now)
	for n := range 2000 {
		require.NotNil(t, c.get(&wanted.name, now), n)
		c.add(cacheable(t, n, 1000), now)
	}
}

func TestATokenIsForgottenWhenItEndsOrItsKeyIsWithdrawn(t *testing.T) {
	now := time.Unix(1e9, 0)
	c := newTokenCache(1 << 20)
	r := cacheable(t, 1, 500)
	keys, err := jose.ParseKeySet([]byte(`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`), jose.MaxRSABits)
	require.NoError(t, err)
	r.key = keys[0]
	c.add(r, now)
	require.Same(t, r, c.get(&r.name, r.until.Add(-1)))
	require.Nil(t, c.get(&r.name, r.until))
	jose.KeySet(nil).Replace(keys)
	require.Nil(t, c.get(&r.name, now))

	// Its place is the first to be given away, and its memory with it.
	free := c.free
	again := cacheable(t, 1, 500)
	c.add(again, now)
	require.Same(t, again, c.get(&r.name, now))
	require.Equal(t, free+r.size-again.size, c.free)
}

func TestATokenLargerThanTheCacheIsNotRemembered(t *testing.T) {
	now := time.Unix(1e9, 0)
	c := newTokenCache(5000)
	r := cacheable(t, 1, 3000)
	c.add(r, now)
	require.Nil(t, c.get(&r.name, now))
	small := cacheable(t, 2, 10)
	small.size = 100
	c.add(small, now)
	require.NotNil(t, c.get(&small.name, now))
	c.add(r, now)
	require.NotNil(t, c.get(&small.name, now), "nobody makes way for what has no place")

	require.Nil(t, newTokenCache(-1))
	require.Nil(t, newTokenCache(-1).get(&r.name, now))
	newTokenCache(-1).add(r, now)
}

// Whoever looks for a token gets that one or none, whatever others do.
func TestRememberedTokensAreNotMixedUpInARace(t *testing.T) {
	now := time.Unix(1e9, 0)
	c := newTokenCache(64 << 10)
	tokens := make([]*cachedToken, 50)
	for n := range tokens {
		tokens[n] = cacheable(t, n, 300)
	}
	const seed = 1
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(worker)))
			for range 20_000 {
				r := tokens[random.IntN(len(tokens))]
				if found := c.get(&r.name, now); found == nil {
					c.add(&cachedToken{name: r.name, token: r.token, until: r.until, size: r.size}, now)
				} else if found.token != r.token {
					t.Errorf("seed %d: another's token was found", seed)
					return
				}
			}
		})
	}
	all.Wait()
	used, _ := c.used()
	require.Equal(t, int64(64<<10)-int64(len(c.buckets))*64-used, c.free)
	require.GreaterOrEqual(t, c.free, int64(0))
}
