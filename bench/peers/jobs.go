package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// job is one thing that is timed for every library.
type job struct {
	name, what string
	// once times some operations on a bench. Preparations are not timed.
	once func(ctx context.Context, b *bench) error
}

func jobs() []job {
	const command = "load a stream of %d events, decide, append one event"
	return []job{
		{"command-0", "begin a stream: find that it is empty, decide, append one event", begin},
		{"command-10", fmt.Sprintf(command, 10), onStreams(10)},
		{"command-100", fmt.Sprintf(command, 100), onStreams(100)},
		{"command-1000", fmt.Sprintf(command, 1000), onStreams(1000)},
		{"append-1", "append one event at a known version, without a load", batches(1)},
		{"append-10", "append ten events in one batch at a known version, without a load", batches(10)},
		{"replay-10k", "load and fold a stream of 10,000 events", replays},
		{"parallel", "commands on streams of 1 to 100 events, a goroutine for each processor, a stream for each goroutine", parallel},
		{"hot", "the same on one stream for all goroutines; each repeats a command until it wins", hot},
	}
}

// bench is a driver in a place, and what its operations cost.
type bench struct {
	cost

	row    row
	store  store
	driver driver
	remove func()
	number int     // of the next stream
	long   *stream // the stream of replays, once it exists
}

// ready opens the driver in a new place.
func (b *bench) ready(ctx context.Context) error {
	at, remove, err := b.store.place(ctx)
	if err != nil {
		return err
	}
	b.remove = remove
	b.driver, err = b.row.open(ctx, at)
	return err
}

// close closes the driver and removes its place.
func (b *bench) close() error {
	if b.remove == nil {
		return nil
	}
	var err error
	if b.driver != nil {
		err = b.driver.close()
	}
	b.remove()
	b.driver, b.remove = nil, nil
	return err
}

// streams creates n streams with k events each. It creates a memory store anew for
// them, so that a store that scans all its events has no disadvantage.
func (b *bench) streams(ctx context.Context, n, k int) ([]stream, error) {
	if !b.store.durable() {
		if err := errors.Join(b.close(), b.ready(ctx)); err != nil {
			return nil, err
		}
	}
	all := make([]stream, n)
	for i := range all {
		all[i] = numbered(b.number)
		b.number++
		if err := seed(ctx, b.driver, all[i], k); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// some returns one number for memory stores, and a smaller one for slower stores.
func (b *bench) some(memory, durable int) int {
	if b.store.durable() {
		return durable
	}
	return memory
}

func begin(ctx context.Context, b *bench) error {
	streams, err := b.streams(ctx, b.some(512, 16), 0)
	if err != nil {
		return err
	}
	return b.timed(len(streams), func() error {
		for _, s := range streams {
			if err := b.driver.open(ctx, s); err != nil {
				return err
			}
		}
		return nil
	})
}

// onStreams runs commands on streams of k events, which grow by at most a twentieth.
// The first command on a stream is not timed, so that the cache of a library is warm.
func onStreams(k int) func(ctx context.Context, b *bench) error {
	return func(ctx context.Context, b *bench) error {
		each := max(1, k/20)
		streams, err := b.streams(ctx, max(1, b.some(64, 16)/each), k-1)
		if err != nil {
			return err
		}
		for _, s := range streams {
			if err := b.driver.deposit(ctx, s, 1); err != nil {
				return err
			}
		}
		return b.timed(len(streams)*each, func() error {
			for _, s := range streams {
				for range each {
					if err := b.driver.deposit(ctx, s, 1); err != nil {
						return err
					}
				}
			}
			return nil
		})
	}
}

// batches appends k events at a time to a stream, up to 1000 events, or 200 on a slower
// store.
func batches(k int) func(ctx context.Context, b *bench) error {
	return func(ctx context.Context, b *bench) error {
		streams, err := b.streams(ctx, 1, 0)
		if err != nil {
			return err
		}
		add, err := b.driver.appender(ctx, streams[0])
		if err != nil {
			return err
		}
		n := b.some(1000, 200) / k
		return b.timed(n, func() error {
			for range n {
				if err := add(k); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

func replays(ctx context.Context, b *bench) error {
	const events, n = 10_000, 4
	if b.long == nil {
		streams, err := b.streams(ctx, 1, events)
		if err != nil {
			return err
		}
		b.long = &streams[0]
	}
	return b.timed(n, func() error {
		for range n {
			a, err := b.driver.replay(ctx, *b.long)
			if err != nil {
				return err
			}
			if a.Count != events || a.Balance != events-1 {
				return fmt.Errorf("replay gives %+v, want %d events", a, events)
			}
		}
		return nil
	})
}

// workers is how many goroutines work at the same time.
func workers() int { return runtime.GOMAXPROCS(0) }

// together runs the same function in all workers, and counts their attempts.
func (b *bench) together(f func(worker int) (tries int, err error)) error {
	errs := make([]error, workers())
	var tries atomic.Int64
	var working sync.WaitGroup
	for i := range errs {
		working.Go(func() {
			n, err := f(i)
			errs[i] = err
			tries.Add(int64(n))
		})
	}
	working.Wait()
	b.tries += int(tries.Load())
	return errors.Join(errs...)
}

// length is how many events the streams of parallel and hot get.
const length = 100

func parallel(ctx context.Context, b *bench) error {
	each := b.some(8, 1)
	streams, err := b.streams(ctx, each*workers(), 1)
	if err != nil {
		return err
	}
	return b.timed(len(streams)*(length-1), func() error {
		return b.together(func(worker int) (tries int, err error) {
			for _, s := range streams[worker*each : (worker+1)*each] {
				for range length - 1 {
					n, err := insist(b.driver, func() error { return b.driver.deposit(ctx, s, 1) })
					if tries += n; err != nil {
						return tries, err
					}
				}
			}
			return tries, nil
		})
	})
}

func hot(ctx context.Context, b *bench) error {
	streams, err := b.streams(ctx, b.some(8, 1), 1)
	if err != nil {
		return err
	}
	commands := len(streams) * (length - 1)
	return b.timed(commands, func() error {
		var taken atomic.Int64
		return b.together(func(int) (tries int, err error) {
			for {
				i := int(taken.Add(1)) - 1
				if i >= commands {
					return tries, nil
				}
				s := streams[i/(length-1)]
				n, err := insist(b.driver, func() error { return b.driver.deposit(ctx, s, 1) })
				if tries += n; err != nil {
					return tries, err
				}
			}
		})
	})
}

// run times a job for about the given duration, and returns the cost of an operation.
func (b *bench) run(ctx context.Context, j job, atLeast time.Duration) (per, error) {
	runtime.GC()
	b.cost = cost{}
	for b.wall < atLeast {
		if err := j.once(ctx, b); err != nil {
			return per{}, fmt.Errorf("%s, %s: %w", b.row.name, j.name, err)
		}
	}
	return b.per(), nil
}
