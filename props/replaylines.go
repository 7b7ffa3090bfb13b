package props

import (
	"fmt"
	"io"
	"iter"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/jsonl"
)

// WriteLines writes recorded events to w, such as those of store.Events, for [Lines] to
// read. It writes each event as a JSON object on its own line, with everything that a
// store keeps, in the format that "eventstored export" prints and "eventstored import"
// reads. It stops at the first error, from events or from w. An event that is kept as a
// Value, and not as data, is an error.
func WriteLines(w io.Writer, events iter.Seq2[store.Recorded, error]) error {
	out := jsonl.NewWriter(w)
	one := make([]store.Recorded, 1)
	for r, err := range events {
		if err != nil {
			return err
		}
		one[0] = r
		if err := out.Write(one); err != nil {
			return fmt.Errorf("props: %w", err)
		}
	}
	return nil
}

// Lines yields the events that [WriteLines] or "eventstored export" wrote. It yields an
// error, from r or about a line, last. A line is an error if reading it would lose or
// change something: an unknown or repeated field, more text after the object, text that
// is not UTF-8.
func Lines(r io.Reader) iter.Seq2[store.Recorded, error] {
	return func(yield func(store.Recorded, error) bool) {
		for l, err := range jsonl.Read(r) {
			if err != nil {
				yield(store.Recorded{}, fmt.Errorf("props: %w", err))
				return
			}
			if !yield(l.Recorded(), nil) {
				return
			}
		}
	}
}
