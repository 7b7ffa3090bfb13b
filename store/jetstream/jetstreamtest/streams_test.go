package jetstreamtest_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/jetstream"
	"github.com/evolvego/evolve/store/jetstream/jetstreamtest"
)

// TestManyStreams lists more streams than a server names in one answer.
func TestManyStreams(t *testing.T) {
	t.Parallel()
	url := jetstreamtest.Start(t).URL()
	st := open(t, url, jetstream.WithReplicas(1))
	nc, js := connected(t, url)
	if _, err := st.Append(t.Context(), store.Stream{Type: "Account", ID: "0"}, store.NoStream, batch(1)); err != nil {
		t.Fatal(err)
	}
	const streams = 100_100
	copies(t, nc, js, "ev.evolve.e.default.Account.", streams)
	ids := make([]string, streams)
	for i := range ids {
		ids[i] = strconv.Itoa(i)
	}
	slices.Sort(ids)

	for _, from := range []int{0, 50_000, streams - 50} { // in the order of the server's answers
		o := store.StreamsOptions{Limit: 100}
		if from > 0 {
			o.After = store.Stream{Type: "Account", ID: ids[from-1]}
		}
		page, err := st.ListStreams(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range page.Streams {
			got = append(got, s.Stream.ID)
		}
		want := ids[from:min(from+100, streams)]
		if !slices.Equal(got, want) || page.End != (from+100 >= streams) {
			t.Errorf("the page from stream %d has %d streams (end %t): %v, want %v", from, len(got), page.End, got, want)
		}
	}
}

// A page is in the Buffer of the caller if there is room, so that a long stream is read
// without memory for each page. The server finds the events of a long page, and the store
// those of a short one.
func TestReadUsesTheBuffer(t *testing.T) {
	t.Parallel()
	st := open(t, jetstreamtest.Start(t).URL(), jetstream.WithReplicas(1))
	const n = 200
	s := store.Stream{Type: "Account", ID: "1"}
	if _, err := st.Append(t.Context(), s, store.NoStream, batch(n)); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{5, n} {
		for room, inside := range map[int]bool{size - 1: false, size: true, size + 4: true} {
			buffer := make([]store.Recorded, room)
			page, err := st.Read(t.Context(), s, store.ReadOptions{Limit: size, Buffer: buffer})
			if err != nil || len(page.Events) != size {
				t.Fatalf("Read = %d events, %v, want %d", len(page.Events), err, size)
			}
			if got := &page.Events[0] == &buffer[0]; got != inside {
				t.Errorf("with room for %d events, a page of %d is in the buffer: %t, want %t", room, size, got, inside)
			}
		}
	}
}

// copies makes n streams with one event by copying that of stream 0.
func copies(t *testing.T, nc *nats.Conn, js natsjs.JetStream, prefix string, n int) {
	t.Helper()
	s, err := js.Stream(t.Context(), "EV_evolve")
	if err != nil {
		t.Fatal(err)
	}
	first, err := s.GetLastMsgForSubject(t.Context(), prefix+"0")
	if err != nil {
		t.Fatal(err)
	}
	header := make(nats.Header)
	for name, values := range first.Header {
		if strings.HasPrefix(name, "Ev-") {
			header[name] = values
		}
	}
	for i := 1; i < n; i++ {
		m := &nats.Msg{Subject: prefix + strconv.Itoa(i), Header: header, Data: first.Data}
		if i%1000 > 0 && i < n-1 {
			err = nc.PublishMsg(m)
		} else { // the server handles messages in order, so its answer is about all before it
			err = accepted(nc.RequestMsgWithContext(t.Context(), m))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
