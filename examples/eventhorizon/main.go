// Command eventhorizon converts the events of looplab/eventhorizon, as mongoexport prints
// them from the collection events of its second layout, into lines for eventstored
// import.
//
//	mongoexport --collection=events --sort='{_id: 1}' | go run ./examples/eventhorizon | eventstored import -store sqlite:new.db
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"
)

// document is an event as mongoexport prints it.
type document struct {
	EventType     string          `json:"event_type"`
	AggregateType string          `json:"aggregate_type"`
	AggregateID   string          `json:"aggregate_id"`
	Version       json.RawMessage `json:"version"` // a number, or {"$numberInt": "1"}
	Timestamp     struct {
		Date time.Time `json:"$date"`
	} `json:"timestamp"`
	Data json.RawMessage `json:"data"`
}

// line is an event in the format of eventstored import.
type line struct {
	StreamType string          `json:"stream_type"`
	StreamID   string          `json:"stream_id"`
	Version    uint64          `json:"version"`
	ID         string          `json:"id"`
	Type       string          `json:"type"`
	Schema     int             `json:"schema"`
	Time       time.Time       `json:"time"`
	Data       json.RawMessage `json:"data,omitempty"`
}

func main() {
	if err := convert(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "eventhorizon:", err)
		os.Exit(1)
	}
}

// convert writes a line for each document. The id of an event derives from its place, so
// a second import adds nothing.
func convert(r io.Reader, w io.Writer) error {
	out := bufio.NewWriter(w)
	in, lines := json.NewDecoder(r), json.NewEncoder(out)
	lines.SetEscapeHTML(false)
	for n := 1; ; n++ {
		var d document
		if err := in.Decode(&d); err == io.EOF {
			return out.Flush()
		} else if err != nil {
			return fmt.Errorf("document %d: %w", n, err)
		}
		version, err := number(d.Version)
		if err != nil || d.AggregateID == "" || d.EventType == "" {
			return fmt.Errorf("document %d is not an event of eventhorizon: %q %q version %s", n, d.AggregateID, d.EventType, d.Version)
		}
		id := fmt.Sprintf("%s/%s/%d", d.AggregateType, d.AggregateID, version)
		if err := lines.Encode(line{d.AggregateType, d.AggregateID, version, id, d.EventType, 1, d.Timestamp.Date, d.Data}); err != nil {
			return err
		}
	}
}

// number reads 1, {"$numberInt": "1"} and {"$numberLong": "1"}.
func number(raw json.RawMessage) (uint64, error) {
	var n uint64
	if json.Unmarshal(raw, &n) == nil {
		return n, nil
	}
	var extended map[string]string
	if err := json.Unmarshal(raw, &extended); err != nil || len(extended) != 1 {
		return 0, fmt.Errorf("%s is not a number", raw)
	}
	for _, digits := range extended {
		return strconv.ParseUint(digits, 10, 64)
	}
	return n, nil
}
