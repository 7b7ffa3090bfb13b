package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/evolvego/evolve/cmd/vsa/internal/config"
	"github.com/evolvego/evolve/cmd/vsa/internal/model"
	"github.com/evolvego/evolve/cmd/vsa/internal/report"
	"github.com/evolvego/evolve/cmd/vsa/internal/rules"
	"github.com/evolvego/evolve/cmd/vsa/internal/scaffold"
)

// validation holds the flags of validate.
type validation struct {
	format                                    string
	watch, fix, dryRun, baseline, strict, vet bool
	rules                                     []string
}

func newValidate(o *options) *cobra.Command {
	v := &validation{}
	cmd := &cobra.Command{
		Use:   "validate [PACKAGE...]",
		Short: "check the slices against the rules",
		Long:  "validate checks the slices against the rules. With packages, such as ./contexts/accounts/..., it shows only the findings in them.",
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, id := range v.rules {
				if !slices.ContainsFunc(rules.All(), func(r rules.Rule) bool { return r.ID == id }) {
					return usagef("--rule is %q: vsa explain lists the rules", id)
				}
			}
			if !slices.Contains([]string{"text", "json", "sarif", "github"}, v.format) {
				return usagef("--format is %q: use text, json, sarif or github", v.format)
			}
			if v.watch {
				return v.watching(cmd, o, args)
			}
			return v.once(cmd, o, args)
		},
	}
	f := cmd.Flags()
	f.StringVar(&v.format, "format", "text", "the `FORMAT` of the output: text, json, sarif or github")
	f.BoolVarP(&v.watch, "watch", "w", false, "keep running, and print changed findings when files change")
	f.BoolVar(&v.fix, "fix", false, "apply the fixes that findings have")
	f.BoolVar(&v.dryRun, "dry-run", false, "with --fix: print the fixes as a diff, and write nothing")
	f.StringSliceVar(&v.rules, "rule", nil, "check only these `IDS`")
	f.BoolVar(&v.baseline, "baseline", false, "write all current findings into vsa.yaml as exceptions")
	f.BoolVar(&v.strict, "strict", false, "fail on warnings too")
	f.BoolVar(&v.vet, "vet", true, "also run decidervet through go vet")
	return cmd
}

// once validates and reports.
func (v *validation) once(cmd *cobra.Command, o *options, args []string) error {
	result, c, p, err := v.check(cmd.Context(), o, args)
	if err != nil {
		return err
	}
	switch {
	case v.baseline:
		return writeBaseline(cmd.OutOrStdout(), c, result)
	case v.fix:
		if err := v.fixed(cmd, c, p, result); err != nil || v.dryRun {
			return err
		}
		if result, _, _, err = v.check(cmd.Context(), o, args); err != nil {
			return err
		}
	}
	if err := v.report(cmd, result); err != nil {
		return err
	}
	return v.verdict(result)
}

func (v *validation) verdict(result *rules.Result) error {
	if found, warnings := report.Count(result); found > 0 || v.strict && warnings > 0 {
		return errFound
	}
	return nil
}

// check runs the rules, and also decidervet if asked to. A run that checks nothing is
// an error.
func (v *validation) check(ctx context.Context, o *options, args []string) (*rules.Result, *config.Config, *model.Project, error) {
	c, p, err := o.load()
	if err != nil {
		return nil, nil, nil, err
	}
	if len(p.Contexts) == 0 {
		return nil, nil, nil, usagef("there is no context under %s: nothing was validated", filepath.Join(c.Dir, c.Root))
	}
	result, err := rules.Run(p, c, v.rules)
	if err != nil {
		return nil, nil, nil, err
	}
	if v.vet && (len(v.rules) == 0 || slices.Contains(v.rules, "VSA027")) && c.Rules["VSA027"] != rules.Off {
		found, err := vet(ctx, c, p)
		if err != nil {
			return nil, nil, nil, err
		}
		result.Findings = append(result.Findings, found...)
		rules.Sort(result.Findings)
	}
	if len(args) > 0 {
		result.Findings = slices.DeleteFunc(result.Findings, func(f rules.Finding) bool {
			return !slices.ContainsFunc(args, func(arg string) bool { return inPackage(c, f.File, arg) })
		})
	}
	return result, c, p, nil
}

// inPackage reports whether a file, relative to vsa.yaml, is in the packages of an
// argument, relative to the working directory.
func inPackage(c *config.Config, file, arg string) bool {
	dir, below := strings.CutSuffix(arg, "...")
	abs, err := filepath.Abs(filepath.Clean(dir))
	if err != nil {
		return false
	}
	at := filepath.Dir(filepath.Join(c.Dir, filepath.FromSlash(file)))
	return at == abs || below && strings.HasPrefix(at+string(filepath.Separator), abs+string(filepath.Separator))
}

// vet runs this program as go vet's tool. The go command caches its results.
func vet(ctx context.Context, c *config.Config, p *model.Project) ([]rules.Finding, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "go", "vet", "-json", "-vettool="+self, "./"+p.Root+"/...") //nolint:gosec // this program
	cmd.Dir = c.Dir
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("go vet: %w\n%s", err, stderr.String())
	}
	// go vet -json writes an object for each package, with comments, to stdout or stderr
	return parseVet(c, p, regexp.MustCompile(`(?m)^#.*$`).ReplaceAll(slices.Concat(out.Bytes(), stderr.Bytes()), nil))
}

// parseVet reads the output of go vet -json.
func parseVet(c *config.Config, p *model.Project, text []byte) ([]rules.Finding, error) {
	severity := rules.Error
	if s := c.Rules["VSA027"]; s != "" {
		severity = s
	}
	var found []rules.Finding
	seen := map[string]bool{} // a package and its test share findings
	d := json.NewDecoder(bytes.NewReader(text))
	for {
		var of map[string]map[string]json.RawMessage
		err := d.Decode(&of)
		if errors.Is(err, io.EOF) {
			return found, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read the output of go vet: %w", err)
		}
		for pkg, byCheck := range of {
			for name, raw := range byCheck {
				var all []struct{ Posn, Message string }
				if json.Unmarshal(raw, &all) != nil {
					continue
				}
				for _, diagnostic := range all {
					f, ok := vetFinding(c, p, pkg, name, diagnostic.Posn, diagnostic.Message)
					if key := diagnostic.Posn + diagnostic.Message; ok && !seen[key] {
						seen[key], f.Severity = true, severity
						found = append(found, f)
					}
				}
			}
		}
	}
}

func vetFinding(c *config.Config, p *model.Project, pkg, check, posn, message string) (rules.Finding, bool) {
	parts := regexp.MustCompile(`^(.*):(\d+):(\d+)$`).FindStringSubmatch(posn)
	if parts == nil {
		return rules.Finding{}, false
	}
	rel, err := filepath.Rel(c.Dir, parts[1])
	if err != nil {
		return rules.Finding{}, false
	}
	line, _ := strconv.Atoi(parts[2])
	column, _ := strconv.Atoi(parts[3])
	file := filepath.ToSlash(rel)
	slice := strings.ReplaceAll(strings.TrimSuffix(filepath.Base(file), ".go"), "_", "-")
	return rules.Finding{Rule: "VSA027", File: file, Line: line, Column: column, Context: p.ContextOf(pkg), Slice: slice, Symbol: check, Message: message}, true
}

func (v *validation) report(cmd *cobra.Command, result *rules.Result) error {
	out := cmd.OutOrStdout()
	switch v.format {
	case "json":
		return report.JSON(out, result)
	case "sarif":
		return report.SARIF(out, result, version())
	case "github":
		summary := os.Getenv("GITHUB_STEP_SUMMARY")
		if summary == "" {
			return report.GitHub(out, nil, result)
		}
		f, err := os.OpenFile(summary, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600) //nolint:gosec // GitHub provides the name
		if err != nil {
			return err
		}
		return errors.Join(report.GitHub(out, f, result), f.Close())
	default:
		return report.Text(out, result)
	}
}

// fixed applies the fixes of findings, and lowers budgets.
func (v *validation) fixed(cmd *cobra.Command, c *config.Config, p *model.Project, result *rules.Result) error {
	plan := &scaffold.Plan{Dir: c.Dir}
	for _, f := range result.Findings {
		for _, i := range f.Fix {
			if !slices.Contains(plan.Inserts, i) {
				plan.Inserts = append(plan.Inserts, i)
			}
		}
	}
	if len(result.Lower) > 0 {
		text, err := lowered(c, result.Lower)
		if err != nil {
			return err
		}
		plan.Files = append(plan.Files, scaffold.File{Path: filepath.Base(c.File), Text: text})
	}
	if plan.Empty() {
		return nil
	}
	changes, err := plan.Changes()
	if err != nil {
		return err
	}
	if err := plan.Check(p); err != nil {
		return err
	}
	if v.dryRun {
		return printDiff(cmd.OutOrStdout(), changes)
	}
	return plan.Write()
}

// lowered returns vsa.yaml with the budgets of exceptions lowered to the counts. It
// disables an exception that accepts nothing any more.
func lowered(c *config.Config, counts map[int]int) ([]byte, error) {
	text, err := os.ReadFile(c.File)
	if err != nil {
		return nil, err
	}
	lines := strings.Split(string(text), "\n")
	for i, v := range slices.Backward(c.Exceptions) { // from the end, so that line numbers stay valid
		n, ok := counts[i]
		if !ok {
			continue
		}
		first := v.Line - 1
		last := first + 1
		indent := len(lines[first]) - len(strings.TrimLeft(lines[first], " "))
		for last < len(lines) && strings.TrimSpace(lines[last]) != "" && len(lines[last])-len(strings.TrimLeft(lines[last], " ")) > indent {
			last++
		}
		if n == 0 {
			lines = slices.Delete(lines, first, last)
			continue
		}
		for at := first; at < last; at++ {
			lines[at] = regexp.MustCompile(`(budget:\s*)\d+`).ReplaceAllString(lines[at], "${1}"+strconv.Itoa(n))
		}
	}
	return []byte(regexp.MustCompile(`(?m)^exceptions:\s*\n(\S|\z)`).ReplaceAllString(strings.Join(lines, "\n"), "$1")), nil
}

// writeBaseline adds an exception for each rule and slice with findings.
func writeBaseline(w io.Writer, c *config.Config, result *rules.Result) error {
	if len(c.Exceptions) > 0 {
		return fmt.Errorf("%s already has exceptions: a baseline is made once, and then only shrinks", c.File)
	}
	type key struct{ rule, slice, file string }
	counts := map[key]int{}
	var order []key
	for _, f := range result.Findings {
		k := key{f.Rule, f.Slice, ""}
		if f.Slice == "" {
			k.file = f.File
		}
		if counts[k]++; counts[k] == 1 {
			order = append(order, k)
		}
	}
	if len(order) == 0 {
		_, err := fmt.Fprintln(w, "nothing to accept: there are no findings")
		return err
	}
	var b strings.Builder
	b.WriteString("exceptions: # findings when vsa was introduced; lower the budgets as you fix them\n")
	for _, k := range order {
		where := "slice: " + k.slice
		if k.file != "" {
			where = "file: " + k.file
		}
		fmt.Fprintf(&b, "  - {rule: %s, %s, budget: %d}\n", k.rule, where, counts[k])
	}
	text, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	if err := scaffold.WriteFile(c.File, slices.Concat(bytes.TrimRight(text, "\n"), []byte("\n"), []byte(b.String()))); err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s accepts %d current findings\n", c.File, len(result.Findings))
	return err
}
