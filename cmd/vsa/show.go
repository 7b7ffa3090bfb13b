package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/evolvego/evolve/cmd/vsa/internal/config"
	"github.com/evolvego/evolve/cmd/vsa/internal/manifest"
	"github.com/evolvego/evolve/cmd/vsa/internal/rules"
	"github.com/evolvego/evolve/cmd/vsa/internal/scaffold"
)

// now is the time of a manifest: SOURCE_DATE_EPOCH, if it is set.
func now() time.Time {
	if n, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64); err == nil {
		return time.Unix(n, 0)
	}
	return time.Now()
}

// describe returns the manifest of the project.
func (o *options) describe(domain bool) (*manifest.Manifest, *config.Config, error) {
	c, p, err := o.load()
	if err != nil {
		return nil, nil, err
	}
	return manifest.Of(p, version(), now(), domain), c, nil
}

func newManifest(o *options) *cobra.Command {
	var format, output string
	var domain, schema bool
	cmd := &cobra.Command{
		Use:   "manifest",
		Short: "describe the project for other tools",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if schema {
				_, err := fmt.Fprintln(cmd.OutOrStdout(), manifest.SchemaVersion)
				return err
			}
			m, _, err := o.describe(domain)
			if err != nil {
				return err
			}
			var text []byte
			switch format {
			case "json":
				text, err = json.MarshalIndent(m, "", "  ")
				text = append(text, '\n')
			case "yaml":
				text, err = yaml.Marshal(m)
			default:
				return usagef("--format is %q: use json or yaml", format)
			}
			if err != nil {
				return err
			}
			if output != "" {
				return scaffold.WriteFile(output, text)
			}
			_, err = cmd.OutOrStdout().Write(text)
			return err
		},
	}
	f := cmd.Flags()
	f.StringVarP(&format, "format", "f", "json", "the `FORMAT`: json or yaml")
	f.StringVarP(&output, "output", "o", "", "write to `FILE`")
	f.BoolVar(&domain, "include-domain", true, "include commands, events, views and processes")
	f.BoolVar(&schema, "schema", false, "print the version of the schema")
	return cmd
}

func newList(o *options) *cobra.Command {
	var format, context string
	var contextsOnly bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "list contexts, slices and routes",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			m, _, err := o.describe(true)
			if err != nil {
				return err
			}
			m.Contexts = slices.DeleteFunc(m.Contexts, func(c manifest.Context) bool { return context != "" && c.Name != context })
			if context != "" && len(m.Contexts) == 0 {
				return usagef("there is no context %q", context)
			}
			if contextsOnly {
				for i := range m.Contexts {
					m.Contexts[i].Features = []manifest.Feature{}
				}
			}
			out := cmd.OutOrStdout()
			switch format {
			case "json":
				e := json.NewEncoder(out)
				e.SetIndent("", "  ")
				return e.Encode(m.Contexts)
			case "text":
				return listText(out, m, contextsOnly)
			case "tree":
				return listTree(out, m, contextsOnly)
			}
			return usagef("--format is %q: use tree, json or text", format)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&format, "format", "f", "tree", "the `FORMAT`: tree, json or text")
	f.StringVarP(&context, "context", "c", "", "list only this `CONTEXT`")
	f.BoolVar(&contextsOnly, "contexts-only", false, "list no slices")
	return cmd
}

func listText(w io.Writer, m *manifest.Manifest, contextsOnly bool) error {
	var b strings.Builder
	for _, c := range m.Contexts {
		if contextsOnly {
			b.WriteString(c.Name + "\n")
		}
		for _, f := range c.Features {
			fmt.Fprintf(&b, "%s/%s\t%s\t%s\n", c.Name, f.Name, f.SliceType, strings.Join(f.Routes, ", "))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func listTree(w io.Writer, m *manifest.Manifest, contextsOnly bool) error {
	read := map[string]bool{}
	for _, p := range m.Domain.Projections {
		for _, e := range p.SubscribedEvents {
			read[e] = true
		}
	}
	var b strings.Builder
	for _, c := range m.Contexts {
		fmt.Fprintf(&b, "%s\n", c.Name)
		for i, f := range c.Features {
			branch := "├── "
			if i == len(c.Features)-1 {
				branch = "└── "
			}
			line := fmt.Sprintf("%s%-20s %-8s", branch, f.Name, f.SliceType)
			var lineSb159 strings.Builder
			for _, part := range []struct{ arrow, names string }{
				{"", strings.Join(f.Routes, ", ")}, {"→ ", strings.Join(f.Events, ", ")}, {"← ", strings.Join(f.Reads, ", ")}, {"sends ", strings.Join(f.Sends, ", ")},
			} {
				if part.names != "" {
					lineSb159.WriteString("  " + part.arrow + part.names)
				}
			}
			line += lineSb159.String()
			b.WriteString(strings.TrimRight(line, " ") + "\n")
		}
		for _, e := range m.Domain.Events {
			if e.Context == c.Name && !read[e.Name] && !contextsOnly {
				fmt.Fprintf(&b, "    no view reads %s\n", e.Name)
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func newDiagram(o *options) *cobra.Command {
	var context, kind, output string
	var check bool
	cmd := &cobra.Command{
		Use:   "diagram",
		Short: "draw the contexts, or the flow of messages, in Mermaid",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			m, c, err := o.describe(true)
			if err != nil {
				return err
			}
			files, err := diagrams(m, kind, context)
			if err != nil {
				return err
			}
			if output == "" {
				for _, name := range slices.Sorted(maps.Keys(files)) {
					if _, err := io.WriteString(cmd.OutOrStdout(), files[name]); err != nil {
						return err
					}
				}
				return nil
			}
			return writeDiagrams(cmd, filepath.Join(c.Dir, output), files, check)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&context, "context", "c", "", "draw only this `CONTEXT`")
	f.StringVar(&kind, "type", "flow", "the `TYPE`: contexts or flow")
	f.StringVarP(&output, "output", "o", "", "write Markdown files into `DIR`, relative to vsa.yaml")
	f.BoolVar(&check, "check", false, "write nothing, and fail if the files are out of date")
	return cmd
}

// maxNodes is the largest number of commands, events and readers in a picture.
const maxNodes = 60

// diagrams returns the requested pictures, by name.
func diagrams(m *manifest.Manifest, kind, context string) (map[string]string, error) {
	if context != "" && !slices.ContainsFunc(m.Contexts, func(c manifest.Context) bool { return c.Name == context }) {
		return nil, usagef("there is no context %q", context)
	}
	switch kind {
	case "contexts":
		return map[string]string{"contexts": manifest.Contexts(m)}, nil
	case "flow":
		nodes := len(m.Domain.Commands) + len(m.Domain.Events) + len(m.Domain.Projections) + len(m.Domain.Processes)
		if context != "" || nodes <= maxNodes {
			return map[string]string{"flow": manifest.Flow(m, context)}, nil
		}
		all := map[string]string{}
		for _, c := range m.Contexts {
			all["flow-"+c.Name] = manifest.Flow(m, c.Name)
		}
		return all, nil
	}
	return nil, usagef("--type is %q: use contexts or flow", kind)
}

// writeDiagrams writes pictures as Markdown, or compares them with the existing files.
func writeDiagrams(cmd *cobra.Command, dir string, files map[string]string, check bool) error {
	stale := false
	for _, name := range slices.Sorted(maps.Keys(files)) {
		file := filepath.Join(dir, name+".md")
		text := fmt.Sprintf("<!-- Written by vsa diagram. Do not edit. -->\n\n```mermaid\n%s```\n", files[name])
		there, err := os.ReadFile(file)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		switch {
		case string(there) == text:
		case check:
			fmt.Fprintf(cmd.ErrOrStderr(), "%s is out of date: run vsa diagram\n", file)
			stale = true
		default:
			if err := scaffold.WriteFile(file, []byte(text)); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "write   %s\n", file)
		}
	}
	if stale {
		return errFound
	}
	return nil
}

func newLock(o *options) *cobra.Command {
	var check, force bool
	cmd := &cobra.Command{
		Use:   "lock",
		Short: "record the shapes of events in events.lock, to notice changes",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, p, err := o.load()
			if err != nil {
				return err
			}
			lock, err := rules.ReadLock(c.Dir)
			if err != nil {
				return err
			}
			update := lock.Add
			if force {
				update = lock.Replace
			}
			changed := update(p)
			file := filepath.Join(c.Dir, rules.LockName)
			switch {
			case changed == 0:
				fmt.Fprintf(cmd.OutOrStdout(), "%s is up to date\n", rules.LockName)
				return nil
			case check:
				fmt.Fprintf(cmd.ErrOrStderr(), "%s is out of date (new or changed lines: %d): run vsa lock\n", rules.LockName, changed)
				return errFound
			}
			if err := scaffold.WriteFile(file, lock.Bytes()); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s is written (new or changed lines: %d): commit it\n", rules.LockName, changed)
			return nil
		},
	}
	f := cmd.Flags()
	f.BoolVar(&check, "check", false, "write nothing, and fail if a line is missing")
	f.BoolVar(&force, "force", false, "drop entries that the code no longer has; only before any event was recorded")
	return cmd
}
