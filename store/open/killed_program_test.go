package open_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/decider/process"
	"github.com/evolvego/evolve/decider/projection"
	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/open"
	"github.com/evolvego/evolve/store/postgres"
	"github.com/evolvego/evolve/store/sqlite"
)

// killedEnv is the URL of the store on which the child runs the program that is killed,
// plantEnv the planted bug.
const (
	killedEnv = "EVOLVE_KILLED"
	plantEnv  = "EVOLVE_KILLED_PLANT"
)

// The bugs that can be planted in the program.
const (
	lateCheckpoint = "the checkpoint is saved after the commit"
	freshCommands  = "a command that is sent again has another id"
	freshTimers    = "a timer that fires again has another id"
)

func TestMain(m *testing.M) {
	if url := os.Getenv(killedEnv); url != "" {
		fmt.Println("error", runKilled(context.Background(), url, os.Getenv(plantEnv)))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// The streams of the program: the events of tasks, the work done for them, and what the
// process records for itself.
const (
	taskStream, workStream, processName = "Task", "Work", "Chores"
	taskWriters                         = 4
	// longestNear is the longest that a timer of most tasks takes.
	longestNear = 20 * time.Millisecond
)

// taskEvent is an event of a task, or of the process itself.
type taskEvent struct {
	Task   string
	Bucket string        // the row, or document, that counts it
	Kind   string        // begun, stopped or due
	After  time.Duration // begun: when the timer is due
}

// workEvent is the result of a command.
type workEvent struct {
	Task string
	What string // begin, stop or end
}

func taskCodec() codec.Codec[taskEvent] { return codec.JSON(map[string]taskEvent{"TaskHappened": {}}) }
func workCodec() codec.Codec[workEvent] { return codec.JSON(map[string]workEvent{"WorkDone": {}}) }

func tasks() codec.Part[taskEvent] {
	return codec.From(taskStream, taskCodec(), func(_ *store.Recorded, e taskEvent) taskEvent { return e })
}

// counted is an event as the read models see it.
type counted struct {
	Bucket   string
	Position uint64
}

// everything returns the events of tasks and of work, as the read models count them.
func everything() codec.Source[counted] {
	return codec.Events(
		codec.From(taskStream, taskCodec(), func(r *store.Recorded, e taskEvent) counted { return counted{e.Bucket, r.Position} }),
		codec.From(workStream, workCodec(), func(r *store.Recorded, e workEvent) counted { return counted{"work", r.Position} }),
	)
}

// tally is the state of the views: the number of events, and which, in what order.
type tally struct {
	Events, Sum, Hash uint64
}

func (t tally) add(e counted) tally {
	return tally{t.Events + 1, t.Sum + e.Position, t.Hash*31 + e.Position}
}

func counting() decider.View[tally, counted] { return decider.View[tally, counted]{Evolve: tally.add} }

// chores is the process: a task that begins is worked on, and ends when its timer
// fires, unless it is stopped before.
func chores() decider.Process[taskEvent, string, workEvent] {
	return decider.Process[taskEvent, string, workEvent]{
		Key:    func(e taskEvent) (string, bool) { return e.Task, e.Task != "" },
		Evolve: func(_ string, e taskEvent) string { return e.Kind + " " + e.Task },
		React: func(_ string, e taskEvent) (r decider.Reaction[workEvent, taskEvent]) {
			switch e.Kind {
			case "begun":
				r.Send = []workEvent{{e.Task, "begin"}}
				r.Later = []decider.Timer[taskEvent]{{Name: "due", After: e.After, Event: taskEvent{Task: e.Task, Kind: "due"}}}
			case "stopped":
				r.Send, r.Cancel = []workEvent{{e.Task, "stop"}}, []string{"due"}
			case "due":
				r.Send = []workEvent{{e.Task, "end"}}
			}
			return r
		},
	}
}

// work does everything that it is told, even twice: only the ids of commands prevent
// repetition.
func work(st store.Store) *runner.Runner[workEvent, int, workEvent] {
	return runner.New(workStream, decider.New(
		func(cmd workEvent, _ int) ([]workEvent, error) { return []workEvent{cmd}, nil },
		func(done int, _ workEvent) int { return done + 1 }), st, workCodec())
}

// place is a database: a store that is a target, and how to write a row of a table.
type place[T projection.Tx] struct {
	st     process.Store
	target projection.Target[T]
	exec   func(ctx context.Context, tx T, query string, args ...any) error
}

func onSQLite(st *sqlite.Store) place[*sqlite.Tx] {
	return place[*sqlite.Tx]{st, st, func(_ context.Context, tx *sqlite.Tx, query string, args ...any) error {
		_, err := tx.Exec(query, args...)
		return err
	}}
}

func onPostgres(st *postgres.Store) place[*postgres.Tx] {
	return place[*postgres.Tx]{st, st, func(ctx context.Context, tx *postgres.Tx, query string, args ...any) error {
		if len(args) > 0 {
			tx.Queue(query, args...)
			return nil
		}
		_, err := tx.Exec(ctx, query)
		return err
	}}
}

// inTable, inDocuments, inMemory and choring are what the program runs. None has a
// lease: a program that begins after another one was killed does not wait, and two can
// run at the same time.
func inTable[T projection.Tx](p place[T]) *projection.Projection[T, counted] {
	return projection.New(p.st, p.target, "table", everything(), func(ctx context.Context, tx T, e projection.Event[counted]) error {
		return p.exec(ctx, tx, `INSERT INTO tally (bucket, events, sum) VALUES ($1, 1, $2)
			ON CONFLICT (bucket) DO UPDATE SET events = tally.events + 1, sum = tally.sum + excluded.sum`,
			e.Event.Bucket, int64(e.Event.Position))
	}).WithSetup(func(ctx context.Context, tx T) error {
		return p.exec(ctx, tx, `CREATE TABLE tally (bucket TEXT PRIMARY KEY, events BIGINT NOT NULL, sum BIGINT NOT NULL)`)
	}).WithoutLease().WithBatch(2048, 10*time.Millisecond)
}

func inDocuments[T projection.Tx](p place[T]) *projection.Projection[T, counted] {
	return projection.Documents(p.st, p.target, "documents", everything(), counting(),
		func(e counted) (string, bool) { return e.Bucket, true }).WithoutLease().WithBatch(2048, 10*time.Millisecond)
}

func inMemory(st store.Log) *projection.Image[tally, counted] {
	return projection.NewImage(st, everything(), counting())
}

func choring[T projection.Tx](p place[T]) *process.Runtime[T, taskEvent, string, workEvent] {
	return process.New(p.st, p.target, processName, chores(), codec.Events(tasks())).WithTimers(taskCodec()).WithoutLease()
}

// sending sends commands to the work on st.
func sending(st store.Store) process.Send[workEvent] {
	return process.To(work(st), func(e workEvent) (string, workEvent) { return e.Task, e })
}

// runKilled is the child: it runs the program until it is killed.
func runKilled(ctx context.Context, url, plant string) error {
	st, err := open.Store(ctx, url)
	if err != nil {
		return err
	}
	switch st := st.(type) {
	case *sqlite.Store:
		return runPlanted(ctx, onSQLite(st), plant)
	case *postgres.Store:
		return runPlanted(ctx, onPostgres(st), plant)
	}
	return fmt.Errorf("no program for a %T", st)
}

// runPlanted runs the program with a bug, or without one.
func runPlanted[T projection.Tx](ctx context.Context, p place[T], plant string) error {
	send := sending(p.st)
	switch plant {
	case lateCheckpoint:
		return runProgram(ctx, late(p), send)
	case freshTimers:
		p.st = anew{p.st}
	case freshCommands:
		right := send
		send = func(ctx context.Context, c process.Command[workEvent]) error {
			c.ID = store.NewID()
			err := right(ctx, c)
			dieAt(3)
			return err
		}
	}
	return runProgram(ctx, p, send)
}

// runProgram runs three projections and a process together with writers, and prints now
// and then what the one in memory has. It returns the reason why one of them has ended.
func runProgram[T projection.Tx](ctx context.Context, p place[T], send process.Send[workEvent]) error {
	ended := make(chan error)
	run := func(do func(ctx context.Context) error) { go func() { ended <- do(ctx) }() }
	image := inMemory(p.st)
	run(inTable(p).Run)
	run(inDocuments(p).Run)
	run(image.Run)
	run(func(ctx context.Context) error { return choring(p).Run(ctx, send) })
	for n := range taskWriters {
		run(func(ctx context.Context) error { return writeTasks(ctx, p.st, fmt.Sprintf("bucket-%d", n)) })
	}
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for {
		select {
		case err := <-ended:
			return err
		case <-look.C:
			state, position := image.State()
			fmt.Println("image", position, state.Events, state.Sum, state.Hash)
		}
	}
}

// writeTasks begins tasks. One in four has a timer far in the future, and is stopped.
func writeTasks(ctx context.Context, st store.Store, bucket string) error {
	for n := rand.N(4); ; n++ { // so that a program that is killed early has begun some of either kind
		time.Sleep(rand.N(20 * time.Millisecond)) // leaves time for the others
		task := store.NewID()
		begun := taskEvent{Task: task, Bucket: bucket, Kind: "begun", After: rand.N(longestNear)}
		if n%4 == 0 {
			begun.After = 24 * time.Hour
		}
		if err := writeTask(ctx, st, begun); err != nil {
			return err
		}
		if n%4 != 0 {
			continue
		}
		if err := writeTask(ctx, st, taskEvent{Task: task, Bucket: bucket, Kind: "stopped"}); err != nil {
			return err
		}
	}
}

func writeTask(ctx context.Context, st store.Store, e taskEvent) error {
	encoded, err := taskCodec().Encode(e)
	if err != nil {
		return err
	}
	encoded.ID = store.NewID()
	_, err = st.Append(ctx, store.Stream{Type: taskStream, ID: e.Task}, store.Any, []store.Event{encoded})
	return err
}

// anew is a log in which what a process records has a new id each time.
type anew struct{ process.Store }

func (a anew) Append(ctx context.Context, s store.Stream, expected store.Expected, events []store.Event) (store.Appended, error) {
	if s.Type != processName {
		return a.Store.Append(ctx, s, expected, events)
	}
	events[0].ID = store.NewID()
	time.Sleep(50 * time.Millisecond) // another program sees the timer meanwhile
	got, err := a.Store.Append(ctx, s, expected, events)
	dieAt(10)
	return got, err
}

var passed atomic.Int64 // places where a crash shows the planted bug

// dieAt kills this program at the nth call. A program with a bug dies where the bug
// shows, so that it is found however slow the machine is.
func dieAt(n int64) {
	if passed.Add(1) != n {
		return
	}
	if p, err := os.FindProcess(os.Getpid()); err == nil {
		_ = p.Kill()
	}
	select {}
}

// lateTx saves the checkpoint after the commit.
type lateTx[T projection.Tx] struct {
	tx       T
	name     string
	from, to store.Checkpoint
}

func (l *lateTx[T]) LoadCheckpoint(name string) (store.Checkpoint, error) {
	return l.tx.LoadCheckpoint(name)
}

func (l *lateTx[T]) SaveCheckpoint(name string, from, to store.Checkpoint) error {
	l.name, l.from, l.to = name, from, to
	return l.tx.SaveCheckpoint(name, from, from)
}

func (l *lateTx[T]) LoadDocuments(kind string, ids []string) ([]store.Document, error) {
	return l.tx.LoadDocuments(kind, ids)
}

func (l *lateTx[T]) SaveDocuments(docs []store.Document) error { return l.tx.SaveDocuments(docs) }

func (l *lateTx[T]) ScanDocuments(kind, from, to string, limit int) ([]store.Document, error) {
	return l.tx.ScanDocuments(kind, from, to, limit)
}

// lateTarget saves the checkpoint in a separate transaction, one at a time.
type lateTarget[T projection.Tx] struct {
	target projection.Target[T]
	turn   *sync.Mutex
}

func (l lateTarget[T]) Update(ctx context.Context, do func(tx *lateTx[T]) error) error {
	l.turn.Lock()
	defer l.turn.Unlock()
	var after lateTx[T]
	err := l.target.Update(ctx, func(tx T) error {
		after = lateTx[T]{tx: tx}
		return do(&after)
	})
	if err != nil || after.from == after.to {
		return err
	}
	dieAt(3)
	return l.target.Update(ctx, func(tx T) error { return tx.SaveCheckpoint(after.name, after.from, after.to) })
}

// late returns p with a target that saves checkpoints late.
func late[T projection.Tx](p place[T]) place[*lateTx[T]] {
	return place[*lateTx[T]]{p.st, lateTarget[T]{p.target, new(sync.Mutex)}, func(ctx context.Context, tx *lateTx[T], query string, args ...any) error {
		return p.exec(ctx, tx.tx, query, args...)
	}}
}
