package memory_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
)

// TestLeaseTimes checks to the nanosecond how long a lease lasts, with a clock that the
// test controls.
func TestLeaseTimes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st, ctx := memory.New(), t.Context()
		begin := time.Now()
		lease, err := st.AcquireLease(ctx, "view", "a", time.Minute)
		if err != nil || !lease.Until.Equal(begin.Add(time.Minute)) || lease.Until.Location() != time.UTC {
			t.Fatalf("AcquireLease = %v, %v, want a lease of one minute", lease, err)
		}
		time.Sleep(time.Minute - 1)
		if _, err := st.AcquireLease(ctx, "view", "b", time.Minute); !errors.Is(err, store.ErrLeaseHeld) {
			t.Errorf("AcquireLease by another owner at the last moment = %v, want ErrLeaseHeld", err)
		}
		if lease, err = st.AcquireLease(ctx, "view", "a", time.Minute); err != nil || lease.Fence != 1 {
			t.Fatalf("AcquireLease at the last moment = %v, %v, want an extended lease", lease, err)
		}
		time.Sleep(time.Minute)
		if lease, err = st.AcquireLease(ctx, "view", "b", time.Minute); err != nil || lease.Fence != 2 {
			t.Fatalf("AcquireLease by another owner at the end = %v, %v, want it granted", lease, err)
		}
	})
}

// TestLeaseModel compares random histories, with a clock that the test moves, with a
// simple model: the owner of the lease, its end, and the last fence.
func TestLeaseModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		now := noon()
		st := memory.New(memory.WithClock(func() time.Time { return now }))
		ctx := t.Context()
		var owner string
		var until time.Time
		var fence uint64
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			who := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "who")
			switch rapid.SampledFrom([]string{"acquire", "release", "wait"}).Draw(t, "step") {
			case "wait":
				now = now.Add(time.Duration(rapid.IntRange(0, 4).Draw(t, "seconds")) * time.Second)
			case "release":
				which := rapid.Uint64Range(0, fence+1).Draw(t, "fence")
				if err := st.ReleaseLease(ctx, store.Lease{Name: "view", Owner: who, Fence: which}); err != nil {
					t.Fatalf("ReleaseLease = %v", err)
				}
				if who == owner && which == fence {
					owner = ""
				}
			case "acquire":
				ttl := time.Duration(rapid.IntRange(1, 6).Draw(t, "ttl")) * time.Second
				got, err := st.AcquireLease(ctx, "view", who, ttl)
				if held := owner != "" && now.Before(until); held && owner != who {
					var refused *store.LeaseHeldError
					want := store.LeaseHeldError{Name: "view", Owner: owner, Until: until}
					if !errors.As(err, &refused) || *refused != want {
						t.Fatalf("AcquireLease for %s = %v, %v, want %v", who, got, err, &want)
					}
					continue
				} else if !held {
					fence++
				}
				owner, until = who, now.Add(ttl)
				if want := (store.Lease{Name: "view", Owner: who, Fence: fence, Until: until}); err != nil || got != want {
					t.Fatalf("AcquireLease = %v, %v, want %v", got, err, want)
				}
			}
		}
	})
}

// An address belongs to one account. The store records the key and the event together.
func ExampleStore_AppendClaiming() {
	ctx, st := context.Background(), memory.New()
	open := func(id string) error {
		opened := []store.Event{{ID: store.NewID(), Type: "Opened"}}
		claims := []store.Claim{{Key: "email:ada@example.org"}}
		_, err := st.AppendClaiming(ctx, account(id), store.NoStream, opened, claims)
		return err
	}
	fmt.Println(open("acc-1"))
	fmt.Println(open("acc-2"))
	// Output:
	// <nil>
	// store: key is held by another stream: append to Account/acc-2: key "email:ada@example.org" is held by Account/acc-1
}

// If two processes want to do the same work, only one of them gets the lease.
func ExampleStore_AcquireLease() {
	ctx, st := context.Background(), memory.New()
	lease, err := st.AcquireLease(ctx, "invoices", "process 1", 15*time.Second)
	fmt.Println(lease.Owner, lease.Fence, err)
	_, err = st.AcquireLease(ctx, "invoices", "process 2", 15*time.Second)
	fmt.Println(errors.Is(err, store.ErrLeaseHeld))

	fmt.Println(st.ReleaseLease(ctx, lease))
	lease, err = st.AcquireLease(ctx, "invoices", "process 2", 15*time.Second)
	fmt.Println(lease.Owner, lease.Fence, err)
	// Output:
	// process 1 1 <nil>
	// true
	// <nil>
	// process 2 2 <nil>
}
