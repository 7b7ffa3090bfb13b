package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
)

// check returns an error unless a driver does the job. No driver is timed before it
// passes. It uses at most ten streams, beginning with stream n.
func check(ctx context.Context, d driver, n int) error {
	for i, law := range []struct {
		name string
		keep func(ctx context.Context, d driver, next func() stream) error
	}{
		{"a command is decided on what happened", checkCommands},
		{"a rejected command leaves nothing", checkRejections},
		{"a batch is appended whole and in order", checkBatches},
		{"an append at an old version is a conflict", checkConflict},
		{"no deposit of many at once is lost", checkRaces},
	} {
		used := n + 2*i
		if err := law.keep(ctx, d, func() stream { used++; return numbered(used - 1) }); err != nil {
			return fmt.Errorf("%s: %w", law.name, err)
		}
	}
	return nil
}

// want returns an error unless the stream holds the account a.
func want(ctx context.Context, d driver, stream stream, a account) error {
	got, err := d.replay(ctx, stream)
	if err == nil && got != a {
		err = fmt.Errorf("replay gives %+v, want %+v", got, a)
	}
	return err
}

func checkCommands(ctx context.Context, d driver, next func() stream) error {
	s := next()
	if err := d.open(ctx, s); err != nil {
		return err
	}
	for range 3 {
		if err := d.deposit(ctx, s, 5); err != nil {
			return err
		}
	}
	return want(ctx, d, s, account{Opened: true, Owner: owner, Balance: 15, Count: 4})
}

func checkRejections(ctx context.Context, d driver, next func() stream) error {
	s := next()
	if err := d.open(ctx, s); err != nil {
		return err
	}
	if err := d.open(ctx, s); !errors.Is(err, errAlreadyOpen) {
		return fmt.Errorf("open an open account: %w, want %w", orNil(err), errAlreadyOpen)
	}
	if err := d.deposit(ctx, s, -1); !errors.Is(err, errAmount) {
		return fmt.Errorf("deposit -1: %w, want %w", orNil(err), errAmount)
	}
	if err := d.deposit(ctx, next(), 1); err == nil || d.conflict(err) {
		return fmt.Errorf("deposit into an account that was never opened: %w, want a rejection", orNil(err))
	}
	return want(ctx, d, s, account{Opened: true, Owner: owner, Count: 1})
}

var errNone = errors.New("no error")

// orNil returns err, or an error that says there was none.
func orNil(err error) error {
	if err == nil {
		return errNone
	}
	return err
}

func checkBatches(ctx context.Context, d driver, next func() stream) error {
	s := next()
	if err := seed(ctx, d, s, 1011); err != nil {
		return err
	}
	if err := want(ctx, d, s, account{Opened: true, Owner: owner, Balance: 1010, Count: 1011}); err != nil {
		return err
	}
	if err := d.deposit(ctx, s, 7); err != nil {
		return err
	}
	return want(ctx, d, s, account{Opened: true, Owner: owner, Balance: 1017, Count: 1012})
}

func checkConflict(ctx context.Context, d driver, next func() stream) error {
	for _, k := range []int{1, 10} {
		s := next()
		add, err := d.appender(ctx, s)
		if err != nil {
			return err
		}
		if err := d.deposit(ctx, s, 1); err != nil { // it appends to the stream behind the appender's back
			return err
		}
		if err := add(k); err == nil || !d.conflict(err) {
			return fmt.Errorf("append %d events at version 1 of 2: %w, want a conflict", k, orNil(err))
		}
		if err := want(ctx, d, s, account{Opened: true, Owner: owner, Balance: 1, Count: 2}); err != nil {
			return err
		}
	}
	return nil
}

func checkRaces(ctx context.Context, d driver, next func() stream) error {
	const workers, each = 4, 10
	s := next()
	if err := d.open(ctx, s); err != nil {
		return err
	}
	errs := make([]error, workers)
	var working sync.WaitGroup
	for i := range errs {
		working.Go(func() {
			for range each {
				if errs[i] == nil {
					_, errs[i] = insist(d, func() error { return d.deposit(ctx, s, 1) })
				}
			}
		})
	}
	working.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return want(ctx, d, s, account{Opened: true, Owner: owner, Balance: workers * each, Count: 1 + workers*each})
}

// insist retries until there is no conflict, and returns the number of attempts.
func insist(d driver, try func() error) (tries int, err error) {
	for tries = 1; ; tries++ {
		if err = try(); err == nil || !d.conflict(err) {
			return tries, err
		}
		runtime.Gosched()
	}
}

// seed creates a stream of k events. The first one opens the account.
func seed(ctx context.Context, d driver, stream stream, k int) error {
	if k == 0 {
		return nil
	}
	add, err := d.appender(ctx, stream)
	for left := k - 1; left > 0 && err == nil; left -= 500 {
		err = add(min(left, 500))
	}
	return err
}
