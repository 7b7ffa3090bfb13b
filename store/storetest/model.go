package storetest

import (
	"fmt"
	"time"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/storetest/internal/judge"
)

func modelClauses() []clause {
	return []clause{{"random histories get the same results as from a simple model", modelAgrees}}
}

// step is one call of a history. Every list of steps is a valid history, because a step
// may refer to things that do not exist.
type step struct {
	Tenant   int // 0 or 1, where there are tenants
	Call     string
	Stream   int
	Expected int
	Events   []choice
	Claims   []int // keys to take; negative ones to release, if the store has claims
	From     uint64
	Limit    int
	Backward bool
	Filter   int
}

// choice selects an event: one of a few ids, with one of a few data.
type choice struct{ ID, Data int }

func (s step) String() string {
	tenant, stream := "tenant "+"ab"[s.Tenant:s.Tenant+1], modelStream(s.Stream)
	switch s.Call {
	case "Append", "AppendClaiming":
		return fmt.Sprintf("%s: Append(%s, %s, ids and data %v, claims %v)",
			tenant, stream, modelExpected(s.Expected), s.Events, modelClaims(s.Claims))
	case "Read":
		return fmt.Sprintf("%s: %s", tenant, judge.ReadCall(stream, s.readOptions()))
	}
	return fmt.Sprintf("%s: %s", tenant, logCall(s.logOptions()))
}

func (s step) readOptions() store.ReadOptions {
	return store.ReadOptions{From: s.From, Limit: s.Limit, Backward: s.Backward, ReadOnly: s.Filter%2 == 1}
}

func (s step) logOptions() store.LogOptions {
	filter := []store.Filter{{}, {}, {StreamTypes: []string{"Account"}}, {IDPrefix: "a_"}, {EventTypes: []string{"Type 1", "Type 2"}}}[s.Filter]
	return store.LogOptions{From: s.From, Limit: s.Limit, Backward: s.Backward, Filter: filter}
}

func modelStream(n int) store.Stream {
	return []store.Stream{{Type: "Account", ID: "a_1"}, {Type: "Order", ID: "a_1"}, {Type: "Account", ID: "ab1"}}[n]
}

// modelKeys returns the keys that histories claim.
func modelKeys() []string { return []string{"key 1", "key 2", "Key 2"} }

// modelClaims takes the keys 1 and up, and releases the keys -1 and down.
func modelClaims(keys []int) []store.Claim {
	claims := make([]store.Claim, len(keys))
	for i, n := range keys {
		claims[i] = store.Claim{Key: modelKeys()[max(n, -n)-1], Release: n < 0}
	}
	return claims
}

// modelExpected returns the zero Expected for 0, and then each kind of Expected.
func modelExpected(n int) store.Expected {
	return []store.Expected{
		store.Any, store.NoStream, store.Exists, 0, store.Exactly(1), store.Exactly(2), store.Exactly(3), store.Exactly(4), store.Exactly(6),
	}[n]
}

func (c choice) event() store.Event {
	return store.Event{
		ID: fmt.Sprintf("id %d", c.ID), Type: fmt.Sprintf("Type %d", c.ID%3), Data: fmt.Append(nil, c.Data),
		Meta: store.Metadata{ActorID: fmt.Sprintf("actor %d", c.ID)}, Time: time.Unix(int64(c.ID)+1, 0).UTC(),
	}
}

// histories generates long lists of steps. A failing list is made shorter later.
func histories() *rapid.Generator[[]step] {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
		s := step{
			Tenant: rapid.IntRange(0, 1).Draw(t, "tenant"),
			Call:   rapid.SampledFrom([]string{"Append", "Append", "Append", "AppendClaiming", "Read", "ReadAll", "ReadAll"}).Draw(t, "call"),
			Stream: rapid.IntRange(0, 2).Draw(t, "stream"),
		}
		if s.Call == "Append" || s.Call == "AppendClaiming" {
			s.Expected = rapid.IntRange(0, 8).Draw(t, "expected")
			first := rapid.IntRange(0, 20).Draw(t, "first id") // neighboring ids, so that recorded events are appended again
			for i := range rapid.IntRange(0, 4).Draw(t, "events") {
				s.Events = append(s.Events, choice{first + i, rapid.SampledFrom([]int{0, 0, 0, 0, 0, 1}).Draw(t, "data")})
			}
			if s.Call == "AppendClaiming" {
				s.Claims = rapid.SliceOfN(rapid.SampledFrom([]int{1, 1, -1, -1, 2, 3}), 1, 2).Draw(t, "claims")
			}
			return s
		}
		s.From = rapid.Uint64Range(0, 12).Draw(t, "from")
		s.Limit = rapid.IntRange(-1, 6).Draw(t, "limit")
		s.Backward = rapid.Bool().Draw(t, "backward")
		s.Filter = rapid.IntRange(0, 4).Draw(t, "filter")
		return s
	}), 60, 60)
}
