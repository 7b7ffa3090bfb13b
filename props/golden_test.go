package props_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/props"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares got with the file called name in testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is not what it was (write it with -update):\n--- got\n%s\n--- want\n%s", file, got, want)
	}
}

// normal replaces what differs from run to run: seeds, times, places.
func normal(text string) string {
	for pattern, with := range map[string]string{
		`-rapid\.seed=\d+`:              "-rapid.seed=SEED",
		`history \d+, after [^;]+;`:     "history N, after TIME;",
		`from \d+ steps to (\d+) in .*`: "from N steps to $1 in TIME (N runs)",
		`(\w+_test\.go):\d+`:            "$1:LINE",
		// Of two events of the same length, the one seen first depends on how many are
		// drawn.
		`(openedV1\{Note: ")\w("\}, by release )\d`: "${1}a${2}N",
		`("Name":"","Note":")\w"`:                   `${1}a"`,
	} {
		text = regexp.MustCompile(pattern).ReplaceAllString(text, with)
	}
	return text
}

// TestReport compares the reports of some planted bugs with golden files. The bugs are
// those whose shortest history is always the same.
func TestReport(t *testing.T) {
	t.Parallel()
	for name, law := range map[string]string{
		"a division by zero in decide":      "decide is total",
		"a nil event":                       "events are real",
		"an event that is not registered":   "every event encodes",
		"a deposit after the end":           "a closed account decides nothing",
		"a start that breaks the invariant": "balance is never negative",
		"a command that is never accepted":  "every command leads to events sometimes",
		"an event that is never decided":    "every event is decided sometimes",
		"a codec that loses a field":        "events survive encoding",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			failures, _, problem := props.Failures(t, props.Hasty(planted[name].suite().Checks(2*few())))
			if problem != "" {
				t.Fatal(problem)
			}
			for _, f := range failures {
				if f.Law == law {
					text := normal(f.Text)
					if f.Steps == 0 { // the counts of rejections differ
						text = regexp.MustCompile(`\d+(%| histories| steps| tries)`).ReplaceAllString(text, "N$1")
						text = regexp.MustCompile(`(one of \d+ is ).+`).ReplaceAllString(text, "${1}N")
					}
					golden(t, strings.ReplaceAll(name, " ", "_"), text+"\n")
					if name == "a deposit after the end" {
						golden(t, "page", normal(f.Page))
					}
					return
				}
			}
			t.Errorf("%q did not fail", law)
		})
	}
}

// TestPageLooksLikeTheConsole checks that a page of props has the colors of the pages of
// decider/console, and shows its law and how to run it again.
func TestPageLooksLikeTheConsole(t *testing.T) {
	t.Parallel()
	css, err := os.ReadFile("../decider/console/assets/console.css")
	if err != nil {
		t.Fatal(err)
	}
	palette := regexp.MustCompile(`(?s)^:root \{.*?\n\}\n`).FindString(string(css))
	page, err := os.ReadFile("testdata/page.golden")
	if err != nil {
		t.Fatal(err)
	}
	if palette == "" || !strings.Contains(string(page), palette) {
		t.Errorf("the page does not have the palette of the console:\n%s", palette)
	}
	for _, want := range []string{
		"<dt>test</dt><dd><code>TestReport/a_deposit_after_the_end", "<dt>package</dt><dd><code>github.com/evolvego/evolve/props</code>",
		"<code>go test github.com/evolvego/evolve/props -run ", "</del> → <ins>", `<b class="b">the law is broken here</b>`,
	} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page has no %s", want)
		}
	}
}

// TestPageOfOutcomes checks the steps of a page, one for each outcome.
func TestPageOfOutcomes(t *testing.T) {
	t.Parallel()
	d := decider.New(
		func(c string, _ int) ([]string, error) {
			switch c {
			case "refuse":
				return nil, errors.New("no entry")
			case "wait":
				return nil, nil
			}
			return []string{c + "!", "noted"}, nil
		},
		func(n int, _ string) int { return n + 1 },
	)
	page := props.PageOf(t, d, 3, "go", "refuse", "wait", "end")
	for _, want := range []string{
		`<h1>never: broken by step 4 of the shortest history found</h1>`, `<span>4 commands, 4 events</span>`,
		`(?s)<li class=""><a href="#1">1 string</a></li>\s+<li class="rejected"><a href="#2">.*<li class="nothing"><a href="#3">.*<li class=" here"><a href="#4">`,
		`(?s)<dt>1 command</dt><dd><code><b>&#34;go&#34;</b></code></dd>\s+<dt>event</dt><dd><code>&#34;go!&#34;</code></dd>\s+<dt>event</dt><dd><code>&#34;noted&#34;</code></dd>\s+` +
			`<dt>change</dt><dd><code><span class="k"></span> <del>0</del> → <ins>2</ins></code></dd>\s+<dt>state</dt><dd><code>2</code></dd>`,
		`(?s)<dt>2 command</dt><dd><code><b>&#34;refuse&#34;</b></code></dd>\s+<dt>rejected</dt><dd class="no">no entry</dd>\s+<dt>state</dt>`,
		`(?s)<dt>3 command</dt><dd><code><b>&#34;wait&#34;</b></code></dd>\s+<dt>decided</dt><dd>nothing</dd>\s+<dt>state</dt>`,
		`(?s)<h2>As a scenario</h2>\s+<pre>props\.Spec\(t, d\)\.\s+Given\(&#34;go!&#34;, &#34;noted&#34;\)\.\s+When\(&#34;end&#34;\)\.`,
	} {
		if !regexp.MustCompile(want).MatchString(page) {
			t.Errorf("the page does not match %s:\n%s", want, page[strings.Index(page, "<main>"):])
		}
	}
	if first := props.PageOf(t, d, -1, "go"); strings.Contains(first, "As a scenario") {
		t.Errorf("the page of a law that no step breaks shows a scenario:\n%s", first)
	}
}

// TestPageFolder checks where pages are written, and what is said if they cannot be.
func TestPageFolder(t *testing.T) { // not parallel, because of its environment
	t.Chdir(t.TempDir())
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("file", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct{ artifacts, tmp, want string }{
		"a folder from here":  {"a/b", dir, filepath.Join(dir, "a", "b", "TestPageFolder_a_folder_from_here-")},
		"a file in its place": {"file/a", dir, "mkdir file"},
		"no temporary folder": {"", filepath.Join(dir, "none"), "open " + filepath.Join(dir, "none")},
		"a temporary folder":  {"", dir, filepath.Join(dir, "TestPageFolder_a_temporary_folder-")},
	} {
		t.Run(name, func(t *testing.T) {
			for _, variable := range []string{"TMPDIR", "TMP"} {
				t.Setenv(variable, tt.tmp)
			}
			t.Setenv("EVOLVE_ARTIFACTS", tt.artifacts)
			got := props.Publish(t)
			path, ok := strings.CutPrefix(got, "\n\tpage: ")
			if !ok || !strings.HasPrefix(path, tt.want) {
				t.Fatalf("the line is %q, want the page %s", got, tt.want)
			}
			if !filepath.IsAbs(path) {
				return
			}
			if page, err := os.ReadFile(path); err != nil || !strings.HasSuffix(string(page), "</html>\n") {
				t.Errorf("the page is %q, %v", page, err)
			}
		})
	}
}

// TestTestedPackage checks which package a report names: none if go test got files, because
// go test does not find the one that they make.
func TestTestedPackage(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"example.com/shop.test": "example.com/shop", "example.com/x.test.test": "example.com/x.test",
		"command-line-arguments.test": "", "example.com/shop": "", "": "",
	} {
		if got := props.PackageOf(path); got != want {
			t.Errorf("the package of %q is %q, want %q", path, got, want)
		}
	}
}

// TestFirst checks that the first history which breaks a law is reported, whether others
// break it too or no command can be drawn once it is broken.
func TestFirst(t *testing.T) {
	t.Parallel()
	d := decider.New(
		func(c string, _ int) ([]string, error) { return []string{c}, nil },
		func(n int, _ string) int { return n + 1 },
	)
	early := regexp.MustCompile(`\nhistory \d, after `) // not always 1, because some histories are too short
	for name, most := range map[string]int{"others": 1000, "no command": 2} {
		s := props.For(d).Checks(few()).Commands(func(_ *rapid.T, n int) string {
			if n > most {
				panic("there are too many")
			}
			return "go"
		}).Invariant("at most two", func(n int) error {
			if n > 2 {
				return errors.New("more")
			}
			return nil
		})
		failures, _, problem := props.Failures(t, s)
		if problem != "" || len(failures) != 1 || !early.MatchString(failures[0].Text) {
			t.Errorf("%s: %v, and the problem is %q", name, failures, problem)
		}
	}
}

// TestHistoryString checks the table of a history with every outcome.
func TestHistoryString(t *testing.T) {
	t.Parallel()
	type step = props.Step[any, ledger, any]
	broke := errors.New("it broke")
	h := props.History[any, ledger, any]{Steps: []step{
		{Command: pay{5}, Events: []any{pay{5}}, After: ledger{1, 5}},
		{Before: ledger{1, 5}, Command: take{1}, Events: []any{take{1}, "receipt"}, After: ledger{3, 4}},
		{Before: ledger{3, 4}, Command: take{0}, After: ledger{3, 4}},
		{Before: ledger{3, 4}, Command: take{9}, Err: broke, After: ledger{3, 4}},
		{Before: ledger{3, 4}, Command: take{9}, Events: []any{take{9}}, Err: broke, After: ledger{3, 4}},
	}}
	const want = `1  pay{N: 5}    pay{N: 5}                   Moves 0 → 1, Balance 0 → 5
2  take{N: 1}   take{N: 1}, "receipt"       Moves 1 → 3, Balance 5 → 4
3  take{}       nothing
4  take{N: 9}   ✗ it broke
5  take{N: 9}   take{N: 9} and ✗ it broke`
	if got := h.String(); got != want {
		t.Errorf("the table is\n%s\nwant\n%s", got, want)
	}
}

// TestQuiet checks that nothing rapid reports gets to the test, and that it is recorded
// unless it is only a log.
func TestQuiet(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		call   func(tb rapid.TB)
		text   string
		failed bool
	}{
		"Log":     {func(tb rapid.TB) { tb.Log("a", 1) }, "", false},
		"Logf":    {func(tb rapid.TB) { tb.Logf("%d", 1) }, "", false},
		"Fail":    {func(tb rapid.TB) { tb.Fail() }, "", true},
		"FailNow": {func(tb rapid.TB) { tb.FailNow() }, "", true},
		"Error":   {func(tb rapid.TB) { tb.Error("a", 1) }, "a1\n", true},
		"Fatal":   {func(tb rapid.TB) { tb.Fatal("b", 2) }, "b2\n", true},
		"Errorf":  {func(tb rapid.TB) { tb.Errorf("%d", 3) }, "3\n", true},
		"Fatalf":  {func(tb rapid.TB) { tb.Fatalf("%d", 4) }, "4\n", true},
	} {
		tb, said := props.Quiet()
		tt.call(tb)
		if text, failed := said(); text != tt.text || failed != tt.failed || tb.Failed() != tt.failed {
			t.Errorf("%s: it says %q, failed %t and %t, want %q, %t", name, text, failed, tb.Failed(), tt.text, tt.failed)
		}
	}
}

// TestCoverage checks the form of the table that -v shows.
func TestCoverage(t *testing.T) {
	t.Parallel()
	_, coverage, _ := props.Failures(t, suite().Checks(2*few()))
	for _, want := range []string{
		`^\d+ histories, \d+ steps\n`,
		`\n\tClose      +\d+\.\d%  .*Closed \d+%`,
		`\n\tDeposit    +\d+\.\d%  Deposited \d+%, ✗ account: not open \d+%`,
		`\n\tOpen       +\d+\.\d%  `,
		`\n\tWithdraw   +\d+\.\d%  .*✗ account: insufficient funds \d+%`,
		`\n\tan overdraft is refused: \d+ times$`,
	} {
		if !regexp.MustCompile(want).MatchString(coverage) {
			t.Errorf("the coverage does not match %q:\n%s", want, coverage)
		}
	}
}

// TestReportForms checks reports whose shortest history is not always the same.
func TestReportForms(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"closed on Sundays": `(?s)^decide is deterministic: broken by step 1 .*` +
			`\n\t.* decided twice on one state:\n\t  first   (\[\w.*\]|\[\] \(error account: .*, a \*errors\.errorString\))\n\t  second  \[\] \(error account: not open, a \*errors\.errorString\)   ← on 2000-01-\d\d, a Sunday, .*: does it look at the clock\?\n`,
		"a panic on Sundays":           `\n\t  second  panic: closed \(planted_test\.go:\d+\)   ← on 2000-01-\d\d, a Sunday, .*: does it look at the clock\?\n`,
		"events in the order of a map": `← at once: does it use randomness, the order of a map, or hidden memory\?`,
		"append to a shared slice": `(?s)two successors of one state share memory \(append to a shared slice\?\):` +
			`\n\t  after .*:\n\t    State\{.*\}\n\t  then, from the same state, Evolve by .* made it:\n\t    State\{`,
		"a decoder of the first event alone":       `the 2 events of this history do not decode together: not the first\n`,
		"a decoder with an error beside the event": `an event does not decode: already closed\n`,
		"an event that encodes every second time":  `\} encoded once, but not the second time: panic: not again`,
		"one buffer for all decisions":             `the events of step 1 changed later:\n\t  before  \[Opened\{\}\]\n\t  after   \[`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			failures, _, _ := props.Failures(t, planted[name].suite().Checks(2*few()))
			if !slices.ContainsFunc(failures, func(f props.Failure) bool { return regexp.MustCompile(want).MatchString(f.Text) }) {
				t.Errorf("the report does not match %s:\n%v", want, failures)
			}
		})
	}
}

// TestSnapshotReports checks that the first law about snapshots says why one cannot be used,
// and that the second leaves it at that.
func TestSnapshotReports(t *testing.T) {
	t.Parallel()
	const first = "snapshots make no difference"
	torn := errors.New("it is torn")
	for name, tt := range map[string]struct {
		suite Suite
		want  string
	}{
		"encoding fails":    {samples(account()).Snapshot(func(State) ([]byte, error) { return nil, torn }, decodeState), "a snapshot after 0 of 0 events: it is torn\n"},
		"encoding panics":   {samples(account()).Snapshot(func(State) ([]byte, error) { panic(torn) }, decodeState), "a snapshot after 0 of 0 events: panic: it is torn (golden_test.go:"},
		"decoding fails":    {samples(account()).Snapshot(encodeState, func([]byte) (s State, err error) { return s, torn }), "a snapshot after 0 of 0 events: it is torn\n"},
		"something is lost": {planted["a snapshot without the totals"].suite(), "a snapshot after 2 of 2 events, with the later events on top, gives another state: Totals["},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			failures, _, problem := props.Failures(t, tt.suite.Checks(few()))
			if problem != "" || len(failures) != 1 || failures[0].Law != first || !strings.Contains(failures[0].Text, tt.want) {
				t.Errorf("want %q alone, which says %q, not %v (%s)", first, tt.want, failures, problem)
			}
		})
	}
}

// TestReplay checks, in processes of their own, that a failed Check recommends a flag
// that finds the failure within a few histories, and that the file which rapid leaves
// finds it without a flag.
func TestReplay(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	found := inProcess(t, dir)
	again := regexp.MustCompile(`again: go test github\.com/evolvego/evolve/props -run '\^TestInProcess\$/\^balance_is_never_negative\$' (-rapid\.seed=\d+)\n`).FindStringSubmatch(found)
	if again == nil {
		t.Fatalf("the report recommends no flag:\n%s", found)
	}
	early := regexp.MustCompile(`history ([1-9]|10), after`)
	if text := inProcess(t, t.TempDir(), again[1]); !early.MatchString(text) {
		t.Errorf("%s does not find it at once:\n%s", again[1], text)
	}
	text := inProcess(t, dir)
	if !early.MatchString(text) || !strings.Contains(text, `-rapid.failfile="testdata/rapid/TestInProcess/`) {
		t.Errorf("rapid's file does not find it at once:\n%s", text)
	}
	if files, err := filepath.Glob(filepath.Join(dir, "testdata/rapid/TestInProcess/*.fail")); err != nil || len(files) != 1 {
		t.Errorf("rapid's files are %v, %v, want the first one, which stays", files, err)
	}
	page := regexp.MustCompile(`(?m)-rapid\.failfile=.*\n +\tpage: (.*/TestInProcess_balance_is_never_negative-\d+\.html)$`).FindStringSubmatch(text)
	if page == nil {
		t.Fatalf("the report does not end with a page:\n%s", text)
	}
	if html, err := os.ReadFile(page[1]); err != nil || !strings.Contains(string(html), "<h1>balance is never negative: broken by step") {
		t.Errorf("the page is %q, %v", html, err)
	}
	for _, line := range []string{"--- FAIL: TestInProcess/balance_is_never_negative", "--- PASS: TestInProcess/decide_is_total", "golden_test.go", "1000 histories"} {
		if !strings.Contains(text, line) {
			t.Errorf("%q is missing from\n%s", line, text)
		}
	}
	if strings.Contains(text, "[rapid]") {
		t.Errorf("rapid reports too:\n%s", text)
	}
}

// inProcess runs TestInProcess in dir, and returns what it prints.
func inProcess(t *testing.T, dir string, flags ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], append(flags, "-test.v", "-test.run=^TestInProcess$")...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), broken+"=1", "EVOLVE_ARTIFACTS="+filepath.Join(dir, "pages"))
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Errorf("the planted bug was not found:\n%s", out)
	}
	return string(out)
}

// TestInProcess checks a correct account, or a broken one in the process of TestReplay.
func TestInProcess(t *testing.T) {
	t.Parallel()
	s := suite().Checks(2 * few())
	if os.Getenv(broken) != "" {
		s = planted["an overdraft from the fourth movement on"].suite()
	}
	s.Check(t)
}

// TestSearchFails checks that a suite without commands is an error, and so is one whose
// commands cannot be drawn, which includes what rapid reports.
func TestSearchFails(t *testing.T) {
	t.Parallel()
	if _, _, problem := props.Failures(t, props.For(account())); !strings.Contains(problem, "no commands") {
		t.Errorf("the problem is %q", problem)
	}
	_, _, problem := props.Failures(t, props.For(account()).Commands(func(t *rapid.T, _ State) Command {
		panic("no command comes to mind")
	}))
	if !strings.Contains(problem, "no command comes to mind") {
		t.Errorf("the problem is %q, and does not say why", problem)
	}
}

// TestKept checks that shrinking keeps the fields that a sample sets.
func TestKept(t *testing.T) {
	t.Parallel()
	s := props.For(account()).Any(Open{Owner: "ann"}, Deposit{Amount: 7}, Withdraw{}).
		Invariant("balance is never above 7", func(s State) error {
			if s.Balance > 7 {
				return fmt.Errorf("balance is %d", s.Balance)
			}
			return nil
		})
	failures, _, _ := props.Failures(t, s.Checks(few()))
	if len(failures) != 1 || failures[0].Steps != 3 {
		t.Fatalf("failures are %v, want one of 3 steps", failures)
	}
	for _, line := range []string{`1  Open{Owner: "ann"}`, "2  Deposit{Amount: 7}", "3  Deposit{Amount: 7}"} {
		if !strings.Contains(failures[0].Text, line) {
			t.Errorf("%s is missing from\n%s", line, failures[0].Text)
		}
	}
}

// TestFew checks that a few histories do not prove that something never comes, and that
// the search for it continues as long as it takes.
func TestFew(t *testing.T) {
	t.Parallel()
	var steps atomic.Int64
	seldom := func(Step) bool { return steps.Add(1) > 2000 } // more steps than five histories have
	failures, coverage, _ := props.Failures(t, samples(account()).Reaches("many steps", seldom).Checks(5))
	if len(failures) > 0 || strings.HasPrefix(coverage, "5 histories") {
		t.Errorf("5 histories fail with %v\n%s", failures, coverage)
	}
	never := func(Step) bool { return false }
	failures, _, _ = props.Failures(t, samples(account()).Reaches("never", never).Checks(5))
	if len(failures) != 1 || !strings.Contains(failures[0].Text, "the probability that so many miss something that occurs in one of 1000 is ") {
		t.Errorf("what never comes is %v", failures)
	}
}
