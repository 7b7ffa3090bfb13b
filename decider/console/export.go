package console

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/evolvego/evolve/store"
)

// exported is an event as a line of JSON, as `eventstored export` prints it and props.Lines
// reads it.
type exported struct {
	Position    uint64            `json:"position,omitempty"`
	StreamType  string            `json:"stream_type,omitempty"`
	StreamID    string            `json:"stream_id,omitempty"`
	Version     uint64            `json:"version,omitempty"`
	ID          string            `json:"id,omitempty"`
	Type        string            `json:"type"`
	Schema      uint32            `json:"schema,omitempty"`
	ContentType string            `json:"content_type,omitempty"`
	Time        time.Time         `json:"time,omitzero"`
	RecordedAt  time.Time         `json:"recorded_at,omitzero"`
	Correlation string            `json:"correlation_id,omitempty"`
	Causation   string            `json:"causation_id,omitempty"`
	Actor       string            `json:"actor_id,omitempty"`
	Headers     map[string]string `json:"headers,omitempty"`
	Data        json.RawMessage   `json:"data,omitempty"`        // if it is JSON without spaces
	Base64      []byte            `json:"data_base64,omitempty"` // any other
}

func exportedOf(e *store.Recorded) exported {
	x := exported{
		Position: e.Position, StreamType: e.Stream.Type, StreamID: e.Stream.ID, Version: e.Version, ID: e.ID,
		Type: e.Type, Schema: e.Schema, ContentType: e.ContentType, Time: e.Time, RecordedAt: e.RecordedAt,
		Correlation: e.Meta.CorrelationID, Causation: e.Meta.CausationID, Actor: e.Meta.ActorID, Headers: e.Meta.Headers,
	}
	var compact bytes.Buffer
	if json.Compact(&compact, e.Data) == nil && bytes.Equal(compact.Bytes(), e.Data) && utf8.Valid(e.Data) && string(e.Data) != "null" {
		x.Data = e.Data
	} else {
		x.Base64 = e.Data
	}
	return x
}

// export sends events as a file.
func (c *Console) export(q *request) error {
	ctx, cancel := q.background()
	defer cancel()
	l, err := q.logQuery()
	if err != nil {
		return err
	}
	var s store.Stream
	name := "events"
	if q.r.FormValue("of") == "stream" {
		if s, _, _, err = q.streamOf(); err != nil {
			return err
		}
		name = "stream"
	}
	var write func(*store.Recorded) error
	switch format := q.r.FormValue("format"); format {
	case "jsonl":
		q.attachment("application/jsonl", name+".jsonl")
		write = jsonLines(q.w)
	case "csv":
		q.attachment("text/csv; charset=utf-8", name+".csv")
		out := csv.NewWriter(q.w)
		defer out.Flush()
		if err := out.Write([]string{"position", "recorded_at", "stream_type", "stream_id", "version", "type", "id", "actor_id", "data"}); err != nil {
			return err
		}
		write = func(e *store.Recorded) error { return out.Write(cells(e)) }
	default:
		return badRequest("format is %q, and must be jsonl or csv.", format)
	}
	if err := q.each(ctx, l, s, write); err != nil {
		c.logger.WarnContext(ctx, "console: an export ended early", "error", err)
		panic(http.ErrAbortHandler) // so that the client notices that the file is not whole
	}
	return nil
}

func jsonLines(w io.Writer) func(*store.Recorded) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return func(e *store.Recorded) error {
		if e.Value != nil {
			return errors.New("a value that is not encoded cannot be exported")
		}
		return encoder.Encode(exportedOf(e))
	}
}

// cells is an event as a row of CSV.
func cells(e *store.Recorded) []string {
	data := string(e.Data)
	if !utf8.Valid(e.Data) {
		data = count(len(e.Data)) + " bytes"
	}
	row := []string{
		strconv.FormatUint(e.Position, 10), stamp(e.RecordedAt), e.Stream.Type, e.Stream.ID, strconv.FormatUint(e.Version, 10),
		e.Type, e.ID, e.Meta.ActorID, data,
	}
	for i, cell := range row {
		if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) { // a spreadsheet would run it
			row[i] = "'" + cell
		}
	}
	return row
}
