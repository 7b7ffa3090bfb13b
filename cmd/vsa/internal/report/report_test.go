package report_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/evolvego/evolve/cmd/vsa/internal/report"
	"github.com/evolvego/evolve/cmd/vsa/internal/rules"
)

func result() *rules.Result {
	return &rules.Result{
		Findings: []rules.Finding{
			{Rule: "VSA003", Severity: rules.Warning, File: "a/b.go", Line: 3, Column: 6, Slice: "b", Symbol: "B", Message: "50% of | nothing"},
			{Rule: "VSA031", Severity: rules.Error, File: "a/c,d.go", Line: 7, Column: 2, Slice: "c", Symbol: "C", Message: "two\nlines"},
			{Rule: "VSA031", Severity: rules.Error, File: "a/c,d.go", Line: 9, Column: 2, Slice: "c", Symbol: "C", Message: "again"},
		},
		Packages: 2, Contexts: 1, Slices: 3, Known: 4,
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := report.Text(&b, result()); err != nil {
		t.Fatal(err)
	}
	want := "a/b.go:3:6: warning VSA003: 50% of | nothing\na/c,d.go:7:2: error VSA031: two\nlines\na/c,d.go:9:2: error VSA031: again\n" +
		"2 packages, 1 context, 3 slices: 2 errors, 1 warning, 4 known\n"
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

func TestJSON(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := report.JSON(&b, result()); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Version  int
		Findings []rules.Finding
		Summary  map[string]int
	}
	if err := json.Unmarshal(b.Bytes(), &got); err != nil || strings.Count(b.String(), "\n") != 1 {
		t.Fatalf("%q: %v, want one line of JSON", b.String(), err)
	}
	if got.Version != 1 || len(got.Findings) != 3 || got.Summary["errors"] != 2 || got.Summary["known"] != 4 || got.Findings[1].Message != "two\nlines" {
		t.Errorf("got %+v", got)
	}
	b.Reset()
	if err := report.JSON(&b, &rules.Result{}); err != nil || !strings.Contains(b.String(), `"findings":[]`) {
		t.Errorf("no findings are %s, %v, want an empty list", b.String(), err)
	}
}

func TestGitHub(t *testing.T) {
	t.Parallel()
	var b, table bytes.Buffer
	if err := report.GitHub(&b, &table, result()); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(b.String(), "\n")
	if lines[0] != "::error file=a/c%2Cd.go,line=7,col=2,title=VSA031::two%0Alines" {
		t.Errorf("the first line is %q, want the first error", lines[0])
	}
	if lines[2] != "::warning file=a/b.go,line=3,col=6,title=VSA003::50%25 of | nothing" {
		t.Errorf("the third line is %q, want the warning", lines[2])
	}
	if got := table.String(); !strings.Contains(got, `50% of \| nothing`) || strings.Count(got, "\n| ") != 4 {
		t.Errorf("the table is\n%s", got)
	}
}

func TestSARIF(t *testing.T) {
	t.Parallel()
	prints := func(r *rules.Result) map[string]bool {
		var b bytes.Buffer
		if err := report.SARIF(&b, r, "v1"); err != nil {
			t.Fatal(err)
		}
		var got struct {
			Version string
			Runs    []struct {
				Tool struct {
					Driver struct{ Rules []struct{ ID string } }
				}
				Results []struct {
					RuleID              string
					PartialFingerprints map[string]string
				}
			}
		}
		if err := json.Unmarshal(b.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		if got.Version != "2.1.0" || len(got.Runs) != 1 || len(got.Runs[0].Tool.Driver.Rules) != len(rules.All()) {
			t.Errorf("got %+v", got)
		}
		all := map[string]bool{}
		for _, r := range got.Runs[0].Results {
			all[r.PartialFingerprints["vsa/v1"]] = true
		}
		return all
	}
	before := prints(result())
	moved := result()
	for i := range moved.Findings {
		moved.Findings[i].Line += 10
	}
	after := prints(moved)
	if len(before) != 3 {
		t.Errorf("three findings have %d fingerprints", len(before))
	}
	for p := range before {
		if !after[p] {
			t.Errorf("the fingerprint %s is gone after the lines moved", p)
		}
	}
}
