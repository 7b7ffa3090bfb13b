package storetest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/evolvego/evolve/store"
)

// validateClaims is store.ValidateClaims without the checks that a bug forgets.
func (p *plain) validateClaims(claims []store.Claim) error {
	err := store.ValidateClaims(claims)
	var invalid *store.InvalidError
	if !errors.As(err, &invalid) {
		return nil
	}
	switch {
	case p.is("claims are not validated"),
		p.is("too many claims are accepted") && invalid.Field == "claims",
		p.is("repeated key is accepted") && strings.HasPrefix(invalid.Reason, "is the same as"):
		return nil
	}
	return err
}

// claimKey returns key as a bug sees it.
func (p *plain) claimKey(key string) string { return p.letter("claim keys", key) }

// checkClaims returns the reason why s cannot make these claims, or nil.
func (p *plain) checkClaims(s store.Stream, claims []store.Claim) error {
	for _, c := range claims {
		holder, held := p.holders[p.claimKey(c.Key)]
		refused := &store.ClaimedError{Stream: s, Key: c.Key, Holder: holder}
		switch {
		case c.Release && !held && p.is("releasing a free key is refused"),
			!c.Release && held && p.is("a holder cannot take its key again"):
			return refused
		case !held || holder == s,
			c.Release && p.is("anybody can release"),
			!c.Release && p.is("keys taken from others"),
			p.is("streams with the same id are one holder") && holder.ID == s.ID:
			if p.is("claims made one by one") {
				p.makeClaims(s, []store.Claim{c})
			}
			continue
		case p.is("untyped claim error"):
			return fmt.Errorf("%w: %s", store.ErrClaimed, c.Key)
		case p.is("a claim error reports the wrong holder"):
			refused.Holder = s
		case p.is("a claim error reports the wrong key"):
			refused.Key = claims[0].Key
		}
		return refused
	}
	return nil
}

// makeClaims makes claims that have been checked.
func (p *plain) makeClaims(s store.Stream, claims []store.Claim) {
	for i, c := range claims {
		switch {
		case p.is("claims are lost"), p.is("claims are truncated") && i >= 100, c.Release && p.is("keys are never released"):
		case c.Release && p.is("all keys are released"):
			for key, holder := range p.holders {
				if holder == s {
					delete(p.holders, key)
				}
			}
		case c.Release:
			delete(p.holders, p.claimKey(c.Key))
			p.freed[p.claimKey(c.Key)] = s
		default:
			p.holders[p.claimKey(c.Key)] = s
		}
	}
}

func (p *plain) AppendClaiming(ctx context.Context, s store.Stream, expected store.Expected, events []store.Event, claims []store.Claim) (store.Appended, error) {
	if err := p.validateClaims(claims); err != nil {
		return store.Appended{}, err
	}
	switch p.bug {
	case "a claiming append ignores the expected version":
		expected = store.Any
	case "a claiming append drops all events but one":
		events = events[:min(1, len(events))]
	}
	got, err := p.append(ctx, s, expected, events, claims)
	if err == nil && p.is("a claiming append returns no position") {
		got.Position = 0
	}
	return got, err
}

func (p *plain) Holder(ctx context.Context, key string) (store.Stream, bool, error) {
	if err := store.ValidateKey(key); err != nil && !p.is("claims are not validated") && !p.forgets("holder", err) {
		return store.Stream{}, false, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.ready(ctx); err != nil {
		return store.Stream{}, false, err
	}
	holder, ok := p.holders[p.claimKey(key)]
	if !ok && p.is("a free key is an error") {
		return holder, false, errors.New("a missing stream is a no-rows error")
	}
	return holder, ok, nil
}

// leaseKey returns name as a bug sees it.
func (p *plain) leaseKey(name string) string { return p.letter("lease names", name) }

func (p *plain) sameOwner(a, b string) bool {
	return p.letter("lease owners", a) == p.letter("lease owners", b)
}

func (p *plain) AcquireLease(ctx context.Context, name, owner string, ttl time.Duration) (store.Lease, error) {
	if err := store.ValidateLease(name, owner, ttl); err != nil && !p.is("leases are not validated") && !p.forgets("acquire", err) {
		return store.Lease{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.ready(ctx); err != nil {
		if p.is("granted despite an ended context") {
			p.leases[name] = store.Lease{Name: name, Owner: owner, Fence: 1, Until: time.Now().Add(ttl)}
		}
		return store.Lease{}, err
	}
	now := time.Now()
	last := p.leases[p.leaseKey(name)]
	if p.is("lease checked before the lock") {
		p.pause()
	}
	held := last.Owner != "" && (now.Before(last.Until) || p.is("leases never expire"))
	if p.is("an expired lease goes to everybody") && last.Owner != "" && !held && last.Fence == 1 {
		p.pause()
	}
	own := p.sameOwner(last.Owner, owner)
	if err := p.refuseLease(last, held, own); err != nil {
		return store.Lease{}, err
	}
	lease := store.Lease{Name: name, Owner: owner, Fence: p.fence(last, held, own), Until: now.Add(ttl)}
	switch {
	case p.is("Until is now"):
		lease.Until = now
	case p.is("a ttl in seconds"):
		lease.Until = now.Add(ttl.Round(time.Second))
	case held && own && p.is("extending does not extend"),
		held && own && p.is("extending never shortens") && last.Until.After(lease.Until):
		lease.Until = last.Until
	}
	p.leases[p.leaseKey(name)] = lease
	if p.is("a lease has no owner") {
		lease.Owner = ""
	}
	return lease, nil
}

// refuseLease returns the reason why a lease is not granted, or nil.
func (p *plain) refuseLease(last store.Lease, held, own bool) error {
	err := &store.LeaseHeldError{Name: last.Name, Owner: last.Owner, Until: last.Until}
	switch {
	case !held, own && !p.is("a lease cannot be extended"), p.is("everybody gets the lease"):
		return nil
	case p.is("untyped lease error"):
		return fmt.Errorf("%w: %s", store.ErrLeaseHeld, last.Name)
	case p.is("a held lease reports no time"):
		err.Until = time.Time{}
	case p.is("a refusal extends the lease"):
		last.Fence++
		p.leases[last.Name] = last
	}
	return err
}

// fence returns the fence of a lease that is granted after last.
func (p *plain) fence(last store.Lease, held, own bool) uint64 {
	switch {
	case p.is("fences begin at 0") && last.Fence == 0 && !held,
		held && own && !p.is("extending raises the fence"),
		last.Fence > 0 && own && p.is("an expired owner keeps its fence"),
		p.is("fences never increase"):
		return max(last.Fence, map[bool]uint64{true: 1}[p.is("fences never increase")])
	case !held && p.is("fences restart"):
		return 1
	}
	return last.Fence + 1
}

func (p *plain) ReleaseLease(ctx context.Context, lease store.Lease) error {
	if err := store.ValidateLeaseOwner(lease.Name, lease.Owner); err != nil && !p.is("leases are not validated") && !p.forgets("release", err) {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	err := p.ready(ctx)
	if err != nil && !p.is("released despite an ended context") {
		return err
	}
	last := p.leases[p.leaseKey(lease.Name)]
	same := (last.Owner == lease.Owner || p.is("release ignores the owner")) &&
		(last.Fence == lease.Fence || p.is("release ignores the fence"))
	switch {
	case !same && p.is("a stale release is an error"):
		return errors.New("0 rows")
	case !same || p.is("release ignored"):
		return err
	case p.is("a release resets the fence"):
		delete(p.leases, p.leaseKey(lease.Name))
		return err
	}
	last.Owner = ""
	p.leases[p.leaseKey(lease.Name)] = last
	return err
}

// listed changes a page of the log in the way that a bug does.
func (p *plain) listed(page store.Page, o store.LogOptions) (store.Page, error) {
	switch {
	case p.is("beyond the head is an error") && !o.Backward && o.From > page.Head:
		return store.Page{}, errors.New("out of range")
	case p.is("the log returns numbers as event ids"):
		for i := range page.Events {
			page.Events[i].ID = fmt.Sprint("event ", page.Events[i].Position)
		}
	case p.is("the log begins one event too late") && o.From > 1:
		page.Events = slices.DeleteFunc(page.Events, func(r store.Recorded) bool { return r.Position == o.From })
	}
	return page, nil
}
