package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// docs writes docs/cli.md, which has the help of the commands, and llms.txt, an index
// of the documentation for coding assistants. If checked is set, it writes nothing, and
// returns an error if the files are out of date.
func docs(tree string, checked bool) error {
	for _, made := range []struct {
		name string
		text func(tree string) (string, error)
	}{{"docs/cli.md", commandLine}, {"llms.txt", index}} {
		text, err := made.text(tree)
		if err != nil {
			return err
		}
		name := filepath.Join(tree, filepath.FromSlash(made.name))
		if !checked {
			if err := os.WriteFile(name, []byte(text), 0o644); err != nil { //nolint:gosec // the mode that git uses
				return err
			}
			continue
		}
		is, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if string(is) != text {
			return fmt.Errorf("%s is out of date: make docs", made.name)
		}
	}
	return nil
}

// commandLine returns a page with the help text of each command.
func commandLine(tree string) (string, error) {
	bin, err := os.MkdirTemp("", "cli")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(bin)
	var b strings.Builder
	b.WriteString("# The command line\n\nWhat the commands print with `-h`. `make docs` writes this page.\n")
	for _, c := range []struct {
		name string
		all  *regexp.Regexp // matches the names of its commands or analyzers
		help func(command string) []string
	}{
		{"eventstored", regexp.MustCompile(`(?m)^  ([a-z][a-z-]*) `), func(command string) []string { return []string{command, "-h"} }},
		{"decidervet", regexp.MustCompile(`(?m)^    ([a-z]+)  +find `), func(command string) []string { return []string{"help", command} }},
		{"vsa", regexp.MustCompile(`(?m)^  ([a-z]+)  +[a-z]`), func(command string) []string { return []string{command, "-h"} }},
	} {
		if err := command(tree, []string{"GOWORK="}, "go", "build", "-o", bin, root+"/cmd/"+c.name); err != nil {
			return "", err
		}
		first := []string{"-h"}
		if c.name == "decidervet" {
			first = []string{"help"}
		}
		text, err := help(bin, c.name, first...)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "\n## %s\n\n%s", c.name, text)
		for _, match := range c.all.FindAllStringSubmatch(strings.ReplaceAll(text, "\n    ", "\n"), -1) {
			if match[1] == c.name {
				continue
			}
			text, err := help(bin, c.name, c.help(match[1])...)
			if err != nil {
				return "", err
			}
			fmt.Fprintf(&b, "\n### %s %s\n\n%s", c.name, match[1], text)
		}
	}
	return b.String(), nil
}

// help returns what a command prints for -h, as a block of Markdown.
func help(bin, name string, args ...string) (string, error) {
	cmd := exec.Command(filepath.Join(bin, name), args...)
	cmd.Dir = bin
	out, _ := cmd.CombinedOutput() // help may exit with an error
	if len(out) == 0 {
		return "", fmt.Errorf("%s %s prints nothing", name, strings.Join(args, " "))
	}
	var b strings.Builder
	for line := range strings.Lines(strings.ReplaceAll(string(out), bin+string(filepath.Separator), "")) {
		if line = strings.TrimRight(line, " \n"); line != "" {
			line = "    " + line
		}
		b.WriteString(line + "\n")
	}
	return b.String(), nil
}

// index returns the index: each page and each package with its first sentence.
func index(tree string) (string, error) {
	var b strings.Builder
	title, sentence, err := page(filepath.Join(tree, "README.md"))
	if err != nil {
		return "", err
	}
	fmt.Fprintf(&b, "# %s\n\n> %s\n\n## Documentation\n\n", title, sentence)
	pages, err := output(tree, nil, "git", "ls-files", "README.md", "docs/*.md", "CONTRIBUTING.md", "SECURITY.md", "AGENTS.md", "CHANGELOG.md")
	if err != nil {
		return "", err
	}
	for name := range strings.Lines(pages) {
		name = strings.TrimSpace(name)
		title, sentence, err := page(filepath.Join(tree, name))
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "- [%s](%s): %s\n", title, name, sentence)
	}
	b.WriteString("\n## Packages\n\n")
	packages, err := output(tree, []string{"GOWORK="}, "go", "list", "-f", "{{.ImportPath}} {{.Doc}}", "work")
	if err != nil {
		return "", err
	}
	var lines []string
	for line := range strings.Lines(packages) {
		path, doc, _ := strings.Cut(strings.TrimSpace(line), " ")
		below, ours := strings.CutPrefix(path, root)
		if !ours || doc == "" || strings.Contains(path, "internal/") || strings.HasPrefix(below, "/bench") {
			continue
		}
		lines = append(lines, fmt.Sprintf("- [%s](https://pkg.go.dev/%s): %s\n", path, path, doc))
	}
	slices.Sort(lines)
	b.WriteString(strings.Join(lines, ""))
	return b.String(), nil
}

// page returns the title and the first sentence of a page of Markdown.
func page(name string) (title, sentence string, err error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return "", "", err
	}
	for part := range strings.SplitSeq(string(text), "\n\n") {
		part = strings.TrimSpace(part)
		switch {
		case title == "" && strings.HasPrefix(part, "# "):
			title = strings.TrimPrefix(part, "# ")
		case part == "" || strings.ContainsAny(part[:1], "#`|[!-> ") || title == "":
		default:
			sentence, _, _ = strings.Cut(strings.Join(strings.Fields(part), " "), ". ")
			return title, strings.TrimSuffix(sentence, ".") + ".", nil
		}
	}
	return title, title + ".", nil
}
