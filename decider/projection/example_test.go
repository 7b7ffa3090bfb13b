package projection_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/decider/projection"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
)

// Paid is an event of the streams "Account".
type Paid struct{ Cents int64 }

// Move is what readers make of it. It names the account.
type Move struct {
	Account string
	Cents   int64
}

// payments says how to read the streams of accounts.
func payments() codec.Source[Move] {
	return codec.Events(codec.From("Account", codec.JSON(map[string]Paid{"Paid": {}}),
		func(r *store.Recorded, e Paid) Move { return Move{r.Stream.ID, e.Cents} }))
}

// total is a view of moves.
var total = decider.View[int64, Move]{Evolve: func(sum int64, m Move) int64 { return sum + m.Cents }}

// pay appends an event, as a runner would, and returns its position.
func pay(st store.Store, account string, cents int64) uint64 {
	a, err := st.Append(context.Background(), store.Stream{Type: "Account", ID: account}, store.Any, []store.Event{{
		ID: store.NewID(), Type: "Paid", Schema: 1, ContentType: "application/json", Data: fmt.Appendf(nil, `{"Cents":%d}`, cents),
	}})
	if err != nil {
		panic(err)
	}
	return a.Position
}

// runner is a projection or an image.
type runner interface {
	Run(ctx context.Context) error
}

// running runs p until the returned function is called.
func running(p runner) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = p.Run(ctx) }()
	return func() {
		cancel()
		<-done
	}
}

// A view folds events into a document for each account.
func Example() {
	ctx := context.Background()
	st := memory.New()
	balances := projection.Documents(st, st, "balance", payments(), total,
		func(m Move) (string, bool) { return m.Account, true })
	defer running(balances)()

	at := pay(st, "ann", 500)
	if err := balances.WaitFor(ctx, at); err != nil { // read your writes
		fmt.Println(err)
	}
	cents, ok, err := projection.Load[int64](ctx, balances, "ann")
	fmt.Println(cents, ok, err)
	// Output: 500 true <nil>
}

// A handler writes through the transaction of the target. Here it writes a document. With
// *sqlite.Store and *postgres.Store it writes to your own tables.
func ExampleNew() {
	ctx := context.Background()
	st := memory.New()
	last := projection.New(st, st, "last", payments(),
		func(_ context.Context, tx *memory.Tx, e projection.Event[Move]) error {
			text := fmt.Appendf(nil, "%d cents at position %d", e.Event.Cents, e.Recorded.Position)
			return tx.SaveDocuments([]store.Document{{Kind: "last", ID: e.Event.Account, Data: text}})
		})
	defer running(last)()
	pay(st, "ann", 500)
	if err := last.WaitFor(ctx, pay(st, "ann", 20)); err != nil {
		fmt.Println(err)
	}
	docs, err := st.LoadDocuments(ctx, "last", []string{"ann"})
	fmt.Printf("%s %v\n", docs[0].Data, err)
	// Output: 20 cents at position 2 <nil>
}

func ExampleNewImage() {
	st := memory.New()
	image := projection.NewImage(st, payments(), total)
	defer running(image)()
	pay(st, "ann", 500)
	if err := image.WaitFor(context.Background(), pay(st, "bob", 20)); err != nil {
		fmt.Println(err)
	}
	fmt.Println(image.State())
	// Output: 520 2
}

func ExampleImage() {
	image := projection.NewImage(memory.New(), payments(), total)
	fmt.Println(image.Progress().State)
	// Output: idle
}

// A table of your own is loaded once and saved once in each transaction.
func ExampleKeyed() {
	ctx := context.Background()
	st := memory.New()
	p := projection.Keyed(st, st, "balance", payments(), projection.Table[*memory.Tx, int64, Move]{
		View: total,
		Key:  func(m Move) (string, bool) { return m.Account, m.Cents != 0 },
		Load: func(_ context.Context, tx *memory.Tx, keys []string) (map[string]int64, error) {
			states := map[string]int64{}
			docs, err := tx.LoadDocuments("my balances", keys)
			for _, d := range docs {
				if d.Data != nil && err == nil {
					var cents int64
					err = json.Unmarshal(d.Data, &cents)
					states[d.ID] = cents
				}
			}
			return states, err
		},
		Save: func(_ context.Context, tx *memory.Tx, keys []string, states map[string]int64) error {
			docs := make([]store.Document, len(keys))
			for i, key := range keys {
				docs[i] = store.Document{Kind: "my balances", ID: key, Data: fmt.Append(nil, states[key])}
			}
			return tx.SaveDocuments(docs)
		},
	})
	defer running(p)()
	pay(st, "ann", 500)
	fmt.Println(p.WaitFor(ctx, pay(st, "ann", 20)))
	docs, err := st.LoadDocuments(ctx, "my balances", []string{"ann"})
	fmt.Printf("%s %v\n", docs[0].Data, err)
	// Output:
	// <nil>
	// 520 <nil>
}

func ExampleTable() {
	table := projection.Table[*memory.Tx, int64, Move]{View: total, Key: func(m Move) (string, bool) { return m.Account, true }}
	st := memory.New()
	fmt.Println(projection.Keyed(st, st, "balance", payments(), table)) // into documents
	// Output: balance@1
}

// Messages to others are sent at least once. A build begins at the end of the log, so it
// does not send old news.
func ExampleDeliver() {
	st := memory.New()
	pay(st, "ann", 1)
	sent := make(chan string, 1)
	mails := projection.Deliver(st, st, "mails", payments(), func(_ context.Context, e projection.Event[Move]) error {
		sent <- fmt.Sprintf("to %s: %d cents", e.Event.Account, e.Event.Cents)
		return nil
	})
	live := make(chan struct{})
	mails = mails.WithObserver(observe(func(n projection.Notice) {
		if n.Kind == projection.BuildReady {
			close(live)
		}
	}))
	defer running(mails)()
	<-live
	pay(st, "bob", 20)
	fmt.Println(<-sent)
	// Output: to bob: 20 cents
}

// The read model contains the event when Append returns.
func ExampleInline() {
	ctx := context.Background()
	st := memory.New()
	balances := projection.Documents(st, st, "balance", payments(), total,
		func(m Move) (string, bool) { return m.Account, true })
	defer running(balances)()
	if err := balances.WaitFor(ctx, pay(st, "ann", 1)); err != nil {
		fmt.Println(err)
	}
	accounts := projection.Inline(st, balances) // give it to your runner
	pay(accounts, "ann", 500)
	fmt.Println(projection.Load[int64](ctx, balances, "ann"))
	// Output: 501 true <nil>
}

// One account fails: it waits, and the others continue. When the cause is fixed, its
// events are handled in order.
func ExampleProjection_WithParking() {
	ctx := context.Background()
	st := memory.New()
	mended := false
	p := projection.New(st, st, "sums", payments(),
		func(_ context.Context, tx *memory.Tx, e projection.Event[Move]) error {
			if e.Event.Account == "bob" && !mended {
				return projection.Permanent(errors.New("bob is unknown"))
			}
			return tx.SaveDocuments([]store.Document{{Kind: "seen", ID: e.Event.Account, Data: fmt.Append(nil, e.Event.Cents)}})
		}).WithParking(100)
	stop := running(p)
	pay(st, "bob", 1)
	pay(st, "bob", 2)
	if err := p.WaitFor(ctx, pay(st, "ann", 3)); err != nil {
		fmt.Println(err)
	}
	stop()
	parked, err := p.Parked(ctx)
	fmt.Println(parked[0].Key, parked[0].Position, err)

	mended = true
	fmt.Println(p.Unpark(ctx, "Account/bob"))
	docs, err := st.LoadDocuments(ctx, "seen", []string{"bob"})
	fmt.Printf("%s %v\n", docs[0].Data, err)
	// Output:
	// Account/bob 1 <nil>
	// <nil>
	// 2 <nil>
}

func ExampleParked() {
	st := memory.New()
	p := projection.Documents(st, st, "balance", payments(), total, func(m Move) (string, bool) { return m.Account, true })
	fmt.Println(p.Parked(context.Background()))
	// Output: [] <nil>
}

// A new version is built beside the old one. Readers switch to it when it has caught up.
func ExampleProjection_WithReady() {
	ctx := context.Background()
	st := memory.New()
	pay(st, "ann", 500)
	moved := make(chan struct{})
	second := projection.Documents(st, st, "balance", payments(), total,
		func(m Move) (string, bool) { return m.Account, true }).
		WithVersion(2).
		WithReady(func(context.Context, *memory.Tx) error { // CREATE OR REPLACE VIEW …
			close(moved)
			return nil
		})
	defer running(second)()
	<-moved
	fmt.Println(second, second.WaitFor(ctx, 1))
	// Output: balance@2 <nil>
}

func ExampleScan() {
	ctx := context.Background()
	st := memory.New()
	balances := projection.Documents(st, st, "balance", payments(), total,
		func(m Move) (string, bool) { return m.Account, true })
	defer running(balances)()
	pay(st, "bob", 20)
	fmt.Println(balances.WaitFor(ctx, pay(st, "ann", 500)))
	fmt.Println(projection.Scan[int64](ctx, balances, "", "", 10))
	// Output:
	// <nil>
	// [{ann 500} {bob 20}] <nil>
}

func ExampleEntry() {
	fmt.Println(projection.Entry[int64]{Key: "ann", State: 500})
	// Output: {ann 500}
}

func ExampleProjection_WithRetry() {
	st := memory.New()
	p := projection.Documents(st, st, "balance", payments(), total, func(m Move) (string, bool) { return m.Account, true }).
		WithParking(100).
		WithRetry(projection.Retry{For: 5 * time.Minute}) // then it is parked
	fmt.Println(p)
	// Output: balance@1
}

func ExampleRetry() {
	fmt.Println(projection.Retry{Pause: time.Second, MaxPause: time.Minute, For: time.Hour})
	// Output: {1s 1m0s 1h0m0s}
}

func ExampleProjection_Progress() {
	st := memory.New()
	p := projection.Documents(st, st, "balance", payments(), total, func(m Move) (string, bool) { return m.Account, true })
	stop := running(p)
	fmt.Println(p.WaitFor(context.Background(), pay(st, "ann", 1)))
	stop()
	is := p.Progress()
	fmt.Println(is.Build, is.State, is.Position, is.Lag, is.Cause)
	// Output:
	// <nil>
	// balance@1 idle 1 0s <nil>
}

func ExampleProgress() {
	var p projection.Progress
	fmt.Println(p.Position, p.Ready)
	// Output: 0 false
}

func ExampleState() {
	fmt.Println(projection.Live, projection.Retrying)
	// Output: live retrying
}

func ExampleHealthHandler() {
	st := memory.New()
	p := projection.Documents(st, st, "balance", payments(), total, func(m Move) (string, bool) { return m.Account, true })
	answer := httptest.NewRecorder()
	projection.HealthHandler(p).ServeHTTP(answer, httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/healthz", nil))
	fmt.Println(answer.Code, answer.Body)
	// Output: 200 [{"build":"balance@1","state":"idle","position":0,"head":0,"lag_seconds":0,"parked":0,"ready":false,"healthy":true}]
}

func ExampleHealth() {
	st := memory.New()
	p := projection.Documents(st, st, "balance", payments(), total, func(m Move) (string, bool) { return m.Account, true })
	fmt.Println(p.Health().Healthy)
	// Output: true
}

func ExampleLog() {
	text := slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})
	projection.Log(slog.New(text)).Observe(context.Background(), projection.Notice{
		Kind: projection.EventParked, Build: "balance@1", Position: 7, Key: "Account/bob", Err: errors.New("bob is unknown"),
	})
	// Output: level=WARN msg="event parked" projection=balance@1 position=7 key=Account/bob error="bob is unknown"
}

// counter is an observer that counts notices.
type counter map[projection.Kind]int

// Observe counts n.
func (c counter) Observe(_ context.Context, n projection.Notice) { c[n.Kind]++ }

func ExampleObserver() {
	c := counter{}
	var o projection.Observer = c
	o.Observe(context.Background(), projection.Notice{Kind: projection.KeyFreed})
	fmt.Println(c[projection.KeyFreed])
	// Output: 1
}

func ExampleNotice() {
	fmt.Println(projection.Notice{Kind: projection.BatchApplied, Events: 64}.Events)
	// Output: 64
}

func ExampleKind() {
	fmt.Println(projection.BuildReady)
	// Output: build ready
}

func ExampleEventError() {
	err := error(&projection.EventError{
		Build: "balance@1", Position: 7, Stream: store.Stream{Type: "Account", ID: "bob"}, Version: 2, Type: "Paid",
		Err: errors.New("bob is unknown"),
	})
	fmt.Println(err)
	// Output: projection balance@1: event at position 7 (Paid, version 2 of Account/bob): bob is unknown
}

func ExamplePanicError() {
	fmt.Println(&projection.PanicError{In: "apply", Value: "index out of range"})
	// Output: apply panicked: index out of range
}

func ExamplePermanent() {
	err := projection.Permanent(errors.New("bob is unknown"))
	fmt.Println(err)
	// Output: bob is unknown
}

// A target of your own needs one method. Check it with projectiontest.Run.
type loud struct{ *memory.Store }

// Update calls the store's Update and prints a line.
func (l loud) Update(ctx context.Context, do func(tx *memory.Tx) error) error {
	err := l.Store.Update(ctx, do)
	fmt.Println("a transaction:", err)
	return err
}

func ExampleTarget() {
	var t projection.Target[*memory.Tx] = loud{memory.New()}
	err := t.Update(context.Background(), func(*memory.Tx) error { return nil })
	fmt.Println(err)
	// Output:
	// a transaction: <nil>
	// <nil>
}

func ExampleTx() {
	st := memory.New()
	err := st.Update(context.Background(), func(tx *memory.Tx) error {
		var t projection.Tx = tx
		return t.SaveCheckpoint("me", store.Checkpoint{}, store.Checkpoint{Position: 1, EventID: "e1"})
	})
	fmt.Println(err)
	// Output: <nil>
}

func ExampleAppendTx() {
	st := memory.New()
	err := st.Update(context.Background(), func(tx *memory.Tx) error {
		var t projection.AppendTx = tx
		_, err := t.Append(store.Stream{Type: "Account", ID: "ann"}, store.NoStream, []store.Event{{ID: "e1", Type: "Opened"}})
		return err
	})
	fmt.Println(err)
	// Output: <nil>
}

func ExampleEvent() {
	e := projection.Event[Move]{Recorded: &store.Recorded{Position: 7}, Event: Move{"ann", 500}, Live: true}
	fmt.Println(e.Event.Account, e.Recorded.Position, e.Live)
	// Output: ann 7 true
}
