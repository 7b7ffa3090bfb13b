package jetstream

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/nats-io/nats.go"

	"github.com/evolvego/evolve/store"
)

// Append is [store.Store.Append]. It returns an *[store.InvalidError] if an event has a
// Value, a Time outside the years 0 to 9999, or is larger than a message of the servers
// may be (max_payload, 1 MiB by default), or if there are more events than the servers
// accept at once: an event is two messages, a claim is one, and a server accepts 1,000
// messages unless its jetstream.limits.batch.max_msgs says otherwise. Times are stored
// to the millisecond.
func (s *Store) Append(
	ctx context.Context, stream store.Stream, expected store.Expected, events []store.Event,
) (store.Appended, error) {
	return s.AppendClaiming(ctx, stream, expected, events, nil)
}

// AppendClaiming is [store.Claims.AppendClaiming], with the limits of [Store.Append].
func (s *Store) AppendClaiming(
	ctx context.Context, stream store.Stream, expected store.Expected, events []store.Event, claims []store.Claim,
) (store.Appended, error) {
	b := s.backend
	a, err := b.newAppending(s.tenant, stream, expected, events, claims)
	if err != nil {
		return store.Appended{}, err
	}
	err = b.callingFor(ctx, bound+inTime(a.size), func(ctx context.Context) error {
		if len(claims) == 0 {
			if done, err := b.lane(a.subject).append(ctx, a); done || err != nil {
				return err
			}
		}
		return b.settle(ctx, a)
	})
	if err != nil {
		return store.Appended{}, err
	}
	return a.appended, nil
}

// Holder is [store.Claims.Holder].
func (s *Store) Holder(ctx context.Context, key string) (holder store.Stream, ok bool, err error) {
	if err := store.ValidateKey(key); err != nil {
		return store.Stream{}, false, err
	}
	b := s.backend
	subject := b.names.claim(s.tenant, key)
	err = b.calling(ctx, func(ctx context.Context) error {
		m, err := b.last(ctx, subject)
		if err != nil || m == nil {
			return err
		}
		holder, ok, err = m.holder()
		return err
	})
	return holder, ok, err
}

// holder returns the stream that holds the key of message m, and false if none does.
func (m *message) holder() (store.Stream, bool, error) {
	if m == nil {
		return store.Stream{}, false, nil
	}
	var c claimMessage
	if err := json.Unmarshal(m.data, &c); err != nil {
		return store.Stream{}, false, damaged(fmt.Sprintf("message %d (%s) is not a claim", m.position, m.subject))
	}
	return store.Stream{Type: c.Type, ID: c.ID}, c.Type != "", nil
}

// appending is an append that a caller waits for.
type appending struct {
	tenant   string
	stream   store.Stream
	subject  string // of the stream's events
	expected store.Expected
	events   []prepared
	claims   []store.Claim
	keys     []string // the subjects of the claims
	token    [8]byte  // distinguishes the events of this append from the same events in another append
	size     int      // in bytes

	taken bool          // by a lane; guarded by the lane's mu
	done  chan struct{} // closed by the lane when the following fields are set

	made     bool  // if not, it has to be settled
	lost     bool  // an attempt may still be recorded
	full     error // the error if the lane has found that the servers are full
	appended store.Appended
}

// prepared is an event that is ready to be sent, except for its version and position.
type prepared struct {
	event   store.Event // without Value and metadata; shares its data with the message
	header  nats.Header
	data    []byte
	subject string // the subject of its id
}

// overhead is the number of bytes of headers that are added to a prepared event when it
// is sent.
const overhead = 1 << 10

func (b *backend) newAppending(
	tenant string, stream store.Stream, expected store.Expected, events []store.Event, claims []store.Claim,
) (*appending, error) {
	if err := validateAppend(stream, expected, events); err != nil {
		return nil, err
	}
	if err := store.ValidateClaims(claims); err != nil {
		return nil, err
	}
	a := &appending{
		tenant: tenant, stream: stream, expected: expected, subject: b.names.event(tenant, stream),
		events: make([]prepared, len(events)), claims: slices.Clone(claims), done: make(chan struct{}),
	}
	rand.Read(a.token[:])
	most := b.nc.MaxPayload()
	for i := range events {
		e := &events[i]
		header, data, err := encode(stream, e)
		if err != nil {
			return nil, err
		}
		size := overhead + len(data)
		for name, values := range header {
			size += len(name) + len(values[0]) + len(": \r\n")
		}
		if int64(size) > most {
			return nil, tooLarge(i, e, most)
		}
		a.size += size
		own := data[len(data)-len(e.Data):]
		a.events[i] = prepared{
			event:  store.Event{ID: e.ID, Type: e.Type, Schema: e.Schema, ContentType: e.ContentType, Data: own},
			header: header, data: data, subject: b.names.id(tenant, e.ID),
		}
	}
	for i := range claims {
		a.keys = append(a.keys, b.names.claim(tenant, claims[i].Key))
	}
	return a, nil
}

func validateAppend(stream store.Stream, expected store.Expected, events []store.Event) error {
	if err := store.ValidateAppend(stream, expected, events); err != nil {
		return err
	}
	const year0, year10000 = -62167219200, 253402300800 // seconds since 1970
	for i := range events {
		if events[i].Value != nil {
			return invalid(fmt.Sprintf("events[%d].value", i), "cannot be stored by a server")
		}
		if at := events[i].Time.Unix(); at < year0 || at >= year10000 {
			return invalid(fmt.Sprintf("events[%d].time", i), "is not in the years 0 to 9999")
		}
	}
	return nil
}

// tooLarge returns the error for an event that does not fit into a message.
func tooLarge(i int, e *store.Event, most int64) error {
	field := "data"
	if size := len(e.Data); int64(size) < most/2 {
		field = "metadata"
	}
	return invalid(fmt.Sprintf("events[%d].%s", i, field), fmt.Sprintf(
		"with metadata and %[2]d bytes of headers does not fit into a message of the server, whose max_payload is %[1]d bytes; set max_payload of all servers to 8MB", most, overhead))
}

// plan is an append in a batch.
type plan struct {
	*appending
	head  trail    // of the stream before it; without positions if that event is in the batch too
	index int      // number of events of the stream before it in the batch
	at    []uint64 // for each claim, the positions of the messages about its key
	first int      // the index of the message of its first event
}

// messages returns the messages of plans. Plans for one stream must be next to each
// other.
func (b *backend) messages(plans []*plan) []*nats.Msg {
	before, events := 0, 0 // numbers of events
	for _, p := range plans {
		before += len(p.events) + len(p.claims)
		events += len(p.events)
	}
	all := make([]*nats.Msg, 0, before+events)
	event := before
	for _, p := range plans {
		p.first = event
		for i := range p.events {
			id := idMessage{distance: uint64(event - len(all)), token: p.token} //nolint:gosec // not negative
			m := expecting(p.events[i].subject, nil, id.encode(), 0)
			if b.idsFor > 0 {
				m.Header[headerTTL] = []string{strconv.FormatInt(int64(b.idsFor.Seconds()), 10) + "s"}
			}
			all = append(all, m)
			event++
		}
	}
	for _, p := range plans {
		for i := range p.claims {
			c := claimMessage{Key: p.claims[i].Key}
			if !p.claims[i].Release {
				c.Type, c.ID = p.stream.Type, p.stream.ID
			}
			data, _ := json.Marshal(c) // strings can always be encoded
			// The distances stay right, because claims come after all ids.
			all = append(all, expecting(p.keys[i], nil, data, p.at[i]))
		}
	}
	for _, p := range plans {
		all = p.appendEvents(all)
	}
	return all
}

// appendEvents appends the messages of the events of p to all.
func (p *plan) appendEvents(all []*nats.Msg) []*nats.Msg {
	t := p.head
	for i := range p.events {
		e := &p.events[i]
		t = t.next(0) // the position is not known yet, and the text does not need it
		delete(e.header, headerCommit)
		delete(e.header, headerExpect)
		e.header[headerVersion] = []string{strconv.FormatUint(t.version, 10)}
		e.header[headerBack] = []string{t.text(p.index + i)}
		m := &nats.Msg{Subject: p.subject, Header: e.header, Data: e.data}
		if p.index+i == 0 {
			m = expecting(p.subject, e.header, e.data, p.head.position)
		}
		all = append(all, m)
	}
	return all
}

// recorded remembers that plans were recorded as a batch of n messages, the last one at
// position last.
func (b *backend) recorded(plans []*plan, n int, last uint64) {
	raise(&b.most, last)
	trails := make(map[string]*trail, len(plans))
	for _, p := range plans {
		t, ok := trails[p.subject]
		if !ok {
			head := p.head
			t = &head
			trails[p.subject] = t
		}
		first := last - uint64(n-1-p.first) //nolint:gosec // not negative
		for i := range p.events {
			*t = t.next(first + uint64(i))
		}
		p.appended = store.Appended{Version: t.version, Position: t.position}
		b.news.tell(p.tenant)
	}
	for subject, t := range trails {
		b.heads.put(subject, t)
	}
}
