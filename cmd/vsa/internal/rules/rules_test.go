package rules_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/evolvego/evolve/cmd/vsa/internal/config"
	"github.com/evolvego/evolve/cmd/vsa/internal/model"
	"github.com/evolvego/evolve/cmd/vsa/internal/report"
	"github.com/evolvego/evolve/cmd/vsa/internal/rules"
	"github.com/evolvego/evolve/cmd/vsa/internal/vsatest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// validate writes an archive as a module and returns the findings of the rules.
func validate(t *testing.T, archive string) *rules.Result {
	t.Helper()
	a, err := txtar.ParseFile(filepath.Join("testdata", archive))
	if err != nil {
		t.Fatal(err)
	}
	dir := vsatest.Module(t, "example.com/planted")
	vsatest.Files(t, dir, a.Files)
	c, err := config.Find(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	p, err := model.Load(c.Dir, c.Root)
	if err != nil {
		t.Fatal(err)
	}
	result, err := rules.Run(p, c, nil)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// TestPlanted checks that each rule finds the mistake that is planted for it, and
// nothing else.
func TestPlanted(t *testing.T) {
	t.Parallel()
	result := validate(t, "planted.txtar")
	var got bytes.Buffer
	if err := report.Text(&got, result); err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "planted.txt")
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("found\n%s\nwant\n%s", got.String(), want)
	}
	for _, rule := range rules.All() {
		if !slices.ContainsFunc(result.Findings, func(f rules.Finding) bool { return f.Rule == rule.ID }) {
			t.Errorf("nothing is planted for %s %s", rule.ID, rule.Name)
		}
	}
}

// TestNearMisses checks that nothing is found in code that is nearly wrong.
func TestNearMisses(t *testing.T) {
	t.Parallel()
	for _, f := range validate(t, "nearmisses.txtar").Findings {
		t.Errorf("%s:%d: %s: %s", f.File, f.Line, f.Rule, f.Message)
	}
}

// TestOurOwn checks that nothing is found in the examples of the repository.
func TestOurOwn(t *testing.T) {
	t.Parallel()
	for _, dir := range []string{"examples/bank", "examples/cinema"} {
		c := config.Default()
		c.Dir, c.Root = filepath.Join(vsatest.Root(t), filepath.FromSlash(dir)), "."
		p, err := model.Load(c.Dir, c.Root)
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Aggregates) == 0 {
			t.Errorf("%s has no aggregate", dir)
		}
		result, err := rules.Run(p, c, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range result.Findings {
			t.Errorf("%s/%s:%d: %s: %s", dir, f.File, f.Line, f.Rule, f.Message)
		}
	}
}

func TestExplained(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, r := range rules.All() {
		if seen[r.ID] || seen[r.Name] || rules.NotForGo(r.ID) != "" {
			t.Errorf("%s %s is there twice", r.ID, r.Name)
		}
		seen[r.ID], seen[r.Name] = true, true
		if r.About == "" || r.Wrong == "" || r.Right == "" || r.Wrong == r.Right {
			t.Errorf("%s is not explained", r.ID)
		}
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for verb, want := range map[string]string{
		"Open": "Opened", "Credit": "Credited", "Withdraw": "Withdrawn", "Change": "Changed", "Carry": "Carried", "Pay": "Paid", "Ship": "Shipped", "Send": "Sent",
		"Play": "Played", "Freeze": "Frozen", "Cancel": "Canceled", "Visit": "Visited", "Set": "Set",
	} {
		if got := rules.Participle(verb); got != want {
			t.Errorf("Participle(%s) = %s, want %s", verb, got, want)
		}
		if got := rules.PastTense(want); got != (want != "Set") {
			t.Errorf("PastTense(%s) = %v", want, got)
		}
		if rules.PastTense(verb) {
			t.Errorf("PastTense(%s) = true", verb)
		}
	}
	for name, want := range map[string]bool{"OwnerChanged": true, "PasswordReset": true, "ResetPassword": false, "Feed": false, "Embed": false, "SeatTaken": true, "Thing": false} {
		if got := rules.PastTense(name); got != want {
			t.Errorf("PastTense(%s) = %v, want %v", name, got, want)
		}
	}
	if got := fmt.Sprint(rules.Words("OpenURLNow")); got != "[Open URL Now]" {
		t.Errorf("Words(OpenURLNow) = %s", got)
	}
}

func TestLock(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"A":                 "want a name, a schema version and an object",
		"A one {}":          "the schema version is \"one\"",
		"A 0 {}":            "the schema version is \"0\"",
		"A 1 []":            "the shape of A is",
		"A 1 {\"a\":1}":     "the shape of A is",
		"A 1 {\"a\":\"b\"}": "",
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, rules.LockName), []byte("# why\n\n"+line+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := rules.ReadLock(dir)
		switch {
		case want == "" && (err != nil || len(l.Entries) != 1 || !strings.HasSuffix(string(l.Bytes()), "\n"+line+"\n")):
			t.Errorf("%q is read as %+v, %v", line, l, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), "events.lock:3: "+want)):
			t.Errorf("%q: %v, want %q", line, err, want)
		}
	}
}
