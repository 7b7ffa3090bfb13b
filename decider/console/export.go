package console

import (
	"encoding/csv"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/jsonl"
)

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
		lines := jsonl.NewWriter(q.w)
		write = func(e *store.Recorded) error { return lines.Write([]store.Recorded{*e}) }
	case "csv":
		q.attachment("text/csv; charset=utf-8", name+".csv")
		out := csv.NewWriter(q.w)
		defer out.Flush()
		if err := out.Write([]string{"position", "recorded_at", "stream_type", "stream_id", "version", "type", "id", "actor_id", "data"}); err != nil {
			return err
		}
		write = func(e *store.Recorded) error { return out.Write(cells(e)) }
	default:
		return badRequest("format must be jsonl or csv, not %q.", format)
	}
	if err := q.each(ctx, l, s, write); err != nil {
		c.logger.WarnContext(ctx, "console: an export ended early", "error", err)
		panic(http.ErrAbortHandler) // so that the client notices that the file is incomplete
	}
	return nil
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
