// Package vsatest creates modules for the tests of vsa.
package vsatest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// Root returns the directory of the repository, which has a go.work.
func Root(tb testing.TB) string {
	tb.Helper()
	out, err := exec.CommandContext(tb.Context(), "go", "env", "GOWORK").Output()
	work := strings.TrimSpace(string(out))
	if err != nil || work == "" || work == "off" {
		tb.Fatalf("this needs the other modules of the repository: unset GOWORK (%q, %v)", work, err)
	}
	return filepath.Dir(work)
}

// Module returns a new directory with a module that has this path and can import the
// packages of the repository.
func Module(tb testing.TB, path string) string {
	tb.Helper()
	dir, err := filepath.EvalSymlinks(tb.TempDir())
	if err != nil {
		tb.Fatal(err)
	}
	Write(tb, dir, path)
	return dir
}

// Write writes a go.mod with this module path, and a go.work, into dir.
func Write(tb testing.TB, dir, path string) {
	tb.Helper()
	for name, text := range map[string]string{
		"go.mod":  "module " + path + "\n\ngo 1.26.0\n\nrequire github.com/evolvego/evolve v0.0.0\n",
		"go.work": "go 1.26.0\n\nuse (\n\t.\n\t" + Root(tb) + "\n)\n\nreplace github.com/evolvego/evolve v0.0.0 => " + Root(tb) + "\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
}

// Files writes the files of an archive into dir.
func Files(tb testing.TB, dir string, files []txtar.File) {
	tb.Helper()
	for _, f := range files {
		name := filepath.Join(dir, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			tb.Fatal(err)
		}
		if err := os.WriteFile(name, f.Data, 0o600); err != nil {
			tb.Fatal(err)
		}
	}
}

// Switches writes an aggregate, contexts/accounts/internal/account, that decides and
// evolves with type switches, as a person may have written it.
func Switches(tb testing.TB, dir string) {
	tb.Helper()
	Files(tb, dir, txtar.Parse([]byte(switches)).Files)
}

const switches = `
-- contexts/accounts/accounts.go --
// Package accounts is the context of accounts.
package accounts

import (
	"encoding/json"
	"log/slog"
	"net/http"

	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/store"

	"example.com/bank/contexts/accounts/internal/account"
)

// Store is the store that the context needs.
type Store interface {
	store.Store
	store.Log
}

// Accounts is the running context.
type Accounts struct {
	st  Store
	log *slog.Logger
	run *runner.Runner[account.Command, account.State, account.Event]
}

// New returns the context.
func New(st Store, log *slog.Logger) *Accounts {
	return &Accounts{st, log, runner.New("Account", account.Decider(), st, account.Codec())}
}

// Routes adds the routes.
func (x *Accounts) Routes(m *http.ServeMux) {
	m.HandleFunc("POST /start/{id}", command(x.log, x.run, func(c account.Start) account.Command { return c }))
}

func command[B, C, S, E any](log *slog.Logger, run *runner.Runner[C, S, E], of func(body B) C) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var body B
		_ = json.NewDecoder(r.Body).Decode(&body)
		if _, err := run.Handle(r.Context(), r.PathValue("id"), of(body)); err != nil {
			problem(log, w, r, err)
		}
	}
}

func problem(_ *slog.Logger, w http.ResponseWriter, _ *http.Request, err error) {
	http.Error(w, err.Error(), http.StatusInternalServerError)
}
-- contexts/accounts/internal/account/account.go --
package account

import (
	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
)

// StreamType is the type of the streams.
const StreamType = "Account"

// State is an account.
type State struct{ Started bool }

// Command is a command.
type Command interface{ isCommand() }

// Event is an event.
type Event interface{ isEvent() }

// Start starts.
type Start struct{}

// Started is when it started.
type Started struct{}

func (Start) isCommand() {}
func (Started) isEvent() {}

// Decider returns it.
func Decider() decider.Decider[Command, State, Event] { return decider.New(Decide, Evolve) }

// Decide decides.
func Decide(cmd Command, s State) ([]Event, error) {
	switch c := cmd.(type) {
	case Start:
		return []Event{Started(c)}, nil
	}
	return nil, decider.ErrUnhandled
}

// Evolve evolves.
func Evolve(s State, event Event) State {
	switch event.(type) {
	case Started:
		s.Started = true
	}
	return s
}

// Codec returns the codec.
func Codec() codec.Codec[Event] {
	return codec.JSON(map[string]Event{"AccountStarted": Started{}})
}
-- contexts/accounts/internal/account/account_test.go --
package account_test

import (
	"testing"

	"github.com/evolvego/evolve/props"

	"example.com/bank/contexts/accounts/internal/account"
)

func TestAccount(t *testing.T) {
	props.For(account.Decider()).Any(account.Start{}).Check(t)
}
`
