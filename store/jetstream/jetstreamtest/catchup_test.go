package jetstreamtest_test

import (
	"context"
	"reflect"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/jetstream"
	"github.com/evolvego/evolve/store/jetstream/jetstreamtest"
)

// longLog is the number of events that a log needs so that a server sends them to a
// subscription.
const longLog = 12_000

// TestCatchUp checks that a subscription that is far behind yields the same events as
// pages of the log, whatever the options are, that it continues with events appended in
// the meantime, and that a server sends them.
func TestCatchUp(t *testing.T) {
	t.Parallel()
	for name, replicas := range map[string]int{"one server": 1, "three servers": 3} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if replicas > 1 {
				needsLong(t, "that three servers send a long log; TestCatchUpWithoutServers, and one server here, are")
			}
			url := urlOf(t, replicas)
			st := open(t, url, jetstream.WithReplicas(replicas))
			nc, _ := connected(t, url)
			var made atomic.Int64 // created consumers
			if _, err := nc.Subscribe("$JS.EVENT.ADVISORY.CONSUMER.CREATED.>", func(*nats.Msg) { made.Add(1) }); err != nil {
				t.Fatal(err)
			}
			if err := nc.Flush(); err != nil {
				t.Fatal(err)
			}
			other := ofTenant(t, st, "other")
			for i := range 4 { // the rare ones are far apart
				appendTo(t, st, store.Stream{Type: "Rare", ID: strconv.Itoa(i)}, "Seldom")
				appendTo(t, other, store.Stream{Type: "Account", ID: "1"}, "Noted")
				filledLog(t, st, longLog/4, 7)
			}
			appendTo(t, other, store.Stream{Type: "Account", ID: "1"}, "Noted")
			appendTo(t, st, store.Stream{Type: "Rare", ID: "9"}, "Seldom")
			for what, c := range map[string]struct {
				of store.Log
				o  store.LogOptions
			}{
				"all":              {st, store.LogOptions{}},
				"after a position": {st, store.LogOptions{From: 1234}},
				"pages of 7":       {st, store.LogOptions{Limit: 7}},
				"a type":           {st, store.LogOptions{Filter: store.Filter{StreamTypes: []string{"Rare", "Missing", "Rare"}}}},
				"two types":        {st, store.LogOptions{Filter: store.Filter{StreamTypes: []string{"Rare", "Account"}}}},
				"an event type":    {st, store.LogOptions{Filter: store.Filter{EventTypes: []string{"Seldom"}}}},
				"a prefix":         {st, store.LogOptions{Filter: store.Filter{IDPrefix: "3"}}},
				"nothing":          {st, store.LogOptions{Filter: store.Filter{StreamTypes: []string{"Missing"}}}},
				"another tenant":   {other, store.LogOptions{}},
			} {
				before := made.Load()
				checkCatchUp(t, what, c.of, c.o)
				if err := nc.Flush(); err != nil {
					t.Fatal(err)
				}
				if made.Load() == before {
					t.Errorf("%s: no server has sent the events", what)
				}
			}
		})
	}
}

func ofTenant(t *testing.T, st *jetstream.Store, id string) *jetstream.Store {
	t.Helper()
	tenant, err := st.Tenant(id)
	if err != nil {
		t.Fatal(err)
	}
	own, ok := tenant.(*jetstream.Store)
	if !ok {
		t.Fatalf("the store of a tenant is a %T", tenant)
	}
	return own
}

func appendTo(t *testing.T, st *jetstream.Store, s store.Stream, typ string) {
	t.Helper()
	if _, err := st.Append(t.Context(), s, store.Any, []store.Event{{ID: store.NewID(), Type: typ}}); err != nil {
		t.Fatal(err)
	}
}

// checkCatchUp compares a subscription, up to the first page with End set, with the
// pages of the log.
func checkCatchUp(t *testing.T, what string, log store.Log, o store.LogOptions) {
	t.Helper()
	var want, got []store.Recorded
	for all := (store.LogOptions{From: o.From, Filter: o.Filter}); ; {
		page, err := log.ReadAll(t.Context(), all)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, page.Events...)
		if all.From = page.Next; page.End {
			break
		}
	}
	next := o.From
	for page, err := range log.Subscribe(t.Context(), o) {
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if o.Limit > 0 && len(page.Events) > o.Limit {
			t.Errorf("%s: a page has %d events, the limit is %d", what, len(page.Events), o.Limit)
		}
		if page.Next < next || page.Head < page.Next-1 {
			t.Errorf("%s: a page before %d, with head %d, came after one before %d", what, page.Next, page.Head, next)
		}
		next = page.Next
		if got = append(got, page.Events...); page.End {
			break
		}
	}
	if len(got) != len(want) {
		t.Errorf("%s: the subscription has yielded %d events, but the log has %d", what, len(got), len(want))
		return
	}
	for i := range got {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Fatalf("%s: event %d of the subscription is %+v, but in the log it is %+v", what, i, got[i], want[i])
		}
	}
}

// TestCatchUpWithoutServers checks that a subscription that is far behind misses and
// repeats nothing when one server after another is stopped.
func TestCatchUpWithoutServers(t *testing.T) {
	t.Parallel()
	c := jetstreamtest.StartCluster(t)
	st := open(t, c.URL())
	filledLog(t, st, longLog, 10)
	head, err := st.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	n, stopped, last := 0, 0, uint64(0)
	for page, err := range st.Subscribe(ctx, store.LogOptions{Limit: 100}) {
		if err != nil {
			t.Fatalf("after %d events: %v", n, err)
		}
		for i := range page.Events {
			if page.Events[i].Position <= last {
				t.Fatalf("position %d after %d", page.Events[i].Position, last)
			}
			last = page.Events[i].Position
		}
		n += len(page.Events)
		if stopped < len(c.Servers) && n > (stopped+1)*longLog/(len(c.Servers)+1) {
			c.Servers[stopped].Stop()
			c.Servers[stopped].Restart(t)
			stopped++
		}
		if last == head {
			break
		}
	}
	if n != longLog || stopped != len(c.Servers) {
		t.Errorf("%d events and %d servers stopped, want %d and %d", n, stopped, longLog, len(c.Servers))
	}
}
