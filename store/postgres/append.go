package postgres

import (
	"context"
	"fmt"
	"hash/maphash"
	"slices"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/evolvego/evolve/store"
)

// Append is [store.Store.Append]. An event with a Value, or whose Time is not in
// the years 0 to 9999, is an *[store.InvalidError]. Times are kept to the
// microsecond. While a transaction of [Store.WithTx] has the log, an append waits
// for at most ten seconds and is then an *[Error] that is ErrBusy.
func (s *Store) Append(
	ctx context.Context, stream store.Stream, expected store.Expected, events []store.Event,
) (store.Appended, error) {
	return s.AppendClaiming(ctx, stream, expected, events, nil)
}

// AppendClaiming is [store.Claims.AppendClaiming], and as Append.
func (s *Store) AppendClaiming(
	ctx context.Context, stream store.Stream, expected store.Expected, events []store.Event, claims []store.Claim,
) (store.Appended, error) {
	a, err := newAppending(s.tenant, stream, expected, events, claims)
	if err != nil {
		return store.Appended{}, err
	}
	b := s.backend
	if err := b.ready(ctx); err != nil {
		return store.Appended{}, err
	}
	if err := b.laneOf(s.tenant, stream).submit(ctx, a); err != nil {
		return store.Appended{}, err
	}
	return a.appended, a.refused
}

func validateAppend(stream store.Stream, expected store.Expected, events []store.Event) error {
	if err := store.ValidateAppend(stream, expected, events); err != nil {
		return err
	}
	const year0, year10000 = -62167219200, 253402300800 // seconds since 1970
	for i := range events {
		if events[i].Value != nil {
			return invalid(fmt.Sprintf("events[%d].value", i), "cannot be kept in a database")
		}
		if at := events[i].Time.Unix(); at < year0 || at >= year10000 {
			return invalid(fmt.Sprintf("events[%d].time", i), "is not in the years 0 to 9999")
		}
	}
	return nil
}

// seed makes the hash of a stream; it differs between processes, which is fine.
var seed = maphash.MakeSeed() //nolint:gochecknoglobals // never changes

// laneOf returns the lane of a stream, always the same one.
func (b *backend) laneOf(tenant string, s store.Stream) *lane {
	return b.lanes[maphash.Comparable(seed, streamKey{tenant, s})%lanes]
}

// streamKey is a stream of a tenant.
type streamKey struct {
	tenant string
	stream store.Stream
}

// appending is an append that somebody waits for.
type appending struct {
	key      streamKey
	expected store.Expected
	events   []record
	size     int // bytes of data
	claims   []store.Claim

	state atomic.Int32 // waiting, taken or abandoned
	group atomic.Pointer[group]
	done  chan struct{} // closed when the rest is set

	failure  error // of the transaction
	appended store.Appended
	refused  error // why it was not made, if it was not
}

// record is what the columns of an event get, other than where it is. It shares
// nothing with the event that it was made of.
type record struct {
	event store.Event
	meta  string
}

func newAppending(
	tenant string, stream store.Stream, expected store.Expected, events []store.Event, claims []store.Claim,
) (*appending, error) {
	if err := validateAppend(stream, expected, events); err != nil {
		return nil, err
	}
	if err := store.ValidateClaims(claims); err != nil {
		return nil, err
	}
	a := &appending{
		key: streamKey{tenant, stream}, expected: expected, claims: slices.Clone(claims),
		events: make([]record, len(events)), done: make(chan struct{}),
	}
	for i := range events {
		if err := a.events[i].encode(&events[i]); err != nil {
			return nil, err
		}
		a.size += len(events[i].Data)
	}
	return a, nil
}

// encode copies e.
func (r *record) encode(e *store.Event) (err error) {
	r.event = *e
	r.event.Data = append([]byte{}, e.Data...) // not nil, which would be NULL
	if e.ContentType == "" {
		r.event.ContentType = store.OctetStream
	}
	r.event.Meta = store.Metadata{}
	r.meta, err = encodeMeta(&e.Meta)
	return err
}

// What became of an append, as the function in the database answers.
const (
	wasAppended = iota
	wasReplayed
	wasConflict
	wasDuplicate
	wasClaimed
)

// answer is a row of what that function returns.
type answer struct {
	outcome           int32
	version, position *int64
	name              *string
	inType, inID      *string
}

// columns returns where the columns of a row go.
func (r *answer) columns() []any {
	return []any{&r.outcome, &r.version, &r.position, &r.name, &r.inType, &r.inID}
}

// settle sets what became of a.
func (a *appending) settle(r *answer) {
	switch r.outcome {
	case wasAppended, wasReplayed:
		a.appended = store.Appended{Version: positive(r.version), Position: positive(r.position), Replayed: r.outcome == wasReplayed}
	case wasConflict:
		a.refused = &store.ConflictError{Stream: a.key.stream, Expected: a.expected, Actual: positive(r.version)}
	case wasDuplicate:
		a.refused = &store.DuplicateError{Stream: a.key.stream, EventID: *r.name, In: store.Stream{Type: *r.inType, ID: *r.inID}, Version: positive(r.version)}
	case wasClaimed:
		a.refused = &store.ClaimedError{Stream: a.key.stream, Key: *r.name, Holder: store.Stream{Type: *r.inType, ID: *r.inID}}
	}
}

// positive returns n, which is not negative, 0 for NULL.
func positive(n *int64) uint64 {
	if n == nil {
		return 0
	}
	return uint64(*n) //nolint:gosec // a version or position
}

// arguments are those of the function in the database, column by column.
type arguments struct {
	logs []string
	news string

	log      []int32
	tenant   []string
	typ, id  []string
	expected []int64

	eAppend, ePlace []int32
	eTenant         []string
	eStreamType     []string
	eStreamID       []string
	eID, eType      []string
	eSchema         []int64
	eContentType    []string
	eTime           []pgtype.Timestamptz
	eMeta           []string
	eData           [][]byte
	cAppend         []int32
	cKey            []string
	cRelease        []bool
}

// fill sets all of them. The logs are sorted: those of the tenants, or the one of all.
func (g *arguments) fill(perTenant bool, members []*appending) {
	tenants := tenantsOf(members)
	g.news = newsOf(tenants)
	g.logs = []string{""}
	if perTenant {
		g.logs = tenants
	}
	for _, a := range members {
		log := 0
		if perTenant {
			log, _ = slices.BinarySearch(tenants, a.key.tenant)
		}
		g.add(a, int32(log)+1) //nolint:gosec // at most maxGroup
	}
}

// add adds a, whose log is at this place in logs, from 1.
func (g *arguments) add(a *appending, log int32) {
	g.log = append(g.log, log)
	g.tenant = append(g.tenant, a.key.tenant)
	g.typ = append(g.typ, a.key.stream.Type)
	g.id = append(g.id, a.key.stream.ID)
	g.expected = append(g.expected, int64(a.expected))
	n := int32(len(g.log)) //nolint:gosec // at most maxGroup
	for i := range a.events {
		e := &a.events[i].event
		g.eAppend = append(g.eAppend, n)
		g.ePlace = append(g.ePlace, int32(i)+1) //nolint:gosec // at most store.MaxBatch
		g.eTenant = append(g.eTenant, a.key.tenant)
		g.eStreamType = append(g.eStreamType, a.key.stream.Type)
		g.eStreamID = append(g.eStreamID, a.key.stream.ID)
		g.eID = append(g.eID, e.ID)
		g.eType = append(g.eType, e.Type)
		g.eSchema = append(g.eSchema, int64(e.Schema))
		g.eContentType = append(g.eContentType, e.ContentType)
		g.eTime = append(g.eTime, pgtype.Timestamptz{Time: e.Time.Truncate(time.Microsecond), Valid: !e.Time.IsZero()})
		g.eMeta = append(g.eMeta, a.events[i].meta)
		g.eData = append(g.eData, e.Data)
	}
	for _, c := range a.claims {
		g.cAppend = append(g.cAppend, n)
		g.cKey = append(g.cKey, c.Key)
		g.cRelease = append(g.cRelease, c.Release)
	}
}

// list returns them in the order of the function.
func (g *arguments) list() []any {
	return []any{
		g.logs, g.news, g.log, g.tenant, g.typ, g.id, g.expected,
		g.eAppend, g.ePlace, g.eTenant, g.eStreamType, g.eStreamID,
		g.eID, g.eType, g.eSchema, g.eContentType, g.eTime, g.eMeta, g.eData,
		g.cAppend, g.cKey, g.cRelease,
	}
}
