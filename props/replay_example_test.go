package props_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/props"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
)

// seatCodec is today's codec.
func seatCodec() *codec.Named[any] {
	return codec.JSON(map[string]any{"Reserved": Reserved{}, "Released": Released{}},
		codec.Up("Reserved", 1, func(old reservedV1) Reserved { return Reserved{By: old.Name} }))
}

// reservedV1 is an earlier form of Reserved.
type reservedV1 struct{ Name string }

// The codec of an earlier release says what it wrote. Today's codec reads it here.
func ExampleUpcasts() {
	before := codec.JSON(map[string]any{"Reserved": reservedV1{}, "Released": Released{}})
	show(func(t *testing.T) { //nolint:thelper // TestUpcasters
		props.Upcasts(t, seatCodec(), props.Released[any](before, reservedV1{}, Released{}))
	})
	// Output:
}

// Notes were dropped, so that losing them is not a failure.
func ExampleReleased() {
	type reservedV0 struct{ Name, Note string }
	before := codec.JSON(map[string]any{"Reserved": reservedV0{}})
	show(func(t *testing.T) { //nolint:thelper // TestNotes
		props.Upcasts(t, seatCodec(), props.Released[any](before, reservedV0{}).Forgets("reservedV0.Note"))
	})
	// Output:
}

// What is written today must mean the same in a year: run the test once with
// EVOLVE_UPDATE=1, and commit the files.
func ExampleGolden() {
	show(func(t *testing.T) { //nolint:thelper // TestGolden
		props.Golden(t, seats().Codec(seatCodec()), "testdata/seats")
	})
	// Output:
}

// Production streams, exported by WriteLines, are replayed with today's code.
func ExampleReplay() {
	seat := decider.New(decideSeat, evolveSeat)
	show(func(t *testing.T) { //nolint:thelper // TestProduction
		file, err := os.Open("testdata/production.jsonl")
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		props.Replay(seat, codec.Codec[any](seatCodec())).
			Invariant("nobody is called root", func(by string) error {
				if by == "root" {
					return errTaken
				}
				return nil
			}).
			Check(t, props.Lines(file))
	})
	// Output:
}

// WriteLines writes a stream to a file.
func ExampleWriteLines() {
	ctx, st, stream := context.Background(), memory.New(), store.Stream{Type: "Seat", ID: "12a"}
	for _, event := range []any{Reserved{"ann"}, Released{}} {
		stored, err := seatCodec().Encode(event)
		if err != nil {
			fmt.Println(err)
		}
		stored.ID = store.NewID()
		if _, err := st.Append(ctx, stream, store.Any, []store.Event{stored}); err != nil {
			fmt.Println(err)
		}
	}
	var file strings.Builder
	if err := props.WriteLines(&file, store.Events(ctx, st, stream, 0)); err != nil {
		fmt.Println(err)
	}
	for text := range strings.Lines(file.String()) {
		fmt.Println(text[:45], "…")
	}
	// Output:
	// {"position":1,"stream_type":"Seat","stream_id …
	// {"position":2,"stream_type":"Seat","stream_id …
}

// Lines reads what WriteLines wrote.
func ExampleLines() {
	file := strings.NewReader(`{"stream_type":"Seat","stream_id":"12a","version":1,"type":"Reserved","schema":1,"data":{"Name":"ann"}}`)
	for r, err := range props.Lines(file) {
		events, _ := seatCodec().Decode(nil, []store.Recorded{r})
		fmt.Println(r.Stream, r.Version, events, err)
	}
	// Output:
	// Seat/12a 1 [{ann}] <nil>
}
