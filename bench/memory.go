package main

import (
	"context"
	"fmt"
	"runtime"
)

// memory is what stays on the heap after many tokens were verified, each once.
type memory struct {
	name  string
	bytes float64
}

// remembered verifies tokens that all differ and weighs the heap before and after.
func remembered(ctx context.Context, i *issuer, tokens int) ([]memory, error) {
	raw := make([]string, tokens)
	for n := range raw {
		raw[n] = i.token("EdDSA", "EdDSA", map[string]any{"jti": fmt.Sprint("token ", n)})
	}
	var all []memory
	for _, setUp := range []setUp{hit, miss} {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		v, err := setUp(ctx, i, "EdDSA")
		if err != nil {
			return nil, err
		}
		must(v.subject(raw[0]))
		before := heap()
		for _, token := range raw {
			must(v.subject(token))
		}
		all = append(all, memory{v.name, max(0, heap()-before)})
		runtime.KeepAlive(v)
	}
	runtime.KeepAlive(raw)
	return all, nil
}

func heap() float64 {
	runtime.GC()
	runtime.GC() // what finalizers and pools have let go
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return float64(stats.HeapAlloc)
}

func memoryTable(all []memory, tokens int) table {
	t := table{title: fmt.Sprintf("Memory kept after %d different tokens", tokens), columns: []string{"", "MiB", "bytes for each token"}}
	for _, m := range all {
		t.add(m.name, m.bytes/(1<<20), m.bytes/float64(tokens))
	}
	return t
}
