package console_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/evolvego/evolve/decider/console"
	"github.com/evolvego/evolve/decider/process"
	"github.com/evolvego/evolve/decider/projection"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
)

// many is a projection with parked keys, the last one first, of which the third fails
// again. It is also a process with waiting instances.
type many struct {
	n    int
	done *done
}

type done struct {
	mu  sync.Mutex
	all []string // guarded by mu
}

func (d *done) add(key string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all = append(d.all, key)
	if key == "key 3" {
		return errors.New("the cause is still there")
	}
	return nil
}

func (d *done) take() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := d.all
	d.all = nil
	return all
}

func (many) Progress() projection.Progress { return projection.Progress{Build: "p@1"} }

func (m many) Parked(context.Context) (all []projection.Parked, err error) {
	for i := m.n; i > 0; i-- {
		all = append(all, projection.Parked{Key: fmt.Sprint("key ", i), Position: uint64(i)})
	}
	return all, nil
}

func (m many) Unpark(_ context.Context, key string) error { return m.done.add(key) }

type manyInstances struct{ many }

func (manyInstances) Progress() process.Progress { return process.Progress{Process: "w@1"} }

func (m manyInstances) Instances(context.Context, func(process.Instance) bool) (all []process.Instance, err error) {
	for i := m.n; i > 0; i-- {
		all = append(all, process.Instance{ID: fmt.Sprint("i ", i), Waiting: &process.InstanceError{Position: uint64(i)}})
	}
	return all, nil
}

func (m manyInstances) Release(_ context.Context, id string) error        { return m.done.add(id) }
func (m manyInstances) Skip(_ context.Context, id string, _ uint64) error { return m.done.add(id) }
func (m manyInstances) Abandon(_ context.Context, id string) error        { return m.done.add(id) }

func acting(st store.Store, n int) (console.Config, *done) {
	did := &done{}
	return console.Config{
		Store: st,
		ReadSide: func(context.Context, string) ([]console.Projection, []console.Process, error) {
			return []console.Projection{many{n, did}}, []console.Process{manyInstances{many{n, did}}}, nil
		},
		Access: func(*http.Request) (console.Access, error) {
			return console.Access{Name: "ann", AnyTenant: true, Data: true, Act: true}, nil
		},
	}, did
}

func bulk(what, name, most, expect, confirm string) url.Values {
	return url.Values{"what": {what}, "name": {name}, "most": {most}, "expect": {expect}, "confirm": {confirm}, "reason": {"fixed"}}
}

// TestBulk retries several keys and instances: oldest first, no more than requested, only
// those that the page showed, and only if the name is typed.
func TestBulk(t *testing.T) {
	t.Parallel()
	config, did := acting(bank(t), 5)
	s := open(t, config)
	s.want(s.get("parked?name=p@1"), 200, "Try several again", `name="expect" value="5"`, `max="1000"`)
	s.want(s.get("waiting?name=w@1"), 200, "Try several again", "5 instances, 5 of them waiting")
	for _, tt := range []struct {
		form url.Values
		code int
		says string
		did  []string
	}{
		{bulk("retry-all", "p@1", "2", "5", "p@1"), 303, "", []string{"key 1", "key 2"}},
		{bulk("retry-all", "p@1", "4", "5", "p@1"), 409, "1 of 4 keys failed again; the first: the cause is still there", []string{"key 1", "key 2", "key 3", "key 4"}},
		{bulk("release-all", "w@1", "1000", "5", "w@1"), 303, "", []string{"i 1", "i 2", "i 3", "i 4", "i 5"}},
		{bulk("retry-all", "p@1", "2", "5", "p@2"), 400, "Type the name, p@1", nil},
		{bulk("retry-all", "p@1", "2", "4", "p@1"), 409, "showed 4, and now there are 5", nil},
		{bulk("retry-all", "p@1", "", "5", "p@1"), 400, "1 to 1000 at once", nil},
		{bulk("retry-all", "p@1", "0", "5", "p@1"), 400, "1 to 1000 at once", nil},
		{bulk("release-all", "w@1", "1001", "5", "w@1"), 400, "1 to 1000 at once", nil},
		{bulk("release-all", "w@1", "9999999999999999", "5", "w@1"), 400, "1 to 1000 at once", nil},
		{bulk("skip-all", "w@1", "2", "5", "w@1"), 400, "no action", nil},
	} {
		got := s.post("act", tt.form)
		if all := did.take(); got.code != tt.code || !strings.Contains(got.body, tt.says) || !slices.Equal(all, tt.did) {
			t.Errorf("%v: status %d, did %v, want %d and %v:\n%s", tt.form, got.code, all, tt.code, tt.did, got.body)
		}
	}
	one, _ := acting(bank(t), 1)
	if got := open(t, one).get("parked?name=p@1"); strings.Contains(got.body, "several") {
		t.Error("a single key is offered as several")
	}
}

// TestAudit checks that each action leaves an entry, that a failed action leaves another
// one, and that a refused action leaves none.
func TestAudit(t *testing.T) {
	t.Parallel()
	st := memory.New()
	config, did := acting(st, 5)
	config.Audit = "audit"
	s := open(t, config)
	retry := func(key, expect string) url.Values {
		return url.Values{"what": {"retry"}, "name": {"p@1"}, "of": {key}, "expect": {expect}, "reason": {"deployed the fix"}}
	}
	s.want(s.post("act", retry("key 1", "5")), 303)
	s.want(s.post("act", retry("key 3", "5")), 409)
	s.want(s.post("act", retry("key 1", "4")), 409)
	s.want(s.post("act", bulk("release-all", "w@1", "7", "5", "w@1")), 303)
	audits, err := st.Tenant("audit")
	if err != nil {
		t.Fatal(err)
	}
	page, err := audits.Read(t.Context(), store.Stream{Type: "Console", ID: "actions"}, store.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	one := console.Action{Who: "ann", Tenant: "default", What: "retry", Name: "p@1", Of: "key 1", Reason: "deployed the fix"}
	three, failed := one, one
	three.Of, failed.Of, failed.Error = "key 3", "key 3", "the cause is still there"
	all := console.Action{Who: "ann", Tenant: "default", What: "release-all", Name: "w@1", Most: 7, Reason: "fixed"}
	types, want := []string{"ActionTaken", "ActionTaken", "ActionFailed", "ActionTaken"}, []console.Action{one, three, failed, all}
	if len(page.Events) != len(want) {
		t.Fatalf("%d entries, want %d: %+v", len(page.Events), len(want), page.Events)
	}
	for i, e := range page.Events {
		var got console.Action
		if err := json.Unmarshal(e.Data, &got); err != nil || got != want[i] || e.Type != types[i] || e.Meta.ActorID != "ann" {
			t.Errorf("entry %d is %s by %s %+v, want %s %+v, %v", i, e.Type, e.Meta.ActorID, got, types[i], want[i], err)
		}
	}
	if page.Events[2].Meta.CausationID != page.Events[1].ID {
		t.Error("the entry of the failure does not name the one before")
	}
	if head, err := st.Head(t.Context()); err != nil || head != 0 {
		t.Errorf("the tenant that is shown has %d events, %v", head, err)
	}
	did.take()
	config.Store = refusing{st}
	s = open(t, config)
	s.want(s.post("act", retry("key 1", "5")), 502, "it was not done")
	if all := did.take(); len(all) > 0 {
		t.Errorf("%v was done, but could not be recorded", all)
	}
}

// refusing is a store whose tenants refuse events.
type refusing struct{ *memory.Store }

func (r refusing) Tenant(id string) (store.Store, error) {
	st, err := r.Store.Tenant(id)
	return full{st}, err
}

type full struct{ store.Store }

func (full) Append(context.Context, store.Stream, store.Expected, []store.Event) (store.Appended, error) {
	return store.Appended{}, errors.New("the disk is full")
}

// TestAuditNeedsItsTenant checks that New panics if there is no place for the entries.
func TestAuditNeedsItsTenant(t *testing.T) {
	t.Parallel()
	for _, config := range []console.Config{
		{Store: memory.New(), Audit: "no\x00tenant"},
		{Store: struct {
			store.Store
			store.Log
		}{memory.New(), memory.New()}, Audit: "audit"},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("New accepts Audit %q of a %T", config.Audit, config.Store)
				}
			}()
			console.New(config)
		}()
	}
}

// TestWithoutFinder checks that a store which cannot find events by their ids is not
// reported as having none.
func TestWithoutFinder(t *testing.T) {
	t.Parallel()
	st := bank(t)
	s := open(t, console.Config{Store: struct {
		store.Store
		store.Log
	}{st, st}})
	for _, path := range []string{"event?id=none", "flow?id=none"} {
		s.want(s.get(path), 404, "only the newest 16,384 positions were searched")
	}
	s.want(s.get("event?position=99"), 404, "no such page")
	page, err := st.ReadAll(t.Context(), store.LogOptions{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	s.want(s.get("event?id="+page.Events[0].ID), 200)
	s.want(s.get("flow?id="+page.Events[0].ID), 200, "cannot find an event by its id")
}
