package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
)

// summary is what is to be held against goals. docs/benchmarks.md says what each
// number means.
type summary struct {
	HitVsSHA256      float64 `json:"hit_vs_sha256"`
	HitAllocs        float64 `json:"hit_allocs"`
	HitVsFastestPeer float64 `json:"hit_vs_fastest_peer"`

	MissVsCryptoRS256 float64 `json:"miss_vs_crypto_rs256"`
	MissVsCryptoES256 float64 `json:"miss_vs_crypto_es256"`
	MissVsCryptoEdDSA float64 `json:"miss_vs_crypto_eddsa"`
	MissAllocs        float64 `json:"miss_allocs"`
	MissVsFastestPeer float64 `json:"miss_vs_fastest_peer"`

	TwoCoresHitVsCrypto  float64 `json:"two_cores_hit_vs_crypto"`
	TwoCoresMissVsCrypto float64 `json:"two_cores_miss_vs_crypto"`

	FloodFetches  float64 `json:"flood_fetches"`
	BadsigFetches float64 `json:"badsig_fetches"`
	StallMS       float64 `json:"stall_ms"`

	MintOverSignatureES256 float64 `json:"mint_over_signature_us_es256"`
	MintOverSignatureEdDSA float64 `json:"mint_over_signature_us_eddsa"`

	CookieVsBearer float64 `json:"cookie_hit_vs_bearer"`

	GuardAllocsChi   float64 `json:"guard_allocs_chi"`
	GuardAllocsStd   float64 `json:"guard_allocs_std"`
	GuardAllocsFiber float64 `json:"guard_allocs_fiber"`
	GuardAllocsGin   float64 `json:"guard_allocs_gin"`
	GuardAllocsEcho  float64 `json:"guard_allocs_echo"`
}

func summarize(r results) summary {
	// The algorithms of verifications, in the order of algorithms.
	rs256, es256, eddsa := r.verifications[0], r.verifications[1], r.verifications[2]
	missVsCrypto := func(v verification) float64 { return v.times[nameMiss].over(v.times[nameSignature]) }
	each := func(number func(verification) float64) []float64 {
		var all []float64
		for _, v := range r.verifications {
			all = append(all, number(v))
		}
		return all
	}
	s := summary{
		HitVsSHA256:      rs256.times[nameHit].over(rs256.times[nameHash]),
		HitAllocs:        slices.Max(each(func(v verification) float64 { return v.cost[nameHit].allocations })),
		HitVsFastestPeer: slices.Min(each(func(v verification) float64 { return v.fastestPeer(nameHit) })),

		MissVsCryptoRS256: missVsCrypto(rs256),
		MissVsCryptoES256: missVsCrypto(es256),
		MissVsCryptoEdDSA: missVsCrypto(eddsa),
		MissAllocs:        slices.Max(each(func(v verification) float64 { return v.cost[nameMiss].allocations })),
		MissVsFastestPeer: slices.Min(each(func(v verification) float64 { return v.fastestPeer(nameMiss) })),

		TwoCoresHitVsCrypto:  r.cores.overSignature(nameHit),
		TwoCoresMissVsCrypto: r.cores.overSignature(nameMiss),

		MintOverSignatureES256: r.minting.overSignature("ES256"),
		MintOverSignatureEdDSA: r.minting.overSignature("EdDSA"),

		CookieVsBearer: r.sessions.times[byCookie].over(r.sessions.times[notLookedUp]),

		GuardAllocsChi:   r.guards.allocations("chi"),
		GuardAllocsStd:   r.guards.allocations("std"),
		GuardAllocsFiber: r.guards.allocations("fiber"),
		GuardAllocsGin:   r.guards.allocations("gin"),
		GuardAllocsEcho:  r.guards.allocations("echo"),
	}
	for _, f := range r.floods {
		if f.name == nameHit || f.name == nameMiss {
			s.FloodFetches = max(s.FloodFetches, float64(f.unknown), float64(f.atOnce))
			s.BadsigFetches = max(s.BadsigFetches, float64(f.badlySigned))
		}
	}
	for _, stall := range r.stalls {
		if stall.name == nameHit || stall.name == nameMiss {
			s.StallMS = max(s.StallMS, stall.worst())
		}
	}
	return s
}

// write puts the summary into a file.
func (s summary) write(path string) error {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("a number of the summary could not be measured: %w", err)
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}
