package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// result has the cost of a job for every row of a table, round by round.
type result struct {
	job    job
	rounds [][]per // by round, then by row
}

// compare checks the rows of a table, and then runs every job on all of them in turns.
// One round runs each row once, so other work on the machine affects all rows alike,
// and a ratio compares two results of the same round.
func compare(ctx context.Context, t table, js []job, rounds int, each time.Duration) ([]result, error) {
	for _, r := range t.rows {
		if err := checkRow(ctx, t, r); err != nil {
			return nil, err
		}
	}
	results := make([]result, 0, len(js))
	for _, j := range js {
		r, err := compareJob(ctx, t, j, rounds, each)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", t.name, err)
		}
		results = append(results, r)
	}
	return results, nil
}

// checkRow checks a row in a place of its own.
func checkRow(ctx context.Context, t table, r row) (err error) {
	b := bench{row: r, store: t.store}
	defer func() { err = errors.Join(err, b.close()) }()
	if err := b.ready(ctx); err != nil {
		return fmt.Errorf("%s, %s: %w", t.name, r.name, err)
	}
	if err := check(ctx, b.driver, 0); err != nil {
		return fmt.Errorf("%s, %s does not do the job: %w", t.name, r.name, err)
	}
	return nil
}

func compareJob(ctx context.Context, t table, j job, rounds int, each time.Duration) (r result, err error) {
	benches := make([]bench, len(t.rows))
	defer func() {
		for i := range benches {
			err = errors.Join(err, benches[i].close())
		}
	}()
	for i, row := range t.rows {
		benches[i] = bench{row: row, store: t.store}
		if err := benches[i].ready(ctx); err != nil {
			return r, fmt.Errorf("%s: %w", row.name, err)
		}
		if _, err := benches[i].run(ctx, j, 0); err != nil { // do what happens only once, such as preparing a statement
			return r, err
		}
	}
	r.job = j
	for round := range rounds {
		took := make([]per, len(benches))
		for n := range benches {
			i := (n + round) % len(benches) // each row comes first in turn
			if took[i], err = benches[i].run(ctx, j, each); err != nil {
				return r, err
			}
		}
		r.rounds = append(r.rounds, took)
	}
	return r, nil
}

// median returns the median of f over the rounds.
func (r result) median(f func(round []per) float64) float64 {
	all := make([]float64, len(r.rounds))
	for i, round := range r.rounds {
		all[i] = f(round)
	}
	slices.Sort(all)
	n := len(all)
	return (all[(n-1)/2] + all[n/2]) / 2
}

// measure is one of the numbers of an operation.
type measure func(p per) float64

func wall(p per) float64 { return p.wall }
func cpu(p per) float64  { return p.cpu }

// of returns the median of a measure of a row.
func (r result) of(row int, m measure) float64 {
	return r.median(func(round []per) float64 { return m(round[row]) })
}

// ratio returns the median ratio of evolve, which is the first row, to another row.
func (r result) ratio(row int, m measure) float64 {
	return r.median(func(round []per) float64 { return m(round[0]) / m(round[row]) })
}
