package store_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/store"
)

var account = store.Stream{Type: "Account", ID: "acc-1"}

// opened returns a valid event, modified by change.
func opened(change func(*store.Event)) []store.Event {
	e := store.Event{ID: "e-1", Type: "AccountOpened", Schema: 1, ContentType: "application/json", Data: []byte("{}")}
	if change != nil {
		change(&e)
	}
	return []store.Event{e}
}

// invalid breaks each rule of ValidateAppend once, and names the field that the error
// must have.
var invalid = map[string]struct {
	stream   store.Stream
	expected store.Expected
	events   []store.Event
	field    string
}{
	"stream without a type": {store.Stream{ID: "1"}, store.Any, opened(nil), "stream.type"},
	"stream without an id":  {store.Stream{Type: "A"}, store.Any, opened(nil), "stream.id"},
	"stream id with a NUL":  {store.Stream{Type: "A", ID: "a\x00b"}, store.Any, opened(nil), "stream.id"},
	"stream type not UTF-8": {store.Stream{Type: "A\xff", ID: "a"}, store.Any, opened(nil), "stream.type"},
	"stream id too long":    {store.Stream{Type: "A", ID: strings.Repeat("x", store.MaxName+1)}, store.Any, opened(nil), "stream.id"},
	"zero expected":         {account, 0, opened(nil), "expected"},
	"expected unknown":      {account, store.Any - 1, opened(nil), "expected"},
	"expected too high":     {account, store.Exactly(store.MaxVersion) + 1, opened(nil), "expected"},
	"nil events":            {account, store.Any, nil, "events"},
	"empty events":          {account, store.Any, []store.Event{}, "events"},
	"too many events":       {account, store.Any, make([]store.Event, store.MaxBatch+1), "events"},
	"event without an id":   {account, store.Any, opened(func(e *store.Event) { e.ID = "" }), "events[0].id"},
	"event without a type":  {account, store.Any, opened(func(e *store.Event) { e.Type = "" }), "events[0].type"},
	"event id with a NUL":   {account, store.Any, opened(func(e *store.Event) { e.ID = "\x00" }), "events[0].id"},
	"event type not UTF-8":  {account, store.Any, opened(func(e *store.Event) { e.Type = "\xc3" }), "events[0].type"},
	"content type with NUL": {account, store.Any, opened(func(e *store.Event) { e.ContentType = "a\x00" }), "events[0].content type"},
	"data too long":         {account, store.Any, opened(func(e *store.Event) { e.Data = make([]byte, store.MaxData+1) }), "events[0].data"},
	"data and a value":      {account, store.Any, opened(func(e *store.Event) { e.Value = 1 }), "events[0].value"},
	"correlation id":        {account, store.Any, opened(func(e *store.Event) { e.Meta.CorrelationID = "\x00" }), "events[0].correlation id"},
	"causation id":          {account, store.Any, opened(func(e *store.Event) { e.Meta.CausationID = "\xff" }), "events[0].causation id"},
	"actor id":              {account, store.Any, opened(func(e *store.Event) { e.Meta.ActorID = "\x00" }), "events[0].actor id"},
	"empty header key":      {account, store.Any, opened(func(e *store.Event) { e.Meta.Headers = map[string]string{"": "x"} }), "events[0].headers"},
	"header key not UTF-8":  {account, store.Any, opened(func(e *store.Event) { e.Meta.Headers = map[string]string{"\xff": "x"} }), "events[0].header key"},
	"header value with NUL": {account, store.Any, opened(func(e *store.Event) { e.Meta.Headers = map[string]string{"k": "\x00"} }), "events[0].header k"},
	"metadata too long": {account, store.Any, opened(func(e *store.Event) {
		half := strings.Repeat("x", store.MaxMetadata/2+1)
		e.Meta = store.Metadata{ActorID: half, Headers: map[string]string{"k": half}}
	}), "events[0].metadata"},
	"the same id twice":       {account, store.Any, append(opened(nil), opened(nil)...), "events[1].id"},
	"an invalid second event": {account, store.Any, append(opened(nil), store.Event{ID: "e-2"}), "events[1].type"},
}

func TestValidateAppend(t *testing.T) {
	t.Parallel()
	for name, tt := range invalid {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := store.ValidateAppend(tt.stream, tt.expected, tt.events)
			var invalid *store.InvalidError
			if !errors.As(err, &invalid) || !errors.Is(err, store.ErrInvalid) || invalid.Field != tt.field {
				t.Errorf("ValidateAppend = %v, want an *InvalidError about %s", err, tt.field)
			}
		})
	}
}

// TestValidateAppendLimits checks that what just fits is accepted.
func TestValidateAppendLimits(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(e *store.Event){
		"a value":      func(e *store.Event) { e.Data, e.Value = nil, 1 },
		"no data":      func(e *store.Event) { e.Data = nil },
		"much data":    func(e *store.Event) { e.Data = make([]byte, store.MaxData) },
		"a long id":    func(e *store.Event) { e.ID = strings.Repeat("x", store.MaxName) },
		"an odd id":    func(e *store.Event) { e.ID = "é\n\x01" },
		"a long actor": func(e *store.Event) { e.Meta.ActorID = strings.Repeat("x", store.MaxMetadata) },
	} {
		if err := store.ValidateAppend(account, store.Any, opened(change)); err != nil {
			t.Errorf("%s: ValidateAppend = %v, want no error", name, err)
		}
	}
}

// TestValidateAppendTotal checks that a batch that is too large in total is refused
// even if each event is small enough.
func TestValidateAppendTotal(t *testing.T) {
	t.Parallel()
	data := make([]byte, store.MaxData) // shared, because only the length of what would be stored counts
	var events []store.Event
	for size := 0; size <= store.MaxBatchData; size += store.MaxData {
		events = append(events, store.Event{ID: store.NewID(), Type: "T", Data: data})
	}
	var invalid *store.InvalidError
	if err := store.ValidateAppend(account, store.Any, events); !errors.As(err, &invalid) || invalid.Field != "events" {
		t.Errorf("ValidateAppend of %d bytes = %v, want an *InvalidError about events", len(events)*len(data), err)
	}
	if err := store.ValidateAppend(account, store.Any, events[1:]); err != nil {
		t.Errorf("ValidateAppend of exactly MaxBatchData = %v", err)
	}
}

// TestValidateAppendAccepts checks that every batch within the rules is accepted,
// whatever characters it contains.
func TestValidateAppendAccepts(t *testing.T) {
	t.Parallel()
	text := rapid.String().Filter(func(s string) bool {
		return len(s) <= store.MaxName && !strings.Contains(s, "\x00")
	})
	name := text.Filter(func(s string) bool { return s != "" })
	rapid.Check(t, func(t *rapid.T) {
		s := store.Stream{Type: name.Draw(t, "stream type"), ID: name.Draw(t, "stream id")}
		ids := rapid.SliceOfNDistinct(name, 1, 5, rapid.ID[string]).Draw(t, "ids")
		var events []store.Event
		for _, id := range ids {
			events = append(events, store.Event{
				ID: id, Type: name.Draw(t, "type"), ContentType: text.Draw(t, "content type"),
				Data: rapid.SliceOf(rapid.Byte()).Draw(t, "data"),
				Meta: store.Metadata{
					CorrelationID: text.Draw(t, "correlation id"), CausationID: text.Draw(t, "causation id"), ActorID: text.Draw(t, "actor id"),
					Headers: rapid.MapOfN(name, text, 0, 3).Draw(t, "headers"),
				},
			})
		}
		expected := rapid.SampledFrom([]store.Expected{store.NoStream, store.Exists, store.Any, store.Exactly(3)}).Draw(t, "expected")
		if err := store.ValidateAppend(s, expected, events); err != nil {
			t.Fatalf("ValidateAppend(%q, %v, %+v) = %v", s, expected, events, err)
		}
		if err := store.ValidateTenant(s.ID); err != nil {
			t.Fatalf("ValidateTenant(%q) = %v", s.ID, err)
		}
	})
}

// TestValidateText checks ASCII names with a few other bytes at any place against the
// rule.
func TestValidateText(t *testing.T) {
	t.Parallel()
	odd := rapid.SampledFrom([]byte{0, 1, 0x7f, 0x80, 0xc3, 0xa4, 0xff})
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SliceOfN(rapid.ByteRange(1, 0x7f), 1, 40).Draw(t, "name")
		for range rapid.IntRange(0, 3).Draw(t, "odd bytes") {
			name[rapid.IntRange(0, len(name)-1).Draw(t, "at")] = odd.Draw(t, "byte")
		}
		text := string(name)
		want := utf8.ValidString(text) && !strings.Contains(text, "\x00")
		if err := store.ValidateTenant(text); (err == nil) != want {
			t.Fatalf("ValidateTenant(%q) = %v, want it valid: %t", text, err, want)
		}
		second := store.Event{ID: "e-2", Type: text}
		if err := store.ValidateAppend(account, store.Any, append(opened(nil), second)); (err == nil) != want {
			t.Fatalf("ValidateAppend with an event of type %q = %v, want it valid: %t", text, err, want)
		}
	})
}

// TestValidateIDsThatEndAlike checks that a repeated id is found among ids with the
// same ending.
func TestValidateIDsThatEndAlike(t *testing.T) {
	t.Parallel()
	id := rapid.StringOfN(rapid.RuneFrom([]rune("ab")), 1, 6, -1)
	rapid.Check(t, func(t *rapid.T) {
		ids := rapid.SliceOfN(id, 1, 20).Draw(t, "ids")
		seen, twice := map[string]bool{}, false
		events := make([]store.Event, len(ids))
		for i, id := range ids {
			events[i] = store.Event{ID: id, Type: "T"}
			twice = twice || seen[id]
			seen[id] = true
		}
		if err := store.ValidateAppend(account, store.Any, events); (err != nil) != twice {
			t.Fatalf("ValidateAppend of the ids %q = %v, want an error: %t", ids, err, twice)
		}
	})
}

func TestValidateOptions(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{
		"read limit": store.ReadOptions{Limit: -1}.Validate(),
		"log limit":  store.LogOptions{Limit: -1}.Validate(),
		"tenant":     store.ValidateTenant(""),
	} {
		if !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%s: %v, want an *InvalidError", name, err)
		}
	}
	if err := (store.ReadOptions{}).Validate(); err != nil {
		t.Errorf("the zero ReadOptions: %v", err)
	}
}

func TestValidateKept(t *testing.T) {
	t.Parallel()
	snap := store.Snapshot{Stream: account, Schema: "v1", Version: 1}
	at := func(position uint64) store.Checkpoint { return store.Checkpoint{Position: position, EventID: "e"} }
	with := func(change func(*store.Snapshot)) error {
		s := snap
		change(&s)
		return s.Validate()
	}
	for field, err := range map[string]error{
		"stream.id": with(func(s *store.Snapshot) { s.Stream.ID = "" }),
		"schema":    with(func(s *store.Snapshot) { s.Schema = "\x00" }),
		"version":   with(func(s *store.Snapshot) { s.Version = 0 }),
		"name":      store.ValidateCheckpoint("", at(1), at(2)),
		"to":        store.ValidateCheckpoint("reader", at(2), at(1)),
	} {
		var invalid *store.InvalidError
		if !errors.As(err, &invalid) || invalid.Field != field {
			t.Errorf("%s: %v, want an *InvalidError about it", field, err)
		}
	}
	if err := errors.Join(
		snap.Validate(),
		store.ValidateCheckpoint("reader", store.Checkpoint{}, at(1)),
		store.ValidateCheckpoint("reader", at(2), at(2)),
		store.ValidateCheckpoint("reader", at(2), store.Checkpoint{}),
	); err != nil {
		t.Errorf("valid arguments: %v", err)
	}
}

// TestValidateIDs checks that a repeated id is found in batches of every size and at
// every index.
func TestValidateIDs(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		events := make([]store.Event, rapid.IntRange(2, 40).Draw(t, "size"))
		for i := range events {
			events[i] = store.Event{ID: fmt.Sprint("e-", i), Type: "T"}
		}
		if err := store.ValidateAppend(account, store.Any, events); err != nil {
			t.Fatalf("ValidateAppend of different ids: %v", err)
		}
		second := rapid.IntRange(1, len(events)-1).Draw(t, "second")
		first := rapid.IntRange(0, second-1).Draw(t, "first")
		events[second].ID = events[first].ID
		err := store.ValidateAppend(account, store.Any, events)
		if want := fmt.Sprintf("store: invalid argument: events[%d].id is the same as that of events[%d]", second, first); err == nil || err.Error() != want {
			t.Fatalf("ValidateAppend = %v, want %s", err, want)
		}
	})
}

// TestValidateAppendBatch checks that a batch may have as many events as documented.
func TestValidateAppendBatch(t *testing.T) {
	t.Parallel()
	events := make([]store.Event, store.MaxBatch+1)
	for i := range events {
		events[i] = store.Event{ID: strconv.Itoa(i), Type: "Noted"}
	}
	s := store.Stream{Type: "A", ID: "1"}
	if err := store.ValidateAppend(s, store.Any, events[1:]); err != nil {
		t.Errorf("ValidateAppend of MaxBatch events = %v", err)
	}
	if invalid, ok := errors.AsType[*store.InvalidError](store.ValidateAppend(s, store.Any, events)); !ok || invalid.Field != "events" {
		t.Errorf("ValidateAppend of one more = %v, want an *InvalidError about events", invalid)
	}
}

// TestLimits pins the limits that stores, their tables and their users rely on.
func TestLimits(t *testing.T) {
	t.Parallel()
	for name, limit := range map[string]struct{ got, want int }{
		"MaxName":       {store.MaxName, 512},
		"MaxMetadata":   {store.MaxMetadata, 65_536},
		"MaxData":       {store.MaxData, 16_777_216},
		"MaxBatch":      {store.MaxBatch, 10_000},
		"MaxBatchData":  {store.MaxBatchData, 134_217_728},
		"MaxClaims":     {store.MaxClaims, 1000},
		"MaxDocumentID": {store.MaxDocumentID, 1536},
		"MaxDocument":   {store.MaxDocument, 16_777_216},
		"MaxDocuments":  {store.MaxDocuments, 10_000},
		"DefaultLimit":  {store.DefaultLimit, 1000},
	} {
		if limit.got != limit.want {
			t.Errorf("%s = %d, want %d: recorded events may exceed a lower limit, and other stores may not support a higher one", name, limit.got, limit.want)
		}
	}
}
