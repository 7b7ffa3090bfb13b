package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// place is the file of a store that is open, with the two files that SQLite keeps beside
// it: where they are, and which files they were when they were opened. An operating system
// lets a program write to a file that was renamed or deleted, and SQLite does not look.
// What is appended to such a file is not found again.
type place struct {
	path  string // absolute, as the caller knows it
	real  string // without symbolic links: SQLite names the other two after it
	files [3]fs.FileInfo
	// frozen says that the file is read without locks, and must not change.
	frozen bool

	// What checkSoon goes by. Only the writer uses it.
	dirs    [2]string // of path and real
	quiet   [2]fs.FileInfo
	checked time.Time
}

// ends are what the names of the three files end with.
func ends() [3]string { return [3]string{"", "-wal", "-shm"} }

// newPlace returns the place of the file at path, which need not exist. Nothing is
// noted yet.
func newPlace(path string) (*place, error) {
	full, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	actual, err := filepath.EvalSymlinks(full)
	if errors.Is(err, fs.ErrNotExist) { // the file is new, or the link leads nowhere yet
		actual, err = filepath.EvalSymlinks(filepath.Dir(full))
		actual = filepath.Join(actual, filepath.Base(full))
	}
	if err != nil {
		return nil, err
	}
	return &place{path: full, real: actual, dirs: [2]string{filepath.Dir(full), filepath.Dir(actual)}}, nil
}

// note notes the files that exist. SQLite must have them open already.
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

// check returns an error if one of the files is not the one that note has noted.
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

// checkEvery is how long checkSoon may rely on the directories.
const checkEvery = time.Second

// checkSoon is check for a caller who asks all the time. Whoever renames, deletes or creates
// a file changes the time of its directory. So if the time of the directory is still the
// same, so are the files. A recent time proves nothing, because several changes within one
// tick of the clock have the same time. A change that leaves the directory as it is, such
// as a mount, is noticed after checkEvery.
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
		if now.Sub(info.ModTime()) > checkEvery {
			p.quiet[i] = info
		}
	}
	if same {
		return nil
	}
	p.checked = now
	return p.check()
}

// checkMain is check of the main file, without those beside it.
func (p *place) checkMain() error {
	info, err := os.Stat(p.path)
	return p.compare(0, info, err)
}

// compare returns an error unless info is file i.
func (p *place) compare(i int, info fs.FileInfo, err error) error {
	switch was := p.files[i]; {
	case err != nil && (was != nil || !errors.Is(err, fs.ErrNotExist)):
		return p.gone(i, err)
	case err != nil:
		return nil //nolint:nilerr // there is none, and there was none
	case was == nil && p.frozen:
		return p.moved(i, errors.New("somebody has begun to write to a file that was opened without locks, in a directory that cannot be written"))
	case was == nil:
		return nil // of a file that had none, and is read only: SQLite opens it when it is there
	case !os.SameFile(was, info):
		return p.moved(i, errors.New("another file has its name now"))
	case i == 0 && p.frozen && (info.Size() != was.Size() || !info.ModTime().Equal(was.ModTime())):
		return p.moved(i, errors.New("somebody has written to a file that was opened without locks, in a directory that cannot be written"))
	}
	return nil
}

func (p *place) gone(i int, err error) error {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		err = path.Err // the message has the path already
	}
	return p.moved(i, err)
}

func (p *place) moved(i int, err error) error {
	return &FileError{Path: p.path, Kind: ErrMoved, Err: fmt.Errorf("%q: %w", filepath.Base(p.path)+ends()[i], err)}
}

// logSize returns how many bytes the log beside the file has, 0 if there is none.
func (p *place) logSize() int64 {
	info, err := os.Stat(p.real + "-wal")
	if err != nil {
		return 0
	}
	return info.Size()
}

// noOrphan returns an error if there is a log beside a file that is missing or empty.
// SQLite would delete it, and what is in it would be lost.
func (p *place) noOrphan() error {
	size := p.logSize()
	if size == 0 {
		return nil
	}
	// Looked at after the log, as a file that another process has just created had its
	// first page before it had a log.
	if info, err := os.Stat(p.real); err == nil && info.Size() > 0 {
		return nil
	}
	return &FileError{p.path, ErrCorrupt, fmt.Errorf(
		"%q has %d bytes, but the file that it belongs to is missing or empty: restore that file, or move the log away too",
		filepath.Base(p.path)+"-wal", size)}
}
