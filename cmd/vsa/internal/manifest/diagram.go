package manifest

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// id turns a name into an identifier of Mermaid.
func id(prefix, name string) string {
	return prefix + "_" + regexp.MustCompile(`[^A-Za-z0-9]`).ReplaceAllString(name, "_")
}

// Contexts draws the contexts of a manifest in Mermaid. A solid arrow is an import, and
// a dashed arrow is published events.
func Contexts(m *Manifest) string {
	var b strings.Builder
	b.WriteString("flowchart LR\n")
	for _, c := range m.Contexts {
		fmt.Fprintf(&b, "  %s[%s]\n", id("x", c.Name), c.Name)
	}
	for _, c := range m.Contexts {
		for _, d := range c.DependsOn {
			arrow := "-->"
			if d.Via == "events" {
				arrow = "-.->"
			}
			fmt.Fprintf(&b, "  %s %s %s\n", id("x", c.Name), arrow, id("x", d.Context))
		}
	}
	return b.String()
}

// Flow draws the flow of one context, or of all if context is "": routes, commands,
// events, views and processes, in the shapes and colours of Event Modeling.
func Flow(m *Manifest, context string) string {
	var b strings.Builder
	in := func(c string) bool { return context == "" || c == context }
	b.WriteString("flowchart LR\n")
	flowAggregates(&b, m, in)
	d := m.Domain
	for _, p := range d.Projections {
		if in(p.Context) {
			fmt.Fprintf(&b, "  %s{{%s}}:::view\n", id("r", p.Name), p.Name)
			for _, e := range p.SubscribedEvents {
				fmt.Fprintf(&b, "  %s --> %s\n", id("e", e), id("r", p.Name))
			}
		}
	}
	for _, p := range d.Processes {
		if in(p.Context) {
			fmt.Fprintf(&b, "  %s{{%s}}:::process\n", id("r", p.Name), p.Name)
			for _, e := range p.SubscribedEvents {
				fmt.Fprintf(&b, "  %s --> %s\n", id("e", e), id("r", p.Name))
			}
			for _, c := range p.SendsCommands {
				fmt.Fprintf(&b, "  %s --> %s\n", id("r", p.Name), id("c", c))
			}
		}
	}
	flowRoutes(&b, m, in)
	b.WriteString("  classDef route fill:#fff,stroke:#999\n  classDef command fill:#9cf,stroke:#36c\n  classDef event fill:#fc9,stroke:#c60\n  classDef view fill:#cfc,stroke:#393\n  classDef process fill:#ecf,stroke:#639\n")
	return b.String()
}

func flowAggregates(b *strings.Builder, m *Manifest, in func(string) bool) {
	for _, a := range m.Domain.Aggregates {
		if !in(a.Context) {
			continue
		}
		fmt.Fprintf(b, "  subgraph %s\n", a.Name)
		for _, h := range a.CommandHandlers {
			fmt.Fprintf(b, "    %s[%s]:::command\n", id("c", h.CommandType), h.CommandType)
			for _, e := range h.EmitsEvents {
				fmt.Fprintf(b, "    %s --> %s\n", id("c", h.CommandType), id("e", e))
			}
		}
		for _, h := range a.EventHandlers {
			fmt.Fprintf(b, "    %s([%s]):::event\n", id("e", h.EventType), h.EventType)
		}
		b.WriteString("  end\n")
	}
}

func flowRoutes(b *strings.Builder, m *Manifest, in func(string) bool) {
	shown := map[string]string{}
	for _, c := range m.Domain.Commands {
		if in(c.Context) {
			shown[c.Name] = id("c", c.Name)
		}
	}
	for _, p := range m.Domain.Projections {
		if in(p.Context) {
			shown[p.Name] = id("r", p.Name)
		}
	}
	for _, r := range m.Domain.Routes {
		leads := slices.DeleteFunc(slices.Clone(r.Slices), func(s string) bool { return shown[s] == "" })
		if len(leads) == 0 {
			continue
		}
		fmt.Fprintf(b, "  %s[/\"%s\"/]:::route\n", id("u", r.Pattern), r.Pattern)
		for _, s := range leads {
			if strings.HasPrefix(shown[s], "r_") {
				fmt.Fprintf(b, "  %s --> %s\n", shown[s], id("u", r.Pattern))
			} else {
				fmt.Fprintf(b, "  %s --> %s\n", id("u", r.Pattern), shown[s])
			}
		}
	}
}
