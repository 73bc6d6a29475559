package main

import (
	"context"
	"crypto/sha256"
	"fmt"
)

// crowd is how verification goes when many tokens come in turns, as those of as many
// clients do: what is remembered of them is then in memory and no longer in the
// processor's caches.
type crowd struct {
	tokens int
	hash   times // of the same tokens
	hit    times
	// miss is for tokens that come once in a while, so that the cache has forgotten
	// them; unlike in the other tables each is put into it again.
	miss times
}

// crowdAlgorithm is the one of the tokens.
const crowdAlgorithm = "RS256"

// tooSmall is a Config.CacheSize that holds some dozen tokens.
const tooSmall = 256 << 10

func crowds(ctx context.Context, e effort, i *issuer, sizes ...int) ([]crowd, error) {
	var all []crowd
	for _, size := range sizes {
		raws, bytes := make([]string, size), make([][]byte, size)
		for n := range raws {
			raws[n] = i.token(crowdAlgorithm, crowdAlgorithm, map[string]any{"jti": fmt.Sprintf("%036d", n)})
			bytes[n] = []byte(raws[n])
		}
		hashed := turns(bytes)
		contestants := []contestant{{nameHash, 1, func() { sink = sha256.Sum256(hashed()) }}}
		for name, cacheSize := range map[string]int{nameHit: withCache, nameMiss: tooSmall} {
			v, err := ours(ctx, i, name, cacheSize, nil)
			if err != nil {
				return nil, err
			}
			for _, raw := range raws {
				must(v.subject(raw))
			}
			mine := turns(raws)
			contestants = append(contestants, contestant{name, 1, func() { must(v.subject(mine())) }})
		}
		t := measure(e, processor, contestants)
		all = append(all, crowd{size, t[nameHash], t[nameHit], t[nameMiss]})
	}
	return all, nil
}

// turns gives one after the other, again and again.
func turns[T any](of []T) func() T {
	n := 0
	return func() T { n++; return of[n%len(of)] }
}

func crowdTable(all []crowd) table {
	t := table{
		title:   crowdAlgorithm + ", many tokens in turn",
		columns: []string{"tokens", "µs, SHA-256", "µs, hit", "× SHA-256", "µs, miss and cached"},
	}
	for _, c := range all {
		row := []any{fmt.Sprint(c.tokens), micro(c.hash), micro(c.hit), c.hit.over(c.hash), nil}
		if c.tokens > 100 { // fewer are not forgotten
			row[len(row)-1] = micro(c.miss)
		}
		t.add(row...)
	}
	return t
}
