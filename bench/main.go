// Bench measures how long guards take to verify tokens, beside other libraries that
// do, and what they ask of the provider meanwhile. docs/benchmarks.md tells how.
//
//	go run ./bench          # some two minutes, in the root of the repository
//	go run ./bench -quick   # to see that it works
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"time"
)

// plan is how much is measured.
type plan struct {
	effort
	crowds    []int         // how many tokens come in turns
	requests  int           // of a flood
	hang      time.Duration // of a fetch that stalls others
	trials    int           // of each stall of ours; a third as many of a peer's
	tokens    int           // that memory is weighed with
	mints     int           // runs of core's benchmarks
	eachMints string        // -test.benchtime of those
}

var (
	thorough = plan{effort{rounds: 101, slice: 4 * time.Millisecond}, []int{1, 100, 1000, 3000}, 1000, 300 * time.Millisecond, 9, 20000, 15, "20ms"}
	quick    = plan{effort{rounds: 5, slice: time.Millisecond}, []int{1, 300}, 1000, 300 * time.Millisecond, 1, 2000, 1, "5ms"}
)

func main() {
	short := flag.Bool("quick", false, "measure for some seconds only, which gives numbers of no value")
	out := flag.String("summary", "bench/summary.json", "`file` for the numbers that are held against goals")
	flag.Parse()
	slog.SetDefault(slog.New(slog.DiscardHandler)) // some peers log what is done to them
	p := thorough
	if *short {
		p = quick
	}
	if err := run(context.Background(), p, os.Stdout, *out); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// results are all that was measured.
type results struct {
	verifications []verification // in the order of algorithms
	crowds        []crowd
	cores         cores
	guards        guards
	sessions      sessions
	minting       minting
	floods        []flood
	stalls        []stall
	memory        []memory
}

// run measures, prints tables as they are ready, and writes the summary.
func run(ctx context.Context, p plan, w io.Writer, path string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	fmt.Fprintf(w, "%s, %s/%s, %d cores\n\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	r, err := measureAll(ctx, p, w)
	if err != nil {
		return err
	}
	return summarize(r).write(path)
}

func measureAll(ctx context.Context, p plan, w io.Writer) (r results, err error) {
	i, err := newIssuer()
	if err != nil {
		return r, err
	}
	defer i.close()
	for _, algorithm := range algorithms {
		v, err := verify(ctx, p.effort, i, algorithm)
		if err != nil {
			return r, err
		}
		r.verifications = append(r.verifications, v)
		v.table().write(w)
	}
	if r.crowds, err = crowds(ctx, p.effort, i, p.crowds...); err != nil {
		return r, err
	}
	crowdTable(r.crowds).write(w)
	if r.cores, err = verifyOnTwoCores(ctx, p.effort, i, "RS256"); err != nil {
		return r, err
	}
	r.cores.table().write(w)
	if r.guards, err = guard(ctx, p.effort, i, "RS256"); err != nil {
		return r, err
	}
	r.guards.table().write(w)
	if r.sessions, err = lookUps(p.effort, i); err != nil {
		return r, err
	}
	r.sessions.table().write(w)
	if r.minting, err = mint(ctx, p.mints, p.eachMints); err != nil {
		return r, err
	}
	r.minting.table().write(w)
	if r.floods, err = floods(ctx, i, p.requests); err != nil {
		return r, err
	}
	floodTable(r.floods, p.requests).write(w)
	if r.stalls, err = stalls(ctx, i, p.hang, p.trials); err != nil {
		return r, err
	}
	stallTable(r.stalls, p.hang).write(w)
	if r.memory, err = remembered(ctx, i, p.tokens); err != nil {
		return r, err
	}
	memoryTable(r.memory, p.tokens).write(w)
	return r, nil
}
