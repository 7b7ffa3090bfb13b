package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	otelprom "go.opentelemetry.io/otel/exporters/prometheus"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
	"google.golang.org/grpc/codes"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/decider/otelevolve"
	"github.com/evolvego/evolve/decider/process"
	"github.com/evolvego/evolve/decider/projection"
	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/grpc/server"
	"github.com/evolvego/evolve/store/memory"
	"github.com/evolvego/evolve/store/storetest/faults"
)

// labels are the labels of each metric. The names of metrics have no suffixes of
// histograms.
type labels map[string][]string

// registered adds the metrics that are registered and have a value.
func (l labels) registered(t *testing.T, r prometheus.Gatherer) {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, pair := range m.GetLabel() {
				if !slices.Contains(l[f.GetName()], pair.GetName()) {
					l[f.GetName()] = append(l[f.GetName()], pair.GetName())
				}
			}
		}
		l[f.GetName()] = append(l[f.GetName()], "job", "instance") // those that Prometheus adds
	}
}

// serverMetrics are the metrics of a server after some calls.
func serverMetrics(t *testing.T, l labels) {
	t.Helper()
	m := newMetrics(memory.New())
	for _, code := range []codes.Code{codes.OK, codes.Aborted} {
		c := server.Call{Method: "Append", Code: code, Events: 1, Bytes: 10, Duration: time.Millisecond}
		m.Begin(t.Context(), c)
		m.End(t.Context(), c)
	}
	l.registered(t, m.registry)
}

type (
	deposited struct{ Cents int }
	balance   struct{ Cents int }
)

// programMetrics are the metrics of a program with decider/otelevolve. The program runs
// commands on streams with conflicts, a projection and a process.
func programMetrics(t *testing.T, l labels) {
	t.Helper()
	registry := prometheus.NewRegistry()
	reader, err := otelprom.New(otelprom.WithRegisterer(registry))
	if err != nil {
		t.Fatal(err)
	}
	tel := otelevolve.New(otelevolve.Config{
		TracerProvider: tracenoop.NewTracerProvider(), MeterProvider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)),
	})
	st := memory.New()
	f := faults.Wrap(st, 1, faults.Rate{})
	events := codec.JSON(map[string]deposited{"Deposited": {}})
	d := decider.New(
		func(cents int, _ balance) ([]deposited, error) { return []deposited{{cents}}, nil },
		func(b balance, e deposited) balance { return balance{b.Cents + e.Cents} })
	accounts := runner.New("Account", d, f.Store(), events).WithObserver(tel.Runner()).
		WithSnapshots(runner.Snapshots[balance, deposited]{Store: st, Schema: "1", Every: 1})
	source := codec.Events(codec.From("Account", events, func(_ *store.Recorded, e deposited) deposited { return e }))
	balances := projection.New(st, st, "balances", source, func(_ context.Context, _ *memory.Tx, e projection.Event[deposited]) error {
		if e.Event.Cents == 13 {
			return projection.Permanent(errors.New("unlucky"))
		}
		return nil
	}).WithParking(1).WithObserver(tel.Projection())
	transfers := process.New(st, st, "Transfers", decider.Process[deposited, int, int]{
		Key:    func(deposited) (string, bool) { return "t", true },
		Evolve: func(n int, e deposited) int { return n + e.Cents },
		React: func(n int, _ deposited) decider.Reaction[int, deposited] {
			return decider.Reaction[int, deposited]{Send: []int{n}}
		},
	}, source).WithObserver(tel.Process())
	defer tel.WatchProjection(balances)()
	defer tel.WatchProcess(transfers)()
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() { _ = balances.Run(ctx) })
	done.Go(func() { _ = transfers.Run(ctx, func(context.Context, process.Command[int]) error { return nil }) })
	f.Next(faults.Refuse)
	var last runner.Outcome[balance, deposited]
	for _, cents := range []int{1, 13, 2} {
		if last, err = accounts.Handle(ctx, "a", cents); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(balances.WaitFor(ctx, last.Position), transfers.WaitFor(ctx, last.Position)); err != nil {
		t.Fatal(err)
	}
	tel.Process().Observe(ctx, process.Notice{Kind: process.RunFailed, Process: "Transfers@1", Err: store.ErrLogDiverged})
	l.registered(t, registry)
	cancel()
	done.Wait()
}

var (
	metric   = regexp.MustCompile(`\b((?:eventstored|evolve|go|process)_[a-z0-9_]+)\b(?:\{([^}]*)\})?`)
	byLabels = regexp.MustCompile(`\b(?:by|on) \(([^)]*)\)`)
	matcher  = regexp.MustCompile(`(\w+)(?:=~|!~|!=|=)"`)
)

// isLabel reports whether name is the name of a label. These have the same prefix as
// our metrics.
func isLabel(name string) bool {
	label, ours := strings.CutPrefix(name, "evolve_")
	return ours && slices.Contains([]string{"stream_type", "outcome", "projection", "process", "reason", "state", "result"}, label)
}

// check checks that all metrics of an expression exist, with the labels that it
// selects.
func (l labels) check(t *testing.T, where, expr string) {
	t.Helper()
	rest := byLabels.ReplaceAllString(expr, "")
	found := 0
	for _, m := range metric.FindAllStringSubmatch(rest, -1) {
		name, has := m[1], l[m[1]]
		if isLabel(name) {
			continue
		}
		found++
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			if base, ok := strings.CutSuffix(name, suffix); ok && has == nil {
				has = l[base]
			}
		}
		if has == nil {
			t.Errorf("%s: no code registers %s", where, name)
			continue
		}
		for _, label := range matcher.FindAllStringSubmatch(m[2], -1) {
			if !slices.Contains(has, label[1]) {
				t.Errorf("%s: %s has no label %s, but %q", where, name, label[1], has)
			}
		}
		for _, by := range byLabels.FindAllStringSubmatch(expr, -1) {
			for label := range strings.SplitSeq(by[1], ",") {
				if label = strings.TrimSpace(label); label != "le" && !slices.Contains(has, label) {
					t.Errorf("%s: %s has no label %s, but %q", where, name, label, has)
				}
			}
		}
	}
	if found == 0 && !strings.Contains(expr, "up{") && !strings.Contains(expr, "__name__") {
		t.Errorf("%s: no metric in %s", where, expr)
	}
}

// TestDashboards checks that the dashboards can be imported, and that no panel is dead.
func TestDashboards(t *testing.T) {
	t.Parallel()
	known := labels{}
	serverMetrics(t, known)
	programMetrics(t, known)
	var used strings.Builder
	for _, name := range []string{"server", "program"} {
		text := strings.Join(must(t, "", "dashboard", name), "\n")
		used.WriteString(text)
		var board struct {
			UID, Title    string
			SchemaVersion int
			Templating    struct {
				List []struct{ Name, Type string }
			}
			Panels []struct {
				ID                 int
				Title, Description string
				Datasource         struct{ UID string }
				Targets            []struct{ Expr, LegendFormat string }
			}
		}
		if err := json.Unmarshal([]byte(text), &board); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if board.SchemaVersion < 39 || len(board.Panels) > 14 || len(board.Panels) < 10 || board.UID == "" || board.Title == "" || len(board.Templating.List) != 2 {
			t.Errorf("%s: schema %d, %d panels, %d variables", name, board.SchemaVersion, len(board.Panels), len(board.Templating.List))
		}
		ids := map[int]bool{}
		for _, p := range board.Panels {
			if ids[p.ID] || p.Title == "" || p.Description == "" || p.Datasource.UID != "${datasource}" || len(p.Targets) == 0 {
				t.Errorf("%s: the panel %q has no title, no description, no source, no target, or a duplicate id", name, p.Title)
			}
			ids[p.ID] = true
			for _, target := range p.Targets {
				known.check(t, name+"/"+p.Title, target.Expr)
				if !strings.Contains(target.Expr, `job=~"$job"`) {
					t.Errorf("%s/%s does not select a job: %s", name, p.Title, target.Expr)
				}
			}
		}
	}
	if got := must(t, "", "dashboard"); !strings.Contains(strings.Join(got, "\n"), `"uid": "evolve-server"`) {
		t.Error("without an argument it is not that of the server")
	}
	for name := range known {
		ours := strings.HasPrefix(name, "evolve_") || strings.HasPrefix(name, "eventstored_")
		if ours && !strings.Contains(used.String(), name) {
			t.Errorf("no dashboard shows %s", name)
		}
	}
	if got := do(t, "", "dashboard", "other"); !errors.Is(got.err, errUsage) {
		t.Errorf("dashboard other: %v", got.err)
	}
}

var (
	alertName = regexp.MustCompile(`(?m)^ +- alert: (\w+)$`)
	runbook   = regexp.MustCompile(`docs/operate\.md#(\w+)`)
	section   = regexp.MustCompile(`(?m)^### (\w+)$`)
)

// TestRules checks that the metrics of all alerts exist, and that docs/operate.md says
// what each alert means.
func TestRules(t *testing.T) {
	t.Parallel()
	known := labels{}
	serverMetrics(t, known)
	programMetrics(t, known)
	text := strings.Join(must(t, "", "rules"), "\n")
	page, err := os.ReadFile("../../docs/operate.md")
	if err != nil {
		t.Fatal(err)
	}
	var explained []string
	for _, m := range section.FindAllStringSubmatch(string(page), -1) {
		explained = append(explained, m[1])
	}
	alerts := regexp.MustCompile(`(?m)^ +- alert: `).Split(text, -1)[1:]
	if len(alerts) < 14 {
		t.Errorf("there are %d alerts", len(alerts))
	}
	for _, alert := range alerts {
		name, rest, _ := strings.Cut(alert, "\n")
		expr := regexp.MustCompile(`(?s)expr: (?:\|\n)?(.*?)\n +(?:for|labels):`).FindStringSubmatch(rest)
		if expr == nil {
			t.Fatalf("%s has no expression", name)
		}
		if !strings.Contains(expr[1], "__name__") { // it has the labels of two metrics
			known.check(t, name, expr[1])
		}
		if !slices.Contains(explained, name) {
			t.Errorf("docs/operate.md has no section ### %s", name)
		}
		if link := runbook.FindStringSubmatch(rest); link == nil || link[1] != strings.ToLower(name) {
			t.Errorf("the runbook of %s is %q", name, link)
		}
		if !strings.Contains(rest, "severity: critical") && !strings.Contains(rest, "severity: warning") {
			t.Errorf("%s has no severity", name)
		}
	}
	for _, name := range explained {
		if !slices.ContainsFunc(alertName.FindAllStringSubmatch(text, -1), func(m []string) bool { return m[1] == name }) {
			t.Errorf("docs/operate.md explains the alert %s, which does not exist", name)
		}
	}
	for _, m := range metric.FindAllStringSubmatch(string(page), -1) {
		if name := m[1]; known[name] == nil && !isLabel(name) {
			t.Errorf("docs/operate.md names %s, which no code registers", name)
		}
	}
}

// TestPromtool checks the alerts with promtool, and that they fire when they should.
func TestPromtool(t *testing.T) {
	t.Parallel()
	promtool, err := exec.LookPath("promtool")
	if err != nil && os.Getenv("CI") != "" {
		t.Fatal("no promtool: apt-get install prometheus has it")
	}
	if err != nil {
		t.Skip("NOT TESTED, no promtool: apt-get install prometheus has it")
	}
	for _, args := range [][]string{{"check", "rules", "observe/rules.yml"}, {"test", "rules", "testdata/rules_test.yml"}} {
		if out, err := exec.CommandContext(t.Context(), promtool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %v: %v\n%s", args, err, out)
		}
	}
}
