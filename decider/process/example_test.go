package process_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/samber/lo"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/decider/process"
	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
)

// The events of orders, and of the process itself.
type (
	OrderPlaced struct{ Customer string }
	OrderPaid   struct{}
)

// Billing is an event as the billing process reads it.
type Billing struct {
	Order    string
	Customer string
	Kind     string // placed, paid or overdue
}

// Bill is the state of an instance of billing: one order.
type Bill struct {
	Customer string
	Paid     bool
}

// Letter is a command: write a letter to somebody.
type Letter struct{ To, Text string }

// billing sends an invoice, and a reminder if the order is not paid in time.
func billing(patience time.Duration) decider.Process[Billing, Bill, Letter] {
	return decider.Process[Billing, Bill, Letter]{
		Key: func(e Billing) (string, bool) { return e.Order, true },
		Evolve: func(s Bill, e Billing) Bill {
			switch e.Kind {
			case "placed":
				s.Customer = e.Customer
			case "paid":
				s.Paid = true
			}
			return s
		},
		React: func(s Bill, e Billing) (r decider.Reaction[Letter, Billing]) {
			switch e.Kind {
			case "placed":
				r.Send = []Letter{{s.Customer, "your invoice"}}
				r.Later = []decider.Timer[Billing]{{Name: "overdue", After: patience, Event: Billing{Order: e.Order, Kind: "overdue"}}}
			case "overdue":
				r.Send = []Letter{{s.Customer, "a reminder"}}
			}
			return r
		},
		Terminal: func(s Bill) bool { return s.Paid },
	}
}

// orders says how billing reads orders.
func orders() codec.Source[Billing] {
	events := codec.JSON(map[string]any{"OrderPlaced": OrderPlaced{}, "OrderPaid": OrderPaid{}})
	return codec.Events(codec.From("Order", events, func(r *store.Recorded, event any) Billing {
		if e, ok := event.(OrderPlaced); ok {
			return Billing{Order: r.Stream.ID, Customer: e.Customer, Kind: "placed"}
		}
		return Billing{Order: r.Stream.ID, Kind: "paid"}
	}))
}

// place records that an order was placed.
func place(ctx context.Context, st store.Store, id, customer string) store.Appended {
	event := lo.Must(codec.JSON(map[string]OrderPlaced{"OrderPlaced": {}}).Encode(OrderPlaced{customer}))
	event.ID = store.NewID()
	return lo.Must(st.Append(ctx, store.Stream{Type: "Order", ID: id}, store.NoStream, []store.Event{event}))
}

// mailer sends letters by e-mail. It passes the ID of the command along, so that the mail
// server sends each letter once, however often it receives it.
type mailer struct {
	mu   sync.Mutex
	sent map[string]bool
}

func (m *mailer) send(_ context.Context, c process.Command[Letter]) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sent[c.ID] {
		return nil
	}
	m.sent[c.ID] = true
	fmt.Printf("to %s: %s\n", c.Command.To, c.Command.Text)
	return nil
}

// A process sends e-mails: an invoice at once, and a reminder when the order is not paid
// in time. Instead of mailing, Send could write to a job queue and return when the queue
// has stored the job under the ID of the command.
func Example() {
	ctx, stop := context.WithCancel(context.Background())
	st := memory.New() // the log, and the state of the process
	timers := codec.JSON(map[string]Billing{"PaymentOverdue": {}})
	p := process.New(st, st, "Billing", billing(time.Millisecond), orders()).WithTimers(timers)

	done := make(chan error)
	go func() { done <- p.Run(ctx, (&mailer{sent: map[string]bool{}}).send) }()

	placed := place(ctx, st, "o-1", "ann")
	lo.Must0(p.WaitFor(ctx, placed.Position))
	for lo.Must(st.Head(ctx)) == placed.Position { // until the timer has fired
		time.Sleep(time.Millisecond)
	}
	lo.Must0(p.WaitFor(ctx, lo.Must(st.Head(ctx))))
	stop()
	fmt.Println(<-done)
	// Output:
	// to ann: your invoice
	// to ann: a reminder
	// context canceled
}

// Commands for aggregates go to their runner, which executes each one once by its ID.
func ExampleTo() {
	ctx, stop := context.WithCancel(context.Background())
	st := memory.New()
	letters := runner.New("Letters", decider.New(
		func(text string, _ int) ([]string, error) { return []string{text}, nil },
		func(n int, _ string) int { return n + 1 },
	), st, codec.JSON(map[string]string{"LetterWritten": ""}))

	p := process.New(st, st, "Billing", billing(time.Hour), orders()).WithTimers(codec.JSON(map[string]Billing{"PaymentOverdue": {}}))
	done := make(chan error)
	go func() {
		done <- p.Run(ctx, process.To(letters, func(l Letter) (id, text string) { return l.To, l.Text }))
	}()
	placed := place(ctx, st, "o-1", "ann")
	lo.Must0(p.WaitFor(ctx, placed.Position))
	page := lo.Must(st.Read(ctx, store.Stream{Type: "Letters", ID: "ann"}, store.ReadOptions{}))
	fmt.Printf("%s %s\n", page.Events[0].Type, page.Events[0].Data)
	stop()
	fmt.Println(<-done)
	// Output:
	// LetterWritten "your invoice"
	// context canceled
}

// A command that cannot be sent quarantines its own instance, and no other. When the
// cause is fixed, release the instance.
func ExampleRuntime_Release() {
	ctx, stop := context.WithCancel(context.Background())
	st := memory.New()
	p := process.New(st, st, "Billing", billing(time.Hour), orders()).
		WithTimers(codec.JSON(map[string]Billing{"PaymentOverdue": {}})).
		WithObserver(process.Log(slog.New(slog.NewTextHandler(os.Stderr, nil))))
	var mended sync.Map
	done := make(chan error)
	go func() {
		done <- p.Run(ctx, func(_ context.Context, c process.Command[Letter]) error {
			if _, ok := mended.Load(c.Command.To); c.Command.To == "bob" && !ok {
				return process.Permanent(errors.New("no such address"))
			}
			return nil
		})
	}()
	place(ctx, st, "o-1", "ann")
	placed := place(ctx, st, "o-2", "bob")
	fmt.Println(p.WaitFor(ctx, placed.Position, "o-1"))

	var waits *process.InstanceError
	fmt.Println(errors.As(p.WaitFor(ctx, placed.Position, "o-2"), &waits), waits)

	for _, i := range lo.Must(p.Instances(ctx, func(i process.Instance) bool { return i.Waiting != nil })) {
		mended.Store("bob", true)
		fmt.Println(i.ID, p.Release(ctx, i.ID))
	}
	for p.Progress().State != process.Live || p.WaitFor(ctx, placed.Position, "o-2") != nil {
		time.Sleep(time.Millisecond)
	}
	stop()
	fmt.Println(<-done)
	// Output:
	// <nil>
	// true process Billing@1: instance "o-2" waits at position 2 and is quarantined: send process_test.Letter: no such address
	// o-2 <nil>
	// context canceled
}

// A Send that panics is an error of its command: Run continues, and the error says where the
// panic was.
func ExamplePanicError() {
	err := fmt.Errorf("process Billing@1: %w", &process.PanicError{In: "send", Value: "index out of range"})
	if panicked, ok := errors.AsType[*process.PanicError](err); ok {
		fmt.Println(panicked.In, "panicked with", panicked.Value)
	}
	// Output: send panicked with index out of range
}
