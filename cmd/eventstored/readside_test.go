package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/decider/process"
	"github.com/evolvego/evolve/decider/projection"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/sqlite"
)

type happened struct{ Job, Text string }

func jobs() codec.Source[happened] {
	return codec.Events(codec.From("Job", codec.JSON(map[string]happened{"Happened": {}}), func(_ *store.Recorded, e happened) happened { return e }))
}

func record(t *testing.T, st store.Store, job, text string) {
	t.Helper()
	event := store.Event{ID: store.NewID(), Type: "Happened", Schema: 1, ContentType: "application/json", Data: fmt.Appendf(nil, `{"Job":%q,"Text":%q}`, job, text)}
	if _, err := st.Append(t.Context(), store.Stream{Type: "Job", ID: job}, store.Any, []store.Event{event}); err != nil {
		t.Fatal(err)
	}
}

// ran runs run until it has reached position.
func ran(t *testing.T, run, reached func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	if err := reached(ctx); err != nil {
		t.Error(err)
	}
	cancel()
	if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestReadSideTools makes a file with a parked key of a projection and a quarantined
// instance of a process, and lists, releases, abandons and retires them.
func TestReadSideTools(t *testing.T) {
	t.Parallel()
	url := newFile(t)
	st, err := sqlite.Open(strings.TrimPrefix(url, "sqlite:"))
	if err != nil {
		t.Fatal(err)
	}
	record(t, st, "good", "a")
	record(t, st, "bad", "b")
	record(t, st, "worse", "c")
	broken := errors.New("it is broken")
	view := func(version int) *projection.Projection[*sqlite.Tx, happened] {
		return projection.New(st, st, "jobs", jobs(), func(_ context.Context, _ *sqlite.Tx, e projection.Event[happened]) error {
			if e.Event.Job != "good" {
				return projection.Permanent(broken)
			}
			return nil
		}).WithParking(10).WithVersion(version)
	}
	for _, version := range []int{1, 2} {
		p := view(version)
		ran(t, p.Run, func(ctx context.Context) error {
			for !p.Progress().Ready {
				select {
				case <-ctx.Done():
					return ctx.Err()
				case <-time.After(5 * time.Millisecond):
				}
			}
			return p.WaitFor(ctx, 3)
		})
	}
	p := process.New(st, st, "courier", decider.Process[happened, string, string]{
		Key:    func(e happened) (string, bool) { return e.Job, true },
		Evolve: func(s string, e happened) string { return s + e.Text },
		React: func(s string, _ happened) decider.Reaction[string, happened] {
			return decider.Reaction[string, happened]{Send: []string{s}}
		},
	}, jobs())
	ran(t, func(ctx context.Context) error {
		return p.Run(ctx, func(_ context.Context, c process.Command[string]) error {
			if c.Command != "a" {
				return process.Permanent(broken)
			}
			return nil
		})
	}, func(ctx context.Context) error {
		for {
			waiting, err := p.Instances(ctx, func(i process.Instance) bool { return i.Waiting != nil })
			if err != nil || len(waiting) == 2 {
				return err
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(5 * time.Millisecond):
			}
		}
	})
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}

	tool := func(args ...string) string { return strings.Join(must(t, "", append(args, "-store", url)...), "\n") }
	want := func(args []string, texts ...string) {
		t.Helper()
		got := strings.Join(strings.Fields(tool(args...)), " ")
		for _, text := range texts {
			if !strings.Contains(got, text) {
				t.Errorf("eventstored %q has no %q:\n%s", args, text, got)
			}
		}
	}
	want([]string{"projections"}, "PROJECTION STATE POSITION LAG PARKED", "jobs@1 ready 3 0 2", "jobs@2 active 3 0 2")
	want([]string{"projections", "jobs@1"}, "Job/bad 2 1 ", "Job/worse 3 1 ", broken.Error())
	want([]string{"projections", "-json"}, `{"build":"jobs@1","state":"ready","position":3,"lag":0,"parked":2}`)
	want([]string{"processes"}, "PROCESS POSITION LAG WAITING QUARANTINED", "courier@1 3 0 2 2")
	want([]string{"processes", "courier@1"}, "bad 2 ", "worse 3 ", broken.Error())
	want([]string{"checkpoints"}, "jobs@1 3 0", "jobs@2 3 0", "process/courier@1 3 0")

	inConsole(t, url)
	want([]string{"processes", "courier@1", "-release", "bad"}, "would release bad of courier@1")
	want([]string{"processes"}, "courier@1 3 0 2 2")
	want([]string{"processes", "courier@1", "-release", "bad", "-yes"}, "released bad of courier@1")
	want([]string{"processes"}, "courier@1 3 0 2 1")
	want([]string{"processes", "courier@1", "-abandon", "worse", "-yes"}, "abandoned worse of courier@1")
	want([]string{"processes"}, "courier@1 3 0 1 0")

	want([]string{"projections", "jobs@1", "-retire"}, "would retire jobs@1")
	want([]string{"projections", "jobs@1", "-retire", "-yes"}, "retired jobs@1")
	want([]string{"projections"}, "jobs@1 retired 0 3 0", "jobs@2 active 3 0 2")
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"projections", "jobs@2", "-retire", "-yes"}, "active"},
		{[]string{"projections", "jobs@3", "-retire", "-yes"}, "there is no jobs@3"},
		{[]string{"projections", "jobs", "-retire", "-yes"}, "is not NAME@VERSION"},
		{[]string{"projections", "-retire"}, "is missing"},
		{[]string{"projections", "-yes"}, "-yes needs -retire"},
		{[]string{"processes", "courier@1", "-release", "good", "-yes"}, "wait"},
		{[]string{"processes", "courier@1", "-release", "nobody", "-yes"}, "instance"},
		{[]string{"processes", "courier@2", "-release", "bad", "-yes"}, "there is no courier@2"},
		{[]string{"processes", "-release", "bad"}, "NAME@VERSION is missing"},
		{[]string{"processes", "courier@1", "-release", "bad", "-abandon", "bad"}, "exclude each other"},
	} {
		if got := do(t, "", append(tt.args, "-store", url)...); got.err == nil || !strings.Contains(got.err.Error(), tt.want) {
			t.Errorf("eventstored %q = %v, want %q", tt.args, got.err, tt.want)
		}
	}
}
