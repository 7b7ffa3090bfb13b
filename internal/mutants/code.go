package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// mutant is a change of a file.
type mutant struct {
	change
	index  int // among all mutants of the package
	number int // the number that selects it, from 1 on
	where  string
}

// source is the code of a package.
type source struct {
	name  string
	set   *token.FileSet
	files map[string]*ast.File // by absolute path
}

// parse returns the code in dir and all its mutants, always in the same order.
func parse(dir string) (source, []mutant, error) {
	s := source{set: token.NewFileSet(), files: map[string]*ast.File{}}
	var all []mutant
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return s, nil, err
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		if name, err = filepath.Abs(name); err != nil {
			return s, nil, err
		}
		tree, err := parser.ParseFile(s.set, name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return s, nil, err
		}
		if ast.IsGenerated(tree) {
			continue
		}
		s.name, s.files[name] = tree.Name.Name, tree
		ast.Inspect(tree, func(node ast.Node) bool {
			for _, c := range changes(node) {
				where := fmt.Sprintf("%s:%d", filepath.Base(name), s.set.Position(c.at).Line)
				all = append(all, mutant{change: c, index: len(all), where: where})
			}
			return true
		})
	}
	return s, all, nil
}

// plant compiles the mutants in dir that have these indices, numbered from 1, and
// writes the overlay that makes go use them. It returns the name of the overlay.
func plant(dir, tmp string, indices []int) (overlay string, err error) {
	s, all, err := parse(dir)
	if err != nil {
		return "", err
	}
	for n, index := range indices {
		all[index].make(n + 1)
	}
	replace := map[string]string{}
	write := func(original string, code []byte) {
		if err == nil {
			replace[original] = filepath.Join(tmp, filepath.Base(original))
			err = os.WriteFile(replace[original], code, 0o600)
		}
	}
	for name, tree := range s.files {
		tree.Comments = slices.DeleteFunc(tree.Comments, func(c *ast.CommentGroup) bool { // relative ones would end up anywhere
			return c.Pos() > tree.Package && !strings.HasPrefix(c.List[0].Text, "//go:")
		})
		var changed bytes.Buffer
		if err := format.Node(&changed, s.set, tree); err != nil {
			return "", err
		}
		write(name, changed.Bytes())
	}
	at, err := filepath.Abs(filepath.Join(dir, "mutant_switches.go"))
	if err != nil {
		return "", err
	}
	write(at, fmt.Appendf(nil, switches, s.name, len(indices)+1))
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	overlay = filepath.Join(tmp, "overlay.json")
	return overlay, os.WriteFile(overlay, text, 0o600)
}

// compiling returns those of indices whose mutants compile.
func compiling(ctx context.Context, dir, tmp string, indices []int) ([]int, error) {
	if len(indices) == 0 {
		return nil, nil
	}
	overlay, err := plant(dir, tmp, indices)
	if err != nil {
		return nil, err
	}
	if out, err := goTool(ctx, dir, "build", unoptimized, "-overlay="+overlay, "."); err == nil {
		return indices, nil
	} else if len(indices) == 1 {
		_, why, _ := strings.Cut(string(out), "\n") // after the name of the package
		fmt.Fprintf(os.Stderr, "does not compile: %.200s\n", why)
		return nil, nil
	}
	half := len(indices) / 2
	first, err := compiling(ctx, dir, tmp, indices[:half])
	if err != nil {
		return nil, err
	}
	second, err := compiling(ctx, dir, tmp, indices[half:])
	return slices.Concat(first, second), err
}
