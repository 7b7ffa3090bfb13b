package cqrs_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/decider/cqrs"
)

type (
	deposit struct {
		Account string
		Cents   int
	}
	balance struct{ Account string }
	broken  struct{}
)

var errEmpty = errors.New("bank: no such account")

// newBank returns a bus of a bank that keeps the balance of each account.
func newBank(around ...cqrs.Middleware) *cqrs.Bus {
	var mu sync.Mutex
	accounts := map[string]int{}
	bus := cqrs.NewBus(around...)
	cqrs.Handle(bus, "deposit", func(_ context.Context, c deposit) (struct{}, error) {
		mu.Lock()
		defer mu.Unlock()
		accounts[c.Account] += c.Cents
		return struct{}{}, nil
	})
	cqrs.Handle(bus, "balance", func(_ context.Context, q balance) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		cents, ok := accounts[q.Account]
		if !ok {
			return 7, errEmpty // the result must not be returned
		}
		return cents, nil
	})
	cqrs.Handle(bus, "broken", func(context.Context, broken) (func(), error) { return func() {}, nil })
	return bus
}

// TestBus checks that Do and DoJSON reach the same handlers.
func TestBus(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ctx, bus := context.Background(), newBank()
		want := map[string]int{}
		for range rapid.IntRange(1, 20).Draw(t, "messages") {
			id := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "account")
			byName := rapid.Bool().Draw(t, "by name")
			if rapid.Bool().Draw(t, "query") {
				var got string
				var err error
				if byName {
					var data []byte
					data, err = bus.DoJSON(ctx, "balance", fmt.Appendf(nil, `{"Account":%q}`, id))
					got = string(data)
				} else {
					var n int
					n, err = cqrs.Do[int](ctx, bus, balance{id})
					got = strconv.Itoa(n)
				}
				cents, ok := want[id]
				if ok && (err != nil || got != strconv.Itoa(cents)) || !ok && (!errors.Is(err, errEmpty) || got != "" && got != "7") {
					t.Fatalf("balance of %s = %s, %v, want %d", id, got, err, cents)
				}
				continue
			}
			n := rapid.IntRange(0, 9).Draw(t, "cents")
			want[id] += n
			var err error
			if byName {
				_, err = bus.DoJSON(ctx, "deposit", fmt.Appendf(nil, `{"Account":%q,"Cents":%d}`, id, n))
			} else {
				_, err = cqrs.Do[struct{}](ctx, bus, deposit{id, n})
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestBusRefuses checks that an invalid message has no effect, and that the error says
// why.
func TestBusRefuses(t *testing.T) {
	t.Parallel()
	handled := 0
	bus := newBank(func(ctx context.Context, _ cqrs.Call, next func(context.Context) error) error {
		handled++
		return next(ctx)
	})
	for name, tt := range map[string]struct {
		message, data string
		is            error
		status        int
		text          string
	}{
		"unknown name":     {"Deposit", `{}`, cqrs.ErrUnknown, http.StatusNotFound, `cqrs: no handler for "Deposit"`},
		"odd name":         {"a\nb", `{}`, cqrs.ErrUnknown, http.StatusNotFound, `cqrs: no handler for "a\nb"`},
		"not JSON":         {"deposit", `five`, cqrs.ErrMessage, http.StatusBadRequest, `cqrs: bad message "deposit": invalid character`},
		"nothing":          {"deposit", ``, cqrs.ErrMessage, http.StatusBadRequest, `cqrs: bad message "deposit": EOF`},
		"null":             {"deposit", ` null `, cqrs.ErrMessage, http.StatusBadRequest, `cqrs: bad message "deposit": it is null`},
		"another type":     {"deposit", `{"Cents":"5"}`, cqrs.ErrMessage, http.StatusBadRequest, `cqrs: bad message "deposit": json: cannot unmarshal`},
		"an unknown field": {"deposit", `{"Cent":5}`, cqrs.ErrMessage, http.StatusBadRequest, `cqrs: bad message "deposit": json: unknown field "Cent"`},
		"a key twice":      {"deposit", `{"Cents":5,"Cents":6}`, cqrs.ErrMessage, http.StatusBadRequest, `cqrs: bad message "deposit": `},
		"two cases":        {"deposit", `{"Cents":5,"cents":6}`, cqrs.ErrMessage, http.StatusBadRequest, `cqrs: bad message "deposit": `},
		"not UTF-8":        {"deposit", "{\"Account\":\"caf\xe9\"}", cqrs.ErrMessage, http.StatusBadRequest, `cqrs: bad message "deposit": `},
		"more":             {"deposit", `{"Cents":5}{"Cents":6}`, cqrs.ErrMessage, http.StatusBadRequest, `cqrs: bad message "deposit": there is more`},
	} {
		result, err := bus.DoJSON(t.Context(), tt.message, []byte(tt.data))
		status, ok := errors.AsType[interface {
			error
			HTTPStatus() int
		}](err)
		if !errors.Is(err, tt.is) || !strings.HasPrefix(err.Error(), tt.text) || !ok || status.HTTPStatus() != tt.status || result != nil {
			t.Errorf("%s: DoJSON = %s, %v, want %q", name, result, err, tt.text)
		}
	}
	if _, err := cqrs.Do[int](t.Context(), bus, "a text"); !errors.Is(err, cqrs.ErrUnknown) || !strings.Contains(err.Error(), "string") {
		t.Errorf("Do of an unknown type = %v", err)
	}
	if _, err := cqrs.Do[string](t.Context(), bus, balance{"a"}); err == nil || !strings.Contains(err.Error(), "not a string") {
		t.Errorf("Do with another result = %v", err)
	}
	if handled != 0 {
		t.Errorf("%d messages were handled, want none", handled)
	}
	if _, err := bus.DoJSON(t.Context(), "broken", []byte(`{}`)); err == nil || !strings.Contains(err.Error(), "broken was handled, but its result") {
		t.Errorf("a result that cannot be encoded = %v", err)
	}
	if got := bus.Names(); !slices.Equal(got, []string{"balance", "broken", "deposit"}) {
		t.Errorf("Names = %q", got)
	}
}

func TestHandlePanics(t *testing.T) {
	t.Parallel()
	ok := func(context.Context, string) (int, error) { return 0, nil }
	for want, register := range map[string]func(b *cqrs.Bus){
		"needs a name":    func(b *cqrs.Bus) { cqrs.Handle(b, "", ok) },
		"must not be nil": func(b *cqrs.Bus) { cqrs.Handle[string, int](b, "text", nil) },
		`there is already a handler called "deposit"`: func(b *cqrs.Bus) { cqrs.Handle(b, "deposit", ok) },
		"cqrs_test.deposit already has a handler, called": func(b *cqrs.Bus) {
			cqrs.Handle(b, "again", func(context.Context, deposit) (int, error) { return 0, nil })
		},
	} {
		bus := newBank()
		func() {
			defer func() {
				if text := fmt.Sprint(recover()); !strings.Contains(text, want) {
					t.Errorf("panic %q, want %q", text, want)
				}
			}()
			register(bus)
		}()
		if len(bus.Names()) != 3 {
			t.Errorf("after the panic the bus has %q", bus.Names())
		}
	}
}

// TestMiddleware checks the order of middleware, the call that each one gets, the context
// that it passes on, and that one which does not call next keeps the message from the
// handler.
func TestMiddleware(t *testing.T) {
	t.Parallel()
	type key struct{}
	var said []string
	say := func(name string) cqrs.Middleware {
		return func(ctx context.Context, c cqrs.Call, next func(context.Context) error) error {
			said = append(said, fmt.Sprint(name, " ", c.Name, " ", c.Message, " ", ctx.Value(key{})))
			return next(context.WithValue(ctx, key{}, name))
		}
	}
	errNo := errors.New("no")
	stops := func(context.Context, cqrs.Call, func(context.Context) error) error { return errNo }
	h := cqrs.Handler[string, int](func(ctx context.Context, m string) (int, error) {
		said = append(said, fmt.Sprint("handler ", m, " ", ctx.Value(key{})))
		return len(m), nil
	})
	if n, err := h.With("text", say("outer"), say("inner"))(t.Context(), "abc"); n != 3 || err != nil {
		t.Errorf("handled = %d, %v, want 3", n, err)
	}
	if want := []string{"outer text abc <nil>", "inner text abc outer", "handler abc inner"}; !slices.Equal(said, want) {
		t.Errorf("called in the order %q, want %q", said, want)
	}
	said = nil
	if n, err := h.With("text", say("outer"), stops, say("inner"))(t.Context(), "abc"); n != 0 || !errors.Is(err, errNo) || len(said) != 1 {
		t.Errorf("handled = %d, %v by %q, want it stopped", n, err, said)
	}
	after := func(ctx context.Context, _ cqrs.Call, next func(context.Context) error) error {
		return errors.Join(next(ctx), errNo)
	}
	if n, err := h.With("text", after)(t.Context(), "abc"); n != 0 || !errors.Is(err, errNo) {
		t.Errorf("handled = %d, %v, want no result with the error", n, err)
	}
	bus := cqrs.NewBus(say("bus"))
	cqrs.Handle(bus, "text", h.With("text", say("own")))
	said = nil
	if _, err := bus.DoJSON(t.Context(), "text", []byte(`"abc"`)); err != nil || len(said) != 3 || said[0] != "bus text abc <nil>" {
		t.Errorf("DoJSON called %q, %v", said, err)
	}
}

// TestReadYourWrites checks that a query waits for the position of its context, and for
// nothing else.
func TestReadYourWrites(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ctx, want := context.Background(), uint64(0)
		for _, position := range rapid.SliceOfN(rapid.Uint64Range(0, 9), 0, 4).Draw(t, "positions") {
			ctx = cqrs.AtLeast(ctx, position) //nolint:fatcontext // this is what is tested
			want = max(want, position)
		}
		if got := cqrs.Position(ctx); got != want {
			t.Fatalf("Position = %d, want %d", got, want)
		}
		var waited []uint64
		fails := rapid.Bool().Draw(t, "fails")
		wait := cqrs.WaiterFunc(func(_ context.Context, position uint64) error {
			waited = append(waited, position)
			if fails {
				return context.DeadlineExceeded
			}
			return nil
		})
		read := false
		h := cqrs.Handler[string, int](func(context.Context, string) (int, error) { read = true; return 5, nil }).
			With("balance", cqrs.ReadYourWrites(wait))
		n, err := h(ctx, "q")
		refused := fails && want > 0
		if refused != errors.Is(err, context.DeadlineExceeded) || read == refused || !refused && n != 5 {
			t.Fatalf("the query = %d, %v, read: %t", n, err, read)
		}
		if want > 0 && !slices.Equal(waited, []uint64{want}) || want == 0 && waited != nil {
			t.Fatalf("waited for %d, want %d", waited, want)
		}
		if refused && err.Error() != fmt.Sprintf("cqrs: balance at position %d: context deadline exceeded", want) {
			t.Fatalf("error %q", err)
		}
	})
}
