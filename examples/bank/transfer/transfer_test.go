package transfer_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/examples/bank/account"
	"github.com/evolvego/evolve/examples/bank/transfer"
)

// Example follows a transfer to an account that is not open.
func Example() {
	process, state := transfer.Process(0), transfer.State{}
	for _, event := range []transfer.Event{
		transfer.Happened{Account: "ann", Event: account.Sent{Transfer: "gift", To: "bob", Cents: 500}},
		transfer.Happened{Account: "bob", Event: account.Declined{Transfer: "gift", From: "ann", Cents: 500, Reason: "account: not open"}},
		transfer.Happened{Account: "ann", Event: account.Refunded{Transfer: "gift", Cents: 500, Reason: "account: not open"}},
	} {
		state = process.Evolve(state, event)
		for _, cmd := range process.React(state, event).Send {
			fmt.Printf("%s: %T\n", cmd.Account, cmd.Command)
		}
	}
	fmt.Println("over:", process.IsTerminal(state))
	// Output:
	// bob: account.Receive
	// ann: account.Refund
	// over: true
}

// TestKey checks that two transfers never have the same key, whatever their ids are, and
// that all events of one transfer have the same key.
func TestKey(t *testing.T) {
	t.Parallel()
	ids := rapid.StringMatching(`[a/%]{1,4}`)
	rapid.Check(t, func(t *rapid.T) {
		from, id := ids.Draw(t, "from"), ids.Draw(t, "id")
		part := ids.Draw(t, "part")
		sent, _ := transfer.Key(transfer.Happened{Account: from, Event: account.Sent{Transfer: id}})
		for _, e := range []transfer.Event{
			transfer.Happened{Account: "to", Event: account.Received{Transfer: id, From: from}},
			transfer.Happened{Account: "to", Event: account.Declined{Transfer: id, From: from}},
			transfer.Happened{Account: from, Event: account.Delivered{Transfer: id}},
			transfer.Happened{Account: from, Event: account.Refunded{Transfer: id}},
		} {
			if key, ok := transfer.Key(e); !ok || key != sent {
				t.Fatalf("Key(%+v) = %q, %t, want %q", e, key, ok, sent)
			}
		}
		// The same text with the border elsewhere is another transfer.
		one, _ := transfer.Key(transfer.Happened{Account: from + "/" + part, Event: account.Sent{Transfer: id}})
		two, _ := transfer.Key(transfer.Happened{Account: from, Event: account.Sent{Transfer: part + "/" + id}})
		if one == two {
			t.Fatalf("the transfers %q of %q and %q of %q have the keys %q and %q", id, from+"/"+part, part+"/"+id, from, one, two)
		}
	})
}
