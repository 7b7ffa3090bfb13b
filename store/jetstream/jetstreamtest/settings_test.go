package jetstreamtest_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/jetstream"
	"github.com/evolvego/evolve/store/jetstream/jetstreamtest"
	"github.com/evolvego/evolve/store/storetest/wire"
)

// serve starts a server with the default settings, as modified by change, and returns
// its URL.
func serve(t *testing.T, change func(o *server.Options)) string {
	t.Helper()
	return urlOfServer(startServer(t, change))
}

func urlOfServer(s *server.Server) string { return "nats://" + s.Addr().String() }

// startServer starts a server with the default settings, as modified by change.
func startServer(t *testing.T, change func(o *server.Options)) *server.Server {
	t.Helper()
	o := &server.Options{Host: "127.0.0.1", Port: -1, NoLog: true, NoSigs: true, JetStream: true, StoreDir: t.TempDir()}
	change(o)
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(time.Minute) {
		t.Fatal("the server is not ready after a minute")
	}
	return s
}

// wantError fails unless err matches target and contains all of texts.
func wantError(t *testing.T, what string, err, target error, texts ...string) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Fatalf("%s: %v, want an error that matches %v", what, err, target)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v, want it to contain %q", what, err, text)
		}
	}
}

// connected returns a connection to url, and JetStream on it.
func connected(t *testing.T, url string) (*nats.Conn, natsjs.JetStream) {
	t.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := natsjs.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return nc, js
}

// TestServersThatDoNotFit checks that opening a store reports an unsuitable setting of
// the server, and what to do.
func TestServersThatDoNotFit(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	t.Run("one server, three replicas", func(t *testing.T) {
		t.Parallel()
		_, err := jetstream.Open(ctx, serve(t, func(*server.Options) {}))
		wantError(t, "Open", err, jetstream.ErrSettings, "3 replicas", "WithReplicas(1)")
	})
	t.Run("without JetStream", func(t *testing.T) {
		t.Parallel()
		short, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		_, err := jetstream.Open(short, serve(t, func(o *server.Options) { o.JetStream = false }), jetstream.WithReplicas(1))
		wantError(t, "Open", err, jetstream.ErrUnavailable, "no server has JetStream", "store_dir")
	})
	t.Run("a missing log", func(t *testing.T) {
		t.Parallel()
		_, err := jetstream.Open(ctx, serve(t, func(*server.Options) {}), jetstream.WithReplicas(1), jetstream.WithoutCreate())
		wantError(t, "Open", err, jetstream.ErrNoStream, "EV_evolve")
	})
	t.Run("another password", func(t *testing.T) {
		t.Parallel()
		url := serve(t, func(o *server.Options) { o.Username, o.Password = "u", "other" })
		_, err := jetstream.Open(ctx, strings.Replace(url, "nats://", "nats://u:hunter2@", 1), jetstream.WithReplicas(1))
		wantError(t, "Open", err, jetstream.ErrDenied)
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("Open reveals the password: %v", err)
		}
	})
	t.Run("no server", func(t *testing.T) {
		t.Parallel()
		_, err := jetstream.Open(ctx, "nats://u:hunter2@127.0.0.1:1")
		wantError(t, "Open", err, jetstream.ErrUnavailable)
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("Open reveals the password: %v", err)
		}
	})
}

// TestStreamsThatDoNotFit checks that opening a log whose streams were changed reports
// what is wrong.
func TestStreamsThatDoNotFit(t *testing.T) {
	t.Parallel()
	url := jetstreamtest.Start(t).URL()
	_, js := connected(t, url)
	for name, tt := range map[string]struct {
		change func(c *natsjs.StreamConfig)
		says   string
	}{
		"age":     {func(c *natsjs.StreamConfig) { c.MaxAge = time.Hour }, "max_age"},
		"atomic":  {func(c *natsjs.StreamConfig) { c.AllowAtomicPublish = false }, "allow_atomic"},
		"direct":  {func(c *natsjs.StreamConfig) { c.AllowDirect = false }, "allow_direct"},
		"subject": {func(c *natsjs.StreamConfig) { c.MaxMsgsPerSubject = 5 }, "max_msgs_per_subject"},
		"discard": {func(c *natsjs.StreamConfig) { c.MaxMsgs, c.Discard = 1000, natsjs.DiscardOld }, "discard"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			open(t, url, jetstream.WithLog(name), jetstream.WithReplicas(1))
			found, err := js.Stream(t.Context(), "EV_"+name)
			if err != nil {
				t.Fatal(err)
			}
			c := found.CachedInfo().Config
			tt.change(&c)
			if _, err := js.UpdateStream(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			_, err = jetstream.Open(t.Context(), url, jetstream.WithLog(name), jetstream.WithReplicas(1))
			wantError(t, "Open", err, jetstream.ErrSettings, tt.says, "EV_"+name)
		})
	}
	t.Run("one replica, without WithReplicas", func(t *testing.T) {
		t.Parallel()
		open(t, url, jetstream.WithLog("alone"), jetstream.WithReplicas(1))
		_, err := jetstream.Open(t.Context(), url, jetstream.WithLog("alone"))
		wantError(t, "Open", err, jetstream.ErrSettings, "num_replicas", "WithReplicas(1)")
	})
}

// TestDefaultLimits checks that appends beyond the default limits of a server are
// refused, and that the error names the setting to raise.
func TestDefaultLimits(t *testing.T) {
	t.Parallel()
	st := open(t, serve(t, func(*server.Options) {}), jetstream.WithReplicas(1))
	s := store.Stream{Type: "Account", ID: "1"}
	large := batch(2)
	large[1].Data = bytes.Repeat([]byte("x"), 1<<20)
	_, err := st.Append(t.Context(), s, store.Any, large)
	wantError(t, "Append of 1 MiB", err, store.ErrInvalid, "events[1].data", "max_payload")
	_, err = st.Append(t.Context(), s, store.Any, batch(501))
	wantError(t, "Append of 501 events", err, store.ErrInvalid, "events", "max_msgs")
	claims := make([]store.Claim, store.MaxClaims)
	for i := range claims {
		claims[i].Key = store.NewID()
	}
	_, err = st.AppendClaiming(t.Context(), s, store.Any, batch(1), claims)
	wantError(t, "Append of 1000 claims", err, store.ErrInvalid, "claims", "max_msgs")
	err = st.SaveSnapshot(t.Context(), store.Snapshot{Stream: s, Schema: "v1", Version: 1, Data: large[1].Data})
	wantError(t, "SaveSnapshot of 1 MiB", err, store.ErrInvalid, "data", "max_payload")
	if page, err := st.Read(t.Context(), s, store.ReadOptions{}); err != nil || page.Head != 0 {
		t.Errorf("after the refusals, the stream is at version %d, %v; want 0", page.Head, err)
	}
}

// TestReplacedLog checks that a log that was deleted and created anew is not mistaken
// for the one that was opened.
func TestReplacedLog(t *testing.T) {
	t.Parallel()
	url := jetstreamtest.Start(t).URL()
	st := open(t, url, jetstream.WithReplicas(1))
	_, js := connected(t, url)
	s := store.Stream{Type: "Account", ID: "1"}
	if _, err := st.Append(t.Context(), s, store.NoStream, batch(1)); err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteStream(t.Context(), "EV_evolve"); err != nil {
		t.Fatal(err)
	}
	open(t, url, jetstream.WithReplicas(1))
	_, err := st.Append(t.Context(), s, store.Exactly(1), batch(1))
	wantError(t, "Append to the new log", err, store.ErrLogDiverged)
	_, err = st.Read(t.Context(), s, store.ReadOptions{})
	wantError(t, "Read of the new log", err, store.ErrLogDiverged)
	_, err = st.Head(t.Context())
	wantError(t, "Head of the new log", err, store.ErrLogDiverged)
	for _, err := range st.Subscribe(t.Context(), store.LogOptions{}) {
		wantError(t, "Subscribe to the new log", err, store.ErrLogDiverged)
	}
}

// TestLostAnswer checks that an append whose answer is lost has an unknown outcome, and
// that the same append on another connection finds that it was recorded.
func TestLostAnswer(t *testing.T) {
	t.Parallel()
	url := jetstreamtest.Start(t).URL()
	w, err := wire.New(strings.TrimPrefix(url, "nats://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	direct := open(t, url, jetstream.WithReplicas(1))
	st := open(t, "nats://"+w.Addr(), jetstream.WithReplicas(1))
	s := store.Stream{Type: "Account", ID: "1"}
	if _, err := st.Append(t.Context(), s, store.NoStream, batch(1)); err != nil { // now the store knows the end of the stream
		t.Fatal(err)
	}
	events := batch(2)
	w.StallAnswers()
	ctx, cancel := context.WithCancel(t.Context())
	lost := make(chan error, 1)
	go func() {
		_, err := st.Append(ctx, s, store.Exactly(1), events)
		lost <- err
	}()
	for { // until it is recorded
		page, err := direct.Read(t.Context(), s, store.ReadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if page.Head == 3 {
			break
		}
	}
	cancel()
	if err := <-lost; store.Definite(err) || !errors.Is(err, context.Canceled) {
		t.Errorf("the append whose answer was lost = %v, want the end of its context", err)
	}
	got, err := direct.Append(t.Context(), s, store.Exactly(1), events)
	if err != nil || !got.Replayed || got.Version != 3 {
		t.Errorf("the same append on another connection = %+v, %v; want version 3, replayed", got, err)
	}
	w.Resume()
	got, err = st.Append(t.Context(), s, store.Exactly(3), batch(1))
	if err != nil || got.Version != 4 {
		t.Errorf("the next append on the connection that was stalled = %+v, %v; want version 4", got, err)
	}
}
