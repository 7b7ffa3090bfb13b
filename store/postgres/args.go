package postgres

import (
	"math"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/evolvego/evolve/store"
)

// arguments are the arguments of the database function, column by column.
type arguments struct {
	logs []string // sorted: the logs of the tenants, or the log that they share
	news string

	// The streams, each once, and the index of each stream's log, from 1.
	sLog       []int32
	sTenant    []string
	sType, sID []string

	// The appends, and the index of each append's stream, from 1.
	aStream   []int32
	aExpected []int64
	aCount    []int32

	// The events, the index of each event's append, and the event's place in it, from 1.
	eAppend, ePlace        []int32
	eTenant                []string
	eStreamType, eStreamID []string
	events                 columns

	// The claims, and the indexes of each claim's append and stream, from 1.
	cAppend, cStream []int32
	cKey             []string
	cRelease         []bool
}

// newArguments returns the arguments for members.
func newArguments(perTenant bool, members []*appending) *arguments {
	tenants := tenantsOf(members)
	g := &arguments{logs: []string{""}, news: newsOf(tenants)}
	g.grow(members)
	if perTenant {
		g.logs = tenants
	}
	places := make(map[streamKey]int32, len(members))
	for _, a := range members {
		place, ok := places[a.key]
		if !ok {
			log := 0
			if perTenant {
				log, _ = slices.BinarySearch(tenants, a.key.tenant)
			}
			g.addStream(a.key, int32(log)+1)
			place = int32(len(g.sLog)) //nolint:gosec // at most maxGroup
			places[a.key] = place
		}
		g.add(a, place)
	}
	return g
}

// grow makes room for members, so that no column is copied while it grows.
func (g *arguments) grow(members []*appending) {
	events := 0
	for _, a := range members {
		events += len(a.events)
	}
	for _, column := range []*[]string{&g.sTenant, &g.sType, &g.sID} {
		*column = slices.Grow(*column, len(members))
	}
	for _, column := range []*[]string{&g.eTenant, &g.eStreamType, &g.eStreamID} {
		*column = slices.Grow(*column, events)
	}
	for _, column := range []*[]int32{&g.sLog, &g.aStream, &g.aCount} {
		*column = slices.Grow(*column, len(members))
	}
	g.aExpected = slices.Grow(g.aExpected, len(members))
	g.eAppend, g.ePlace = slices.Grow(g.eAppend, events), slices.Grow(g.ePlace, events)
	g.events.grow(events)
}

func (g *arguments) addStream(key streamKey, log int32) {
	g.sLog = append(g.sLog, log)
	g.sTenant = append(g.sTenant, key.tenant)
	g.sType = append(g.sType, key.stream.Type)
	g.sID = append(g.sID, key.stream.ID)
}

// add adds a, whose stream has this index.
func (g *arguments) add(a *appending, stream int32) {
	g.aStream = append(g.aStream, stream)
	g.aExpected = append(g.aExpected, int64(a.expected))
	g.aCount = append(g.aCount, int32(len(a.events))) //nolint:gosec // at most store.MaxBatch
	n := int32(len(g.aStream))                        //nolint:gosec // at most maxGroup
	for i := range a.events {
		g.eAppend = append(g.eAppend, n)
		g.ePlace = append(g.ePlace, int32(i)+1)
		g.eTenant = append(g.eTenant, a.key.tenant)
		g.eStreamType = append(g.eStreamType, a.key.stream.Type)
		g.eStreamID = append(g.eStreamID, a.key.stream.ID)
	}
	g.events.add(a.events)
	for _, c := range a.claims {
		g.cAppend = append(g.cAppend, n)
		g.cStream = append(g.cStream, stream)
		g.cKey = append(g.cKey, c.Key)
		g.cRelease = append(g.cRelease, c.Release)
	}
}

// list returns the arguments in the order of the function's parameters.
func (g *arguments) list() []any {
	args := append(make([]any, 0, 28),
		g.logs, g.news, g.sLog, g.sTenant, g.sType, g.sID,
		g.aStream, g.aExpected, g.aCount,
		g.eAppend, g.ePlace, g.eTenant, g.eStreamType, g.eStreamID)
	return append(g.events.list(args), g.cAppend, g.cStream, g.cKey, g.cRelease)
}

// quickArguments returns the arguments of the statement for one append.
func quickArguments(perTenant bool, a *appending) []any {
	log, key := "", &a.key
	if perTenant {
		log = key.tenant
	}
	least, most := bounds(a.expected)
	args := append(make([]any, 0, 17),
		log, newsOf([]string{key.tenant}), key.tenant, key.stream.Type, key.stream.ID, least)
	if len(a.events) == 1 {
		e := &a.events[0]
		args = append(args, e.event.ID, e.event.Type, int64(e.event.Schema), e.event.ContentType, timestamp(e.event.Time),
			e.event.Meta.CorrelationID, e.event.Meta.CausationID, e.event.Meta.ActorID, e.headers, e.event.Data)
	} else {
		var events columns
		events.add(a.events)
		args = events.list(args)
	}
	return append(args, most)
}

// quickGroupArguments returns the arguments of the statement for a group.
func quickGroupArguments(perTenant bool, members []*appending) []any {
	tenants := tenantsOf(members)
	g := &arguments{}
	g.grow(members)
	log := ""
	if perTenant {
		log = tenants[0]
	}
	n := len(members)
	least, most, firsts := make([]int64, n), make([]int64, n), make([]string, n)
	for i, a := range members {
		g.addStream(a.key, 1)
		g.add(a, 0)
		least[i], most[i] = bounds(a.expected)
		firsts[i] = a.events[0].event.ID
	}
	args := append(make([]any, 0, 24),
		log, newsOf(tenants), g.sTenant, g.sType, g.sID, least)
	args = g.events.list(args)
	return append(args, most, g.aCount, firsts, g.eAppend, g.ePlace, g.eTenant, g.eStreamType, g.eStreamID)
}

// bounds returns the lowest and the highest version that expected allows.
func bounds(expected store.Expected) (least, most int64) {
	switch expected {
	case store.NoStream:
		return 0, 0
	case store.Exists:
		return 1, math.MaxInt64
	case store.Any:
		return 0, math.MaxInt64
	}
	return int64(expected), int64(expected)
}

// timestamp returns t as it is stored: NULL for the zero time.
func timestamp(t time.Time) pgtype.Timestamptz {
	return pgtype.Timestamptz{Time: t.Truncate(time.Microsecond), Valid: !t.IsZero()}
}

// columns holds events, column by column.
type columns struct {
	id, typ, contentType          []string
	schema                        []int64
	time                          []pgtype.Timestamptz
	correlation, causation, actor []string
	headers                       []string
	data                          [][]byte
}

func (c *columns) add(events []record) {
	c.grow(len(events))
	for i := range events {
		e := &events[i].event
		c.id = append(c.id, e.ID)
		c.typ = append(c.typ, e.Type)
		c.schema = append(c.schema, int64(e.Schema))
		c.contentType = append(c.contentType, e.ContentType)
		c.time = append(c.time, timestamp(e.Time))
		c.correlation = append(c.correlation, e.Meta.CorrelationID)
		c.causation = append(c.causation, e.Meta.CausationID)
		c.actor = append(c.actor, e.Meta.ActorID)
		c.headers = append(c.headers, events[i].headers)
		c.data = append(c.data, e.Data)
	}
}

// grow makes room for n more events.
func (c *columns) grow(n int) {
	for _, column := range []*[]string{&c.id, &c.typ, &c.contentType, &c.correlation, &c.causation, &c.actor, &c.headers} {
		*column = slices.Grow(*column, n)
	}
	c.schema, c.time, c.data = slices.Grow(c.schema, n), slices.Grow(c.time, n), slices.Grow(c.data, n)
}

// list appends the columns to args, in the order that the functions expect.
func (c *columns) list(args []any) []any {
	return append(args, c.id, c.typ, c.schema, c.contentType, c.time, c.correlation, c.causation, c.actor, c.headers, c.data)
}
