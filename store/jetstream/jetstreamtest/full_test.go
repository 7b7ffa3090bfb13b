//go:build unix

package jetstreamtest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/jetstream"
	"github.com/evolvego/evolve/store/jetstream/jetstreamtest"
	"github.com/evolvego/evolve/store/storetest"
)

// TestRefusedWrites checks that appends to a log that has reached its limit are
// refused, and that reads continue.
func TestRefusedWrites(t *testing.T) {
	t.Parallel()
	for name, replicas := range map[string]int{"one server": 1, "three servers": 3} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := ""
			if replicas == 1 {
				url = jetstreamtest.Start(t).URL()
			} else {
				url = jetstreamtest.StartCluster(t).URL()
			}
			_, js := connected(t, url)
			var logs atomic.Int64
			storetest.RunRefused(t, func(t *testing.T) (store.Store, func(bool)) {
				t.Helper()
				log := fmt.Sprintf("l%d", logs.Add(1))
				st := open(t, url, jetstream.WithLog(log), jetstream.WithReplicas(replicas))
				return st, func(refused bool) {
					t.Helper()
					limit(t, js, "EV_"+log, refused)
				}
			})
		})
	}
}

// TestAccountLimit checks the same for the limit of an account.
func TestAccountLimit(t *testing.T) {
	t.Parallel()
	storetest.RunRefused(t, func(t *testing.T) (store.Store, func(bool)) {
		t.Helper()
		s := startServer(t, func(*server.Options) {})
		return open(t, urlOfServer(s), jetstream.WithReplicas(1)), func(refused bool) {
			t.Helper()
			limits := server.JetStreamAccountLimits{MaxMemory: -1, MaxStore: -1, MaxStreams: -1, MaxConsumers: -1, MaxAckPending: -1}
			if refused {
				limits.MaxStore = 1
			}
			err := s.GlobalAccount().UpdateJetStreamLimits(map[string]server.JetStreamAccountLimits{"": limits})
			if err != nil {
				t.Fatal(err)
			}
		}
	})
}

// limit gives a stream in NATS less space than it uses, or no limit.
func limit(t *testing.T, js natsjs.JetStream, name string, limited bool) {
	t.Helper()
	s, err := js.Stream(context.Background(), name)
	if err != nil {
		t.Fatal(err)
	}
	c := s.CachedInfo().Config
	c.MaxBytes = -1
	if limited {
		c.MaxBytes = 1
	}
	if _, err := js.UpdateStream(context.Background(), c); err != nil {
		t.Fatal(err)
	}
}

// TestOneFullServer checks that if one of three servers is full, another one leads, and
// appends continue.
func TestOneFullServer(t *testing.T) {
	t.Parallel()
	c := startNodes(t, servers, func(i int, s *childSettings) {
		if i == 0 {
			s.MaxStore = 2 << 20
		}
	})
	st := open(t, c.urls())
	f := &filling{store: st}
	for range 60 { // 60 * 128 KiB
		if err := f.append(t); err != nil {
			t.Fatalf("append %d, while one server is full: %v", len(f.appends), err)
		}
	}
	f.check(t)
}

// TestFullServers checks that if all servers are full, appends are refused, and succeed
// once there is space. No append may be recorded in part.
func TestFullServers(t *testing.T) {
	t.Parallel()
	needsLong(t, "what happens when all servers are full; TestRefusedWrites and TestOneFullServer are")
	c := startNodes(t, servers, func(_ int, s *childSettings) { s.MaxStore = 2 << 20 })
	f := &filling{store: open(t, c.urls())}
	if err := f.fill(t); !errors.Is(err, jetstream.ErrFull) || !errors.Is(err, store.ErrRefused) {
		t.Errorf("an append to servers that are full = %v, want ErrFull, which is a refusal", err)
	}
	for _, n := range c.all {
		n.end(t, syscall.SIGKILL)
		n.MaxStore = 64 << 20
		n.start(t)
	}
	f.settle(t)
	f.check(t)
}

// TestFullDisks checks the same if the disks are full, and not only the limits of the
// servers.
func TestFullDisks(t *testing.T) {
	t.Parallel()
	needsLong(t, "what happens when disks are full; TestRefusedWrites and TestOneFullServer are")
	for name, size := range map[string]int{"one server": 1, "three servers": 3} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := startNodes(t, size, func(_ int, s *childSettings) {
				mount(t, s.Dir, 24<<20)
				s.MaxStore = 1 << 30
			})
			f := &filling{store: open(t, c.urls(), jetstream.WithReplicas(size))}
			// NATS does not answer then, and abandons the log until it is restarted.
			if err := f.fill(t); !errors.Is(err, jetstream.ErrUnavailable) || store.Definite(err) {
				t.Errorf("an append to a full disk = %v, want ErrUnavailable, which is not definite", err)
			}
			for _, n := range c.all {
				n.end(t, syscall.SIGKILL)
				enlarge(t, n.Dir, 64<<20)
				n.start(t)
			}
			f.settle(t)
			f.check(t)
		})
	}
}

func (c *nodes) urls() string {
	urls := make([]string, len(c.all))
	for i, n := range c.all {
		urls[i] = n.url()
	}
	return strings.Join(urls, ",")
}

// filling appends to a stream until there is no space.
type filling struct {
	store   *jetstream.Store
	appends [][]store.Event // acknowledged batches
	version uint64
	refused [][]store.Event // batches refused with a definite error
	unknown [][]store.Event // batches that failed with another error
}

var filled = store.Stream{Type: "Account", ID: "filled"}

func (f *filling) append(t *testing.T) error {
	t.Helper()
	events := batch(4)
	for i := range events {
		events[i].Data = bytes.Repeat([]byte("x"), 32<<10)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	got, err := f.store.Append(ctx, filled, store.Exactly(f.version), events)
	switch {
	case err == nil:
		f.appends, f.version = append(f.appends, events), got.Version
	case store.Definite(err):
		f.refused = append(f.refused, events)
	default:
		f.unknown = append(f.unknown, events)
	}
	return err
}

// fill appends until an append fails, and returns its error.
func (f *filling) fill(t *testing.T) error {
	t.Helper()
	began := time.Now()
	var err error
	for err == nil {
		if len(f.appends) == 10_000 {
			t.Fatal("no disk is full after 10,000 appends")
		}
		err = f.append(t)
	}
	t.Logf("%d appends, then %d refused, %d unknown, in %s", len(f.appends), len(f.refused), len(f.unknown), time.Since(began).Round(time.Millisecond))
	return err
}

// settle repeats the appends that were not acknowledged, when there is space again.
// Refused ones must be recorded now, and unknown ones exactly once.
func (f *filling) settle(t *testing.T) {
	t.Helper()
	for _, events := range append(f.unknown, f.refused...) {
		var err error
		var got store.Appended
		for range 10 { // while servers start
			if got, err = f.store.Append(t.Context(), filled, store.Any, events); err == nil {
				break
			}
		}
		if err != nil {
			t.Fatalf("an append when there is space again: %v", err)
		}
		f.appends, f.version = append(f.appends, events), max(f.version, got.Version)
	}
}

// check fails unless the stream and the log have the events of the acknowledged
// appends, and no others.
func (f *filling) check(t *testing.T) {
	t.Helper()
	var want []string
	for _, events := range f.appends {
		for i := range events {
			want = append(want, events[i].ID)
		}
	}
	var got []string
	for e, err := range store.Events(t.Context(), f.store, filled, 0) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e.ID)
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("the stream has %d events, want the %d acknowledged ones", len(got), len(want))
	}
	n := 0
	for next := uint64(0); ; {
		page, err := f.store.ReadAll(t.Context(), store.LogOptions{From: next})
		if err != nil {
			t.Fatal(err)
		}
		n += len(page.Events)
		if next = page.Next; page.End {
			break
		}
	}
	if n != len(want) {
		t.Errorf("the log has %d events, want %d", n, len(want))
	}
}
