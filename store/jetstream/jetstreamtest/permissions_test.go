package jetstreamtest_test

import (
	"context"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/jetstream"
)

// permitted starts a server whose only user has permissions, and returns the server and
// its URL.
func permitted(t *testing.T, permissions *server.Permissions) (s *server.Server, url string) {
	t.Helper()
	s = startServer(t, func(o *server.Options) {
		o.Users = []*server.User{{Username: "app", Password: "secret", Permissions: permissions}}
	})
	return s, strings.Replace(urlOfServer(s), "nats://", "nats://app:secret@", 1)
}

// needed returns the permissions without which a store cannot work.
func needed() *server.Permissions {
	return &server.Permissions{
		Publish:   &server.SubjectPermission{Allow: []string{"$JS.API.>", "ev.evolve.>", "evk.evolve.>"}},
		Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX.>"}},
	}
}

// documented returns the permissions that docs/cluster.md gives to the user.
func documented(t *testing.T) *server.Permissions {
	t.Helper()
	page, err := os.ReadFile("../../../docs/cluster.md")
	if err != nil {
		t.Fatal(err)
	}
	subjects := func(of string) *server.SubjectPermission {
		found := regexp.MustCompile(`\n  ` + of + `: (\[.*\])\n`).FindSubmatch(page)
		p := &server.SubjectPermission{}
		if found == nil || json.Unmarshal(found[1], &p.Allow) != nil {
			t.Fatalf("the page has no list of subjects to %s", of)
		}
		return p
	}
	return &server.Permissions{Publish: subjects("publish"), Subscribe: subjects("subscribe")}
}

// TestDocumentedPermissions checks that a store with the documented permissions is never
// denied anything.
func TestDocumentedPermissions(t *testing.T) {
	t.Parallel()
	_, url := permitted(t, documented(t))
	nc, err := nats.Connect(url, nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { t.Errorf("the server says: %v", err) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	st, err := jetstream.New(t.Context(), nc, jetstream.WithReplicas(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	filledLog(t, st, longLog, 7)
	checkCatchUp(t, "a long log", st, store.LogOptions{})
	ctx := t.Context()
	stream := store.Stream{Type: "Account", ID: "new"}
	if _, err := st.AppendClaiming(ctx, stream, store.NoStream, batch(2), []store.Claim{{Key: "k"}}); err != nil {
		t.Error(err)
	}
	if err := st.SaveSnapshot(ctx, store.Snapshot{Stream: stream, Version: 1, Schema: "1", Data: []byte("x")}); err != nil {
		t.Error(err)
	}
	lease, err := st.AcquireLease(ctx, "worker", "me", time.Minute)
	if err == nil {
		err = st.ReleaseLease(ctx, lease)
	}
	if err != nil {
		t.Error(err)
	}
	if _, err := st.ListStreams(ctx, store.StreamsOptions{}); err != nil {
		t.Error(err)
	}
	if err := nc.Flush(); err != nil {
		t.Error(err)
	}
}

// TestFewPermissions checks that a store works without the permissions for
// notifications, and says why it gives up when the server is gone.
func TestFewPermissions(t *testing.T) {
	t.Parallel()
	s, url := permitted(t, needed())
	st := open(t, url, jetstream.WithReplicas(1))
	ctx := t.Context()
	following, stop := context.WithCancel(ctx)
	defer stop()
	seen := 0
	for page, err := range st.Subscribe(following, store.LogOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		if seen += len(page.Events); seen == 2 {
			break
		}
		if _, err := st.Append(ctx, store.Stream{Type: "Account", ID: "1"}, store.Exactly(uint64(seen)), batch(1)); err != nil {
			t.Fatal(err)
		}
	}
	s.Shutdown()
	_, err := st.Head(ctx)
	wantError(t, "Head of a server that is gone", err, jetstream.ErrUnavailable, "more than half")
}

// TestMissingPermissions checks that an error names the permission that the store needs.
func TestMissingPermissions(t *testing.T) {
	t.Parallel()
	for name, deny := range map[string]func(p *server.Permissions){
		"$JS.API.":   func(p *server.Permissions) { p.Publish.Allow[0] = "none" },
		"ev.evolve.": func(p *server.Permissions) { p.Publish.Allow[1] = "none" },
		"_INBOX.":    func(p *server.Permissions) { p.Subscribe.Allow[0] = "none" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			permissions := needed()
			deny(permissions)
			_, url := permitted(t, permissions)
			_, err := jetstream.Open(t.Context(), url, jetstream.WithReplicas(1))
			wantError(t, "Open", err, jetstream.ErrDenied, name)
		})
	}
}
