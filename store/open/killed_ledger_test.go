package open_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/evolvego/evolve/decider/projection"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/open"
	"github.com/evolvego/evolve/store/postgres"
	"github.com/evolvego/evolve/store/sqlite"
)

// ledger is what the log says: the tallies at every position, and the outcome of each
// task.
type ledger struct {
	next                  uint64             // position to read next
	history               map[string][]entry // of each bucket, and of all
	tasks                 map[string]*task
	events, landed, fired int
}

// all is the bucket that counts every event.
const all = ""

// entry is a tally from a position on.
type entry struct {
	position uint64
	is       tally
}

// task is what has happened to a task.
type task struct {
	begun, near, stopped bool
	fired                int
	done                 map[string]int // how often each command has landed
}

func newLedger() *ledger {
	return &ledger{next: 1, history: map[string][]entry{}, tasks: map[string]*task{}}
}

// read reads the new events of the log. It returns an error if anything was done twice.
func (l *ledger) read(ctx context.Context, st store.Log) (wrong error) {
	for {
		page, err := st.ReadAll(ctx, store.LogOptions{From: l.next})
		if err != nil {
			return err
		}
		for i := range page.Events {
			if err := l.take(&page.Events[i]); err != nil && wrong == nil {
				wrong = fmt.Errorf("position %d: %w", page.Events[i].Position, err)
			}
		}
		l.next = page.Next
		if page.End {
			return wrong
		}
	}
}

func (l *ledger) take(r *store.Recorded) error {
	recorded := []store.Recorded{*r}
	id := r.Stream.ID
	t := l.tasks[id]
	if t == nil {
		t = &task{done: map[string]int{}}
		l.tasks[id] = t
	}
	l.events++
	switch r.Stream.Type {
	case taskStream:
		events, err := taskCodec().Decode(nil, recorded)
		if err != nil {
			return err
		}
		l.count(events[0].Bucket, r.Position)
		t.begun = true
		t.near = t.near || events[0].Kind == "begun" && events[0].After <= longestNear
		t.stopped = t.stopped || events[0].Kind == "stopped"
	case workStream:
		events, err := workCodec().Decode(nil, recorded)
		if err != nil {
			return err
		}
		l.count("work", r.Position)
		l.landed++
		what := events[0].What
		if t.done[what]++; t.done[what] > 1 {
			return fmt.Errorf("command %q of task %s has landed %d times", what, id, t.done[what])
		}
	case processName:
		l.fired++
		if t.fired++; t.fired > 1 {
			return fmt.Errorf("the timer of task %s has fired %d times", id, t.fired)
		}
	}
	return nil
}

func (l *ledger) count(bucket string, position uint64) {
	for _, b := range []string{bucket, all} {
		h := l.history[b]
		last := entry{}
		if len(h) > 0 {
			last = h[len(h)-1]
		}
		l.history[b] = append(h, entry{position, last.is.add(counted{b, position})})
	}
}

// at returns the tally of a bucket at a position.
func (l *ledger) at(bucket string, position uint64) tally {
	h := l.history[bucket]
	n := sort.Search(len(h), func(i int) bool { return h[i].position > position })
	if n == 0 {
		return tally{}
	}
	return h[n-1].is
}

// owed returns the number of timers that have to fire.
func (l *ledger) owed() (n int) {
	for _, t := range l.tasks {
		if t.near && t.fired == 0 {
			n++
		}
	}
	return n
}

// complete returns an error if anything that a task requires was not done exactly once,
// or if anything else was done.
func (l *ledger) complete() (wrong error) {
	for id, t := range l.tasks {
		want := map[string]int{"begin": 1}
		fired := 0
		switch {
		case t.near:
			want["end"], fired = 1, 1
		case t.stopped:
			want["stop"] = 1
		}
		if !t.begun || !maps.Equal(t.done, want) || t.fired != fired {
			wrong = errors.Join(wrong, fmt.Errorf("task %s (begun %v, near %v, stopped %v): commands %v, %d timers; want %v and %d",
				id, t.begun, t.near, t.stopped, t.done, t.fired, want, fired))
		}
	}
	return wrong
}

// model is a read model in its current state.
type model struct {
	name     string
	position uint64
	is       map[string]tally
	unhashed bool // it has no hash
}

// compare returns an error if m differs from the log up to its position.
func (l *ledger) compare(m model) (wrong error) {
	buckets := slices.Collect(maps.Keys(m.is))
	if _, ok := m.is[all]; !ok {
		buckets = slices.DeleteFunc(slices.Collect(maps.Keys(l.history)), func(b string) bool { return b == all })
		for b := range m.is {
			if l.history[b] == nil {
				buckets = append(buckets, b)
			}
		}
	}
	for _, b := range buckets {
		want := l.at(b, m.position)
		if m.unhashed {
			want.Hash = 0
		}
		if m.is[b] != want {
			wrong = errors.Join(wrong, fmt.Errorf("%s at position %d has %+v for %q, but the log up to there has %+v",
				m.name, m.position, m.is[b], b, want))
		}
	}
	return wrong
}

// parseImage parses an image that a program has printed.
func parseImage(line string) (model, error) {
	var n [4]uint64
	words := strings.Fields(line)
	if len(words) != 1+len(n) {
		return model{}, fmt.Errorf("the program prints %q", line)
	}
	for i := range n {
		var err error
		if n[i], err = strconv.ParseUint(words[1+i], 10, 64); err != nil {
			return model{}, err
		}
	}
	return model{name: "the image", position: n[0], is: map[string]tally{all: {n[1], n[2], n[3]}}}, nil
}

// readModels returns the table and the documents of a store.
func readModels(ctx context.Context, st open.Backend) ([]model, error) {
	var table, documents model
	var err error
	switch st := st.(type) {
	case *sqlite.Store:
		p := onSQLite(st)
		table, err = still(ctx, st, inTable(p).String(), func() (map[string]tally, error) { return sqliteTable(ctx, st) })
		if err == nil {
			documents, err = still(ctx, st, inDocuments(p).String(), func() (map[string]tally, error) { return states(ctx, inDocuments(p)) })
		}
	case *postgres.Store:
		p := onPostgres(st)
		table, err = still(ctx, st, inTable(p).String(), func() (map[string]tally, error) { return postgresTable(ctx, st) })
		if err == nil {
			documents, err = still(ctx, st, inDocuments(p).String(), func() (map[string]tally, error) { return states(ctx, inDocuments(p)) })
		}
	}
	table.unhashed = true
	return []model{table, documents}, err
}

// still returns the result of read if the checkpoint of a build does not change
// meanwhile, because the server may still be committing for a program that was killed.
func still(ctx context.Context, st store.Checkpoints, build string, read func() (map[string]tally, error)) (model, error) {
	for {
		at, err := st.LoadCheckpoint(ctx, build)
		if err != nil || at.Position == 0 { // the program was killed before it had a table
			return model{name: build}, err
		}
		is, err := read()
		if err != nil {
			return model{}, err
		}
		if again, err := st.LoadCheckpoint(ctx, build); err != nil || again == at {
			return model{name: build, position: at.Position, is: is}, err
		}
	}
}

func states[T projection.Tx](ctx context.Context, p *projection.Projection[T, counted]) (map[string]tally, error) {
	found, err := projection.Scan[tally](ctx, p, "", "", 0)
	is := map[string]tally{}
	for _, e := range found {
		is[e.Key] = e.State
	}
	return is, err
}

const selectTallies = `SELECT bucket, events, sum FROM tally`

func sqliteTable(ctx context.Context, st *sqlite.Store) (is map[string]tally, err error) {
	err = st.Update(ctx, func(tx *sqlite.Tx) error {
		found, err := tx.Query(selectTallies)
		if err != nil {
			return err
		}
		defer found.Close()
		is, err = tallies(found)
		return err
	})
	return is, err
}

func postgresTable(ctx context.Context, st *postgres.Store) (is map[string]tally, err error) {
	err = st.Update(ctx, func(tx *postgres.Tx) error {
		found, err := tx.Query(ctx, selectTallies)
		if err != nil {
			return err
		}
		defer found.Close()
		is, err = tallies(found)
		return err
	})
	return is, err
}

// tallies reads the rows of either database.
func tallies(found interface {
	Next() bool
	Scan(dest ...any) error
	Err() error
},
) (map[string]tally, error) {
	is := map[string]tally{}
	for found.Next() {
		var bucket string
		var row tally
		if err := found.Scan(&bucket, &row.Events, &row.Sum); err != nil {
			return nil, err
		}
		is[bucket] = row
	}
	return is, found.Err()
}
