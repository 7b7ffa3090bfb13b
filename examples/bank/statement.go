package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/examples/bank/account"
	"github.com/evolvego/evolve/store/postgres"
	"github.com/evolvego/evolve/store/sqlite"
)

// statement is the history of an account in sums, in cents.
type statement struct {
	Owner               string
	Status              account.Status
	Deposited           int64
	Withdrawn           int64
	Sent, Refunded      int64
	Received            int64
	Declined, Delivered int // numbers of transfers
	Events              int
}

// balance returns the balance according to the statement.
func (s statement) balance() int64 {
	return s.Deposited - s.Withdrawn - s.Sent + s.Refunded + s.Received
}

// statements is a view of the whole log, by account.
func statements() decider.View[map[string]statement, recorded] {
	return decider.View[map[string]statement, recorded]{
		Initial: func() map[string]statement { return map[string]statement{} },
		Evolve: func(all map[string]statement, r recorded) map[string]statement {
			all[r.Account] = entry(all[r.Account], r.Event) //decidervet:ignore in place: no older map is in use
			return all
		},
	}
}

// entry returns s with one more event.
func entry(s statement, event account.Event) statement {
	s.Events++
	switch e := event.(type) {
	case account.Opened:
		s.Status, s.Owner = account.Active, e.Owner
	case account.Deposited:
		s.Deposited += e.Cents
	case account.Withdrawn:
		s.Withdrawn += e.Cents
	case account.Sent:
		s.Sent += e.Cents
	case account.Received:
		s.Received += e.Cents
	case account.Declined:
		s.Declined++
	case account.Delivered:
		s.Delivered++
	case account.Refunded:
		s.Refunded += e.Cents
	case account.Closed:
		s.Status = account.Ended
	}
	return s
}

// statements returns the statements of all accounts: from a table if the store has
// tables, and otherwise folded from the log. It shows its progress on shown.
func (b *bank) statements(ctx context.Context, shown *progress) (map[string]statement, error) {
	switch st := b.store.(type) {
	case *sqlite.Store:
		return sqliteStatements(ctx, st, shown)
	case *postgres.Store:
		return postgresStatements(ctx, st, shown)
	}
	view := statements()
	all := view.Start()
	err := b.log(ctx, func(r recorded) {
		all = view.Evolve(all, r)
		shown.at(int(r.Position)) //nolint:gosec // a position is no longer than the log
	})
	shown.end()
	return all, err
}

// printStatements writes a line for each account that was opened, and their sums.
func printStatements(w io.Writer, all map[string]statement) {
	t := table(w)
	fmt.Fprintln(t, "account\towner\tdeposited\twithdrawn\tsent\treceived\trefunded\tbalance\tevents\t")
	var sum statement
	var balance int64
	for _, id := range slices.SortedFunc(maps.Keys(all), byNumber) {
		s := all[id]
		if s.Status == account.Absent {
			continue // it only declined transfers
		}
		name := s.Owner
		if s.Status == account.Ended {
			name += " (closed)"
		}
		row(t, id, name, s)
		sum.Deposited += s.Deposited
		sum.Withdrawn += s.Withdrawn
		sum.Sent += s.Sent
		sum.Received += s.Received
		sum.Refunded += s.Refunded
		sum.Events += s.Events
		balance += s.balance()
	}
	row(t, "all", "", sum)
	t.Flush() //nolint:gosec // w keeps the error, which its owner gets when it flushes
	fmt.Fprintf(w, "\npaid in %s, paid out %s, and there are %s\n",
		account.Money(sum.Deposited), account.Money(sum.Withdrawn), account.Money(balance))
}

func row(w io.Writer, id, owner string, s statement) {
	fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t\n", printable(id), printable(owner),
		account.Money(s.Deposited), account.Money(s.Withdrawn), account.Money(s.Sent),
		account.Money(s.Received), account.Money(s.Refunded), account.Money(s.balance()), s.Events)
}

// printable returns text that is safe for a terminal: it replaces control characters by
// spaces.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
}

// byNumber compares ids that end in a number by that number.
func byNumber(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}

// table returns a writer that aligns columns to the right.
func table(w io.Writer) *tabwriter.Writer {
	return tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
}
