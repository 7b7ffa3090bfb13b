package projection

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/evolvego/evolve/store"
)

const (
	// firstSize is the most events in the first transaction.
	firstSize = 64
	// pageSize is the most events on a page.
	pageSize = 256
	// batchBytes is the size from which no page is added to a batch.
	batchBytes = 16 << 20
	// saveEvery is the least time between moves of the checkpoint over events that do not
	// concern the projection, and between checks of the parked keys.
	saveEvery = time.Second
	// readyPoll is how often a build that has caught up with the log checks whether it
	// has also caught up with the active build.
	readyPoll = 20 * time.Millisecond
)

// run is the state of an owner while it runs. It belongs to one goroutine.
type run[T Tx, E any] struct {
	p      *Projection[T, E]
	at     store.Checkpoint // the read model after the last commit
	about  description
	grew   []store.Filter // filters that the source has added
	before []store.Filter // filters that it had before, if grew is not empty
	live   bool           // it has reached the end of the log
	end    bool           // it is there now
	worked func()         // called after each success

	size    int      // of a transaction that takes about as long as it may
	limit   int      // of the next transaction, after a failure; 0: none
	alone   uint64   // the position of an event that failed; 0: none
	failing *failure // of that event
	parking *parking // a key that the next transaction parks
	// parkedLast is how many events the last transaction has parked.
	parkedLast int
	pauses     backoff // while the target fails

	head    uint64    // the last known position of the log
	scanned uint64    // the position up to which the log was read
	saved   time.Time // when the checkpoint was moved to scanned
	looked  time.Time // when the parked keys were checked

	overtaken bool      // a higher version is active
	tryReady  time.Time // when to try to become ready again

	got  [][]store.Recorded // the pages to apply
	hand batch[E]           // their events, decoded
}

// work prepares the build and follows the log.
func (r *run[T, E]) work(ctx context.Context) error {
	if err := r.prepare(ctx); err != nil {
		return err
	}
	return r.follow(ctx)
}

// follow applies the log from the checkpoint on. One goroutine reads ahead: it holds one
// page, and another one waits.
func (r *run[T, E]) follow(ctx context.Context) error {
	from, err := store.Resume(ctx, r.p.log, r.at)
	if err != nil {
		return err
	}
	r.scanned = r.at.Position
	reading, stop := context.WithCancel(ctx)
	pages := make(chan store.Page, 1)
	var failed error // written before pages is closed
	go func() {
		defer close(pages)
		o := store.LogOptions{From: from, Limit: pageSize, Filter: r.p.source.Filter()}
		for page, err := range r.p.log.Subscribe(reading, o) {
			if err != nil {
				failed = err
				return
			}
			select {
			case pages <- page:
			case <-reading.Done():
				return
			}
		}
	}()
	defer func() {
		stop()
		for range pages { // drain it
		}
	}()
	err = r.loop(ctx, pages)
	if err == nil {
		err = failed
	}
	if err == nil {
		err = context.Cause(ctx)
	}
	if err == nil {
		err = errors.New("the subscription ended")
	}
	return err
}

// loop applies pages until the channel is closed.
func (r *run[T, E]) loop(ctx context.Context, pages <-chan store.Page) error {
	for {
		timer := r.timer()
		var chores <-chan time.Time
		if timer != nil {
			chores = timer.C
		}
		var page store.Page
		ok, idle := true, false
		select {
		case page, ok = <-pages:
		case <-chores:
			idle = true
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if timer != nil {
			timer.Stop()
		}
		switch {
		case !ok:
			return nil
		case !idle:
			if err := r.pages(ctx, page, pages); err != nil {
				return err
			}
		}
		if err := r.chores(ctx); err != nil {
			return err
		}
	}
}

// pages applies page, and the pages that have arrived already, as one batch.
func (r *run[T, E]) pages(ctx context.Context, page store.Page, pages <-chan store.Page) error {
	r.got = append(r.got[:0], page.Events)
	events, size := len(page.Events), bytesOf(page.Events)
	for events+pageSize <= r.p.batch && size < batchBytes {
		// If the page is full and there is more, the next page arrives soon, and waiting
		// for it costs less than another commit.
		wait := len(page.Events) == pageSize && !page.End && events < r.size
		more, ok := receive(ctx, pages, wait)
		if !ok {
			break
		}
		r.got = append(r.got, more.Events)
		events, size = events+len(more.Events), size+bytesOf(more.Events)
		page = more
	}
	if page.Head < r.at.Position { // otherwise the page is older than the checkpoint
		if _, err := store.Resume(ctx, r.p.log, r.at); err != nil {
			return err
		}
	}
	r.head = page.Head
	err := r.apply(ctx, r.got)
	clear(r.got)
	if err != nil {
		return err
	}
	r.scanned = max(r.scanned, page.Next-1)
	r.live, r.end = r.live || page.End, page.End
	r.p.live.reached(max(r.scanned, r.at.Position), page.Head, page.End)
	return nil
}

// receive returns a page that has arrived, or waits for the next one if wait is set.
func receive(ctx context.Context, pages <-chan store.Page, wait bool) (page store.Page, ok bool) {
	if wait {
		select {
		case page, ok = <-pages:
		case <-ctx.Done():
		}
		return page, ok
	}
	select {
	case page, ok = <-pages:
	default:
	}
	return page, ok
}

func bytesOf(events []store.Recorded) (size int) {
	for i := range events {
		size += len(events[i].Data)
	}
	return size
}

// timer returns a timer for the next chores while nothing else happens, or nil if there
// are none.
func (r *run[T, E]) timer() *time.Timer {
	if !r.live {
		return nil
	}
	now := r.p.now()
	wait := time.Duration(-1)
	if r.scanned > r.at.Position {
		wait = max(r.saved.Add(saveEvery).Sub(now), 0)
	}
	if r.p.live.parkedKeys() > 0 {
		if look := max(r.looked.Add(saveEvery).Sub(now), 0); wait < 0 || look < wait {
			wait = look
		}
	}
	if !r.about.Ready && !r.overtaken && r.end {
		if try := max(r.tryReady.Sub(now), 0); wait < 0 || try < wait {
			wait = try
		}
	}
	if wait < 0 {
		return nil
	}
	return time.NewTimer(wait)
}

// chores does what is due from time to time at the end of the log. It returns only errors
// that end the run.
func (r *run[T, E]) chores(ctx context.Context) error {
	if !r.live {
		return nil
	}
	now := r.p.now()
	for _, chore := range []func(context.Context, time.Time) error{r.saveScanned, r.becomeReady, r.lookParked} {
		err := chore(ctx, now)
		switch {
		case err == nil:
			continue
		case fenced(err):
			return r.again(ctx)
		}
		return err
	}
	return nil
}

// saveScanned moves the checkpoint to the last event that was read. Without it, a read
// model whose events are rare would begin far behind after a restart.
func (r *run[T, E]) saveScanned(ctx context.Context, now time.Time) error {
	r.at = later(r.at, r.p.live.inlined())
	if r.scanned <= r.at.Position || now.Sub(r.saved) < saveEvery {
		return nil
	}
	r.saved = now
	page, err := r.p.log.ReadAll(ctx, store.LogOptions{From: r.scanned, Limit: 1, Backward: true})
	if err != nil {
		return err
	}
	if len(page.Events) == 0 || page.Events[0].Position <= r.at.Position {
		r.scanned = r.at.Position // there is nothing in between
		return nil
	}
	last := &page.Events[0]
	to := store.Checkpoint{Position: last.Position, EventID: last.ID}
	err = r.p.target.Update(ctx, func(tx T) error {
		if err := r.fence(tx, to); err != nil {
			return err
		}
		return r.readsAll(tx)
	})
	if err == nil {
		r.at, r.scanned = to, to.Position
	}
	return err
}

// fence moves the checkpoint to to, and keeps others from moving it.
func (r *run[T, E]) fence(tx T, to store.Checkpoint) error {
	err := tx.SaveCheckpoint(r.p.build(), r.at, to)
	if errors.Is(err, store.ErrConflict) {
		return fmt.Errorf("%w: %w", ErrFenced, err)
	}
	return err
}

// readsAll returns ErrFenced if a newer program has prepared the build since, which reads
// events that this one does not: this program must not pass over them.
func (r *run[T, E]) readsAll(tx T) error {
	var about description
	_, err := loadNote(tx, kindBuilds, r.p.build(), &about)
	if err == nil && len(grown(r.p.source.Filters(), about.Reads)) > 0 {
		return fmt.Errorf("%w: a program that reads more", ErrFenced)
	}
	return err
}

func later(a, b store.Checkpoint) store.Checkpoint {
	if b.Position > a.Position {
		return b
	}
	return a
}

// again runs after another owner has moved the checkpoint: it loads everything from the
// target again.
func (r *run[T, E]) again(ctx context.Context) error {
	was := r.at
	if err := r.prepare(ctx); err != nil {
		return err
	}
	if r.at.Position < was.Position {
		return errMoved
	}
	if _, err := store.Resume(ctx, r.p.log, r.at); err != nil {
		return err
	}
	if len(r.grew) > 0 && r.at.Position > was.Position {
		return r.prove(ctx, r.grew, r.before, was.Position, r.at)
	}
	return nil
}
