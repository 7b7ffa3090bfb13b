// Package rules holds the rules of vertical slices. Each rule uses the types of a
// project, never names or comments alone.
package rules

import (
	"cmp"
	"fmt"
	"go/token"
	"path"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"

	"github.com/evolvego/evolve/cmd/vsa/internal/config"
	"github.com/evolvego/evolve/cmd/vsa/internal/edit"
	"github.com/evolvego/evolve/cmd/vsa/internal/model"
)

// The severities of findings.
const (
	Error   = "error"
	Warning = "warning"
	Off     = "off"
)

// Finding is a violation of a rule at one place.
type Finding struct {
	Rule     string        `json:"rule"`
	Severity string        `json:"severity"`
	File     string        `json:"file"` // relative to vsa.yaml, with slashes
	Line     int           `json:"line"`
	Column   int           `json:"column"`
	Context  string        `json:"context,omitempty"`
	Slice    string        `json:"slice,omitempty"`
	Symbol   string        `json:"symbol,omitempty"`
	Message  string        `json:"message"`
	Fix      []edit.Insert `json:"fix,omitempty"`
}

// Rule is one of the rules.
type Rule struct {
	ID, Name string
	Severity string // unless vsa.yaml says otherwise
	About    string // what it finds and why, in one or two sentences
	Wrong    string // an example
	Right    string
	check    func(*checker)
}

// Result is the result of a run.
type Result struct {
	Findings []Finding
	Packages int
	Contexts int
	Slices   int
	Known    int         // findings that an exception accepts
	Lower    map[int]int // exceptions whose budget is above the count: the count, by index
}

// All returns the rules, sorted by their ids.
func All() []Rule {
	all := slices.Concat(sliceRules(), contextRules(), eventRules(), []Rule{{
		ID: "VSA000", Name: "configuration", Severity: Warning, check: configuration,
		About: "vsa.yaml names a rule, a context, a package pattern or an exception that matches nothing, or an exception accepts more findings than there are. A check that checks nothing is useless.",
		Wrong: "exceptions:\n  - {rule: VSA031, slice: open-account, budget: 3}   # there is 1",
		Right: "exceptions:\n  - {rule: VSA031, slice: open-account, budget: 1}",
	}})
	slices.SortFunc(all, func(a, b Rule) int { return strings.Compare(a.ID, b.ID) })
	return all
}

type checker struct {
	p        *model.Project
	c        *config.Config
	lock     *Lock
	rule     Rule
	severity string
	findings []Finding
}

// Run applies the rules in only to a project, or all rules if only is empty.
func Run(p *model.Project, c *config.Config, only []string) (*Result, error) {
	lock, err := ReadLock(p.Dir)
	if err != nil {
		return nil, err
	}
	r := &checker{p: p, c: c, lock: lock}
	for _, rule := range All() {
		r.rule, r.severity = rule, cmp.Or(c.Rules[rule.ID], rule.Severity)
		if r.severity != Off && (len(only) == 0 || slices.Contains(only, rule.ID)) {
			rule.check(r)
		}
	}
	result := &Result{Packages: len(p.Packages), Contexts: len(p.Contexts), Slices: len(p.Readers), Lower: map[int]int{}}
	for _, a := range p.Aggregates {
		result.Slices += len(a.Commands)
	}
	result.Findings = r.except(result, len(only) == 0)
	Sort(result.Findings)
	return result, nil
}

// Sort orders findings by place.
func Sort(all []Finding) {
	slices.SortStableFunc(all, func(a, b Finding) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), strings.Compare(a.Rule, b.Rule), strings.Compare(a.Message, b.Message))
	})
}

// except removes the findings that exceptions of vsa.yaml accept. If an exception
// accepts more findings than there are, that is a finding too.
func (r *checker) except(result *Result, all bool) []Finding {
	left, severity := r.findings, cmp.Or(r.c.Rules["VSA000"], Warning)
	for i, e := range r.c.Exceptions {
		n := 0
		left = slices.DeleteFunc(left, func(f Finding) bool {
			match := n < e.Budget && f.Rule == e.Rule && (e.Slice != "" && f.Slice == e.Slice || e.File != "" && f.File == e.File)
			if match {
				n++
			}
			return match
		})
		result.Known += n
		if all && n < e.Budget && severity != Off {
			result.Lower[i] = n
			left = append(left, Finding{
				Rule: "VSA000", Severity: severity, File: config.FileName, Line: e.Line, Column: 1,
				Message: fmt.Sprintf("the exception for %s in %s has a budget of %d, but the number of findings is %d: lower it", e.Rule, cmp.Or(e.Slice, e.File), e.Budget, n),
			})
		}
	}
	return left
}

// at reports a finding at a place in the code.
func (r *checker) at(pkg *packages.Package, pos token.Pos, symbol, format string, args ...any) *Finding {
	place := r.p.At(pos)
	r.findings = append(r.findings, Finding{
		Rule: r.rule.ID, Severity: r.severity, File: place.Filename, Line: place.Line, Column: place.Column,
		Context: r.p.ContextOf(pkg.PkgPath), Slice: r.p.Slice(pos), Symbol: symbol, Message: fmt.Sprintf(format, args...),
	})
	return &r.findings[len(r.findings)-1]
}

// file reports a finding about a file that is not code.
func (r *checker) file(name string, line int, severity, format string, args ...any) {
	r.findings = append(r.findings, Finding{Rule: r.rule.ID, Severity: severity, File: name, Line: max(line, 1), Column: 1, Message: fmt.Sprintf(format, args...)})
}

// matches reports whether a package matches a pattern: a path relative to the module or
// to the root. A path that ends in /... matches everything below too.
func (r *checker) matches(pattern, pkgPath string) bool {
	below, wild := strings.CutSuffix(pattern, "/...")
	for _, base := range []string{r.p.Module, path.Join(r.p.Module, r.p.Root)} {
		full := path.Join(base, below)
		if pkgPath == full || wild && strings.HasPrefix(pkgPath, full+"/") {
			return true
		}
	}
	return false
}

// isolated reports whether the rules of isolation apply to a package.
func (r *checker) isolated(pkgPath string) bool {
	return !slices.ContainsFunc(r.c.Validation.NotIsolated, func(pattern string) bool { return r.matches(pattern, pkgPath) })
}

// configuration finds entries of vsa.yaml that match nothing.
func configuration(r *checker) {
	known := func(id string) bool {
		return NotForGo(id) != "" || slices.ContainsFunc(All(), func(rule Rule) bool { return rule.ID == id })
	}
	for id := range r.c.Rules {
		if !known(id) {
			r.file(config.FileName, r.c.Line("rules", id), r.severity, "there is no rule %s: vsa explain lists them", id)
		}
	}
	for _, e := range r.c.Exceptions {
		if !known(e.Rule) {
			r.file(config.FileName, e.Line, r.severity, "there is no rule %s: vsa explain lists them", e.Rule)
		}
	}
	for name, of := range r.c.Contexts {
		if r.p.ContextNamed(name) == nil {
			r.file(config.FileName, r.c.Line("contexts", name), Error, "there is no context %q under %s", name, r.p.Root)
		}
		if of.DependsOn == nil {
			continue
		}
		for _, to := range *of.DependsOn {
			if r.p.ContextNamed(to) == nil {
				r.file(config.FileName, r.c.Line("contexts", name, "depends_on"), Error, "%s depends on %q, which is not a context under %s", name, to, r.p.Root)
			}
		}
	}
	for _, pattern := range r.c.Validation.NotIsolated {
		if !slices.ContainsFunc(r.p.Packages, func(pkg *packages.Package) bool { return r.matches(pattern, pkg.PkgPath) }) {
			r.file(config.FileName, r.c.Line("validation", "exclude_from_isolation"), r.severity, "no package matches %q", pattern)
		}
	}
}

// NotForGo returns why Go does not need a rule that other languages have, or "" if id
// is not such a rule.
func NotForGo(id string) string {
	return map[string]string{
		"VSA023": "VSA029 checks what a directory called ports imports",
		"VSA024": "there is no bus to register a command with: VSA002 finds a command that nothing decides",
		"VSA025": "VSA006 finds a shared directory that the go tool does not see, and VSA031 what slices share",
		"VSA026": "a package says what its names are, so they need no suffix: VSA004 checks the names",
		"VSA202": "the compiler keeps what is below internal from other contexts, and VSA204 checks the rest",
	}[id]
}
