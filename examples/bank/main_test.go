package main_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/evolvego/evolve/store/jetstream/jetstreamtest"
	"github.com/evolvego/evolve/store/postgres/postgrestest"
)

// build returns the path of the program.
func build(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bank")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// result is the output and the status of a run of the program.
type result struct {
	stdout, stderr string
	status         int
}

func start(t *testing.T, bank string, stdin []byte, args ...string) result {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), bank, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if stdin != nil {
		cmd.Stdin = bytes.NewReader(stdin)
	}
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

func TestProgram(t *testing.T) {
	t.Parallel()
	bank := build(t)
	day, err := os.ReadFile("testdata/day.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	t.Run("runs the demonstration", func(t *testing.T) {
		t.Parallel()
		for _, stdin := range [][]byte{nil, {}} {
			testDemo(t, start(t, bank, stdin))
		}
	})
	t.Run("processes a day from standard input", func(t *testing.T) {
		t.Parallel()
		testDay(t, day, start(t, bank, day))
		testDay(t, day, start(t, bank, day, "-"))
	})
	t.Run("processes a day from a file", func(t *testing.T) {
		t.Parallel()
		testDay(t, day, start(t, bank, nil, "-store", "memory:", "testdata/day.jsonl"))
	})
	t.Run("keeps a morning in a file", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		testKept(t, bank, day, func(name string) string { return "sqlite:" + filepath.Join(dir, name+".db") })
	})
	t.Run("keeps a morning in Postgres", func(t *testing.T) {
		t.Parallel()
		testKept(t, bank, day, func(string) string { return postgrestest.URL(t) })
	})
	t.Run("runs the demonstration on NATS, and on a server that keeps its events there", func(t *testing.T) {
		t.Parallel()
		url := jetstreamtest.Start(t).URL()
		testDemo(t, start(t, bank, nil, "-store", url+"/bank?replicas=1"))
		testDemo(t, start(t, bank, nil, "-store", "grpc://"+serve(t, url+"/served?replicas=1")))
	})
	t.Run("keeps a morning on a server", func(t *testing.T) {
		t.Parallel()
		address := serve(t, "memory:")
		testKept(t, bank, day, func(name string) string { return "grpc://" + address + "?tenant=" + name })
	})
	for name, tt := range map[string]struct {
		args   []string
		status int
		stderr string
	}{
		"unknown store": {[]string{"-store", "disk:bank"}, 2, `not the URL of a store: disk:…: begin it with one of `},
		"unknown flag":  {[]string{"-speed", "11"}, 2, "flag provided but not defined: -speed"},
		"no patience":   {[]string{"-patience", "-1s"}, 2, "-patience must not be negative"},
		"two files":     {[]string{"a", "b"}, 2, "one file at most"},
		"missing file":  {[]string{"testdata/none.jsonl"}, 1, "testdata/none.jsonl: no such file"},
		"help":          {[]string{"-h"}, 0, "usage: bank [-store URL] [-patience D] [FILE]"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := start(t, bank, nil, tt.args...)
			if got.status != tt.status || !strings.Contains(got.stderr, tt.stderr) || got.stdout != "" {
				t.Errorf("bank %q: status %d, %q on stderr, %q on stdout; want status %d and %q", tt.args, got.status, got.stderr, got.stdout, tt.status, tt.stderr)
			}
		})
	}
}

// testKept checks that a second run finds the accounts of the first, with the store at
// urlOf a name.
func testKept(t *testing.T, bank string, day []byte, urlOf func(string) string) {
	t.Helper()
	url := urlOf("bank")
	testDemo(t, start(t, bank, nil, "-store", url))
	got := start(t, bank, nil, "-store", url)
	if got.status != 0 || !strings.Contains(got.stdout, "account: already open") {
		t.Errorf("the second time: status %d, %s\n%s", got.status, got.stderr, got.stdout)
	}
	url = urlOf("day")
	morning := bytes.Join(bytes.SplitAfter(day, []byte("\n"))[:1000], nil)
	testDay(t, morning, start(t, bank, morning, "-store", url))
	again := start(t, bank, []byte{'\n'}, "-store", url)
	if paid := regexp.MustCompile(`paid in .*`); paid.FindString(again.stdout) == "" || !strings.Contains(again.stdout, "\n"+fmt.Sprintf("%-44s %7d\n", "commands", 0)) {
		t.Errorf("the totals of the day are missing:\n%s", again.stdout)
	}
}

// serve runs eventstored with the store at url, and returns its address.
func serve(t *testing.T, url string) (address string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "eventstored")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, "github.com/evolvego/evolve/cmd/eventstored").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	cmd := exec.CommandContext(t.Context(), path, "serve", "-listen", "127.0.0.1:0", "-store", url)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // the error of a killed process means nothing
	})
	serving := regexp.MustCompile(`msg=serving address=(\S+)`)
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		if match := serving.FindStringSubmatch(lines.Text()); match != nil {
			return match[1]
		}
	}
	t.Fatalf("the server does not serve: %v", lines.Err())
	return ""
}

// testDemo checks the output of the demonstration.
func testDemo(t *testing.T, got result) {
	t.Helper()
	if got.status != 0 || got.stderr != "" {
		t.Errorf("status %d, %q on stderr", got.status, got.stderr)
	}
	for _, want := range []string{
		`Withdraw 30\.00 +→ Withdrawn 30\.00  version 3, balance 70\.00`,
		`✗ account: insufficient funds: 70\.00 available, 75\.00 wanted`,
		`= replayed: Deposited 1\.00  version 2`,
		`✗ store: conflict: Account/bob is at version 2, not 1`,
		`Received 40\.00 transfer rent(-\d+)? from ann\n.*Delivered transfer rent(-\d+)?\n`,
		`Declined 10\.00 transfer gift(-\d+)? from ann reason account: not open\n.*Refunded 10\.00 transfer gift`,
		`balance 2\.50, at attempt 2`,
		`400 deposits of a cent at once: \d+ conflicts, each decided again; balance 6\.50, nothing lost`,
		`5    30\.00  TransferDelivered`,
		`\d+ commands on 100 accounts in .*: \d+/s`,
	} {
		if !regexp.MustCompile(want).MatchString(got.stdout) {
			t.Errorf("the demo does not show %s:\n%s", want, got.stdout)
		}
	}
}

// book is a bank in plain arithmetic: the sums of the lines of a file.
type book struct {
	open, closed                                                  map[string]bool
	balance                                                       map[string]int64
	done                                                          map[string]bool // account and id
	in, out                                                       int64
	accepted, replayed, rejected, delivered, refunded, bad, lines int
}

// keep adds a line to the book as the bank should.
func (b *book) keep(line string) {
	b.lines++
	var l struct {
		ID, Account, Command, To, Owner, At string
		Cents                               int64
	}
	d := json.NewDecoder(strings.NewReader(line))
	d.DisallowUnknownFields()
	amount := map[string]bool{"deposit": true, "withdraw": true, "transfer": true}
	err := d.Decode(&l)
	known := amount[l.Command] || l.Command == "open" || l.Command == "close"
	if err != nil || l.ID == "" || l.Account == "" || !known || amount[l.Command] && l.Cents <= 0 || l.Command == "transfer" && l.To == "" {
		b.bad++
		return
	}
	if b.done[l.Account+" "+l.ID] {
		b.replayed++
		return
	}
	active := b.open[l.Account] && !b.closed[l.Account]
	switch {
	case l.Command == "open" && !b.open[l.Account] && l.Owner != "":
		b.open[l.Account] = true
	case l.Command == "deposit" && active:
		b.balance[l.Account] += l.Cents
		b.in += l.Cents
	case l.Command == "withdraw" && active && b.balance[l.Account] >= l.Cents:
		b.balance[l.Account] -= l.Cents
		b.out += l.Cents
	case l.Command == "transfer" && active && b.balance[l.Account] >= l.Cents && l.To != l.Account:
		if b.open[l.To] && !b.closed[l.To] {
			b.balance[l.Account] -= l.Cents
			b.balance[l.To] += l.Cents
			b.delivered++
		} else {
			b.refunded++
		}
	case l.Command == "close" && active && b.balance[l.Account] == 0:
		b.closed[l.Account] = true
	default:
		b.rejected++
		return
	}
	b.accepted++
	b.done[l.Account+" "+l.ID] = true
}

// read returns the book of a day.
func read(day []byte) book {
	b := book{open: map[string]bool{}, closed: map[string]bool{}, balance: map[string]int64{}, done: map[string]bool{}}
	for line := range strings.Lines(string(day)) {
		b.keep(line)
	}
	return b
}

// testDay compares the output for a day with its plain sums.
func testDay(t *testing.T, day []byte, got result) {
	t.Helper()
	b := read(day)
	var all int64
	for id := range b.open {
		all += b.balance[id]
		if !regexp.MustCompile(fmt.Sprintf(`(?m)^ *%s .* %s +\d+$`, id, regexp.QuoteMeta(money(b.balance[id])))).MatchString(got.stdout) {
			t.Errorf("the statement of %s does not say %s", id, money(b.balance[id]))
		}
	}
	if all != b.in-b.out {
		t.Errorf("the plain sum is wrong: %d are there, %d came in and %d went out", all, b.in, b.out)
	}
	want := []string{fmt.Sprintf("paid in %s, paid out %s, and there are %s\n", money(b.in), money(b.out), money(all))}
	for what, n := range map[string]int{
		"commands": b.accepted + b.replayed + b.rejected, "  accepted": b.accepted, "  replayed": b.replayed, "  rejected": b.rejected,
		"transfers": b.delivered + b.refunded, "  delivered": b.delivered, "  refunded": b.refunded, "bad lines": b.bad,
	} {
		want = append(want, fmt.Sprintf("\n%-44s %7d\n", what, n))
	}
	for _, text := range want {
		if !strings.Contains(got.stdout, text) {
			t.Errorf("the totals do not say %q", text)
		}
	}
	if skipped := strings.Count(got.stderr, ": skipped\n"); got.status != 0 || skipped != b.bad {
		t.Errorf("status %d, %d lines skipped, want 0 and %d:\n%s", got.status, skipped, b.bad, got.stderr)
	}
	if t.Failed() {
		t.Log(got.stdout)
	}
}

func money(cents int64) string { return fmt.Sprintf("%d.%02d", cents/100, cents%100) }

// TestDayIsGenerated checks that the generator still writes the same day.
func TestDayIsGenerated(t *testing.T) {
	t.Parallel()
	want, err := os.ReadFile("testdata/day.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	got, err := exec.CommandContext(t.Context(), "go", "run", "./internal/daygen").Output()
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("testdata/day.jsonl is not what go generate writes (%v)", err)
	}
	b := read(want)
	if commands := b.accepted + b.replayed + b.rejected; commands < 10_000 || b.bad == 0 || b.replayed == 0 || b.refunded == 0 || len(b.closed) == 0 {
		t.Errorf("the day has too little variety to prove anything: %+v", b)
	}
}
