package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// place is the location of the three files of an open store: the main file and the two
// that SQLite keeps next to it. It also remembers which files they were when they were
// opened. An operating system lets a program write to a file that was renamed or
// deleted, and SQLite does not check. Whatever is appended to such a file is lost.
type place struct {
	path  string // absolute, but as the caller named it
	real  string // without symbolic links; SQLite derives the names of the other two from it
	files [3]fs.FileInfo
	// frozen says that the file is read without locks, and must not change.
	frozen bool

	// The state that checkSoon relies on. Only the writer uses it.
	dirs    [2]string // the directories of path and real
	quiet   [2]fs.FileInfo
	checked time.Time
}

// ends returns the suffixes of the names of the three files.
func ends() [3]string { return [3]string{"", "-wal", "-shm"} }

// newPlace returns the place of the file at path, which need not exist. It does not
// note any file yet.
func newPlace(path string) (*place, error) {
	full, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	actual, err := filepath.EvalSymlinks(full)
	if errors.Is(err, fs.ErrNotExist) { // the file is new, or the link has no target yet
		actual, err = filepath.EvalSymlinks(filepath.Dir(full))
		actual = filepath.Join(actual, filepath.Base(full))
	}
	if err != nil {
		return nil, err
	}
	return &place{path: full, real: actual, dirs: [2]string{filepath.Dir(full), filepath.Dir(actual)}}, nil
}

// note remembers the files that exist. SQLite must have opened them before.
func (p *place) note() error {
	for i, end := range ends() {
		info, err := os.Stat(p.real + end)
		switch {
		case err == nil && (i > 0 || p.files[0] == nil):
			p.files[i] = info
		case i == 0 && err != nil:
			return p.gone(i, err)
		}
	}
	return p.checkMain()
}

// check returns an error if one of the files is not the one that note remembered.
func (p *place) check() error {
	if err := p.checkMain(); err != nil {
		return err
	}
	for i, end := range ends() {
		if i == 0 {
			continue
		}
		info, err := os.Stat(p.real + end)
		if err := p.compare(i, info, err); err != nil {
			return err
		}
	}
	return nil
}

// checkEvery is how long checkSoon may rely on the times of the directories.
const checkEvery = time.Second

// settled returns how old the time of a directory must be to prove that the directory did
// not change again at the same time. Several changes within one tick of the file system's
// clock have the same time. A time with a fraction of a millisecond comes from the clock of
// the system, whose ticks are 16 ms at most. Other file systems count seconds, or even two.
func settled(changed time.Time) time.Duration {
	if changed.Nanosecond()%int(time.Millisecond) != 0 {
		return 100 * time.Millisecond
	}
	return 3 * time.Second
}

// checkSoon is check for a caller that calls it often. Renaming, deleting or creating a
// file changes the time of its directory. So if the time of the directory is unchanged, and
// settled, so are the files. A change that does not affect the directory, such as a mount,
// is noticed after checkEvery.
func (p *place) checkSoon() error {
	now := time.Now() //nolint:forbidigo // that of the file system
	dirs := p.dirs[:]
	if dirs[0] == dirs[1] {
		dirs = dirs[:1]
	}
	same := now.Sub(p.checked) < checkEvery
	for i := 0; i < len(dirs); i++ {
		info, err := os.Stat(dirs[i])
		if err != nil {
			return p.gone(0, err)
		}
		was := p.quiet[i]
		same = same && was != nil && info.ModTime().Equal(was.ModTime()) && os.SameFile(info, was)
		p.quiet[i] = nil
		if changed := info.ModTime(); now.Sub(changed) > settled(changed) {
			p.quiet[i] = info
		}
	}
	if same {
		return nil
	}
	p.checked = now
	return p.check()
}

// checkMain is check of the main file alone.
func (p *place) checkMain() error {
	info, err := os.Stat(p.path)
	return p.compare(0, info, err)
}

// compare returns an error unless info describes file i.
func (p *place) compare(i int, info fs.FileInfo, err error) error {
	switch was := p.files[i]; {
	case err != nil && (was != nil || !errors.Is(err, fs.ErrNotExist)):
		return p.gone(i, err)
	case err != nil:
		return nil //nolint:nilerr // there is none, and there was none
	case was == nil && p.frozen:
		return p.moved(i, errors.New("another program has begun to write to the file, which was opened without locks because its directory cannot be written"))
	case was == nil:
		return nil // a file opened for reading that had no such file: SQLite opens it when it appears
	case !os.SameFile(was, info):
		return p.moved(i, errors.New("another file has its name now"))
	case i == 0 && p.frozen && (info.Size() != was.Size() || !info.ModTime().Equal(was.ModTime())):
		return p.moved(i, errors.New("another program has written to the file, which was opened without locks because its directory cannot be written"))
	}
	return nil
}

func (p *place) gone(i int, err error) error {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		err = path.Err // the message already has the path
	}
	return p.moved(i, err)
}

func (p *place) moved(i int, err error) error {
	return &FileError{Path: p.path, Kind: ErrMoved, Err: fmt.Errorf("%q: %w", filepath.Base(p.path)+ends()[i], err)}
}

// logSize returns the size in bytes of the log next to the file, or 0 if there is none.
func (p *place) logSize() int64 {
	info, err := os.Stat(p.real + "-wal")
	if err != nil {
		return 0
	}
	return info.Size()
}

// noOrphan returns an error if there is a log next to a file that is missing or empty.
// SQLite would delete the log and lose its content.
func (p *place) noOrphan() error {
	size := p.logSize()
	if size == 0 {
		return nil
	}
	// This check must come after the check of the log, because a file that another process
	// has just created gets its first page before it gets a log.
	if info, err := os.Stat(p.real); err == nil && info.Size() > 0 {
		return nil
	}
	return &FileError{p.path, ErrCorrupt, fmt.Errorf(
		"%q has %d bytes, but the file that it belongs to is missing or empty: restore that file, or move the log away too",
		filepath.Base(p.path)+"-wal", size)}
}
