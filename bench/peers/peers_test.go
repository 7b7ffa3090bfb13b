package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/evolvego/evolve/store/postgres/postgrestest"
)

// TestDrivers checks that every library does the job, so that its times mean something.
func TestDrivers(t *testing.T) {
	t.Parallel()
	for _, table := range tables() {
		for _, row := range table.rows {
			t.Run(table.name+"/"+row.name, func(t *testing.T) {
				t.Parallel()
				if table.name == "postgres" {
					postgrestest.URL(t) // it skips if there is no server, and fails in CI
				}
				if err := checkRow(t.Context(), table, row); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// broken is a driver with a fault.
type broken struct {
	driver

	fault string
}

func (b *broken) open(ctx context.Context, stream stream) error {
	if err := b.driver.open(ctx, stream); b.fault != "it opens what is open" || !errors.Is(err, errAlreadyOpen) {
		return err
	}
	return nil
}

func (b *broken) deposit(ctx context.Context, stream stream, amount int64) error {
	if b.fault == "it deposits what is negative" && amount < 0 {
		return nil
	}
	if b.fault == "it does not deposit" {
		_, err := b.replay(ctx, stream)
		return err
	}
	return b.driver.deposit(ctx, stream, amount)
}

func (b *broken) appender(ctx context.Context, stream stream) (func(k int) error, error) {
	add, err := b.driver.appender(ctx, stream)
	return func(k int) error {
		switch b.fault {
		case "it loses the end of a batch":
			k = min(k, 400)
		case "it says that a conflict was appended":
			_ = add(k)
			return nil
		}
		return add(k)
	}, err
}

func (b *broken) conflict(err error) bool {
	return b.fault == "every error is a conflict" || b.fault != "no error is a conflict" && b.driver.conflict(err)
}

func (b *broken) replay(ctx context.Context, stream stream) (account, error) {
	a, err := b.driver.replay(ctx, stream)
	if b.fault == "it forgets the owner" {
		a.Owner = ""
	}
	return a, err
}

// TestCheck checks that the check of a driver finds faults.
func TestCheck(t *testing.T) {
	t.Parallel()
	for _, fault := range []string{
		"it opens what is open", "it deposits what is negative", "it does not deposit", "it loses the end of a batch",
		"it says that a conflict was appended", "every error is a conflict", "no error is a conflict", "it forgets the owner",
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			d, err := floorMemory().open(t.Context(), "")
			if err != nil {
				t.Fatal(err)
			}
			if err := check(t.Context(), &broken{driver: d, fault: fault}, 0); err == nil {
				t.Error("the check does not find it")
			}
		})
	}
}

// TestResults runs every job briefly on the rows in memory, and reads the report.
func TestResults(t *testing.T) {
	t.Parallel()
	s := settings{tables: tables()[:1], jobs: jobs(), rounds: 1, each: time.Nanosecond}
	text, err := s.results(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, j := range jobs() {
		if got := strings.Count(text, "\n| "+j.name+" |"); got != 4 {
			t.Errorf("%s is in %d tables of the report, want stores, time, time on a processor and allocations:\n%s", j.name, got, text)
		}
	}
}

// TestRatio checks that a ratio is the median of the ratios of the rounds, not the
// ratio of medians.
func TestRatio(t *testing.T) {
	t.Parallel()
	r := result{rounds: [][]per{{{wall: 10}, {wall: 10}}, {{wall: 90}, {wall: 30}}, {{wall: 20}, {wall: 10}}}}
	if got := r.ratio(1, wall); got != 2 {
		t.Errorf("ratio = %v, want 2", got)
	}
	if got := r.of(0, wall); got != 20 {
		t.Errorf("median of evolve = %v, want 20", got)
	}
}

// TestLost checks that the report names a job at which a peer is faster, but not one at
// which only a floor is.
func TestLost(t *testing.T) {
	t.Parallel()
	table := table{title: "Memory", rows: []row{{name: "evolve", ours: true}, {name: "by hand", by: true}, {name: "fast"}, {name: "slow"}}}
	r := result{job: job{name: "hot"}, rounds: [][]per{{{wall: 30, cpu: 40}, {wall: 10, cpu: 10}, {wall: 20, cpu: 20}, {wall: 60, cpu: 60}}}}
	got := strings.Join(lost(table, []result{r}), "\n")
	if want := "- Memory, hot: 1.50 times the time of fast, 2.00 times its time on a processor."; got != want {
		t.Errorf("lost = %q, want %q", got, want)
	}
}

// TestPublish checks that the results replace only the earlier results in the page.
func TestPublish(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "bench", "peers")
	page := filepath.Join(dir, pageFile)
	for _, d := range []string{dir, filepath.Dir(page)} {
		if err := os.MkdirAll(d, 0o750); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(page, []byte("# Page\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := publish(dir, "new\n"); err == nil {
		t.Error("publish writes into a page without a place for results")
	}
	if err := os.WriteFile(page, []byte("# Page\n"+begins+"\nold\n\n"+ends+"End.\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := publish(dir, "new\n"); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{page: "# Page\n" + begins + "\nnew\n\n" + ends + "End.\n", filepath.Join(dir, resultsFile): "new\n"} {
		if got, err := os.ReadFile(name); err != nil || string(got) != want {
			t.Errorf("%s is %q (%v), want %q", name, got, err, want)
		}
	}
}

// TestChosen checks that unknown names are refused.
func TestChosen(t *testing.T) {
	t.Parallel()
	name := func(j job) string { return j.name }
	if got, err := chosen("hot,append-1", jobs(), name); err != nil || len(got) != 2 || got[0].name != "append-1" {
		t.Errorf("chosen = %v, %v, want append-1 and hot", got, err)
	}
	if _, err := chosen("hot,cold", jobs(), name); err == nil {
		t.Error("a job that does not exist is chosen")
	}
}
