// Package report writes findings in forms for people, editors and services.
package report

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/evolvego/evolve/cmd/vsa/internal/rules"
)

// Text writes a line for each finding, as go vet does, and a summary as the last line.
func Text(w io.Writer, r *rules.Result) error {
	var b strings.Builder
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "%s:%d:%d: %s %s: %s\n", f.File, f.Line, f.Column, f.Severity, f.Rule, f.Message)
	}
	b.WriteString(Summary(r) + "\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// Summary is a line with the counts of checked slices and of findings.
func Summary(r *rules.Result) string {
	errors, warnings := Count(r)
	return fmt.Sprintf("%s, %s, %s: %s, %s, %d known", plural(r.Packages, "package"), plural(r.Contexts, "context"), plural(r.Slices, "slice"), plural(errors, "error"), plural(warnings, "warning"), r.Known)
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Count returns the number of errors and of warnings.
func Count(r *rules.Result) (errors, warnings int) {
	for _, f := range r.Findings {
		if f.Severity == rules.Error {
			errors++
		} else {
			warnings++
		}
	}
	return errors, warnings
}

type summary struct {
	Packages int `json:"packages"`
	Contexts int `json:"contexts"`
	Slices   int `json:"slices"`
	Errors   int `json:"errors"`
	Warnings int `json:"warnings"`
	Known    int `json:"known"`
}

// JSON writes one object on one line.
func JSON(w io.Writer, r *rules.Result) error {
	findings := r.Findings
	if findings == nil {
		findings = []rules.Finding{}
	}
	errors, warnings := Count(r)
	return json.NewEncoder(w).Encode(struct {
		Version  int             `json:"version"`
		Findings []rules.Finding `json:"findings"`
		Summary  summary         `json:"summary"`
	}{1, findings, summary{r.Packages, r.Contexts, r.Slices, errors, warnings, r.Known}})
}

// GitHub writes workflow commands, errors first, because GitHub shows only ten of each
// kind. It writes a table of all findings to table, unless table is nil.
func GitHub(w, table io.Writer, r *rules.Result) error {
	all := slices.Clone(r.Findings)
	slices.SortStableFunc(all, func(a, b rules.Finding) int { return cmp.Compare(a.Severity, b.Severity) }) // error, warning
	var b strings.Builder
	for _, f := range all {
		fmt.Fprintf(&b, "::%s file=%s,line=%d,col=%d,title=%s::%s\n", f.Severity, property(f.File), f.Line, f.Column, f.Rule, message(f.Message))
	}
	b.WriteString(Summary(r) + "\n")
	if _, err := io.WriteString(w, b.String()); err != nil || table == nil {
		return err
	}
	b.Reset()
	fmt.Fprintf(&b, "### vsa validate\n\n%s\n\n", Summary(r))
	if len(all) > 0 {
		b.WriteString("| rule | place | finding |\n|---|---|---|\n")
	}
	for _, f := range all {
		fmt.Fprintf(&b, "| %s %s | `%s:%d` | %s |\n", f.Severity, f.Rule, f.File, f.Line, strings.ReplaceAll(f.Message, "|", `\|`))
	}
	_, err := io.WriteString(table, b.String())
	return err
}

func message(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(s)
}

func property(s string) string {
	return strings.NewReplacer(":", "%3A", ",", "%2C").Replace(message(s))
}

type (
	sarif struct {
		Schema  string `json:"$schema"`
		Version string `json:"version"`
		Runs    []run  `json:"runs"`
	}
	run struct {
		Tool    tool     `json:"tool"`
		Results []result `json:"results"`
	}
	tool struct {
		Driver driver `json:"driver"`
	}
	driver struct {
		Name    string      `json:"name"`
		Version string      `json:"version,omitempty"`
		Rules   []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID            string   `json:"id"`
		Name          string   `json:"name"`
		Short         text     `json:"shortDescription"`
		Configuration severity `json:"defaultConfiguration"`
	}
	severity struct {
		Level string `json:"level"`
	}
	text struct {
		Text string `json:"text"`
	}
	result struct {
		RuleID       string            `json:"ruleId"`
		Level        string            `json:"level"`
		Message      text              `json:"message"`
		Locations    []location        `json:"locations"`
		Fingerprints map[string]string `json:"partialFingerprints"`
	}
	location struct {
		Physical physical `json:"physicalLocation"`
	}
	physical struct {
		Artifact artifact `json:"artifactLocation"`
		Region   region   `json:"region"`
	}
	artifact struct {
		URI string `json:"uri"`
	}
	region struct {
		Line   int `json:"startLine"`
		Column int `json:"startColumn"`
	}
)

// SARIF writes SARIF 2.1.0 (https://docs.oasis-open.org/sarif/sarif/v2.1.0). The
// fingerprint of a finding does not include the line, so an alert survives when code
// moves.
func SARIF(w io.Writer, r *rules.Result, version string) error {
	d := driver{Name: "vsa", Version: version}
	for _, rule := range rules.All() {
		d.Rules = append(d.Rules, sarifRule{rule.ID, rule.Name, text{rule.About}, severity{rule.Severity}})
	}
	results, seen := []result{}, map[string]int{}
	for _, f := range r.Findings {
		key := strings.Join([]string{f.Rule, f.Context, f.Slice, f.Symbol}, "\x00")
		seen[key]++
		sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%d", key, seen[key]))
		results = append(results, result{
			f.Rule, f.Severity,
			text{f.Message},
			[]location{{physical{artifact{f.File}, region{max(f.Line, 1), max(f.Column, 1)}}}},
			map[string]string{"vsa/v1": hex.EncodeToString(sum[:16])},
		})
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(sarif{"https://json.schemastore.org/sarif-2.1.0.json", "2.1.0", []run{{tool{d}, results}}})
}
