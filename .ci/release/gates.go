package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// govulncheck finds the known vulnerabilities that a program can reach.
const govulncheck = "golang.org/x/vuln/cmd/govulncheck@v1.9.0"

// vulnerabilities returns an error if a module can reach a known vulnerability. If no
// database can be read, neither in GOVULNDB nor at vuln.go.dev, it says that nothing
// was checked.
func vulnerabilities(tree string, all []part) error {
	database := cmp.Or(os.Getenv("GOVULNDB"), "https://vuln.go.dev")
	if why := reachable(database); why != nil {
		fmt.Printf("NOT CHECKED for vulnerabilities, because %s cannot be read: %v\n"+
			"\tset GOVULNDB to file:// and a directory with https://vuln.go.dev/vulndb.zip in it\n", database, why)
		return nil
	}
	for _, p := range all {
		if err := command(filepath.Join(tree, p.dir), []string{"GOWORK="}, "go", "run", govulncheck, "-db", database, "./..."); err != nil {
			return err
		}
	}
	fmt.Printf("no known vulnerability is reached in %d modules\n", len(all))
	return nil
}

// reachable returns an error if a database of vulnerabilities cannot be read.
func reachable(database string) error {
	if dir, ok := strings.CutPrefix(database, "file://"); ok {
		_, err := os.Stat(filepath.Join(dir, "index", "db.json"))
		return err
	}
	client := http.Client{Timeout: 20 * time.Second}
	r, err := client.Get(database + "/index/db.json")
	if err != nil {
		return err
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		return errors.New(r.Status)
	}
	return nil
}

// allowed are the licences that we accept in dependencies. Each has words that only its
// text contains. Longer texts come first.
var allowed = []struct {
	name  string
	words *regexp.Regexp
}{
	{"Apache-2.0", regexp.MustCompile(`Apache License\s+Version 2\.0`)},
	{"MPL-2.0", regexp.MustCompile(`Mozilla Public License,?\s+[Vv]ersion 2\.0`)},
	{"BSD-3-Clause", regexp.MustCompile(`(?s)Redistribution and use in source and binary forms.*[Nn]either the name`)},
	{"BSD-2-Clause", regexp.MustCompile(`Redistribution and use in source and binary forms`)},
	{"ISC", regexp.MustCompile(`Permission to use, copy, modify, and(?:/or)? distribute this software for any`)},
	{"MIT", regexp.MustCompile(`Permission is hereby granted, free of charge`)},
}

// licences compares the licences of all dependencies with the recorded list. It rejects
// a module without an allowed licence.
func licences(tree string, all []part, update bool) error {
	found := map[string]string{}
	for _, p := range all {
		list, err := output(filepath.Join(tree, p.dir), []string{"GOWORK="}, "go", "list", "-deps", "-test", "-f", `{{with .Module}}{{if not .Main}}{{.Path}} {{.Dir}}{{end}}{{end}}`, "./...")
		if err != nil {
			return err
		}
		for line := range strings.Lines(list) {
			path, dir, ok := strings.Cut(strings.TrimSpace(line), " ")
			if !ok || found[path] != "" {
				continue
			}
			if found[path], err = licence(dir); err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
		}
	}
	var text strings.Builder
	for _, path := range slices.Sorted(maps.Keys(found)) {
		fmt.Fprintf(&text, "%s %s\n", path, found[path])
	}
	name := filepath.Join(tree, ".ci", "release", "licences.txt")
	if update {
		return os.WriteFile(name, []byte(text.String()), 0o644) //nolint:gosec // the mode that git uses
	}
	want, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if string(want) != text.String() {
		return fmt.Errorf("the licences are others than %s says: if that is meant, make release-check UPDATE=-update\nnow:\n%s", name, text.String())
	}
	fmt.Printf("%d modules of others have the licences that are written down\n", len(found))
	return nil
}

// licence returns the name of the licence of a module.
func licence(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		if upper := strings.ToUpper(e.Name()); e.IsDir() || !strings.HasPrefix(upper, "LICEN") && !strings.HasPrefix(upper, "COPYING") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return "", err
		}
		for _, l := range allowed {
			if l.words.Match(text) {
				return l.name, nil
			}
		}
		return "", fmt.Errorf("%s is none of the licences that we allow", filepath.Join(dir, e.Name()))
	}
	return "", fmt.Errorf("there is no licence in %s", dir)
}
