package console

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/evolvego/evolve/store"
)

const (
	frameEvery = 100 * time.Millisecond // the shortest time between two frames
	frameRows  = 200                    // the most rows in a frame
	pingEvery  = 15 * time.Second       // if nothing happens, so that no proxy closes the connection
	writeIn    = 30 * time.Second       // a slower browser is cut off, and reconnects
)

// frame is a group of events that a tail sends at once.
type frame struct {
	Rows []tailRow `json:"rows"`
	More int       `json:"more,omitempty"` // events that are not sent, because there are too many
	last uint64    // position up to which this and earlier frames cover the log
}

// tailRow is a row whose texts are ready to be shown.
type tailRow struct {
	Position uint64 `json:"position"`
	When     string `json:"when"`
	Stream   string `json:"stream"`
	Version  uint64 `json:"version"`
	Event    string `json:"event"`
	Who      string `json:"who"`
	Data     string `json:"data"`
	ToStream string `json:"to_stream"`
	ToEvent  string `json:"to_event"`
}

// tail sends new events as server-sent events. The id of each frame is a position, after
// which a browser that reconnects continues.
func (c *Console) tail(q *request) error {
	l, err := q.logQuery()
	if err != nil {
		return err
	}
	if last, err := strconv.ParseUint(q.r.Header.Get("Last-Event-ID"), 10, 63); err == nil {
		l.From = last + 1
	}
	if l.From == 0 {
		head, err := q.source.log.Head(q.r.Context())
		if err != nil {
			return err
		}
		l.From = head + 1
	}
	ctx, cancel := q.background()
	defer cancel()
	frames := make(chan frame)
	c.goOn(func() {
		defer close(frames)
		q.frames(ctx, l, frames)
	})
	defer func() {
		cancel()
		for range frames {
		}
	}()
	q.w.Header().Set("Content-Type", "text/event-stream")
	q.w.Header().Set("X-Accel-Buffering", "no")
	return q.sendFrames(ctx, frames)
}

// sendFrames writes frames until ctx ends, or the client is gone.
func (q *request) sendFrames(ctx context.Context, frames <-chan frame) error {
	control := http.NewResponseController(q.w)
	send := func(text string) bool {
		_ = control.SetWriteDeadline(now().Add(writeIn)) // not every connection has one
		_, err := q.w.Write([]byte(text))
		return err == nil && control.Flush() == nil
	}
	ping := time.NewTicker(pingEvery)
	defer ping.Stop()
	for going := send("retry: 1000\n\n"); going; {
		select {
		case f, ok := <-frames:
			if !ok {
				return nil
			}
			data, err := json.Marshal(f)
			if err != nil {
				return nil // it is too late for another answer
			}
			going = send(fmt.Sprintf("id: %d\ndata: %s\n\n", f.last, data))
		case <-ping.C:
			going = send(": still here\n\n")
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

// frames collects events and passes them on. Events that arrive while nothing takes them
// are counted, and the newest are kept.
func (q *request) frames(ctx context.Context, l logQuery, out chan<- frame) {
	v := q.view("./", "")
	var next frame
	sent := time.Time{}
	for page, err := range q.source.log.Subscribe(ctx, store.LogOptions{From: l.From, Filter: l.filter()}) {
		if err != nil {
			return // the client will reconnect
		}
		q.source.shown(page.Events)
		for i := range page.Events {
			e := &page.Events[i]
			if l.matches(e) {
				next.add(tailRowOf(v, e))
			}
		}
		if len(page.Events) > 0 {
			next.last = page.Events[len(page.Events)-1].Position
		}
		if len(next.Rows) == 0 || !page.End && now().Sub(sent) < frameEvery {
			continue
		}
		if wait := frameEvery - now().Sub(sent); wait > 0 {
			select {
			case <-time.After(wait):
			case <-ctx.Done():
				return
			}
		}
		select {
		case out <- next:
			next, sent = frame{}, now()
		case <-ctx.Done():
			return
		}
	}
}

func (f *frame) add(r tailRow) {
	if f.Rows = append(f.Rows, r); len(f.Rows) > frameRows {
		f.Rows = f.Rows[1:]
		f.More++
	}
}

func tailRowOf(v view, e *store.Recorded) tailRow {
	return tailRow{
		Position: e.Position, When: when(e.RecordedAt), Stream: line(e.Stream.Type + "/" + e.Stream.ID), Version: e.Version,
		Event: line(e.Type), Who: line(e.Meta.ActorID), Data: preview(e),
		ToStream: v.OfStream(e.Stream, e.Version), ToEvent: v.Link("event", "position", e.Position),
	}
}
