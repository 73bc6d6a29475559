//go:build unix

package broker

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"syscall"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core/internal/jose"
)

// BenchmarkMint and BenchmarkSignature are for the difference: what an access token
// costs besides its signature. The bench module runs them in turns.

var mintedAlgorithms = []string{"RS256", "ES256", "EdDSA"}

// BenchmarkMint makes access tokens for somebody with a handful of roles.
func BenchmarkMint(b *testing.B) {
	for _, algorithm := range mintedAlgorithms {
		b.Run(algorithm, func(b *testing.B) {
			mint := minter(b, algorithm)
			benchmark(b, func() { mint() })
		})
	}
}

// BenchmarkSignature signs what a minted token signs, by the standard library.
func BenchmarkSignature(b *testing.B) {
	for _, algorithm := range mintedAlgorithms {
		b.Run(algorithm, func(b *testing.B) {
			token, err := jose.Cut(minter(b, algorithm)())
			if err != nil {
				b.Fatal(err)
			}
			sign := signer(b, algorithm, token.Signed)
			benchmark(b, func() {
				if err := sign(); err != nil {
					b.Fatal(err)
				}
			})
		})
	}
}

// benchmark tells, besides the time that passes, the time that the processor has
// spent (cpu-ns), which other programs on the machine don't change.
func benchmark(b *testing.B, run func()) {
	b.ReportAllocs()
	before := processor()
	for b.Loop() {
		run()
	}
	b.ReportMetric(float64(processor()-before)/float64(b.N), "cpu-ns/op")
}

func processor() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func minter(b *testing.B, algorithm string) func() string {
	broker := newTestBroker(b, algorithm)
	keys, err := broker.keys.Get(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	m := minting{
		who: remembered{
			Client:   "app",
			Username: "alice", Name: "Alice Liddell", Email: "alice@example.org", EmailVerified: true,
			Roles: []string{"editor", "offline_access", "user"}, Scopes: []string{"openid", "profile", "email"},
			AuthTime: time.Now().Unix(), ACR: "1", AMR: []string{"pwd", "otp"},
		},
		subject: "8f6c1f0a-6a3e-4a53-9d6f-2f1d0b7c9e11",
		session: "c2b7e9d43f184d0b9a605e7d8c1b2a90", expires: time.Now().Add(15 * time.Minute),
	}
	return func() string {
		raw, err := broker.mint(keys, m)
		if err != nil {
			b.Fatal(err)
		}
		return raw
	}
}

// signer is the least that a signature can cost: its hash and the standard library.
func signer(b *testing.B, algorithm string, signed []byte) func() error {
	switch algorithm {
	case "RS256":
		key, err := rsa.GenerateKey(rand.Reader, jose.MinRSABits)
		if err != nil {
			b.Fatal(err)
		}
		return func() error {
			hash := sha256.Sum256(signed)
			_, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, hash[:])
			return err
		}
	case "ES256":
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			b.Fatal(err)
		}
		return func() error {
			hash := sha256.Sum256(signed)
			_, err := ecdsa.SignASN1(rand.Reader, key, hash[:])
			return err
		}
	default:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			b.Fatal(err)
		}
		return func() error {
			_ = ed25519.Sign(key, signed)
			return nil
		}
	}
}
