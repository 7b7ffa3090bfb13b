package rules

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"go/types"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/evolvego/evolve/cmd/vsa/internal/model"
)

// LockName is the name of the file with the shapes of events.
const LockName = "events.lock"

// Lock is an events.lock. It has the shape of each event in each schema version that
// was ever locked. Entries are never removed, because streams may still have such
// events.
type Lock struct{ Entries []Entry }

// Key identifies an event in a schema version.
type Key struct {
	Name   string
	Schema int
}

// Entry is a line of an events.lock.
type Entry struct {
	Key
	Fields map[string]string // from JSON name to type
	Line   int
}

// JSONName returns the name of a field in JSON, or "-" if it has none.
func JSONName(s *types.Struct, i int) string {
	tag, _, _ := strings.Cut(reflect.StructTag(s.Tag(i)).Get("json"), ",")
	return cmp.Or(tag, s.Field(i).Name())
}

// ReadLock reads the events.lock in dir. If there is no file, the lock is empty.
func ReadLock(dir string) (*Lock, error) {
	data, err := os.ReadFile(filepath.Join(dir, LockName))
	if errors.Is(err, fs.ErrNotExist) {
		return &Lock{}, nil
	}
	if err != nil {
		return nil, err
	}
	var l Lock
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, len(data)+1)
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" || text[0] == '#' {
			continue
		}
		e, err := parseEntry(text)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", LockName, n, err)
		}
		e.Line = n
		l.Entries = append(l.Entries, e)
	}
	return &l, nil
}

// parseEntry reads a line such as AccountCredited 1 {"amount":"int64"}.
func parseEntry(text string) (Entry, error) {
	var e Entry
	name, rest, ok := strings.Cut(text, " ")
	schema, fields, ok2 := strings.Cut(rest, " ")
	if !ok || !ok2 {
		return e, fmt.Errorf("want a name, a schema version and an object, not %q", text)
	}
	n, err := strconv.Atoi(schema)
	if err != nil || n < 1 {
		return e, fmt.Errorf("the schema version is %q, want a number of 1 or more", schema)
	}
	if err := json.Unmarshal([]byte(fields), &e.Fields); err != nil || e.Fields == nil {
		return e, fmt.Errorf("the shape of %s is %q, want an object of field names and types", name, fields)
	}
	e.Key = Key{name, n}
	return e, nil
}

// Add adds events and fields of a project that the lock lacks, and returns how many
// lines are new or changed.
func (l *Lock) Add(p *model.Project) int {
	changed := 0
	for key, now := range known(p) {
		if now.shape == nil {
			continue
		}
		i := slices.IndexFunc(l.Entries, func(e Entry) bool { return e.Key == key })
		if i < 0 {
			l.Entries, changed = append(l.Entries, Entry{Key: key, Fields: now.shape}), changed+1
			continue
		}
		grown := false
		for field, t := range now.shape {
			if _, ok := l.Entries[i].Fields[field]; !ok {
				l.Entries[i].Fields[field], grown = t, true
			}
		}
		if grown {
			changed++
		}
	}
	slices.SortFunc(l.Entries, func(a, b Entry) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), cmp.Compare(a.Schema, b.Schema))
	})
	return changed
}

// Replace makes the lock hold exactly what the project has today.
func (l *Lock) Replace(p *model.Project) int {
	before := l.Entries
	l.Entries = nil
	l.Add(p)
	changed := 0
	for _, e := range l.Entries {
		if !slices.ContainsFunc(before, func(b Entry) bool { return b.Key == e.Key && reflect.DeepEqual(b.Fields, e.Fields) }) {
			changed++
		}
	}
	for _, b := range before {
		if !slices.ContainsFunc(l.Entries, func(e Entry) bool { return b.Key == e.Key }) {
			changed++
		}
	}
	return changed
}

// Bytes returns the text of the lock.
func (l *Lock) Bytes() []byte {
	var b bytes.Buffer
	b.WriteString("# The shapes of all events that may have been recorded. Written by vsa lock; commit this file.\n")
	for _, e := range l.Entries {
		fields, _ := json.Marshal(e.Fields) // a map of strings is encoded sorted by its keys
		fmt.Fprintf(&b, "%s %d %s\n", e.Name, e.Schema, fields)
	}
	return b.Bytes()
}
