//go:build readme

// This test fails, because the README shows a failure. The tests of the README run it
// with -tags readme.

package main

import (
	"fmt"
	"testing"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/props"
)

func TestAccount(t *testing.T) {
	props.For(decider.New(Decide, Evolve)).
		Any(Deposit{}, Withdraw{}).
		Invariant("never overdrawn", func(balance int) error {
			if balance < 0 {
				return fmt.Errorf("balance is %d", balance)
			}
			return nil
		}).
		Check(t)
}
