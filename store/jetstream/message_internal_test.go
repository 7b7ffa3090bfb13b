package jetstream

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"pgregory.net/rapid"

	"github.com/evolvego/evolve/store"
)

// anyEvent draws events that every store must accept.
func anyEvent() *rapid.Generator[store.Event] {
	text := rapid.OneOf(rapid.Just(""), anyName(), rapid.StringN(0, 20, -1))
	return rapid.Custom(func(t *rapid.T) store.Event {
		e := store.Event{
			ID: anyName().Draw(t, "id"), Type: anyName().Draw(t, "type"), Schema: rapid.Uint32().Draw(t, "schema"),
			ContentType: anyName().Draw(t, "content type"), Data: rapid.SliceOf(rapid.Byte()).Draw(t, "data"),
			Time: time.UnixMilli(rapid.Int64Range(-62167219200000, 253402300799999).Draw(t, "time")).UTC(),
			Meta: store.Metadata{
				CorrelationID: text.Draw(t, "correlation"), CausationID: text.Draw(t, "causation"), ActorID: text.Draw(t, "actor"),
				Headers: rapid.MapOfN(anyName(), text, 0, 3).Draw(t, "headers"),
			},
		}
		if rapid.Bool().Draw(t, "large") {
			e.Meta.ActorID = strings.Repeat("long ", maxMetaHeaders/5) + e.Meta.ActorID
		}
		return e
	})
}

// overTheWire returns header as a client receives it from a server that has stored it.
func overTheWire(t *rapid.T, header nats.Header) nats.Header {
	m := nats.Msg{Subject: "x", Header: header}
	var text strings.Builder
	text.WriteString("NATS/1.0\r\n")
	for name, values := range m.Header {
		text.WriteString(name + ": " + values[0] + "\r\n")
	}
	text.WriteString("\r\n")
	got, err := nats.DecodeHeadersMsg([]byte(text.String()))
	if err != nil {
		t.Fatalf("headers that no client can read: %v: %q", err, text.String())
	}
	return got
}

// TestMessages checks that an event survives the conversion to a message and back.
func TestMessages(t *testing.T) {
	t.Parallel()
	s := store.Stream{Type: "Account", ID: "1"}
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		e := anyEvent().Draw(t, "event")
		header, data, err := encode(s, &e)
		if err != nil {
			t.Fatal(err)
		}
		header[headerVersion] = []string{"7"}
		m := message{subject: subjects{"l"}.event("t", s), position: 9, at: at, header: overTheWire(t, header), data: data}
		got, err := m.recorded()
		if err != nil {
			t.Fatal(err)
		}
		want := &store.Recorded{Event: e, Stream: s, Version: 7, Position: 9, RecordedAt: at}
		if len(e.Data) == 0 {
			want.Data = nil
		}
		if len(e.Meta.Headers) == 0 {
			want.Meta.Headers = nil
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("recorded() = %+v\nwant %+v", got, want)
		}
	})
}

// FuzzRecorded checks that recorded and trail return an event or an error for any
// message.
func FuzzRecorded(f *testing.F) {
	f.Add("1", "0;/", "", "", []byte(nil))
	f.Add("2", "0;3;/3", "5", "12", []byte("data"))
	f.Fuzz(func(t *testing.T, version, back, length, at string, data []byte) {
		m := message{subject: "ev.l.e.t.A.1", position: 40, header: nats.Header{}, data: data}
		for name, value := range map[string]string{headerVersion: version, headerBack: back, headerMetaLength: length, headerTime: at, headerHeaders: at} {
			m.header[name] = []string{value}
		}
		if e, err := m.recorded(); (e == nil || e.Version == 0) && err == nil || err != nil && !errors.Is(err, ErrDamaged) {
			t.Errorf("recorded() = %+v, %v", e, err)
		}
		got, err := m.trail()
		if err != nil {
			return
		}
		for v := uint64(1); v <= min(got.version, 1<<12); v++ {
			if p, ok := got.at(v); ok && (p == 0 || p > m.position) {
				t.Errorf("trail().at(%d) = %d, after the event at %d", v, p, m.position)
			}
		}
		if id, ok := decodeID(data); ok && string(id.encode()) != string(data) && len(data) < 10 {
			t.Logf("%q is a second encoding of %+v", data, id)
		}
	})
}
