package main

import (
	"math/rand/v2"
	"runtime"
	"runtime/metrics"
	"slices"
	"sync"
	"syscall"
	"time"
)

// effort is how much time measuring may take.
type effort struct {
	rounds int
	slice  time.Duration // of each contestant in each round
}

// clock tells how much time was spent since some moment.
type clock func() time.Duration

// processor is the time that the cores have spent on this process, the garbage
// collector's included. What other processes do on the machine meanwhile is not in
// it.
func processor() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// processorAndLocks is the time of the processor and, besides, the time for which
// goroutines have waited for locks. When it is twice as much for twice the work, two
// cores do that in the time in which one core does half. It is measured and not the
// time that passes, since on a machine with other work the second core is taken.
func processorAndLocks() time.Duration {
	waited := []metrics.Sample{{Name: "/sync/mutex/wait/total:seconds"}}
	metrics.Read(waited)
	return processor() + time.Duration(waited[0].Value.Float64()*float64(time.Second))
}

// contestant is something whose time is taken.
type contestant struct {
	name  string
	cores int // how many goroutines do it at once, each on a core of its own
	run   func()
}

// times are nanoseconds for one operation, as many as there were rounds.
type times []float64

func (t times) median() float64 {
	sorted := slices.Sorted(slices.Values(t))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

// over gives the median of how many times as long as the other each round took.
// Both were measured within milliseconds, so that what slows the machine down for
// longer than that has slowed down both.
func (t times) over(other times) float64 {
	ratios := make(times, len(t))
	for i := range t {
		ratios[i] = t[i] / other[i]
	}
	return ratios.median()
}

// measure takes the times of contestants by turns: in each round each has a short
// slice, in an order that is drawn anew. The garbage collector runs as it likes, with
// the same settings for all, on the cores that the contestant has.
func measure(e effort, now clock, contestants []contestant) map[string]times {
	all := map[string]times{}
	counts := make([]int, len(contestants))
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for i, c := range contestants {
		counts[i] = c.calibrate(now, e.slice)
	}
	for range e.rounds {
		for _, i := range rand.Perm(len(contestants)) {
			c := contestants[i]
			all[c.name] = append(all[c.name], float64(c.time(now, counts[i]))/float64(counts[i]*c.cores))
		}
	}
	return all
}

// calibrate finds how often a contestant can run in a slice.
func (c contestant) calibrate(now clock, slice time.Duration) int {
	for count := 1; ; count *= 2 {
		if took := c.time(now, count); took >= slice/4 {
			return max(1, int(int64(count)*int64(slice)/int64(took)))
		}
	}
}

// time runs a contestant count times on each of its cores.
func (c contestant) time(now clock, count int) time.Duration {
	if runtime.GOMAXPROCS(0) != c.cores {
		runtime.GOMAXPROCS(c.cores)
	}
	var others sync.WaitGroup
	start := now()
	for range c.cores - 1 {
		others.Go(func() {
			for range count {
				c.run()
			}
		})
	}
	for range count {
		c.run()
	}
	others.Wait()
	return now() - start
}

// cost is what one operation allocates.
type cost struct{ allocations, bytes float64 }

// costOf counts over some operations, alone on one core. What others allocate in
// the background meanwhile is less than one for each and is rounded away.
func costOf(run func()) cost {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	const runs = 200
	var before, after runtime.MemStats
	run()
	runtime.ReadMemStats(&before)
	for range runs {
		run()
	}
	runtime.ReadMemStats(&after)
	return cost{
		allocations: float64((after.Mallocs - before.Mallocs) / runs),
		bytes:       float64((after.TotalAlloc - before.TotalAlloc) / runs),
	}
}
