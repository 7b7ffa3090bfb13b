package transfer_test

import (
	"testing"
	"time"

	"github.com/evolvego/evolve/decider/process"
	"github.com/evolvego/evolve/decider/process/processtest"
	"github.com/evolvego/evolve/decider/projection"
	"github.com/evolvego/evolve/decider/projection/projectiontest"
	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/examples/bank/account"
	"github.com/evolvego/evolve/examples/bank/transfer"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
)

// TestCrashes runs transfers with a crash at every place: one to an account that is
// opened in time, and one to an account that is not.
func TestCrashes(t *testing.T) {
	t.Parallel()
	given := func(after time.Duration, id string, events ...account.Event) processtest.Happening {
		stream := store.Stream{Type: "Account", ID: id}
		return processtest.Happening{After: after, Append: projectiontest.Given(t, account.Codec(), stream, events...)}
	}
	processtest.Crashes(t, func(*testing.T) processtest.Setup[*memory.Tx] {
		st := memory.New()
		return processtest.Setup[*memory.Tx]{Log: st, Target: st}
	}, processtest.Subject[*memory.Tx, transfer.Event, transfer.State, transfer.Command]{
		New: func(log process.Store, target projection.Target[*memory.Tx]) *process.Runtime[*memory.Tx, transfer.Event, transfer.State, transfer.Command] {
			return process.New(log, target, "Transfer", transfer.Process(10*time.Second), transfer.Source()).WithTimers(transfer.Timers())
		},
		Send: func(log process.Store) process.Send[transfer.Command] {
			accounts := runner.New("Account", account.Decider(), log, account.Codec())
			return process.To(accounts, func(c transfer.Command) (string, account.Command) { return c.Account, c.Command })
		},
		Then: 20 * time.Second,
	}, []processtest.Happening{
		given(0, "ann", account.Opened{Owner: "Ann"}, account.Deposited{Cents: 100},
			account.Sent{Transfer: "rent", To: "bob", Cents: 40}, account.Sent{Transfer: "gift", To: "nobody", Cents: 50}),
		given(5*time.Second, "bob", account.Opened{Owner: "Bob"}),
	})
}
