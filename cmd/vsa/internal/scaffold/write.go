package scaffold

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const (
	// Journal is the name of the file that records what is being written. It exists
	// only while vsa writes, or after an interruption.
	Journal = ".vsa.unfinished"
	// temporary is the prefix of the names of temporary files.
	temporary = ".vsa-"
)

// Write writes the plan. An interrupted run leaves either nothing, or a journal that
// [Finish] completes.
func (p *Plan) Write() error {
	changes, err := p.Changes()
	if err != nil {
		return err
	}
	if err := Begin(p.Dir, changes); err != nil {
		return err
	}
	_, err = Finish(p.Dir)
	return err
}

// Begin writes the journal of changes below dir. After that, [Finish] makes the
// changes, either at once or in the next run.
func Begin(dir string, changes []Change) error {
	text, err := json.Marshal(changes)
	if err != nil {
		return err
	}
	return WriteFile(filepath.Join(dir, Journal), text)
}

// Finish makes the changes of the journal in dir and removes the journal. It skips a
// file that has changed since the journal was written. It returns how many files it
// wrote, or 0 if there is no journal.
func Finish(dir string) (written int, err error) {
	journal := filepath.Join(dir, Journal)
	text, err := os.ReadFile(journal)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	var changes []Change
	if err := json.Unmarshal(text, &changes); err != nil {
		return 0, fmt.Errorf("%s, which an interrupted run left, cannot be read: remove it, and look at git diff: %w", journal, err)
	}
	for _, c := range changes {
		name := filepath.Join(dir, filepath.FromSlash(c.Path))
		now, err := os.ReadFile(name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return written, err
		}
		if !bytes.Equal(now, c.Before) || (err == nil) != (c.Before != nil) {
			continue // it is already written, or somebody has changed it
		}
		if err := errors.Join(removeTemporary(filepath.Dir(name)), WriteFile(name, c.After)); err != nil {
			return written, err
		}
		written++
	}
	return written, os.Remove(journal)
}

// removeTemporary removes the temporary files that an interrupted run left in dir.
func removeTemporary(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), temporary) {
			err = errors.Join(err, os.Remove(filepath.Join(dir, e.Name())))
		}
	}
	return err
}

// WriteFile creates or replaces a file atomically: it writes a temporary file and
// renames it.
func WriteFile(name string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil { //nolint:gosec // source code is readable for everybody
		return err
	}
	mode := fs.FileMode(0o644)
	if info, err := os.Stat(name); err == nil {
		mode = info.Mode().Perm()
	}
	f, err := os.CreateTemp(filepath.Dir(name), temporary+"*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Chmod(mode), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
