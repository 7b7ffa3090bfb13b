package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/evolvego/evolve/cmd/vsa/internal/rules"
	"github.com/evolvego/evolve/cmd/vsa/internal/scaffold"
)

func newExplain() *cobra.Command {
	return &cobra.Command{
		Use:   "explain [TOPIC]",
		Short: "explain a rule, or config, layout, names, templates",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return explainAll(cmd.OutOrStdout())
			}
			return explain(cmd.OutOrStdout(), args[0])
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			all := slices.Collect(maps.Keys(topics()))
			for _, r := range rules.All() {
				all = append(all, r.ID)
			}
			return all, cobra.ShellCompDirectiveNoFileComp
		},
	}
}

func explainAll(w io.Writer) error {
	var b strings.Builder
	for _, r := range rules.All() {
		fmt.Fprintf(&b, "%s  %-20s %s\n", r.ID, r.Name, r.Severity)
	}
	b.WriteString("\nvsa explain VSA031 says what a rule finds, with examples. Other topics: config, layout, names, templates.\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func explain(w io.Writer, topic string) error {
	for _, r := range rules.All() {
		if strings.EqualFold(r.ID, topic) || r.Name == topic {
			_, err := fmt.Fprintf(w, "%s %s (%s)\n\n%s\n\nwrong:\n%s\n\nright:\n%s\n", r.ID, r.Name, r.Severity, r.About, indent(r.Wrong), indent(r.Right))
			return err
		}
	}
	if why := rules.NotForGo(strings.ToUpper(topic)); why != "" {
		_, err := fmt.Fprintf(w, "%s is a rule for other languages. Go does not need it: %s.\n", strings.ToUpper(topic), why)
		return err
	}
	if topic == "templates" {
		return explainTemplates(w)
	}
	text, ok := topics()[topic]
	if !ok {
		return usagef("there is no topic %q: vsa explain lists the rules, and config, layout, names, templates", topic)
	}
	_, err := io.WriteString(w, text)
	return err
}

func indent(text string) string { return "    " + strings.ReplaceAll(text, "\n", "\n    ") }

func explainTemplates(w io.Writer) error {
	var b strings.Builder
	b.WriteString("If you set templates: DIR in vsa.yaml, a file in DIR replaces the built-in template with the same name. Its\noutput is formatted and type-checked too. The templates are:\n")
	all := scaffold.Templates()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&b, "\n--- %s\n%s", name, all[name])
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// topics returns the texts of the topics that are not rules, by topic.
func topics() map[string]string {
	return map[string]string{
		"config": `vsa.yaml is next to go.mod. Every key is optional:

    version: 2
    language: go
    root: contexts                     # the directory of the bounded contexts
    contexts:
      billing: {depends_on: [accounts]} # VSA201; without it: any; []: none
    validation:
      require_tests: true              # VSA001
      max_nesting_depth: 3             # VSA005
      exclude_from_isolation: []       # packages for which VSA010 and VSA031 do not hold, such as accounts/...
    slices:
      command: {max_lines: 50}         # VSA011
      query: {max_lines: 100}
    projection_allowed_prefixes: []    # VSA032
    layer_separation:                  # VSA206
      forbidden_domain_imports: []
      forbidden_adapter_imports: []
    rules: {VSA003: "off"}             # error, warning or off
    exceptions:                        # findings that you accept; a budget only falls
      - {rule: VSA031, slice: open-account, budget: 1, issue: "#7"}
    templates: templates               # vsa explain templates
    generate: {http: true, tests: true}

Any other key is an error, and so is a context or a pattern that matches nothing.
`,
		"layout": `    vsa.yaml, main.go
    contexts/contexts.go                    All, with a line for each context
    contexts/accounts/accounts.go           what other contexts may import: New, Routes
             accounts/{command,query,run}.go the HTTP handlers and Run, for you to edit
             accounts/published.go          events that other contexts may react to
             accounts/internal/account/     the aggregate, pure: each command has a file and a test
             accounts/internal/getbalance/  a query: its view, its Load and its test
             accounts/internal/welcomebonus/ a reactor: its process, its Run and its test

Slices that decide share one state, so they share a package and have a file each. Slices that only read or react
share nothing, so they have a package each. The compiler keeps what is below internal from other contexts.
`,
		"names": `A feature is a verb and an object: credit-account. The name of the aggregate is left out in Go, because the
package says it: account.Credit and account.Credited, stored as AccountCredited. A feature about another object
keeps it: change-owner becomes ChangeOwner and OwnerChanged. To choose another name for the event, use --event.

The aggregate is the one that --aggregate names. Without it, it is the word in the feature that the context's name
begins with (account in credit-account, in the context accounts), or else the only aggregate in the context.
`,
	}
}
