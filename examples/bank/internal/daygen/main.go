// Command daygen writes a day at the bank to standard output, one command per line. It
// writes the same day each time.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"time"
)

// The size of the day.
const (
	people   = 150
	commands = 10_600
)

// line is a command, with its fields in the order in which they are written.
type line struct {
	At      time.Time `json:"at"`
	ID      string    `json:"id"`
	Account string    `json:"account"`
	Command string    `json:"command"`
	Owner   string    `json:"owner,omitempty"`
	To      string    `json:"to,omitempty"`
	Cents   int64     `json:"cents,omitempty"`
}

// day is the state of the generator.
type day struct {
	*rand.Rand
	now    time.Time
	number int
	opened int
}

func main() {
	d := &day{Rand: rand.New(rand.NewPCG(2026, 3)), now: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)} //nolint:gosec // a reproducible day
	out := bufio.NewWriter(os.Stdout)
	var last []byte
	for d.number < commands {
		text, err := json.Marshal(d.next())
		if err != nil {
			fmt.Fprintln(os.Stderr, "daygen:", err)
			os.Exit(1)
		}
		fmt.Fprintf(out, "%s\n", text)
		switch { // now and then a line is repeated or invalid
		case d.number%500 == 250:
			fmt.Fprintf(out, "%s\n", last)
		case d.number%1500 == 700:
			fmt.Fprintln(out, d.bad())
		}
		last = text
	}
	if err := out.Flush(); err != nil {
		fmt.Fprintln(os.Stderr, "daygen:", err)
		os.Exit(1)
	}
}

// next returns the next command of the day.
func (d *day) next() line {
	d.number++
	d.now = d.now.Add(time.Duration(d.IntN(5000)) * time.Millisecond).Truncate(time.Second)
	l := line{At: d.now, ID: fmt.Sprintf("c-%05d", d.number), Account: d.account()}
	switch n := d.IntN(1000); {
	case d.opened < 20, d.opened < people && n < 30:
		d.opened++
		l.Account, l.Command, l.Owner = fmt.Sprint("acc-", d.opened), "open", d.owner()
	case n < 40: // an existing customer
		l.Command, l.Owner = "open", d.owner()
	case n < 400:
		l.Command, l.Cents = "deposit", d.amount(80_000)
	case n < 740:
		l.Command, l.Cents = "withdraw", d.amount(50_000)
	case n < 990:
		l.Command, l.To, l.Cents = "transfer", d.account(), d.amount(60_000)
	default:
		l.Command = "close"
	}
	return l
}

// account returns an account, sometimes one that does not exist yet.
func (d *day) account() string {
	return fmt.Sprint("acc-", 1+d.IntN(d.opened+1+d.opened/40))
}

// amount returns an amount of up to most cents, usually a small one.
func (d *day) amount(most int64) int64 {
	return 1 + d.Int64N(1+d.Int64N(most))
}

func (d *day) owner() string {
	first := []string{"Ann", "Bob", "Cem", "Dora", "Emil", "Fatma", "Gerd", "Hana", "Ivan", "Jana", "Karl", "Lena", "Mira", "Nils", "Olga"}
	last := []string{"Adler", "Bauer", "Celik", "Dietz", "Ernst", "Fuchs", "Graf", "Haas", "Ilic", "Jung"}
	return first[d.IntN(len(first))] + " " + last[d.IntN(len(last))]
}

// bad returns an invalid line.
func (d *day) bad() string {
	lines := []string{
		`{"at":"2026-03-02T12:00:00Z","id":"x-1","account":"acc-1","command":"deposit","cents":`,
		`{"at":"2026-03-02T12:00:00Z","id":"x-2","account":"acc-1","command":"deposit","cents":-500}`,
		`{"at":"2026-03-02T12:00:00Z","id":"x-3","account":"acc-1","command":"borrow","cents":500}`,
		`{"at":"2026-03-02T12:00:00Z","account":"acc-1","command":"deposit","cents":500}`,
		`acc-1;deposit;5.00`,
		`{"at":"2026-03-02T12:00:00Z","id":"x-6","account":"acc-1","command":"deposit","cents":5.5}`,
		`{"at":"2026-03-02T12:00:00Z","id":"x-7","account":"acc-1","command":"deposit","euros":5}`,
	}
	return lines[d.number/1500%len(lines)]
}
