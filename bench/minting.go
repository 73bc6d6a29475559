package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// minting is how long core takes to make an access token of its own, and how long
// the signature of the same bytes takes by itself; by algorithm.
type minting struct{ mint, signature map[string]times }

// mint runs the benchmarks of core/internal/broker, since nothing of minting is public.
// They are built once and run as often as there are rounds, so that both are
// measured in turns.
func mint(ctx context.Context, rounds int, benchTime string) (minting, error) {
	m := minting{map[string]times{}, map[string]times{}}
	dir, err := os.MkdirTemp("", "oidcgate-bench-")
	if err != nil {
		return m, err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "broker.test")
	if _, err := output(ctx, "go", "test", "-c", "-o", binary, "github.com/oidcgate/oidcgate/core/internal/broker"); err != nil {
		return m, err
	}
	for range rounds {
		out, err := output(ctx, binary, "-test.run", "^$", "-test.bench", "^Benchmark(Mint|Signature)$", "-test.benchtime", benchTime, "-test.cpu", "1")
		if err != nil {
			return m, err
		}
		if err := m.read(out); err != nil {
			return m, err
		}
	}
	return m, nil
}

func output(ctx context.Context, name string, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, name, args...).Output()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		return "", fmt.Errorf("%s: %w: %s%s", name, err, out, failed.Stderr)
	}
	return string(out), err
}

// result is a line of a benchmark's output, run on one core. cpu-ns is what our
// clock processor tells.
var result = regexp.MustCompile(`^Benchmark(Mint|Signature)/(\w+)\s+\d+\s+[\d.]+ ns/op\s+([\d.]+) cpu-ns/op`)

func (m minting) read(output string) error {
	found := 0
	for line := range strings.Lines(output) {
		match := result.FindStringSubmatch(line)
		if match == nil {
			continue
		}
		nanoseconds, err := strconv.ParseFloat(match[3], 64)
		if err != nil {
			return err
		}
		kind := m.mint
		if match[1] == "Signature" {
			kind = m.signature
		}
		kind[match[2]] = append(kind[match[2]], nanoseconds)
		found++
	}
	if found != 2*len(algorithms) {
		return fmt.Errorf("core's benchmarks have %d results, and not two for each of %v: %s", found, algorithms, output)
	}
	return nil
}

// overSignature is what minting costs besides the signature, in microseconds.
func (m minting) overSignature(algorithm string) float64 {
	over := make(times, len(m.mint[algorithm]))
	for i := range over {
		over[i] = m.mint[algorithm][i] - m.signature[algorithm][i]
	}
	return micro(over)
}

func (m minting) table() table {
	t := table{title: "Minting an access token", columns: []string{"algorithm", "µs", "µs, bare signature", "µs besides the signature"}}
	for _, algorithm := range algorithms {
		t.add(algorithm, micro(m.mint[algorithm]), micro(m.signature[algorithm]), m.overSignature(algorithm))
	}
	return t
}
