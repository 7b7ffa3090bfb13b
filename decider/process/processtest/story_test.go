package processtest_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/process/processtest"
)

type (
	happening struct{ Order, What string }
	state     struct{ Paid, Over bool }
	letter    struct{ To, Text string }
)

// reminder writes to customers who have not paid after a day, and gives up after a week.
func reminder() decider.Process[happening, state, letter] { return reminderIn(24 * time.Hour) }

// reminderIn is reminder with days of the given length.
func reminderIn(day time.Duration) decider.Process[happening, state, letter] {
	return decider.Process[happening, state, letter]{
		Key: func(e happening) (string, bool) { return e.Order, e.Order != "" },
		Evolve: func(s state, e happening) state {
			s.Paid = s.Paid || e.What == "paid"
			s.Over = s.Paid || e.What == "given up"
			return s
		},
		React: func(_ state, e happening) (r decider.Reaction[letter, happening]) {
			switch e.What {
			case "placed":
				r.Later = []decider.Timer[happening]{
					{Name: "remind", After: day, Event: happening{e.Order, "late"}},
					{Name: "give up", After: 7 * day, Event: happening{e.Order, "given up"}},
				}
			case "late":
				r.Send = []letter{{e.Order, "please pay"}}
			case "given up":
				r.Send = []letter{{e.Order, "farewell"}}
			}
			return r
		},
		Terminal: func(s state) bool { return s.Over },
	}
}

// A story about several days takes no time.
func ExampleStory() {
	t := &testing.T{} // your test
	processtest.Story(t, reminder()).
		Given(happening{"o-1", "placed"}, happening{"o-2", "placed"}).Sends().
		After(time.Hour).Given(happening{"o-2", "paid"}).Over("o-2").
		After(23 * time.Hour).Sends(letter{"o-1", "please pay"}).
		After(6 * 24 * time.Hour).Sends(letter{"o-1", "farewell"}).Over("o-1").
		Given(happening{"o-1", "placed"}).After(30 * 24 * time.Hour).Sends()
	fmt.Println("as told:", !t.Failed())
	// Output: as told: true
}

// spy is a test that records its messages.
type spy struct {
	testing.TB
	text []string
}

func (*spy) Helper() {}
func (s *spy) Errorf(format string, args ...any) {
	s.text = append(s.text, fmt.Sprintf(format, args...))
}

func TestStoryFails(t *testing.T) {
	t.Parallel()
	late := time.Duration(25) * time.Hour
	for name, tt := range map[string]struct {
		tell func(s *processtest.Tale[happening, state, letter])
		text string
	}{
		"nothing was sent, want a letter": {func(s *processtest.Tale[happening, state, letter]) { s.Sends(letter{"o-1", "please pay"}) }, "sent nothing, want processtest_test.letter{To:o-1 Text:please pay}"},
		"a letter was sent, want nothing": {func(s *processtest.Tale[happening, state, letter]) { s.After(late).Sends() }, "please pay}, want nothing"},
		"another letter was sent":         {func(s *processtest.Tale[happening, state, letter]) { s.After(late).Sends(letter{}) }, "24h0m0s  timer \"remind\""},
		"it was checked before": {func(s *processtest.Tale[happening, state, letter]) {
			s.After(late).Sends(letter{"o-1", "please pay"}).Sends(letter{"o-1", "please pay"})
		}, "sent nothing"},
		"too early": {func(s *processtest.Tale[happening, state, letter]) {
			s.After(late - time.Hour - 1).Sends(letter{"o-1", "please pay"})
		}, "sent nothing"},
		"it is not over": {func(s *processtest.Tale[happening, state, letter]) { s.Over("o-1") }, `instance "o-1" is not over`},
		"it never began": {func(s *processtest.Tale[happening, state, letter]) { s.Over("o-2") }, `instance "o-2" is not over`},
		"events that concern no instance": {func(s *processtest.Tale[happening, state, letter]) {
			s.Given(happening{"", "placed"}).After(late).Sends()
		}, "please pay}, want nothing"},
	} {
		s := &spy{TB: t}
		tt.tell(processtest.Story(s, reminder()).Given(happening{"o-1", "placed"}))
		if len(s.text) != 1 || !strings.Contains(s.text[0], tt.text) {
			t.Errorf("%s: %q, want %q", name, s.text, tt.text)
		}
	}
}

// TestStoryTimers checks that timers are stopped and replaced by name.
func TestStoryTimers(t *testing.T) {
	t.Parallel()
	p := decider.Process[string, int, string]{
		Key:    func(string) (string, bool) { return "", true },
		Evolve: func(n int, _ string) int { return n + 1 },
		React: func(_ int, e string) (r decider.Reaction[string, string]) {
			verb, name, _ := strings.Cut(e, " ")
			switch verb {
			case "start":
				r.Later = []decider.Timer[string]{{Name: name, After: time.Minute, Event: "fire " + name}}
			case "stop":
				r.Cancel = []string{name}
			case "fire":
				r.Send = []string{name}
			}
			return r
		},
	}
	processtest.Story(t, p).Given("start a", "start b", "start c", "stop b").After(30 * time.Second).Given("start a").
		After(30 * time.Second).Sends("c").After(30 * time.Second).Sends("a").After(time.Hour).Sends()
}
