package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/spf13/cobra"

	"github.com/evolvego/evolve/cmd/vsa/internal/config"
	"github.com/evolvego/evolve/cmd/vsa/internal/model"
	"github.com/evolvego/evolve/cmd/vsa/internal/scaffold"
)

func newGenerate(o *options) *cobra.Command {
	var req scaffold.Request
	var fields []string
	var interactive, dryRun bool
	var format string
	cmd := &cobra.Command{
		Use:   "generate [CONTEXT FEATURE]",
		Short: "write a slice, and its context and aggregate if they are new",
		Example: "  vsa generate accounts open-account --field owner:string,required\n" +
			"  vsa generate accounts get-balance --feature-type query --field cents:int64\n" +
			"  vsa generate accounts welcome-bonus --feature-type reactor --on Opened --send Credit\n" +
			"  vsa generate reports list-owners --feature-type query --list --on accounts.Opened --publish --field owner:string",
		Args: cobra.MaximumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				req.Context = args[0]
			}
			if len(args) > 1 {
				req.Feature = args[1]
			}
			if err := finish(cmd, o); err != nil {
				return err
			}
			c, p, err := o.load()
			if err != nil {
				return err
			}
			if interactive {
				if err := ask(cmd, &req, &fields); err != nil {
					return err
				}
			}
			if req.Context == "" || req.Feature == "" {
				return usagef("name a context and a feature, such as vsa generate accounts open-account")
			}
			for _, text := range fields {
				f, err := scaffold.ParseField(text)
				if err != nil {
					return &usageError{err}
				}
				req.Fields = append(req.Fields, f)
			}
			plan, err := scaffold.Generate(c, p, req)
			if err != nil {
				return err
			}
			if req.Force {
				if err := clean(c, plan); err != nil {
					return err
				}
			}
			return apply(cmd, plan, p, dryRun, format)
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return contexts(o), cobra.ShellCompDirectiveNoFileComp
		},
	}
	f := cmd.Flags()
	f.StringVarP(&req.Context, "context", "c", "", "the bounded `CONTEXT`")
	f.StringVarP(&req.Feature, "feature", "f", "", "the `FEATURE`, such as credit-account")
	f.StringVarP(&req.Kind, "feature-type", "t", scaffold.Command, "the `KIND`: command, query or reactor")
	f.BoolVarP(&interactive, "interactive", "i", false, "ask for missing values")
	f.StringVar(&req.Aggregate, "aggregate", "", "the `AGGREGATE`, if it does not follow from the names")
	f.StringArrayVar(&fields, "field", nil, "a field, `NAME:TYPE` or NAME:TYPE,required; may be repeated")
	f.StringVar(&req.Event, "event", "", "the `NAME` of the event of a command, if it is not the verb in the past tense")
	f.StringSliceVar(&req.On, "on", nil, "the `EVENTS` that a query or reactor handles, such as Opened or accounts.Opened")
	f.StringVar(&req.Send, "send", "", "the `COMMAND` that a reactor sends")
	f.BoolVar(&req.List, "list", false, "the query covers all streams, not one")
	f.BoolVar(&req.Publish, "publish", false, "publish the events of --on that the other context does not publish yet")
	f.StringVar(&req.HTTP, "http", "", "the route, `'METHOD PATH'`, or none")
	f.BoolVar(&dryRun, "dry-run", false, "print the changes as a diff, and write nothing")
	f.BoolVar(&req.Force, "force", false, "replace the file of the slice, if it has no uncommitted changes")
	f.StringVar(&format, "format", "text", "the `FORMAT` of the output: text or json")
	return cmd
}

// finish completes an interrupted run.
func finish(cmd *cobra.Command, o *options) error {
	c, err := config.Find(".", o.config)
	if err != nil {
		return err
	}
	n, err := scaffold.Finish(c.Dir)
	if n > 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "vsa: wrote %d files that an interrupted run had left\n", n)
	}
	return err
}

// contexts returns the names of the contexts, for completion.
func contexts(o *options) []string {
	_, p, err := o.load()
	if err != nil {
		return nil
	}
	var names []string
	for _, c := range p.Contexts {
		names = append(names, c.Name)
	}
	return names
}

// clean refuses to replace files that have uncommitted changes.
func clean(c *config.Config, plan *scaffold.Plan) error {
	for _, f := range plan.Files {
		git := exec.Command("git", "status", "--porcelain", "--", filepath.FromSlash(f.Path)) //nolint:gosec,noctx // the path is the user's own file, and git ends by itself
		git.Dir = c.Dir
		out, err := git.Output()
		if err == nil && len(bytes.TrimSpace(out)) > 0 && !bytes.HasPrefix(out, []byte("??")) {
			return fmt.Errorf("%s has changes that are not committed: commit or undo them before --force", f.Path)
		}
	}
	return nil
}

// apply checks a plan against the project, if there is one, and writes it, or prints it
// as a diff.
func apply(cmd *cobra.Command, plan *scaffold.Plan, p *model.Project, dryRun bool, format string) error {
	if format != "text" && format != "json" {
		return usagef("--format is %q: use text or json", format)
	}
	changes, err := plan.Changes()
	if err != nil {
		return err
	}
	if p != nil {
		if err := plan.Check(p); err != nil {
			return err
		}
	}
	out := cmd.OutOrStdout()
	if dryRun {
		return printDiff(out, changes)
	}
	for _, c := range changes {
		if c.Before != nil && len(c.Lines) == 0 { // its text is replaced because of -force
			if err := printDiff(cmd.ErrOrStderr(), []scaffold.Change{c}); err != nil {
				return err
			}
		}
	}
	if err := plan.Write(); err != nil {
		return err
	}
	if err := printPlan(out, plan, changes, format); err != nil {
		return err
	}
	if len(plan.ByHand) > 0 {
		return errFound
	}
	return nil
}

// printDiff prints a unified diff that patch -p1 accepts.
func printDiff(w io.Writer, changes []scaffold.Change) error {
	for _, c := range changes {
		before := "a/" + c.Path
		if c.Before == nil {
			before = "/dev/null"
		}
		text := diff.Diff(before, c.Before, "b/"+c.Path, c.After)
		_, rest, _ := bytes.Cut(text, []byte("\n")) // its first line has another form
		if _, err := fmt.Fprintf(w, "diff --git a/%s b/%s\n%s", c.Path, c.Path, rest); err != nil {
			return err
		}
	}
	return nil
}

// printPlan prints what was done, and what is left for you to do.
func printPlan(w io.Writer, plan *scaffold.Plan, changes []scaffold.Change, format string) error {
	type insertion struct {
		File string `json:"file"`
		Line int    `json:"line"`
	}
	done := struct {
		Create  []string    `json:"create"`
		Replace []string    `json:"replace"`
		Insert  []insertion `json:"insert"`
		ByHand  []string    `json:"by_hand"`
		Next    []string    `json:"next"`
	}{[]string{}, []string{}, []insertion{}, plan.ByHand, plan.Notes}
	for _, c := range changes {
		switch {
		case c.Before == nil:
			done.Create = append(done.Create, c.Path)
		case len(c.Lines) == 0:
			done.Replace = append(done.Replace, c.Path)
		}
		for _, line := range c.Lines {
			done.Insert = append(done.Insert, insertion{c.Path, line})
		}
	}
	if format == "json" {
		return json.NewEncoder(w).Encode(done)
	}
	var b strings.Builder
	for _, name := range done.Create {
		fmt.Fprintf(&b, "create  %s\n", name)
	}
	for _, name := range done.Replace {
		fmt.Fprintf(&b, "replace %s\n", name)
	}
	for _, i := range done.Insert {
		fmt.Fprintf(&b, "insert  %s:%d\n", i.File, i.Line)
	}
	for _, text := range plan.ByHand {
		fmt.Fprintf(&b, "by hand %s\n", text)
	}
	if plan.Empty() && len(plan.ByHand) == 0 {
		b.WriteString("nothing to do\n")
	}
	for _, note := range plan.Notes {
		fmt.Fprintf(&b, "next    %s\n", note)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// asker reads answers, one per line. At the end of input every answer is empty.
type asker struct {
	in  *bufio.Scanner
	out io.Writer
}

func (a *asker) ask(question, fallback string) string {
	if fallback != "" {
		question += " [" + fallback + "]"
	}
	fmt.Fprint(a.out, question+": ")
	if !a.in.Scan() {
		fmt.Fprintln(a.out)
		return fallback
	}
	if answer := strings.TrimSpace(a.in.Text()); answer != "" {
		return answer
	}
	return fallback
}

// ask asks for the values that were not given.
func ask(cmd *cobra.Command, req *scaffold.Request, fields *[]string) error {
	a := &asker{bufio.NewScanner(cmd.InOrStdin()), cmd.ErrOrStderr()}
	given := cmd.Flags().Changed
	if req.Context == "" {
		req.Context = a.ask("context", "")
	}
	if req.Feature == "" {
		req.Feature = a.ask("feature, such as credit-account", "")
	}
	if !given("feature-type") {
		req.Kind = a.ask("type: command, query or reactor", scaffold.Command)
	}
	if !given("aggregate") {
		req.Aggregate = a.ask("aggregate (empty: taken from the names)", "")
	}
	if !given("field") && req.Kind != scaffold.Reactor {
		for {
			name := a.ask("name of a field (empty: no more)", "")
			if name == "" {
				break
			}
			text := name + ":" + a.ask("type of "+name, "string")
			if req.Kind == scaffold.Command && strings.HasPrefix(strings.ToLower(a.ask("is "+name+" required? y or n", "n")), "y") {
				text += ",required"
			}
			*fields = append(*fields, text)
		}
	}
	switch req.Kind {
	case scaffold.Command:
		if !given("event") {
			req.Event = a.ask("event (empty: the verb in the past tense)", "")
		}
	case scaffold.Reactor:
		if !given("on") {
			req.On = strings.FieldsFunc(a.ask("on which events", ""), func(r rune) bool { return r == ',' || r == ' ' })
		}
		if !given("send") {
			req.Send = a.ask("send which command", "")
		}
	}
	if !given("http") && req.Kind != scaffold.Reactor {
		req.HTTP = a.ask("route (empty: from the names, none: no route)", "")
	}
	return a.in.Err()
}
