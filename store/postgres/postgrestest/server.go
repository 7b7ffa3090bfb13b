package postgrestest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"
)

// Server is a PostgreSQL server that belongs to one test, which can stop and start it.
type Server struct {
	given    string   // the URL of a server that was started elsewhere
	settings []string // for the command line, such as "fsync=off"
	bin, dir string
	user     account
	process  *exec.Cmd      // the keeper of the server, nil if it is stopped
	life     io.WriteCloser // closing it ends the server; the end of this process closes it too
}

// Start starts a server for tb alone, which ends with tb. The settings are like
// "synchronous_commit=off". Without the binaries it skips the test, or fails it if the
// variable CI is set.
func Start(tb testing.TB, settings ...string) *Server {
	tb.Helper()
	s, err := start(settings...)
	if err != nil {
		unavailable(tb, err)
	}
	s.endWith(tb)
	return s
}

func (s *Server) endWith(tb testing.TB) {
	tb.Helper()
	tb.Cleanup(func() {
		if s.process != nil {
			_ = s.end("")
		}
		_ = os.RemoveAll(s.dir)
	})
}

// URL returns the URL of a new database on the server.
func (s *Server) URL(tb testing.TB) string {
	tb.Helper()
	url, _, err := create(context.Background(), s.url())
	if err != nil {
		tb.Fatal(err)
	}
	return url
}

// Crash ends the server at once, whatever it is doing, like pg_ctl stop -m immediate.
func (s *Server) Crash(tb testing.TB) {
	tb.Helper()
	if err := s.end("keep\n"); err != nil {
		tb.Fatal(err)
	}
}

// Restart starts the server again after Crash, and returns when it answers.
func (s *Server) Restart(tb testing.TB) {
	tb.Helper()
	if err := s.run(); err != nil {
		tb.Fatal(err)
	}
}

func (s *Server) url() string {
	if s.given != "" {
		return s.given
	}
	q := url.Values{"host": {s.dir}, "user": {"postgres"}}
	return "postgres:///postgres?" + q.Encode()
}

// inDatabase returns base with another database name.
func inDatabase(base, name string) (string, error) {
	u, err := url.Parse(base)
	if err != nil {
		return "", err
	}
	u.Path = "/" + name
	return u.String(), nil
}

// start creates a cluster and starts its server.
func start(settings ...string) (_ *Server, err error) {
	return startWith(settings, func(s *Server) *exec.Cmd {
		return s.command(filepath.Join(s.bin, "initdb"), "--no-sync", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-D", s.data())
	})
}

// startWith starts the server of the cluster that initialize creates.
func startWith(settings []string, initialize func(s *Server) *exec.Cmd) (_ *Server, err error) {
	s := &Server{settings: settings}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(s.dir)
		}
	}()
	if err := s.settle(); err != nil {
		return nil, err
	}
	if s.bin, err = binaries(); err != nil {
		return nil, err
	}
	cmd := initialize(s)
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%s: %w: %s", filepath.Base(cmd.Path), err, bytes.TrimSpace(out))
	}
	err = s.run()
	return s, err
}

// settle finds the user of the server and makes its directory.
func (s *Server) settle() (err error) {
	if s.user, err = unprivileged(); err != nil {
		return err
	}
	if s.dir, err = os.MkdirTemp("", "evolve-postgres"); err != nil {
		return err
	}
	if err := s.user.own(s.dir); err != nil {
		return err
	}
	return os.Chmod(s.dir, 0o711) //nolint:gosec // the process must get to the socket in it
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// command returns a command that runs as the user of the server.
func (s *Server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...) //nolint:noctx,gosec // it ends with the process, and is the server's
	cmd.Dir = s.dir
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(e string) bool { return len(e) > 2 && e[:2] == "PG" }), "LC_ALL=C")
	s.user.run(cmd)
	return cmd
}

// keeper starts the server. When its input ends, at the latest when this process ends,
// it ends the server with the signal that is its first argument, and removes the
// server's files. The word "keep" keeps the files; so does "crash", which also makes
// the signal KILL, after which the keeper removes the server's shared memory, which no one
// else would. The keeper waits for the server, because a process that nobody has waited
// for still counts as running.
const keeper = `signal=$1; shift
"$@" </dev/null & pid=$!
read -r word
[ "$word" = crash ] && signal=KILL
kill -"$signal" $pid
wait $pid
[ "$word" = crash ] && ipcrm -m "$(awk 'NR == 7 { print $2 }' data/postmaster.pid)"
[ "$word" = keep ] || [ "$word" = crash ] || rm -rf "$PWD"
`

// run starts the server and waits for it.
func (s *Server) run() error {
	args := []string{filepath.Join(s.bin, "postgres"), "-D", s.data(), "-k", s.dir}
	for _, setting := range append([]string{
		"listen_addresses=", "max_connections=300", "shared_buffers=64MB",
		"dynamic_shared_memory_type=mmap", // in the data directory, so that nothing is left elsewhere after a crash
		"logging_collector=off", "log_min_messages=fatal", "log_min_error_statement=panic",
	}, s.settings...) {
		args = append(args, "-c", setting)
	}
	return s.keep("QUIT", args...)
}

// keep starts a command, which is the server and ends at a signal, and waits until it
// answers.
func (s *Server) keep(signal string, args ...string) error {
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644) //nolint:gosec // ours
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := s.command("sh", append([]string{"-c", keeper, "keeper", signal}, args...)...)
	cmd.Stdout, cmd.Stderr = log, log
	if s.life, err = cmd.StdinPipe(); err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	s.process = cmd
	if err := s.await(); err != nil {
		text, _ := os.ReadFile(log.Name())
		return fmt.Errorf("%w: %s", errors.Join(err, s.end("")), bytes.TrimSpace(text))
	}
	return nil
}

// await waits until the server answers.
func (s *Server) await() error {
	const patience = time.Minute
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		err := execute(ctx, s.url(), "SELECT 1")
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("no answer for %s: %w", patience, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// end sends word to the keeper and waits until it has ended the server.
func (s *Server) end(word string) error {
	_, err := io.WriteString(s.life, word)
	err = errors.Join(err, s.life.Close())
	_ = s.process.Wait() // its status is that of the server, which was killed
	s.process = nil
	return err
}

// binaries returns the directory of the newest server on this machine, with the one on
// PATH first.
func binaries() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil && there(filepath.Dir(path)) {
			return filepath.Dir(path), nil
		}
	}
	dirs, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil {
		return "", err
	}
	slices.SortFunc(dirs, func(a, b string) int { return release(b) - release(a) })
	for _, dir := range dirs {
		if there(dir) {
			return dir, nil
		}
	}
	return "", errors.New("no initdb and postgres on PATH or in /usr/lib/postgresql: install the PostgreSQL server")
}

// release returns the number in /usr/lib/postgresql/15/bin.
func release(dir string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(dir)))
	return n
}

func there(dir string) bool {
	for _, name := range []string{"initdb", "postgres"} {
		if _, err := exec.LookPath(filepath.Join(dir, name)); err != nil {
			return false
		}
	}
	return true
}
