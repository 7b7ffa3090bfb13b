package calls_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/internal/calls"
	"github.com/evolvego/evolve/store/memory"
)

// failing is a store in memory that answers wrongly while something in it fails.
type failing struct {
	*memory.Store

	fails  bool
	read   func(page store.Page, err error) (store.Page, error)
	append func(do func() (store.Appended, error)) (store.Appended, error)
}

var errDisk = errors.New("disk failed")

func (f *failing) Read(ctx context.Context, s store.Stream, o store.ReadOptions) (store.Page, error) {
	page, err := f.Store.Read(ctx, s, o)
	if f.fails && f.read != nil {
		return f.read(page, err)
	}
	return page, err
}

func (f *failing) Append(ctx context.Context, s store.Stream, expected store.Expected, events []store.Event) (store.Appended, error) {
	do := func() (store.Appended, error) { return f.Store.Append(ctx, s, expected, events) }
	if f.fails && f.append != nil {
		return f.append(do)
	}
	return do()
}

// recorder records what a test would report.
type recorder struct {
	*testing.T

	errors []string
}

func (r *recorder) Errorf(format string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

// TestDuring checks that a call that lies while something fails is reported, and one that
// fails is not.
func TestDuring(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		f      failing
		failed int
		want   string // part of a report; "" if there must be none
	}{
		"nothing fails": {failing{}, 0, ""},
		"reads fail":    {failing{read: func(store.Page, error) (store.Page, error) { return store.Page{}, errDisk }}, 3, ""},
		"reads answer nothing": {
			failing{read: func(store.Page, error) (store.Page, error) { return store.Page{End: true}, nil }},
			0, "want an error or",
		},
		"appends fail": {
			failing{append: func(func() (store.Appended, error)) (store.Appended, error) { return store.Appended{}, errDisk }}, 3, "",
		},
		"appends are lost": {
			failing{append: func(func() (store.Appended, error)) (store.Appended, error) { return store.Appended{}, nil }},
			0, "but nothing was written",
		},
		"appends are refused after they were written": {
			failing{append: func(do func() (store.Appended, error)) (store.Appended, error) {
				_, err := do()
				return store.Appended{}, errors.Join(store.ErrRefused, err)
			}},
			3, "but it was written",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &tt.f
			f.Store = memory.New()
			r := &recorder{T: t}
			failed := calls.New[*memory.Tx](t, f).During(r, "the disk", func() (mend func()) {
				f.fails = true
				return func() { f.fails = false }
			})
			if failed != tt.failed {
				t.Errorf("%d calls failed, want %d", failed, tt.failed)
			}
			found := slices.ContainsFunc(r.errors, func(text string) bool { return strings.Contains(text, tt.want) })
			if tt.want == "" && len(r.errors) > 0 || tt.want != "" && !found {
				t.Errorf("the reports are %q, want %q", r.errors, tt.want)
			}
		})
	}
}
