// Command mail writes to customers of the tutorial: a confirmation when they place an
// order, and a reminder if they do not pay in time.
//
//	go run ./examples/mail -file orders.db -smtp localhost:25
//
//	go run ./examples/tutorial # at the same time; the customer of an order is an e-mail address
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/evolvego/evolve/decider/process"
	"github.com/evolvego/evolve/store/sqlite"
)

func main() {
	file := flag.String("file", "orders.db", "the `FILE` of the events")
	server := flag.String("smtp", "localhost:25", "the `ADDRESS` of the mail server")
	from := flag.String("from", "shop@localhost", "the sender `ADDRESS` of mails")
	patience := flag.Duration("patience", 72*time.Hour, "how long an order may stay unpaid")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *file, &postman{server: *server, from: *from}, *patience)
	if asked := ctx.Err() != nil; err != nil && !asked {
		fmt.Fprintln(os.Stderr, "mail:", err)
		defer os.Exit(1)
	}
	stop()
}

// run writes mails until ctx ends. Its state is in the file of the events.
func run(ctx context.Context, file string, p *postman, patience time.Duration) error {
	st, err := sqlite.Open(file) //nolint:contextcheck // opening a file does not wait
	if err != nil {
		return err
	}
	defer st.Close()
	return process.New(st, st, "Letters", letters(patience), orders()).WithTimers(timers()).Run(ctx, p.send)
}
