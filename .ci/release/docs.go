package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// docs writes llms.txt, an index of the documentation for coding assistants, or if checked
// is set returns an error unless it is what docs would write.
func docs(tree string, checked bool) error {
	text, err := index(tree)
	if err != nil {
		return err
	}
	name := filepath.Join(tree, "llms.txt")
	if !checked {
		return os.WriteFile(name, []byte(text), 0o644) //nolint:gosec // as git has it
	}
	is, err := os.ReadFile(name)
	if err == nil && string(is) != text {
		err = errors.New("llms.txt is out of date: make docs")
	}
	return err
}

// index returns the index: the pages with their first sentence, and the packages with
// theirs.
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
