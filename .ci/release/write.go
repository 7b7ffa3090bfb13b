package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/mod/semver"
)

// gorelease reports how the exported names changed since a release.
const gorelease = "golang.org/x/exp/cmd/gorelease@v0.0.0-20261113113407-e3970619a1a4"

// check returns the reasons why version cannot be released. With update, it records the
// licences and what each go get adds.
func check(tree, version string, update bool) error {
	if err := clean(tree); err != nil {
		return err
	}
	all, err := parts(tree)
	if err != nil {
		return err
	}
	for _, p := range all {
		if tags, err := output(tree, nil, "git", "tag", "-l", p.tag(version)); err != nil || tags != "" {
			return errors.Join(err, fmt.Errorf("there is a tag %s already", p.tag(version)))
		}
	}
	news, err := unreleased(tree)
	if err != nil {
		return err
	}
	if err := errors.Join(licences(tree, all, update), vulnerabilities(tree, all), api(tree, version, news, all)); err != nil {
		return err
	}
	return stranger(tree, version, update)
}

// clean returns an error if tree has changes that are not committed.
func clean(tree string) error {
	changes, err := output(tree, nil, "git", "status", "--porcelain")
	if err == nil && changes != "" {
		err = fmt.Errorf("not all is committed:\n%s", changes)
	}
	return err
}

// unreleased returns the section Unreleased of CHANGELOG.md.
func unreleased(tree string) (string, error) {
	text, err := os.ReadFile(filepath.Join(tree, "CHANGELOG.md"))
	if err != nil {
		return "", err
	}
	_, after, found := strings.Cut(string(text), "\n## Unreleased\n")
	news, _, _ := strings.Cut(after, "\n## ")
	if !found || strings.TrimSpace(news) == "" {
		return "", errors.New("CHANGELOG.md says nothing under Unreleased")
	}
	return news, nil
}

// api compares the exported names with those of the last release, if there is one. A
// patch release must not break any. A minor release that breaks one must say so in
// CHANGELOG.md.
func api(tree, version, news string, all []part) error {
	tags, err := output(tree, nil, "git", "tag", "-l", "v*", "--sort=-v:refname")
	if err != nil || tags == "" {
		return err
	}
	last, _, _ := strings.Cut(tags, "\n")
	for _, p := range all {
		report, err := output(filepath.Join(tree, p.dir), []string{"GOWORK=off"}, "go", "run", gorelease, "-base="+last)
		if err != nil {
			report = err.Error()
		}
		breaks := strings.Contains(report, "## incompatible changes")
		switch {
		case err != nil && !breaks && !onlySums(report):
			return err
		case breaks && semver.MajorMinor(version) == semver.MajorMinor(last):
			return fmt.Errorf("%s breaks names of %s, and %s is a patch:\n%s", p.path, last, version, report)
		case breaks && !strings.Contains(news, "BREAKING:"):
			return fmt.Errorf("%s breaks names of %s, and CHANGELOG.md has no BREAKING:\n%s", p.path, last, report)
		}
	}
	return nil
}

// onlySums reports whether the only complaint of gorelease is that go.sum has no sums
// of our own modules. Nobody needs these.
func onlySums(report string) bool {
	_, diagnostics, found := strings.Cut(report, "# diagnostics\n")
	diagnostics, _, _ = strings.Cut(diagnostics, "\n\n")
	return found && strings.TrimSpace(diagnostics) == "go.sum: one or more sums are missing. Run 'go mod tidy' to add missing sums."
}

// write makes the commit of version and its tags. It pushes nothing.
func write(tree, version string) error {
	if err := clean(tree); err != nil {
		return err
	}
	if _, err := unreleased(tree); err != nil {
		return err
	}
	all, err := parts(tree)
	if err != nil {
		return err
	}
	if err := rewrite(tree, version); err != nil {
		return err
	}
	head := fmt.Sprintf("\n## Unreleased\n\n## %s — %s\n", version, time.Now().UTC().Format(time.DateOnly))
	if err := edit(filepath.Join(tree, "CHANGELOG.md"), func(text string) string {
		return strings.Replace(text, "\n## Unreleased\n", head, 1)
	}); err != nil {
		return err
	}
	if err := command(tree, nil, "git", "commit", "-qam", "release "+version); err != nil {
		return err
	}
	tags := make([]string, len(all))
	for i, p := range all {
		tags[i] = p.tag(version)
		if err := command(tree, nil, "git", "tag", "-a", "-m", tags[i], tags[i]); err != nil {
			return err
		}
	}
	fmt.Printf("the commit and %d tags are here, and not pushed. Run make check on the commit, and then:\n\n  git push --atomic origin HEAD:main %s\n",
		len(tags), strings.Join(tags, " "))
	return nil
}
