package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/examples/bank/account"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/open"
)

// streamType is the type of the accounts' streams.
const streamType = "Account"

// accounts runs commands on accounts.
type accounts = runner.Runner[account.Command, account.State, account.Event]

// bank is a store together with its runners.
type bank struct {
	store    open.Backend
	patience time.Duration // how long a transfer waits for an account to be opened
	codec    codec.Codec[account.Event]
	accounts *accounts // with a cache of states
	uncached *accounts // without a cache
}

// newBank returns a bank on st.
func newBank(st open.Backend) *bank {
	c := account.Codec()
	uncached := runner.New(streamType, account.Decider(), st, c)
	shared := runner.Cache[account.State]{Shared: true} // Evolve copies its map, as a property test proves
	return &bank{store: st, codec: c, accounts: uncached.WithCache(shared), uncached: uncached}
}

// recorded is an event of an account in the log.
type recorded struct {
	Account  string
	Position uint64
	ID       string
	Event    account.Event
}

// decode returns the events of a page of the log.
func (b *bank) decode(page store.Page) ([]recorded, error) {
	all := make([]recorded, 0, len(page.Events))
	for i := range page.Events {
		r := &page.Events[i]
		events, err := b.codec.Decode(nil, page.Events[i:i+1])
		if err != nil {
			return nil, err
		}
		for _, event := range events {
			all = append(all, recorded{Account: r.Stream.ID, Position: r.Position, ID: r.ID, Event: event})
		}
	}
	return all, nil
}

// log calls use with every event of every account, in order.
func (b *bank) log(ctx context.Context, use func(recorded)) error {
	o := store.LogOptions{Filter: store.Filter{StreamTypes: []string{streamType}}}
	for {
		page, err := b.store.ReadAll(ctx, o)
		if err != nil {
			return fmt.Errorf("read the log: %w", err)
		}
		events, err := b.decode(page)
		if err != nil {
			return err
		}
		for _, e := range events {
			use(e)
		}
		if page.End {
			return nil
		}
		o.From = page.Next
	}
}

// until waits for an event of an account after position from for which is returns true.
func (b *bank) until(ctx context.Context, from uint64, is func(recorded) bool) error {
	o := store.LogOptions{From: from + 1, Filter: store.Filter{StreamTypes: []string{streamType}}}
	for page, err := range b.store.Subscribe(ctx, o) {
		if err != nil {
			return err
		}
		events, err := b.decode(page)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(events, is) {
			return nil
		}
	}
	return ctx.Err()
}
