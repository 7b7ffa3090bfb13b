// Package scaffold plans what generate and init write: new files, and insertions at
// places that the types of the project give. It type-checks a plan as a whole before
// anything is written.
package scaffold

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"go/format"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"github.com/evolvego/evolve/cmd/vsa/internal/config"
	"github.com/evolvego/evolve/cmd/vsa/internal/edit"
	"github.com/evolvego/evolve/cmd/vsa/internal/model"
)

//go:embed templates
var builtin embed.FS

// Plan is what will be written below a directory.
type Plan struct {
	Dir     string
	Files   []File        // new files
	Inserts []edit.Insert // into existing files
	Notes   []string      // what to look at next
	ByHand  []string      // lines without a clear place, each with where to add it
}

// File is a file that a plan creates. Its path is relative, with slashes.
type File struct {
	Path string
	Text []byte
}

// Empty reports whether there is nothing to write.
func (p *Plan) Empty() bool { return len(p.Files) == 0 && len(p.Inserts) == 0 }

// Change is a file before and after.
type Change struct {
	Path          string
	Before, After []byte // Before is nil for a new file
	Lines         []int  // line numbers in After of insertions
}

// Changes returns the changes of the plan, sorted by path.
func (p *Plan) Changes() ([]Change, error) {
	byFile := map[string][]edit.Insert{}
	for _, i := range p.Inserts {
		byFile[i.File] = append(byFile[i.File], i)
	}
	var all []Change
	for _, f := range p.Files {
		before, err := os.ReadFile(filepath.Join(p.Dir, filepath.FromSlash(f.Path)))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		all = append(all, Change{Path: f.Path, Before: before, After: f.Text})
	}
	for name, inserts := range byFile {
		before, err := os.ReadFile(filepath.Join(p.Dir, filepath.FromSlash(name)))
		if err != nil {
			return nil, err
		}
		after, err := edit.Apply(name, before, inserts)
		if err != nil {
			return nil, err
		}
		c := Change{Path: name, Before: before, After: after}
		for _, i := range inserts {
			c.Lines = append(c.Lines, lineOf(after, i.Text))
		}
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b Change) int { return strings.Compare(a.Path, b.Path) })
	return all, nil
}

// lineOf returns the line of text at which the first insertion begins.
func lineOf(text []byte, inserted string) int {
	first, _, _ := strings.Cut(strings.TrimLeft(inserted, ", \t\n"), "\n")
	squeeze := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	for n, line := range strings.Split(string(text), "\n") {
		if strings.Contains(squeeze(line), squeeze(strings.TrimRight(first, ", "))) {
			return n + 1
		}
	}
	return 1
}

// Check type-checks the project as the plan would leave it. If go.mod lacks something,
// it adds a note.
func (p *Plan) Check(project *model.Project) error {
	changes, err := p.Changes()
	if err != nil {
		return err
	}
	overlay := map[string][]byte{}
	for _, c := range changes {
		if path.Ext(c.Path) == ".go" {
			overlay[filepath.Join(project.Dir, filepath.FromSlash(c.Path))] = c.After
		}
	}
	err = project.Check(overlay)
	if _, ok := errors.AsType[*model.TypesError](err); ok { // an error of the plan, not of the project
		return fmt.Errorf("nothing was written, because the result would not compile: %s", err.Error())
	}
	if missing, ok := errors.AsType[*model.MissingError](err); ok { // everything that can be checked is right
		p.Notes = slices.Insert(p.Notes, 0, "run go mod tidy: what was written imports "+missing.Path+", which go.mod and go.sum do not provide yet")
		return nil
	}
	return err
}

// Templates returns the names and texts of the templates.
func Templates() map[string]string {
	all := map[string]string{}
	entries, _ := builtin.ReadDir("templates")
	for _, e := range entries {
		text, _ := builtin.ReadFile("templates/" + e.Name())
		all[e.Name()] = string(text)
	}
	return all
}

// render fills a template. The user's own template of this name takes precedence.
func render(c *config.Config, name string, data any) ([]byte, error) {
	text := Templates()[name]
	if c.Templates != "" {
		own, err := os.ReadFile(filepath.Join(c.Dir, filepath.FromSlash(c.Templates), name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if err == nil {
			text = string(own)
		}
	}
	t, err := template.New(name).Funcs(template.FuncMap{
		"a": a, "quote": strconv.Quote, "samples": samples, "others": others,
		"zero": func(f Field) string { return f.zero("c") },
		"join": func(s []string) string { return strings.Join(s, ", ") },
	}).Parse(text)
	if err != nil {
		return nil, fmt.Errorf("template: %w", err)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, data); err != nil {
		return nil, fmt.Errorf("template: %w", err)
	}
	if !strings.HasSuffix(strings.TrimSuffix(name, ".tmpl"), ".go") {
		return b.Bytes(), nil
	}
	out, err := format.Source(b.Bytes())
	if err != nil {
		return nil, fmt.Errorf("template %s does not generate valid Go: %w\n%s", name, err, b.Bytes())
	}
	return out, nil
}

// samples returns a literal of the fields that have a simple example.
func samples(fields []Field) string {
	var all []string
	for _, f := range fields {
		if s := f.Sample(); s != "" {
			all = append(all, f.Name+": "+s)
		}
	}
	return "{" + strings.Join(all, ", ") + "}"
}

// others returns the fields that have none.
func others(fields []Field, without Field) []Field {
	return slices.DeleteFunc(slices.Clone(fields), func(f Field) bool { return f.Name == without.Name })
}
