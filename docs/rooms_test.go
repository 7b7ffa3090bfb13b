package docs_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestRooms checks that each package imports what the drawing of rooms in CONTRIBUTING.md
// allows, and that each is in the drawing.
func TestRooms(t *testing.T) {
	t.Parallel()
	rooms := drawing(t)
	packages := map[string]map[string]bool{}
	err := filepath.WalkDir("..", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "testdata" || strings.HasPrefix(entry.Name(), ".") && name != ".."):
			return filepath.SkipDir
		case entry.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		return imports(packages, name)
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(packages) < 20 {
		t.Fatalf("found %d packages: this test looks in the wrong place", len(packages))
	}
	for name, imported := range packages {
		room, ok := room(rooms, name)
		if !ok {
			t.Errorf("package %s has no line in the drawing of rooms in CONTRIBUTING.md", name)
			continue
		}
		for other := range imported {
			if !allows(rooms[room], other) {
				t.Errorf("package %s imports %s, and its line in CONTRIBUTING.md says: %s -> %s",
					name, other, room, strings.Join(rooms[room], ", "))
			}
		}
	}
}

// drawing returns what each room may import.
func drawing(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("../CONTRIBUTING.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```rooms\n(.*?)```").FindStringSubmatch(string(text))
	if block == nil {
		t.Fatal("CONTRIBUTING.md has no drawing of rooms")
	}
	rooms := map[string][]string{}
	for line := range strings.Lines(block[1]) {
		if strings.TrimSpace(line) == "" {
			continue
		}
		from, to, ok := strings.Cut(line, "->")
		if !ok {
			t.Fatalf("this line of the drawing has no arrow: %s", line)
		}
		rooms[strings.TrimSpace(from)] = strings.FieldsFunc(to, func(r rune) bool { return strings.ContainsRune(", \n", r) })
	}
	return rooms
}

// imports adds what the file imports of ours to that of its package.
func imports(packages map[string]map[string]bool, name string) error {
	const ours = "github.com/evolvego/evolve/"
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
	if err != nil {
		return err
	}
	dir, err := filepath.Rel("..", filepath.Dir(name))
	if err != nil {
		return err
	}
	dir = filepath.ToSlash(dir)
	if dir == "." { // the module's own documentation
		return nil
	}
	if packages[dir] == nil {
		packages[dir] = map[string]bool{}
	}
	for _, spec := range file.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return err
		}
		if other, ok := strings.CutPrefix(path, ours); ok {
			packages[dir][other] = true
		}
	}
	return nil
}

// room returns the line that is about a package: its own, or else the one for the
// longest part of its path.
func room(rooms map[string][]string, name string) (room string, ok bool) {
	if _, ok := rooms[name]; ok {
		return name, true
	}
	for at := name; at != "."; at = filepath.ToSlash(filepath.Dir(at)) {
		if _, ok := rooms[at+"/..."]; ok {
			return at + "/...", true
		}
	}
	return "", false
}

// allows reports whether a room with these arrows may import a package.
func allows(arrows []string, name string) bool {
	for _, arrow := range arrows {
		below, all := strings.CutSuffix(arrow, "...")
		if arrow == name || all && strings.HasPrefix(name+"/", below) {
			return true
		}
	}
	return false
}
