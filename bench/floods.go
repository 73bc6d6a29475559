package main

import (
	"context"
	"crypto"
	"fmt"
	"slices"
	"sync"
	"time"
)

// flood is what strangers' tokens cost a verifier in fetches of the key set.
type flood struct {
	name                         string
	unknown, atOnce, badlySigned int64
	took                         time.Duration // all three
}

// floodAlgorithm is one that is quick to sign with.
const floodAlgorithm = "ES256"

// floods has strangers send tokens to ours and the peers: each with a kid of its
// own that nobody has, one after another and 50 at a time, and tokens with a kid
// that there is and a signature that does not match. Each flood meets verifiers
// that were just set up and have seen one good token.
func floods(ctx context.Context, i *issuer, requests int) ([]flood, error) {
	stranger, err := generate(floodAlgorithm)
	if err != nil {
		return nil, err
	}
	unknown, badlySigned := make([]string, requests), make([]string, requests)
	for n := range requests {
		unknown[n] = i.foreign(stranger, fmt.Sprintf("unknown-%d", n))
		badlySigned[n] = i.foreign(stranger, floodAlgorithm)
	}
	var all []flood
	for _, setUp := range slices.Concat([]setUp{hit, miss}, peers) {
		start := time.Now()
		var f flood
		for _, kind := range []struct {
			fetches *int64
			tokens  []string
			senders int
		}{{&f.unknown, unknown, 1}, {&f.atOnce, unknown, 50}, {&f.badlySigned, badlySigned, 1}} {
			v, err := setUp(ctx, i, floodAlgorithm)
			if err != nil {
				return nil, err
			}
			f.name = v.name
			must(v.subject(i.token(floodAlgorithm, floodAlgorithm, nil)))
			before := i.fetches.Load()
			if err := v.withstand(kind.tokens, kind.senders); err != nil {
				return nil, err
			}
			*kind.fetches = i.fetches.Load() - before
		}
		f.took = time.Since(start)
		all = append(all, f)
	}
	return all, nil
}

// foreign is a token that somebody else has signed.
func (i *issuer) foreign(stranger crypto.Signer, kid string) string {
	return sign(stranger, floodAlgorithm, header(floodAlgorithm, kid), i.payload(nil))
}

// withstand has a verifier refuse tokens, which some senders share among them.
func (v verifier) withstand(tokens []string, senders int) error {
	var all sync.WaitGroup
	accepted := make(chan string, len(tokens))
	for part := range slices.Chunk(tokens, max(1, len(tokens)/senders)) {
		all.Go(func() {
			for _, token := range part {
				if _, err := v.subject(token); err == nil {
					accepted <- token
				}
			}
		})
	}
	all.Wait()
	if len(accepted) > 0 {
		return fmt.Errorf("%s accepted a token that nobody has signed: %s", v.name, <-accepted)
	}
	return nil
}

func floodTable(all []flood, requests int) table {
	t := table{
		title:   fmt.Sprintf("Fetches of the key set in a flood of %d requests", requests),
		columns: []string{"", "unknown kids, one after another", "unknown kids, 50 at a time", "bad signatures", "seconds"},
	}
	for _, f := range all {
		t.add(f.name, f.unknown, f.atOnce, f.badlySigned, f.took.Seconds())
	}
	return t
}
