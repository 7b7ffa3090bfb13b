// Package config reads vsa.yaml. Every key has an effect, and an unknown key is an
// error with its line.
package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
)

// FileName is the name of the configuration file of a module.
const FileName = "vsa.yaml"

// Config is the content of a vsa.yaml, with defaults for missing keys.
type Config struct {
	File string `yaml:"-"` // its path
	Dir  string `yaml:"-"` // its directory; all paths are relative to it

	Version         int                `yaml:"version"`
	Language        string             `yaml:"language"`
	Root            string             `yaml:"root"`
	Contexts        map[string]Context `yaml:"contexts"`
	Validation      Validation         `yaml:"validation"`
	Slices          Slices             `yaml:"slices"`
	AllowedPrefixes []string           `yaml:"projection_allowed_prefixes"`
	Layers          Layers             `yaml:"layer_separation"`
	Rules           map[string]string  `yaml:"rules"`
	Exceptions      []Exception        `yaml:"exceptions"`
	Templates       string             `yaml:"templates"`
	Generate        Generate           `yaml:"generate"`
}

// Context configures one bounded context.
type Context struct {
	DependsOn *[]string `yaml:"depends_on"` // nil: any
}

// Validation configures single rules.
type Validation struct {
	RequireTests bool     `yaml:"require_tests"`
	MaxNesting   int      `yaml:"max_nesting_depth"`
	NotIsolated  []string `yaml:"exclude_from_isolation"`
}

// Slices configures slices by their kind.
type Slices struct {
	Command SliceKind `yaml:"command"`
	Query   SliceKind `yaml:"query"`
}

// SliceKind configures the handlers of slices of one kind.
type SliceKind struct {
	MaxLines int `yaml:"max_lines"`
}

// Layers lists the imports that are forbidden.
type Layers struct {
	Domain   []string `yaml:"forbidden_domain_imports"`
	Adapters []string `yaml:"forbidden_adapter_imports"`
}

// Exception accepts up to Budget findings of a rule in a slice or a file.
type Exception struct {
	Rule   string `yaml:"rule"`
	Slice  string `yaml:"slice"`
	File   string `yaml:"file"`
	Budget int    `yaml:"budget"`
	Issue  string `yaml:"issue"`
	Line   int    `yaml:"-"` // in the file
}

// Generate configures generate.
type Generate struct {
	HTTP  bool `yaml:"http"`
	Tests bool `yaml:"tests"`
}

// Error is a mistake in a vsa.yaml.
type Error struct {
	File string
	Line int
	Text string
}

// Error says where the mistake is and what it is.
func (e *Error) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s", e.File, e.Text)
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Text)
}

// ErrNotFound says that neither the directory nor any of its parents has a vsa.yaml.
var ErrNotFound = errors.New("no vsa.yaml here or in a directory above: run vsa init")

// Default returns the configuration of an empty vsa.yaml.
func Default() *Config {
	return &Config{
		Version: 2, Language: "go", Root: "contexts",
		Validation: Validation{RequireTests: true, MaxNesting: 3},
		Slices:     Slices{SliceKind{50}, SliceKind{100}},
		Generate:   Generate{HTTP: true, Tests: true},
	}
}

// Find reads file. If file is empty, it reads the vsa.yaml of dir or of the nearest
// parent directory that has one.
func Find(dir, file string) (*Config, error) {
	if file != "" {
		return Read(file)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	for {
		c, err := Read(filepath.Join(dir, FileName))
		if !errors.Is(err, fs.ErrNotExist) {
			return c, err
		}
		above := filepath.Dir(dir)
		if above == dir {
			return nil, ErrNotFound
		}
		dir = above
	}
}

// Read reads a configuration. Mistakes in it are an *[Error].
func Read(file string) (*Config, error) {
	file, err := filepath.Abs(file)
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	c := Default()
	c.File, c.Dir = file, filepath.Dir(file)
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, c.fail(0, "%s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if len(doc.Content) == 0 {
		return c, nil
	}
	if err := c.known(doc.Content[0], reflect.TypeFor[Config](), ""); err != nil {
		return nil, err
	}
	if err := doc.Content[0].Decode(c); err != nil {
		return nil, c.fail(0, "%s", strings.Join(strings.Fields(strings.TrimPrefix(err.Error(), "yaml: ")), " "))
	}
	if err := c.check(doc.Content[0]); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *Config) fail(line int, format string, args ...any) error {
	return &Error{c.File, line, fmt.Sprintf(format, args...)}
}

// known refuses keys of node for which a value of type t has no field.
func (c *Config) known(node *yaml.Node, t reflect.Type, at string) error {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t.Kind() == reflect.Slice && node.Kind == yaml.SequenceNode:
		for _, item := range node.Content {
			if err := c.known(item, t.Elem(), at); err != nil {
				return err
			}
		}
	case t.Kind() == reflect.Map && node.Kind == yaml.MappingNode:
		for i := 0; i < len(node.Content); i += 2 {
			if err := c.known(node.Content[i+1], t.Elem(), at+node.Content[i].Value+"."); err != nil {
				return err
			}
		}
	case t.Kind() == reflect.Struct && node.Kind == yaml.MappingNode:
		keys := map[string]reflect.Type{}
		for f := range t.Fields() {
			if name := f.Tag.Get("yaml"); name != "-" {
				keys[name] = f.Type
			}
		}
		for i := 0; i < len(node.Content); i += 2 {
			key := node.Content[i]
			of, ok := keys[key.Value]
			if !ok {
				return c.fail(key.Line, "there is no key %q%s", at+key.Value, nearest(key.Value, keys))
			}
			if err := c.known(node.Content[i+1], of, at+key.Value+"."); err != nil {
				return err
			}
		}
	}
	return nil
}

// nearest suggests the key that is most similar to the unknown one.
func nearest(word string, keys map[string]reflect.Type) string {
	best, least := "", len(word)/2+1
	for key := range keys {
		if d := Distance(word, key); d < least || d == least && best != "" && key < best {
			best, least = key, d
		}
	}
	if best == "" {
		return ": vsa explain config lists them"
	}
	return fmt.Sprintf(": did you mean %q?", best)
}

// Distance is how many letters you must change, add or remove to turn a into b.
func Distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// check refuses values that make no sense.
func (c *Config) check(doc *yaml.Node) error {
	switch {
	case c.Version != 1 && c.Version != 2:
		return c.fail(line(doc, "version"), "version is %d, want 2", c.Version)
	case c.Language != "go":
		return c.fail(line(doc, "language"), "language is %q, but this vsa supports only go", c.Language)
	case !filepath.IsLocal(filepath.FromSlash(c.Root)):
		return c.fail(line(doc, "root"), "root is %q, want a directory below the one of vsa.yaml", c.Root)
	}
	for rule, severity := range c.Rules {
		if severity != "error" && severity != "warning" && severity != "off" {
			return c.fail(line(doc, "rules", rule), "rule %s is %q, want error, warning or off", rule, severity)
		}
	}
	exceptions := child(doc, "exceptions")
	for i := range c.Exceptions {
		e := &c.Exceptions[i]
		e.Line = exceptions.Content[i].Line
		switch {
		case e.Rule == "":
			return c.fail(e.Line, "an exception needs a rule")
		case (e.Slice == "") == (e.File == ""):
			return c.fail(e.Line, "an exception needs either a slice or a file")
		case e.Budget < 1:
			return c.fail(e.Line, "an exception needs a budget of 1 or more")
		}
	}
	return nil
}

// child returns the value of a key of a mapping, or nil.
func child(node *yaml.Node, key string) *yaml.Node {
	if node == nil || node.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i < len(node.Content); i += 2 {
		if node.Content[i].Value == key {
			return node.Content[i+1]
		}
	}
	return nil
}

// line returns the line of the value at the path keys, or 0.
func line(node *yaml.Node, keys ...string) int {
	for _, key := range keys {
		node = child(node, key)
	}
	if node == nil {
		return 0
	}
	return node.Line
}

// Line returns the line of vsa.yaml that has the value at the path keys, or 0.
func (c *Config) Line(keys ...string) int {
	data, err := os.ReadFile(c.File)
	if err != nil {
		return 0
	}
	var doc yaml.Node
	if yaml.Unmarshal(data, &doc) != nil || len(doc.Content) == 0 {
		return 0
	}
	return line(doc.Content[0], keys...)
}
