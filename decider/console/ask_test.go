package console_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/console"
	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/capability"
	"github.com/evolvego/evolve/store/memory"
)

// branch is the form of commands on ann's account, each with a name and its fields.
func branch(version string, commands ...string) url.Values {
	form := url.Values{"type": {"Account"}, "id": {"ann"}, "v": {version}}
	for i := 0; i < len(commands); i += 2 {
		form.Add("name", commands[i])
		form.Add("json", commands[i+1])
	}
	return form
}

// tried is the JSON of a branch.
type tried struct {
	Trial struct {
		Problem, Scenario string
		Differs           bool
		Steps             []struct {
			Rejected, Problem string
			Events            []struct{ Text string }
			Why               *struct {
				Flips  []struct{ Of, Path, Is, Needs string }
				Others []string
				Asked  int
			}
		}
		Really []struct{ Text string }
	}
}

func (s *site) try(version string, commands ...string) (got tried) {
	s.tb.Helper()
	page := s.post("try", branch(version, commands...), "Accept", "application/json")
	if err := json.Unmarshal([]byte(page.body), &got); err != nil || page.code != 200 {
		s.tb.Fatalf("try %q: status %d, %v:\n%s", commands, page.code, err, page.body)
	}
	return got
}

func TestTry(t *testing.T) {
	t.Parallel()
	st := bank(t)
	s := open(t, console.Config{Store: st, Types: []console.Type{account()}})
	s.want(s.get("try?type=Account&id=ann"), 200, "nothing is written", `<option data-json="{&#34;Cents&#34;:0}" value="Deposit"`)

	got := s.try("2", "Withdraw", `{"Cents": 12}`, "Deposit", `{"Cents": 1}`).Trial
	if len(got.Steps) != 2 || got.Steps[0].Events[0].Text != "Withdrawn{Cents: 12}" || got.Steps[1].Events[0].Text != "Deposited{Cents: 1}" || !got.Differs || got.Really[0].Text != "Withdrawn{Cents: 10}" {
		t.Errorf("a branch of two commands is %+v", got)
	}
	want := "props.Spec(t, d).\n\tGiven(\n\t\tconsole_test.Opened{Owner: \"Ann\"},\n\t\tconsole_test.Deposited{Cents: 30},\n\t\tconsole_test.Withdrawn{Cents: 12},\n\t).\n\tWhen(console_test.Deposit{Cents: 1}).\n\tThen(console_test.Deposited{Cents: 1})"
	if got.Scenario != want {
		t.Errorf("the scenario is\n%s\nwant\n%s", got.Scenario, want)
	}
	if got := s.try("2", "Withdraw", `{"Cents": 10}`).Trial; got.Differs {
		t.Errorf("a branch equal to what happened differs: %+v", got)
	}
	if got := s.try("0", "Deposit", `{"Cents": 10}`).Trial; got.Steps[0].Rejected != errNotOpen.Error() {
		t.Errorf("a deposit before the account is open is %+v", got.Steps)
	}
	for fields, want := range map[string]string{`{"Cent": 1}`: "unknown field", `{`: "", `[]`: ""} {
		if got := s.try("2", "Deposit", fields).Trial; len(got.Steps) != 1 || got.Steps[0].Problem == "" || !strings.Contains(got.Steps[0].Problem, want) {
			t.Errorf("fields %s are %+v", fields, got.Steps)
		}
	}
	if got := s.try("2", "Nothing", `{}`).Trial; got.Steps[0].Problem == "" {
		t.Errorf("a command that does not exist is %+v", got.Steps)
	}
	if got := s.try("2", "Break", `{}`).Trial; !strings.Contains(got.Steps[0].Problem, "Decide panicked: decide is broken") {
		t.Errorf("a decision that panics is %+v", got.Steps)
	}
	s.want(s.post("try", url.Values{"type": {"Note"}, "id": {"n/1"}}), 404)
	s.want(s.post("try", url.Values{"type": {"Account"}, "id": {"ann"}, "name": {"a"}}), 400)
	if page, err := st.Read(t.Context(), ann, store.ReadOptions{}); err != nil || page.Head != 3 {
		t.Errorf("after trying, the stream is at version %d, %v", page.Head, err)
	}
}

func TestWhyNot(t *testing.T) {
	t.Parallel()
	s := open(t, console.Config{Store: bank(t), Types: []console.Type{account()}})
	why := s.try("3", "Withdraw", `{"Cents": 50}`).Trial.Steps[0].Why
	if why == nil {
		t.Fatal("a rejection has no why")
	}
	var flips []string
	for _, f := range why.Flips {
		flips = append(flips, f.Of+" "+f.Path+" "+f.Is+" "+f.Needs)
	}
	if got := strings.Join(flips, "; "); got != "state Balance 20 ≥ 50; command Cents 50 ≤ 20" {
		t.Errorf("what would make it accepted: %s", got)
	}
	if got := strings.Join(why.Others, "; "); got != "state Owner; state Limits" { // Open leads to another rejection
		t.Errorf("what does not matter: %s", got)
	}
	s.want(s.post("try", branch("3", "Withdraw", `{"Cents": 50}`)), 200, "Why not", "<ins>≥ 50</ins>", "These fields do not matter: state Owner, state Limits.")
}

// TestWhyNotIsRight checks that the reported value is accepted, and that the value before
// it is not.
func TestWhyNotIsRight(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		balance := rapid.Int64Range(0, 1<<40).Draw(t, "balance")
		more := rapid.Int64Range(1, 1<<40).Draw(t, "more")
		flips, asked := console.WhyNot(decider.New(decide, evolve), Command(Withdraw{balance + more}), State{Open: true, Balance: balance})
		want := []string{fmt.Sprintf("state Balance ≥ %d", balance+more), fmt.Sprintf("command Cents ≤ %d", balance)}
		if strings.Join(flips, "; ") != strings.Join(want, "; ") || asked > 4000 {
			t.Errorf("with a balance of %d, %d more: %q after %d questions, want %q", balance, more, flips, asked, want)
		}
	})
}

// hidden has fields that reflection cannot set easily.
type hidden struct {
	taken map[string]bool
	seats []int
	inner *struct{ full bool }
	At    time.Time
}

func TestWhyNotSeesHiddenFields(t *testing.T) {
	t.Parallel()
	type reserve struct{ Seat string }
	d := decider.New(func(c reserve, s hidden) ([]int, error) {
		switch {
		case s.taken[c.Seat]:
			return nil, errors.New("taken")
		case len(s.seats) == 0:
			return nil, errors.New("no seats")
		case s.inner != nil && s.inner.full:
			return nil, errors.New("full")
		}
		return []int{1}, nil
	}, func(s hidden, _ int) hidden { return s })
	state := hidden{taken: map[string]bool{"a": true}, seats: []int{1}, inner: &struct{ full bool }{}}
	if flips, _ := console.WhyNot(d, reserve{"a"}, state); strings.Join(flips, "; ") != "state taken {}; command Seat \"\"" && strings.Join(flips, "; ") != "command Seat \"\"" {
		t.Errorf("a seat that is taken: %q", flips)
	}
	state.inner.full = true
	if flips, _ := console.WhyNot(d, reserve{"b"}, state); strings.Join(flips, "; ") != "state inner.full false" {
		t.Errorf("a hall that is full: %q", flips)
	}
	if !state.inner.full || len(state.taken) != 1 {
		t.Errorf("asking changed the state: %+v", state)
	}
}

// TestSlowDecision checks that the console gives up on a decision that never returns, and
// that others can run until too many hang.
func TestSlowDecision(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		st := memory.New()
		add(t, st, ann, Opened{"Ann"})
		d := decider.New(func(cmd Command, s State) ([]Event, error) {
			if _, hangs := cmd.(Hang); hangs {
				<-release
				return nil, nil
			}
			return decide(cmd, s)
		}, evolve)
		s := open(t, console.Config{Store: st, Types: []console.Type{console.Aggregate(console.Model[Command, State, Event]{
			Type: "Account", Decider: d, Codec: events(), Commands: commands(),
		})}})
		for range 4 {
			began := time.Now()
			s.want(s.post("try", branch("1", "Hang", "{}")), http.StatusGatewayTimeout, "Too slow")
			if took := time.Since(began); took != 10*time.Second {
				t.Errorf("a decision that never returns was given up after %v", took)
			}
		}
		s.want(s.post("try", branch("1", "Deposit", "{}")), http.StatusServiceUnavailable, "Busy")
		close(release)
		synctest.Wait()
		s.want(s.post("try", branch("1", "Deposit", "{}")), 200, "accepted")
	})
}

// replay runs a replay to its end, and returns its result.
func (s *site) replay(form url.Values) string {
	s.tb.Helper()
	begun := s.post("replay", form)
	if begun.code != http.StatusSeeOther {
		s.tb.Fatalf("replay: status %d:\n%s", begun.code, begun.body)
	}
	for {
		text := s.json(strings.TrimPrefix(begun.header.Get("Location"), "/"))
		if strings.Contains(text, `"done": true`) {
			s.want(s.get(strings.TrimPrefix(begun.header.Get("Location"), "/")), 200, "done in")
			return text
		}
		synctest.Wait()
	}
}

func TestReplay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := bank(t)
		bob := store.Stream{Type: "Account", ID: "bob"}
		add(t, st, bob, Opened{"Bob"}, Deposited{7}, Deposited{500}, Withdrawn{200})
		add(t, st, store.Stream{Type: "Account", ID: "carl"}, Opened{"unknown"})
		add(t, st, store.Stream{Type: "Account", ID: "dora"}, Opened{"Dora"}, Broken{})
		set := capability.Of(st)
		set.Finder = nil
		for name, st := range map[string]store.Store{"with a finder": st, "without": set.Compose()} {
			s := open(t, console.Config{Store: st, Types: []console.Type{account()}})
			s.want(s.get("replay?type=Account"), 200, "stricter", "forgetful")
			got := s.replay(url.Values{"type": {"Account"}, "candidate": {"stricter"}})
			for _, want := range []string{`"streams": 4`, `"same": 6`, `"other": 1`, `"rejected": 1`, `"unknown": 2`, `"failed": 1`, `"states": 0`, "too much at once", "Deposited{Cents: 14}", "evolve is broken"} {
				if !strings.Contains(got, want) {
					t.Errorf("%s: the replay has no %s:\n%s", name, want, got)
				}
			}
			if got := s.replay(url.Values{"type": {"Account"}, "candidate": {"forgetful"}, "since": {"2999-01-01"}}); !strings.Contains(got, `"states": 1`) || !strings.Contains(got, `"commands": 0`) {
				t.Errorf("%s: the replay of states is\n%s", name, got)
			}
			s.want(s.post("replay", url.Values{"type": {"Account"}, "candidate": {"none"}}), 400)
			s.want(s.post("replay", url.Values{"type": {"Note"}, "candidate": {"stricter"}}), 404)
			s.want(s.get("job?id=99"), 404)
			s.console.Close()
		}
	})
}

func TestRecent(t *testing.T) {
	t.Parallel()
	st, recent := memory.New(), console.NewRecent(4)
	r := runner.New("Account", decider.New(decide, evolve), st, events()).WithObserver(recent)
	do := func(id string, cmd Command) {
		_, _ = r.Handle(context.Background(), id, cmd) // rejections too
	}
	s := open(t, console.Config{Store: st, Recent: recent, Types: []console.Type{account()}})
	s.want(s.get("recent"), 200, "No command has been handled")
	do("old", Open{"Old"})
	do("ann", Open{"Ann"})
	do("ann", Open{"Ann"})
	do("ann", Withdraw{5})
	do("ann", Deposit{5})
	page := s.get("recent")
	s.want(page, 200, "rejected 1", "appended 2", "unchanged 1", "insufficient funds", `href="try?id=ann&amp;type=Account`, "console_test.Withdraw")
	if strings.Contains(page.body, "Account/old") {
		t.Error("more than four commands are kept")
	}
	if only := s.get("recent?only=rejected"); strings.Count(only.body, "<td class=\"t\">") != 1 {
		t.Errorf("only rejections are\n%s", only.body)
	}
	s.want(open(t, console.Config{Store: st}).get("recent"), 404)
}
