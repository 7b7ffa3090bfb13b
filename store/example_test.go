package store_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
)

// payment returns an event. Programs seldom build events themselves, because a runner
// does it.
func payment(data string) store.Event {
	return store.Event{ID: store.NewID(), Type: "Paid", Schema: 1, ContentType: "application/json", Data: []byte(data)}
}

// An append states the version of the stream on which its decision is based. If another
// append came first, the result is a conflict, and nothing is appended.
func Example() {
	ctx, st := context.Background(), memory.New()
	stream := store.Stream{Type: "Account", ID: "acc-1"}
	var appended store.Appended
	appended, err := st.Append(ctx, stream, store.NoStream, []store.Event{payment(`{"cents":500}`), payment(`{"cents":20}`)})
	fmt.Println(appended.Version, err)

	_, err = st.Append(ctx, stream, store.Exactly(1), []store.Event{payment(`{"cents":1}`)})
	conflict, _ := errors.AsType[*store.ConflictError](err)
	fmt.Println(errors.Is(err, store.ErrConflict), conflict.Expected, conflict.Actual)

	page, err := st.Read(ctx, stream, store.ReadOptions{From: 2, Limit: 10})
	fmt.Println(len(page.Events), string(page.Events[0].Data), page.End, err)
	// Output:
	// 2 <nil>
	// true version 1 2
	// 1 {"cents":20} true <nil>
}

// Metadata says where an event came from.
func ExampleMetadata() {
	e := payment(`{"cents":500}`)
	e.Meta = store.Metadata{CorrelationID: "request-7", ActorID: "ann", Headers: map[string]string{"channel": "app"}}
	fmt.Println(e.Meta.CorrelationID, e.Meta.ActorID, e.Meta.Headers["channel"])
	// Output: request-7 ann app
}

// An id belongs to one event. Appending the same batch again is not an error: it
// returns the first result.
func ExampleDuplicateError() {
	ctx, st := context.Background(), memory.New()
	stream, e := store.Stream{Type: "Account", ID: "acc-1"}, payment(`{"cents":500}`)
	first, _ := st.Append(ctx, stream, store.NoStream, []store.Event{e})
	again, err := st.Append(ctx, stream, store.NoStream, []store.Event{e})
	fmt.Println(again.Version == first.Version, err)

	_, err = st.Append(ctx, store.Stream{Type: "Account", ID: "acc-2"}, store.NoStream, []store.Event{e})
	duplicate, _ := errors.AsType[*store.DuplicateError](err)
	fmt.Println(errors.Is(err, store.ErrDuplicate), duplicate.In, duplicate.Version)
	// Output:
	// true <nil>
	// true Account/acc-1 1
}

// An InvalidError names the argument and says what is wrong with it.
func ExampleInvalidError() {
	_, err := memory.New().Append(context.Background(), store.Stream{Type: "Account"}, store.Any, []store.Event{payment(`{}`)})
	invalid, _ := errors.AsType[*store.InvalidError](err)
	fmt.Println(errors.Is(err, store.ErrInvalid), invalid.Field, invalid.Reason)
	// Output: true stream.id is empty
}

// A claim gives a key, such as an e-mail address or a seat, to at most one stream.
func ExampleClaims() {
	ctx := context.Background()
	var st store.Claims = memory.New()
	claims := []store.Claim{{Key: "email:ann@example.org"}}
	_, err := st.AppendClaiming(ctx, store.Stream{Type: "Account", ID: "acc-1"}, store.NoStream, []store.Event{payment(`{}`)}, claims)
	fmt.Println(err)

	_, err = st.AppendClaiming(ctx, store.Stream{Type: "Account", ID: "acc-2"}, store.NoStream, []store.Event{payment(`{}`)}, claims)
	claimed, _ := errors.AsType[*store.ClaimedError](err)
	fmt.Println(errors.Is(err, store.ErrClaimed), claimed.Key, claimed.Holder)
	// Output:
	// <nil>
	// true email:ann@example.org Account/acc-1
}

// A lease is the right to do something alone, for a while. The fence distinguishes a
// holder that was paused from its successor.
func ExampleLeases() {
	ctx := context.Background()
	var st store.Leases = memory.New()
	var lease store.Lease
	lease, err := st.AcquireLease(ctx, "reports", "instance-1", time.Minute)
	fmt.Println(lease.Owner, lease.Fence, err)

	_, err = st.AcquireLease(ctx, "reports", "instance-2", time.Minute)
	held, _ := errors.AsType[*store.LeaseHeldError](err)
	fmt.Println(errors.Is(err, store.ErrLeaseHeld), held.Owner)

	_ = st.ReleaseLease(ctx, lease)
	lease, err = st.AcquireLease(ctx, "reports", "instance-2", time.Minute)
	fmt.Println(lease.Owner, lease.Fence, err)
	// Output:
	// instance-1 1 <nil>
	// true instance-1
	// instance-2 2 <nil>
}

// A snapshot makes the next load faster. Losing it loses nothing.
func ExampleSnapshots() {
	ctx := context.Background()
	var st store.Snapshots = memory.New()
	stream := store.Stream{Type: "Account", ID: "acc-1"}
	err := st.SaveSnapshot(ctx, store.Snapshot{Stream: stream, Schema: "balance-1", Version: 2, Data: []byte("520")})
	fmt.Println(err)
	snap, ok, err := st.LoadSnapshot(ctx, stream, "balance-1")
	fmt.Println(snap.Version, string(snap.Data), ok, err)
	// Output:
	// <nil>
	// 2 520 true <nil>
}

// A checkpoint says how far a consumer has read. Saving it names the previous
// checkpoint, so that only one of two instances succeeds.
func ExampleCheckpoints() {
	ctx := context.Background()
	var st store.Checkpoints = memory.New()
	at := store.Checkpoint{Position: 7, EventID: "e-7"}
	fmt.Println(st.SaveCheckpoint(ctx, "mails", store.Checkpoint{}, at))
	err := st.SaveCheckpoint(ctx, "mails", store.Checkpoint{}, store.Checkpoint{Position: 8, EventID: "e-8"})
	fmt.Println(errors.Is(err, store.ErrConflict))
	var all []store.NamedCheckpoint
	all, err = st.ListCheckpoints(ctx, "", 0)
	fmt.Println(len(all), all[0].Name, all[0].Position, err)
	// Output:
	// <nil>
	// true
	// 1 mails 7 <nil>
}

// note writes a document, an event and a checkpoint in any transaction: all of them or
// none.
func note(tx store.Tx) error {
	if err := tx.SaveDocuments([]store.Document{{Kind: "balance", ID: "acc-1", Data: []byte("500")}}); err != nil {
		return err
	}
	var appends store.AppendTx = tx
	if _, err := appends.Append(store.Stream{Type: "Account", ID: "acc-1"}, store.NoStream, []store.Event{payment(`{"cents":500}`)}); err != nil {
		return err
	}
	var checkpoints store.CheckpointTx = tx
	return checkpoints.SaveCheckpoint("balances", store.Checkpoint{}, store.Checkpoint{Position: 1, EventID: "e-1"})
}

// Everything that a transaction writes is there when Update returns, or nothing is.
func ExampleTx() {
	ctx, st := context.Background(), memory.New()
	err := st.Update(ctx, func(tx *memory.Tx) error {
		if err := note(tx); err != nil {
			return err
		}
		var documents store.DocumentTx = tx
		kept, err := documents.LoadDocuments("balance", []string{"acc-1"})
		fmt.Println("inside:", string(kept[0].Data), err)
		var streams store.ReadTx = tx
		page, err := streams.Read(store.Stream{Type: "Account", ID: "acc-1"}, store.ReadOptions{})
		fmt.Println("inside:", len(page.Events), err)
		return errors.New("changed my mind")
	})
	fmt.Println(err)
	var documents store.Documents = st
	kept, err := documents.ScanDocuments(ctx, "balance", "", "", 0)
	fmt.Println(len(kept), err)
	// Output:
	// inside: 500 <nil>
	// inside: 1 <nil>
	// changed my mind
	// 0 <nil>
}

// show prints a stream and what its last event was.
func show(s store.StreamInfo) { fmt.Println(s.Stream, s.Version, s.EventType) }

// A Finder answers the questions of people who look at a store: which streams are
// there?
func ExampleFinder() {
	ctx, st := context.Background(), memory.New()
	for _, id := range []string{"acc-1", "acc-2", "loan-1"} {
		_, _ = st.Append(ctx, store.Stream{Type: "Account", ID: id}, store.NoStream, []store.Event{payment(`{}`)})
	}
	var finder store.Finder = st
	var page store.StreamsPage
	page, err := finder.ListStreams(ctx, store.StreamsOptions{Type: "Account", IDPrefix: "acc-"})
	for _, s := range page.Streams {
		show(s)
	}
	fmt.Println(page.End, err)
	// Output:
	// Account/acc-1 1 Paid
	// Account/acc-2 1 Paid
	// true <nil>
}

// The log holds all events of a tenant in one order. A filter selects some of them.
func ExampleLogOptions() {
	ctx, st := context.Background(), memory.New()
	for _, streamType := range []string{"Account", "Order", "Account"} {
		_, _ = st.Append(ctx, store.Stream{Type: streamType, ID: store.NewID()}, store.NoStream, []store.Event{payment(`{}`)})
	}
	var log store.Log = st
	page, err := log.ReadAll(ctx, store.LogOptions{Filter: store.Filter{StreamTypes: []string{"Account"}}})
	for _, e := range page.Events {
		fmt.Println(e.Position, e.Stream.Type)
	}
	fmt.Println(err)
	// Output:
	// 1 Account
	// 3 Account
	// <nil>
}

// A ValueReader returns the values of a stream without the rest of its events.
func ExampleValueReader() {
	ctx, st, stream := context.Background(), memory.New(), store.Stream{Type: "Account", ID: "acc-1"}
	for _, cents := range []int{300, 200} {
		_, _ = st.Append(ctx, stream, store.Any, []store.Event{{ID: store.NewID(), Type: "Deposited", Value: cents}})
	}
	var reader store.ValueReader = st
	values, err := reader.ReadValues(ctx, stream, 1)
	sum := 0
	for part := values.Next(); part != nil; part = values.Next() {
		for _, value := range part {
			cents, _ := value.(int)
			sum += cents
		}
	}
	fmt.Println(sum, "at version", values.Head, err)
	// Output: 500 at version 2 <nil>
}

// A store returns the values in parts, without a copy.
func ExampleValues() {
	values := store.LendValues(3, 3, []any{"a"}, [][]any{{"b", "c", nil, nil}})
	for part := values.Next(); part != nil; part = values.Next() {
		fmt.Println(part)
	}
	// Output:
	// [a]
	// [b c]
}

// Tenants share a backend but see nothing of each other.
func ExampleTenants() {
	ctx, st := context.Background(), memory.New()
	var tenants store.Tenants = st
	acme, err := tenants.Tenant("acme")
	if err != nil {
		fmt.Println(err)
		return
	}
	stream := store.Stream{Type: "Account", ID: "acc-1"}
	_, _ = acme.Append(ctx, stream, store.NoStream, []store.Event{payment(`{}`)})
	var page store.Page
	page, err = st.Read(ctx, stream, store.ReadOptions{})
	fmt.Println(page.Head, err)
	// Output: 0 <nil>
}
