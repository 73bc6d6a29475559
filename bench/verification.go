package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
)

// Names of contestants beside the peers.
const (
	nameHash      = "SHA-256 of the token"
	nameSignature = "bare signature"
	nameHit       = "oidcgate, hit"
	nameMiss      = "oidcgate, miss"
	andClaims     = ", claims read"
)

// verification is how long everybody takes for the tokens of one algorithm.
type verification struct {
	algorithm string
	size      int // of the token, in bytes
	peers     []string
	times     map[string]times
	cost      map[string]cost
}

// verify measures the verification of the same token, again and again, by ours and
// the peers: the token alone, and with the claims that an application reads.
func verify(ctx context.Context, e effort, i *issuer, algorithm string) (verification, error) {
	raw := i.token(algorithm, algorithm, nil)
	v := verification{algorithm: algorithm, size: len(raw), cost: map[string]cost{}}
	signature, err := bareSignature(i.keys[algorithm].Public(), raw)
	if err != nil {
		return v, err
	}
	bytes := []byte(raw)
	contestants := []contestant{
		{nameHash, 1, func() { sink = sha256.Sum256(bytes) }},
		{nameSignature, 1, signature},
	}
	for _, setUp := range slices.Concat([]setUp{hit, miss}, peers) {
		library, err := setUp(ctx, i, algorithm)
		if err != nil {
			return v, err
		}
		if library.name != nameHit && library.name != nameMiss {
			v.peers = append(v.peers, library.name)
		}
		subject := func() { must(library.subject(raw)) }
		subject() // now the keys are there
		contestants = append(contestants,
			contestant{library.name, 1, subject},
			contestant{library.name + andClaims, 1, func() { must(library.person(raw)) }})
	}
	v.times = measure(e, processor, contestants)
	for _, c := range contestants {
		v.cost[c.name] = costOf(c.run)
	}
	return v, nil
}

// sink keeps the compiler from leaving a hash out.
var sink [sha256.Size]byte

// must is for a token that was seen to be good.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// fastestPeer tells how many times as long as ours the fastest peer takes.
func (v verification) fastestPeer(ours string) float64 {
	var ratios []float64
	for _, peer := range v.peers {
		ratios = append(ratios, v.times[peer].over(v.times[ours]))
	}
	return slices.Min(ratios)
}

// table has a row for everybody.
func (v verification) table() table {
	t := table{
		title:   fmt.Sprintf("%s, a token of %d bytes", v.algorithm, v.size),
		columns: []string{"verified by", "µs", "× bare signature", "allocations", "bytes", "µs, claims read"},
	}
	for _, name := range slices.Concat([]string{nameHash, nameSignature, nameHit, nameMiss}, v.peers) {
		row := []any{name, micro(v.times[name]), v.times[name].over(v.times[nameSignature]), v.cost[name].allocations, v.cost[name].bytes, nil}
		if claims, ok := v.times[name+andClaims]; ok {
			row[len(row)-1] = micro(claims)
		}
		t.add(row...)
	}
	return t
}

// bareSignature is the least that verifying a token can cost: the hash of what is
// signed and the signature, by the standard library, with all that can be prepared
// prepared.
func bareSignature(key crypto.PublicKey, raw string) (func(), error) {
	dot := strings.LastIndexByte(raw, '.')
	signed := []byte(raw[:dot])
	signature, err := base64.RawURLEncoding.DecodeString(raw[dot+1:])
	if err != nil {
		return nil, err
	}
	var good func() bool
	switch key := key.(type) {
	case *rsa.PublicKey:
		good = func() bool {
			hash := sha256.Sum256(signed)
			return rsa.VerifyPKCS1v15(key, crypto.SHA256, hash[:], signature) == nil
		}
	case *ecdsa.PublicKey:
		half := len(signature) / 2
		der, err := asn1.Marshal([]*big.Int{new(big.Int).SetBytes(signature[:half]), new(big.Int).SetBytes(signature[half:])})
		if err != nil {
			return nil, err
		}
		good = func() bool {
			hash := sha256.Sum256(signed)
			return ecdsa.VerifyASN1(key, hash[:], der)
		}
	case ed25519.PublicKey:
		good = func() bool { return ed25519.Verify(key, signed, signature) }
	default:
		return nil, fmt.Errorf("there is no signature of a %T", key)
	}
	if !good() {
		return nil, errors.New("the signature does not match")
	}
	return func() {
		if !good() {
			panic("the signature does not match")
		}
	}, nil
}

// cores is how verification gains by a second core.
type cores struct {
	algorithm string
	times     map[string]times
}

const twoCores = ", two cores"

// verifyOnTwoCores measures ours and the bare signature on one core and on two.
func verifyOnTwoCores(ctx context.Context, e effort, i *issuer, algorithm string) (cores, error) {
	raw := i.token(algorithm, algorithm, nil)
	signature, err := bareSignature(i.keys[algorithm].Public(), raw)
	if err != nil {
		return cores{}, err
	}
	contestants := []contestant{{nameSignature, 1, signature}, {nameSignature + twoCores, 2, signature}}
	for _, setUp := range []setUp{hit, miss} {
		library, err := setUp(ctx, i, algorithm)
		if err != nil {
			return cores{}, err
		}
		run := func() { must(library.subject(raw)) }
		run()
		contestants = append(contestants, contestant{library.name, 1, run}, contestant{library.name + twoCores, 2, run})
	}
	return cores{algorithm, measure(e, processorAndLocks, contestants)}, nil
}

// gain is how many times as much gets done on two cores.
func (c cores) gain(name string) times {
	gains := make(times, len(c.times[name]))
	for i := range gains {
		gains[i] = 2 * c.times[name][i] / c.times[name+twoCores][i]
	}
	return gains
}

// overSignature is the gain of a contestant over that of the bare signature.
func (c cores) overSignature(name string) float64 { return c.gain(name).over(c.gain(nameSignature)) }

func (c cores) table() table {
	t := table{title: c.algorithm + " on one core and two", columns: []string{"verified by", "µs, one core", "µs of each of two", "gain", "× gain of bare signature"}}
	for _, name := range []string{nameSignature, nameHit, nameMiss} {
		t.add(name, micro(c.times[name]), micro(c.times[name+twoCores]), c.gain(name).median(), c.overSignature(name))
	}
	return t
}
