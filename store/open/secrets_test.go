package open_test

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/store/open"
)

// secretForms are the forms in which a URL has a secret, also by mistake. Each %s is
// the secret.
func secretForms() []string {
	return []string{
		"postgres://u:%s@127.0.0.1:1/db", "postgres://u:%s@127.0.0.1:1/db?sslmode=x", "postgresql://:%s@127.0.0.1:1,127.0.0.1:1/db?connect_timeout=x",
		"postgres://u@127.0.0.1:1/db?password=%s", "postgres://u@127.0.0.1:1/db?password=%s&sslmode=x", "postgres://127.0.0.1:1/db?pass%%77ord=%s&poll=x",
		"postgres://127.0.0.1:1/db?sslpassword=%s&target_session_attrs=x", "postgres://127.0.0.1:1/db?schema=A&password=%s", "postgres://127.0.0.1:x/db?password=%s",
		"postgres://u:%s", "postgres://u:%s/db", "postgres:u:%s@h/db", "postgres:password=%s", "host=h password=%s", "HOST=h PASSWORD='%s'",
		"postgres://u:%s@[::1]:1/db", "postgres://u:%s@[::1/db", "postgres://u:%s@h@127.0.0.1:1/db", "postgres://u:a/%s@127.0.0.1:1/db",
		"postgres://127.0.0.1:1/db@%s", "postgres://127.0.0.1:1?password=%s&poll=x", "postgres://127.0.0.1:1?%s", "postgres://127.0.0.1:1/db?%s", "postgres://127.0.0.1:1/db?x&%s=y", "postgres://127.0.0.1:1/db?x=%%zz&password=%s",
		"postgres://u:%s@127.0.0.1:1/db?tenant=", "postgres://u:%s@127.0.0.1:1/db?log-per-tenant=maybe", "postgres://u:%s@127.0.0.1:1/db#x",
		"grpc://:%s@127.0.0.1:1", "grpc://u:%s@127.0.0.1:1", "grpc://%s@127.0.0.1:1", "grpcs://u:%s", "grpc://127.0.0.1:1/%s@", "grpc://127.0.0.1:1?token=%s", "grpc:u:%s@h:1",
		"nats://u:%s@127.0.0.1:1", "nats://%s@127.0.0.1:1", "nats://:%s@127.0.0.1:1/log", "nats://u:%s@127.0.0.1:1,127.0.0.1:1/log?replicas=1", "nats://u:%s@127.0.0.1:1?replicas=x",
		"nats://127.0.0.1:1?token=%s", "nats://127.0.0.1:1?password=%s&replicas=1", "nats://u:%s@127.0.0.1:1/a/b", "nats://u:%s@127.0.0.1:1/no.log", "nats://u:%s@[::1", "nats://u:%s@h@127.0.0.1:1",
		"nats://u:%s", "nats:u:%s@h", "nats://u:a/%s@127.0.0.1:1", "nats://u:a,%s@127.0.0.1:1", "nats://a:1,u:%s@127.0.0.1:1", "nats://127.0.0.1:1/log@%s", "nats://127.0.0.1:1?%s", "NATS://u:%s@h", "nats://u:%s@127.0.0.1:1#x",
		"nats://u:%s@127.0.0.1:1?creds=missing.creds", "nats://u:%s@127.0.0.1:1?ca=missing.pem&tls=true", "nats://u:%s@127.0.0.1:1?tls=maybe", "nats://u:%s@127.0.0.1:1?ids-for=1m", "tls://u:%s@h:1",
		"mysql://u:%s@h/db", "redis://:%s@h", "https://u:%s@h", "memory:u:%s@h", "memory://u:%s@h", "memory:?password=%s", "u:%s@h/db", "Postgres://u:%s@h/db",
		"sqlite://u:%s@h/events.db", "sqlite:missing/events.db?key=%s", " postgres://u:%s@h/db", "postgres ://u:%s@h/db", "\tpostgres://u:%s@h/db",
	}
}

// TestSecretsAreNotTold checks that no error about a URL that cannot be opened contains
// its secret, whatever the form of the URL.
func TestSecretsAreNotTold(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // for URLs that would connect
	for _, form := range secretForms() {
		for _, secret := range []string{"hunter2", "hun@ter2", "hun/ter2", "hun?ter2", "hun&ter2", "hun#ter2", "hun:ter2", "hun ter2", "hun%zzter2", "hun'ter2", "hun`: ter2", "%68unter2"} {
			if strings.Contains(secret, "@") && (form == "postgres://u:%s" || form == "postgres://u:%s/db" || form == "nats://u:%s") {
				continue // it is a URL, with a host after the @
			}
			rawURL := strings.ReplaceAll(strings.ReplaceAll(form, "%%", "\x00"), "%s", secret)
			rawURL = strings.ReplaceAll(rawURL, "\x00", "%")
			for name, try := range map[string]func(context.Context, string) (open.Backend, error){"Store": open.Store, "ReadOnly": open.ReadOnly} {
				st, err := try(ctx, rawURL)
				if st != nil {
					t.Errorf("%s(%q) has opened a store", name, rawURL)
					_ = st.Close()
					continue
				}
				wantNoSecret(t, name+"("+rawURL+")", err)
			}
			if shown := open.Redacted(rawURL); strings.Contains(shown, "ter2") || strings.Contains(shown, "hun") {
				t.Errorf("Redacted(%q) = %q", rawURL, shown)
			}
		}
	}
}

// wantNoSecret fails if err, or an error in it, contains a part of the secret.
func wantNoSecret(tb testing.TB, what string, err error) {
	tb.Helper()
	for _, e := range tree(err) {
		if text := e.Error(); strings.Contains(text, "ter2") || strings.Contains(text, "hun") {
			tb.Errorf("%s reveals the secret: %s", what, text)
		}
	}
}

// tree returns err and all errors in it.
func tree(err error) []error {
	if err == nil {
		return nil
	}
	all := []error{err}
	switch err := err.(type) { //nolint:errorlint // one after the other
	case interface{ Unwrap() error }:
		all = append(all, tree(err.Unwrap())...)
	case interface{ Unwrap() []error }:
		for _, e := range err.Unwrap() {
			all = append(all, tree(e)...)
		}
	}
	return all
}

// TestRedacted checks that the redacted form of a URL still says which store it is.
func TestRedacted(t *testing.T) {
	t.Parallel()
	for rawURL, want := range map[string]string{
		"memory:":              "memory:",
		"sqlite:events.db":     "sqlite:events.db",
		"sqlite:/a/b@c.db":     "sqlite:/a/b@c.db",
		"sqlite:///a/b c.db":   "sqlite:///a/b c.db",
		"sqlite:a.db?sync=off": "sqlite:a.db",
		"postgres://eve:secret@db:5432/events?sslmode=disable": "postgres://db:5432/events",
		"postgres://db/events?user=eve&password=secret":        "postgres://db/events",
		"postgres://eve:%zz@db/events":                         "postgres://db/events",
		"postgres://a:5432,[::1]:5433/events":                  "postgres://a:5432,[::1]:5433/events",
		"postgres://%2Fvar%2Frun/events":                       "postgres://%2Fvar%2Frun/events",
		"postgres://":                                          "postgres://",
		"nats://eve:secret@a:4222,b:4222/orders?replicas=3":    "nats://a:4222,b:4222/orders",
		"nats://token@a:4222":                                  "nats://a:4222",
		"grpcs://events.example.org:443?tenant=acme":           "grpcs://events.example.org:443",
		"events.db":               `"events.db"`,
		"host=db password=secret": "…",
		"mysql://eve:secret@db":   "mysql:…",
	} {
		if got := open.Redacted(rawURL); got != want {
			t.Errorf("Redacted(%q) = %q, want %q", rawURL, got, want)
		}
	}
}

// TestNoURLPanics opens texts that are nearly URLs.
func TestNoURLPanics(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	part := rapid.OneOf(rapid.SampledFrom([]string{
		"//", "/", "@", ":", "?", "&", "=", "%", "#", ",", "[", "]", "h", "127.0.0.1:1", "tenant", "schema", "poll", "Orders", "order", "-1s", "1s", "0",
		"log-per-tenant", "true", "password", "sync", "normal", "ca", "token-file", "\x00", "é", "\xff", " ", "+", "%00", "options", "-c",
	}), rapid.StringN(0, 4, 8))
	rapid.Check(t, func(t *rapid.T) {
		scheme := rapid.SampledFrom([]string{"postgres:", "postgresql:", "grpc:", "grpcs:", "nats:", "memory:", "", "disk:"}).Draw(t, "scheme")
		rawURL := scheme + strings.Join(rapid.SliceOfN(part, 0, 12).Draw(t, "parts"), "")
		st, err := open.Store(ctx, rawURL)
		if (st == nil) == (err == nil) {
			t.Fatalf("Store(%q) = %v, %v", rawURL, st, err)
		}
		if st != nil {
			_ = st.Close()
		}
		open.Redacted(rawURL)
	})
}

// FuzzStore opens arbitrary text. It creates nothing, because files are only opened for
// reading.
func FuzzStore(f *testing.F) {
	for _, form := range secretForms() {
		f.Add(strings.ReplaceAll(form, "%s", "hunter2"))
	}
	f.Add("memory:?tenant=acme")
	f.Add("postgres://h/db?schema=Orders")
	f.Fuzz(func(t *testing.T, rawURL string) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		st, err := open.ReadOnly(ctx, rawURL)
		if (st == nil) == (err == nil) {
			t.Fatalf("ReadOnly(%q) = %v, %v", rawURL, st, err)
		}
		if st != nil {
			_ = st.Close()
		}
		shown := open.Redacted(rawURL)
		// What the parser takes for a password is not shown, however the URL is written.
		if u, err := url.Parse(rawURL); err == nil && u.User != nil && (strings.HasPrefix(u.Scheme, "postgres") || u.Scheme == "nats") {
			if password, ok := u.User.Password(); ok && len(password) > 4 && strings.Contains(shown, password) {
				t.Errorf("Redacted(%q) = %q", rawURL, shown)
			}
		}
		if errors.Is(err, open.ErrURL) && !strings.Contains(err.Error(), shown) {
			t.Errorf("ReadOnly(%q) = %v, which does not say which URL it is", rawURL, err)
		}
	})
}
