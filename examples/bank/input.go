package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/evolvego/evolve/examples/bank/account"
	"github.com/evolvego/evolve/store"
)

// maxLine is the most bytes in a line.
const maxLine = 64 << 10

// Reasons for skipping a line.
var (
	errNotUTF8  = errors.New("the line is not UTF-8")
	errTooLong  = fmt.Errorf("the line is longer than %d bytes", maxLine)
	errNotOne   = errors.New("there is more than one JSON value")
	errNoID     = errors.New(`"id" is missing`)
	errBadID    = fmt.Errorf("an id is longer than %d bytes, or has a NUL", store.MaxName)
	errNoAcc    = errors.New(`"account" is missing`)
	errNoTo     = errors.New(`"to" is missing`)
	errNotAbove = errors.New(`"cents" must be above 0`)
)

// request is a line of input.
type request struct {
	At      time.Time `json:"at"`
	ID      string    `json:"id"`
	Account string    `json:"account"`
	Command string    `json:"command"`
	Owner   string    `json:"owner"`
	To      string    `json:"to"`
	Cents   int64     `json:"cents"`
}

// parse returns the request in line.
func parse(line []byte) (request, error) {
	if !utf8.Valid(line) {
		return request{}, errNotUTF8 // ids could not be distinguished
	}
	var r request
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return request{}, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return request{}, errNotOne
	}
	switch {
	case r.ID == "":
		return request{}, errNoID
	case r.Account == "":
		return request{}, errNoAcc
	}
	for _, id := range []string{r.ID, r.Account, r.To} {
		if len(id) > store.MaxName || strings.Contains(id, "\x00") {
			return request{}, errBadID
		}
	}
	_, err := r.command()
	return r, err
}

// command returns the command in r for its account.
func (r request) command() (account.Command, error) {
	switch r.Command {
	case "open":
		return account.Open{Owner: r.Owner}, nil
	case "close":
		return account.Close{}, nil
	case "deposit", "withdraw", "transfer":
	default:
		return nil, fmt.Errorf(`"command" is %q; use open, deposit, withdraw, transfer or close`, r.Command)
	}
	switch {
	case r.Cents <= 0:
		return nil, errNotAbove
	case r.Command == "deposit":
		return account.Deposit{Cents: r.Cents}, nil
	case r.Command == "withdraw":
		return account.Withdraw{Cents: r.Cents}, nil
	case r.To == "":
		return nil, errNoTo
	}
	return account.Send{Transfer: r.ID, From: r.Account, To: r.To, Cents: r.Cents}, nil
}

// lines calls use with each non-empty line of r, and its number, until use returns an
// error. A line that is too long is passed as nil.
func lines(r io.Reader, use func(number int, line []byte) error) error {
	in := bufio.NewReaderSize(r, maxLine)
	for number := 1; ; number++ {
		line, err := in.ReadSlice('\n')
		long := errors.Is(err, bufio.ErrBufferFull)
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = in.ReadSlice('\n')
		}
		end := errors.Is(err, io.EOF)
		if err != nil && !end {
			return fmt.Errorf("read line %d: %w", number, err)
		}
		if long {
			line = nil
		}
		if text := bytes.TrimSpace(line); long || len(text) > 0 {
			if err := use(number, text); err != nil {
				return err
			}
		}
		if end {
			return nil
		}
	}
}

// piped returns stdin if it is a file or a pipe with content, and nil otherwise.
func piped(stdin *os.File) io.ReadCloser {
	info, err := stdin.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice != 0 {
		return nil
	}
	in := bufio.NewReader(stdin)
	if _, err := in.Peek(1); err != nil {
		return nil
	}
	return io.NopCloser(in)
}

// isTerminal reports whether w is a terminal.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
