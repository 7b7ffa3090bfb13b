package open_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/evolvego/evolve/decider/projection"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/open"
	"github.com/evolvego/evolve/store/postgres"
	"github.com/evolvego/evolve/store/postgres/postgrestest"
	"github.com/evolvego/evolve/store/sqlite"
)

// killsEnv is the number of times that TestKilled kills the program on each store,
// killsShort the number without it.
const (
	killsEnv   = "EVOLVE_KILLS"
	killsShort = 5
	// killsOnce is the maximum number of kills on the same database.
	killsOnce = 50
	// killsIdle is how many times more often the program is killed if it was always
	// killed too early to do something of everything.
	killsIdle = 5
)

func kills() int {
	if n, err := strconv.Atoi(os.Getenv(killsEnv)); err == nil {
		return n
	}
	return killsShort
}

// stores returns the stores on which the program is killed.
func stores() map[string]func(t *testing.T) string {
	return map[string]func(t *testing.T) string{
		"SQLite":     func(t *testing.T) string { t.Helper(); return "sqlite:" + filepath.Join(t.TempDir(), "tasks.db") },
		"PostgreSQL": func(t *testing.T) string { t.Helper(); return postgrestest.URL(t) },
	}
}

// TestKilled kills a program at random moments under load: three projections, into a
// table, into documents and into memory, and a process with timers. After each kill,
// the read models must match the log up to their checkpoint, and nothing may have been
// done twice. In the end, each command must have landed and each timer must have fired
// exactly once.
func TestKilled(t *testing.T) {
	t.Parallel()
	for name, database := range stores() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var sum ledger
			killed, looked := 0, 0
			idle := func() bool { return sum.landed == 0 || sum.fired == 0 || looked == 0 }
			for killed < kills() || idle() && killed < killsIdle*kills() {
				h := newHunt(database(t))
				for range min(killsOnce, max(kills()-killed, 1)) {
					n, err := h.life(t, "")
					if err != nil {
						t.Fatalf("after %d kills: %v", killed, err)
					}
					killed += n
				}
				if err := h.drain(t.Context()); err != nil {
					t.Fatalf("in the end, after %d kills: %v", killed, err)
				}
				sum.events, sum.landed, sum.fired = sum.events+h.log.events, sum.landed+h.log.landed, sum.fired+h.log.fired
				looked += h.looked
			}
			if idle() {
				t.Errorf("the program has done nothing: %d commands, %d timers, %d checks of the image", sum.landed, sum.fired, looked)
			}
			t.Logf("%d kills: %d events, %d commands, %d timers, %d checks of the image", killed, sum.events, sum.landed, sum.fired, looked)
		})
	}
}

// TestKilledFinds plants bugs that only a crash shows. Each must be found, and reported
// correctly.
func TestKilledFinds(t *testing.T) {
	t.Parallel()
	const most = 40 // deaths until it is found; a few are enough
	for bug, told := range map[string]string{
		lateCheckpoint: "but the log up to there has",
		freshCommands:  "has landed",
		freshTimers:    "has fired",
	} {
		t.Run(bug, func(t *testing.T) {
			t.Parallel()
			h := newHunt(stores()["SQLite"](t))
			for killed := 0; killed < most; {
				n, err := h.life(t, bug)
				killed += n
				if err == nil {
					continue
				}
				if !strings.Contains(err.Error(), told) {
					t.Errorf("found after %d kills: %v; want an error with %q", killed, err, told)
				}
				t.Logf("found after %d kills: %v", killed, err)
				return
			}
			t.Errorf("not found with %d kills", most)
		})
	}
}

// hunt kills programs on one database.
type hunt struct {
	url    string
	log    *ledger
	looked int // how often an image was compared
	lives  int
}

func newHunt(url string) *hunt { return &hunt{url: url, log: newLedger()} }

// life lets the program live for a while, every third time together with another one,
// kills it, and checks what it has left. It returns the number of killed programs.
func (h *hunt) life(t *testing.T, plant string) (killed int, err error) {
	t.Helper()
	h.lives++
	programs := []*victim{start(t, h.url, plant)}
	if h.lives%3 == 0 || plant == freshTimers { // a single program handles the event of a timer before it fires another
		programs = append(programs, start(t, h.url, plant))
	}
	for _, v := range programs {
		if plant == "" { // the others die by themselves
			v.killSoon(h.log.next)
		}
	}
	var images []string
	for _, v := range programs {
		said, err := v.end()
		if err != nil {
			return len(programs), err
		}
		images = append(images, said...)
	}
	return len(programs), h.look(t.Context(), images)
}

// look compares everything with the log.
func (h *hunt) look(ctx context.Context, images []string) error {
	st, err := open.Store(ctx, h.url)
	if err != nil {
		return err
	}
	defer st.Close()
	models, err := readModels(ctx, st)
	if err != nil {
		return err
	}
	if err := h.log.read(ctx, st); err != nil {
		return err
	}
	for _, m := range models {
		err = errors.Join(err, h.log.compare(m))
	}
	for _, line := range images {
		m, parseErr := parseImage(line)
		if parseErr != nil {
			return parseErr
		}
		err = errors.Join(err, h.log.compare(m))
		h.looked++
	}
	return err
}

// drain lets the program finish, without new tasks: until every timer that is due has
// fired, and everything is handled. Then everything has happened once.
func (h *hunt) drain(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	st, err := open.Store(ctx, h.url)
	if err != nil {
		return err
	}
	switch st := st.(type) {
	case *sqlite.Store:
		err = drainOn(ctx, onSQLite(st), h.log)
	case *postgres.Store:
		err = drainOn(ctx, onPostgres(st), h.log)
	}
	if err := errors.Join(err, st.Close(), h.look(ctx, nil)); err != nil {
		return err
	}
	return h.log.complete()
}

func drainOn[T projection.Tx](ctx context.Context, p place[T], log *ledger) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	table, documents, process := inTable(p), inDocuments(p), choring(p)
	var running sync.WaitGroup
	defer running.Wait()
	for _, run := range []func(context.Context) error{
		table.Run, documents.Run, func(ctx context.Context) error { return process.Run(ctx, sending(p.st)) },
	} {
		running.Go(func() { cancel(run(ctx)) })
	}
	defer cancel(nil)
	for handled := uint64(0); ; {
		head, err := p.st.Head(ctx)
		if err != nil {
			return err
		}
		err = errors.Join(process.WaitFor(ctx, head), table.WaitFor(ctx, head), documents.WaitFor(ctx, head))
		if err == nil {
			err = log.read(ctx, p.st)
		}
		switch {
		case err != nil:
			return errors.Join(err, context.Cause(ctx))
		case log.owed() > 0:
			if err := nextEvent(ctx, p.st, head); err != nil {
				return fmt.Errorf("%d timers have not fired: %w", log.owed(), err)
			}
		case head == handled:
			return nil
		}
		handled = head
	}
}

// nextEvent returns when there is an event after position.
func nextEvent(ctx context.Context, st store.Log, position uint64) error {
	for page, err := range st.Subscribe(ctx, store.LogOptions{From: position + 1}) {
		if err != nil || len(page.Events) > 0 {
			return err
		}
	}
	return ctx.Err()
}

// victim is a program that is killed.
type victim struct {
	cmd   *exec.Cmd
	lines chan string
	early []string // lines that were read before it was killed
}

// start starts the program on the store at url.
func start(t *testing.T, url, plant string) *victim {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), killedEnv+"="+url, plantEnv+"="+plant)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	v := &victim{cmd: cmd, lines: make(chan string, 1<<16)}
	go func() {
		defer close(v.lines)
		for r := bufio.NewReader(out); ; {
			line, err := r.ReadString('\n')
			if err != nil { // an incomplete line says nothing
				return
			}
			v.lines <- strings.TrimSpace(line)
		}
	}()
	return v
}

// killSoon kills v at a random moment: while it starts, or while it works, once its
// image has the event at position. A slow machine may take long to get there.
func (v *victim) killSoon(position uint64) {
	if rand.N(4) > 0 {
		for line := range v.lines {
			v.early = append(v.early, line)
			if m, err := parseImage(line); err != nil || m.position >= position {
				break
			}
		}
	}
	time.AfterFunc(rand.N(300*time.Millisecond), func() { _ = v.cmd.Process.Kill() })
}

// end returns what v has printed about its image, once it is killed.
func (v *victim) end() (images []string, err error) {
	images = v.early
	for line := range v.lines {
		images = append(images, line)
	}
	_ = v.cmd.Wait() // it was killed
	for _, line := range images {
		if !strings.HasPrefix(line, "image ") {
			err = errors.Join(err, fmt.Errorf("the program prints %q", line))
		}
	}
	return images, err
}
