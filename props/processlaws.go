package props

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/internal/show"
	"github.com/evolvego/evolve/internal/value"
)

// maxDue is how many timers in a chain, each due at once, may follow from one event.
const maxDue = 100

// all returns the laws of every process and those that the user added.
func (s ProcessSuite[E, S, C]) all() []law[E, map[string]S, E] {
	type states = map[string]S
	p := s.process
	start := ""
	laws := []law[E, states, E]{
		{name: "key is total", check: keyTotal[E, states](p.Key)},
		{name: "evolve is total", check: evolveTotal[E, states, E]},
		{name: "evolve is deterministic", check: evolveDeterministic[E, states, E]},
		{name: "evolve changes nothing", check: evolvePure[E, states, E]},
		{name: "evolve shares no memory", check: fork[E, states, E]},
		{name: "start is fresh", check: func(r *run[E, states, E], es []E) *breach {
			if start == "" {
				start = show.Text(p.Start())
			}
			play(r.decider, es)
			if now := show.Text(p.Start()); now != start {
				return breachf(len(es)-1, "Start() was %s at first, and is now %s: does Initial return shared memory?", start, now)
			}
			return nil
		}},
		{name: "react is deterministic", check: reactDeterministic(p)}, // first, because later the hidden memory of the process has seen every call
		{name: "react is total", check: reactTotal(p)},
		{name: "react changes nothing", check: reactPure(p)},
		{name: "replay reacts as live processing did", check: replayReacts(p)},
		reacting(p, "a timer has a name", timerNamed[E, S, C]),
		reacting(p, "a timer comes back to its instance", timerHome[E, S, C](p)),
		running(p, "a timer can fire at any time", timerFires(p)),
		reacting(p, "timers that are due end", timersEnd(p)),
		running(p, "the end of an instance stops its timers", timersStopped(p)),
	}
	if p.Pending != nil {
		laws = append(laws, pendingLaws(p)...)
	}
	return append(laws, s.laws...)
}

// reacted returns the reaction of p to a step.
func reacted[E, S, C any](p decider.Process[E, S, C], s Step[E, map[string]S, E]) Reacted[E, S, C] {
	instance, _ := p.Key(s.Command)
	before, ok := s.Before[instance]
	if !ok {
		before = p.Start()
	}
	after := s.After[instance]
	return Reacted[E, S, C]{instance, before, s.Command, after, p.React(after, s.Command)}
}

// reacting returns the law that wrong finds nothing in any event that is handled.
func reacting[E, S, C any](p decider.Process[E, S, C], name string, wrong func(i int, r Reacted[E, S, C]) *breach) law[E, map[string]S, E] {
	return law[E, map[string]S, E]{name: name, check: func(r *run[E, map[string]S, E], es []E) *breach {
		return r.walk(es, func(i int, s Step[E, map[string]S, E]) *breach {
			if s.Err != nil {
				return nil
			}
			return wrong(i, reacted(p, s))
		})
	}}
}

func keyTotal[E, S any](key func(E) (string, bool)) func(*run[E, S, E], []E) *breach {
	return func(_ *run[E, S, E], es []E) *breach {
		for i, e := range value.Clones(es) {
			if err := catch(func() { key(e) }); err != nil {
				return breachf(i, "Key(%s): %v", show.Text(e), err)
			}
		}
		return nil
	}
}

func reactTotal[E, S, C any](p decider.Process[E, S, C]) func(*run[E, map[string]S, E], []E) *breach {
	return func(r *run[E, map[string]S, E], es []E) *breach {
		return r.walk(es, func(i int, s Step[E, map[string]S, E]) *breach {
			if s.Err != nil {
				return nil
			}
			if err := catch(func() { reacted(p, s) }); err != nil {
				return breachf(i, "React(%s, %s): %v", show.Text(s.After), show.Text(s.Command), err)
			}
			if p.Pending != nil {
				instance, _ := p.Key(s.Command)
				if err := catch(func() { p.Pending(s.After[instance]) }); err != nil {
					return breachf(i, "Pending(%s): %v", show.Text(s.After[instance]), err)
				}
			}
			return nil
		})
	}
}

// answers returns what p answers about a state and an event, as one text.
func answers[E, S, C any](p decider.Process[E, S, C], state S, event E) string {
	instance, ok := p.Key(event)
	all := fmt.Sprintf("%s; key %q %v", reactionText(p.React(state, event)), instance, ok)
	if p.Pending != nil {
		all += "; pending " + show.Text(p.Pending(state))
	}
	return all
}

func reactDeterministic[E, S, C any](p decider.Process[E, S, C]) func(*run[E, map[string]S, E], []E) *breach {
	return func(r *run[E, map[string]S, E], es []E) *breach {
		return inBubble(r.t, func() *breach {
			var calls []again[string]
			r.walk(es, func(i int, s Step[E, map[string]S, E]) *breach {
				if s.Err == nil {
					instance, _ := p.Key(s.Command)
					ask := func() string { return answers(p, s.After[instance], s.Command) }
					calls = append(calls, again[string]{i, ask(), ask, func() string { return show.Text(s.Command) + " handled" }})
				}
				return nil
			})
			return repeat(r.thorough, r.times, calls, func(a, b string) bool { return a == b }, func(s string) string { return s })
		})
	}
}

func reactPure[E, S, C any](p decider.Process[E, S, C]) func(*run[E, map[string]S, E], []E) *breach {
	return func(r *run[E, map[string]S, E], es []E) *breach {
		return r.walk(es, func(i int, s Step[E, map[string]S, E]) *breach {
			if s.Err != nil {
				return nil
			}
			before, event := show.Text(s.After), show.Text(s.Command)
			instance, _ := p.Key(s.Command)
			answers(p, s.After[instance], s.Command)
			if after := show.Text(s.Command); after != event {
				return breachf(i, "React, Key or Pending changed the event:\n  before  %s\n  after   %s", event, after)
			}
			if after := show.Text(s.After); after != before {
				return breachf(i, "React or Pending, after %s, changed the state:\n  before  %s\n  after   %s", event, before, after)
			}
			return nil
		})
	}
}

// replayReacts plays es as a live process does, which reacts to each event, and as a
// restarted process does, which replays all events but the last.
func replayReacts[E, S, C any](p decider.Process[E, S, C]) func(*run[E, map[string]S, E], []E) *breach {
	return func(r *run[E, map[string]S, E], es []E) *breach {
		seen := map[string][]E{}
		return r.walk(es, func(i int, s Step[E, map[string]S, E]) *breach {
			if s.Err != nil {
				return nil
			}
			live := reacted(p, s)
			seen[live.Instance] = append(seen[live.Instance], s.Command)
			state := p.Start()
			for _, e := range seen[live.Instance] {
				state = p.Evolve(state, e)
			}
			if !show.Same(state, live.After) {
				return breachf(i, "a replay leads to another state than live processing, which calls React between the events: %s", show.Changes(live.After, state))
			}
			if got, want := reactionText(p.React(state, s.Command)), reactionText(live.Reaction); got != want {
				return breachf(i, "after a replay of the earlier events, the process reacts to %s differently:\n  live    %s\n  replay  %s", show.Text(s.Command), want, got)
			}
			return nil
		})
	}
}

func pendingLaws[E, S, C any](p decider.Process[E, S, C]) []law[E, map[string]S, E] {
	return []law[E, map[string]S, E]{
		reacting(p, "every command sent is pending", func(i int, r Reacted[E, S, C]) *breach {
			if p.IsTerminal(r.After) { // it may send last commands, and must not keep them pending
				return nil
			}
			pending := p.Pending(r.After)
			for _, c := range r.Reaction.Send {
				if !has(pending, c) {
					return breachf(i, "after %s the process sends %s, which is not in Pending: after a crash, nothing sends it\n  state    %s\n  pending  %s",
						show.Text(r.Event), show.Text(c), show.Text(r.After), show.Text(pending))
				}
			}
			return nil
		}),
		{name: "every pending command was sent", check: func(r *run[E, map[string]S, E], es []E) *breach {
			sent := map[string][]C{}
			return reacting(p, "", func(i int, r Reacted[E, S, C]) *breach {
				sent[r.Instance] = append(sent[r.Instance], r.Reaction.Send...)
				for _, c := range p.Pending(r.After) {
					if !has(sent[r.Instance], c) {
						return breachf(i, "after %s, %s is pending, but was never sent\n  state  %s\n  sent   %s", show.Text(r.Event), show.Text(c), show.Text(r.After), show.Text(sent[r.Instance]))
					}
				}
				return nil
			}).check(r, es)
		}},
		reacting(p, "an ended instance has nothing pending", func(i int, r Reacted[E, S, C]) *breach {
			if pending := p.Pending(r.After); p.IsTerminal(r.After) && len(pending) > 0 {
				return breachf(i, "after %s the instance has ended and can be forgotten, but %s is pending\n  state  %s", show.Text(r.Event), show.Text(pending), show.Text(r.After))
			}
			return nil
		}),
	}
}

func timerNamed[E, S, C any](i int, r Reacted[E, S, C]) *breach {
	seen := map[string]bool{}
	for _, t := range r.Reaction.Later {
		if t.Name == "" {
			return breachf(i, "after %s the process starts a timer without a name, for %s after %v", show.Text(r.Event), show.Text(t.Event), t.After)
		}
		if seen[t.Name] {
			return breachf(i, "after %s the process starts two timers called %q at once: the second replaces the first", show.Text(r.Event), t.Name)
		}
		seen[t.Name] = true
	}
	return nil
}

func timerHome[E, S, C any](p decider.Process[E, S, C]) func(int, Reacted[E, S, C]) *breach {
	return func(i int, r Reacted[E, S, C]) *breach {
		for _, t := range r.Reaction.Later {
			if value.IsNil(t.Event) {
				return breachf(i, "after %s the process starts the timer %q, which has no event", show.Text(r.Event), t.Name)
			}
			var instance string
			var ok bool
			if err := catch(func() { instance, ok = p.Key(t.Event) }); err != nil {
				return breachf(i, "after %s the process starts the timer %q, whose event has no key: %v", show.Text(r.Event), t.Name, err)
			}
			if !ok || instance != r.Instance {
				return breachf(i, "instance %q starts the timer %q, whose event goes to another instance: Key(%s) = %q, %v", r.Instance, t.Name, show.Text(t.Event), instance, ok)
			}
		}
		return nil
	}
}

// timersEnd fires the timers that are due at once, then those that are due after that,
// and so on.
func timersEnd[E, S, C any](p decider.Process[E, S, C]) func(int, Reacted[E, S, C]) *breach {
	return func(i int, r Reacted[E, S, C]) *breach {
		state, due := r.After, dueOf(r.Reaction)
		var fired []string
		for n := 0; len(due) > 0 && !p.IsTerminal(state); n++ {
			if n == maxDue {
				return breachf(i, "after %s, timers that are due at once start more of them without end: %s, …", show.Text(r.Event), strings.Join(fired[:3], ", "))
			}
			t := due[0]
			fired = append(fired, strconv.Quote(t.Name))
			state = p.Evolve(state, t.Event)
			reaction := p.React(state, t.Event)
			due = slices.DeleteFunc(slices.Clone(due[1:]), func(o decider.Timer[E]) bool { return stops(reaction, o.Name) })
			due = append(due, dueOf(reaction)...)
		}
		return nil
	}
}

// dueOf returns the timers of a reaction that are due at once.
func dueOf[C, E any](r decider.Reaction[C, E]) []decider.Timer[E] {
	return slices.DeleteFunc(slices.Clone(r.Later), func(t decider.Timer[E]) bool { return t.After > 0 })
}

// stops reports whether a reaction stops or replaces the timer called name.
func stops[C, E any](r decider.Reaction[C, E], name string) bool {
	return slices.Contains(r.Cancel, name) || slices.ContainsFunc(r.Later, func(t decider.Timer[E]) bool { return t.Name == name })
}

// running returns the law that wrong finds nothing after any event that is handled. It
// gets the timers of the instance that run at that time.
func running[E, S, C any](p decider.Process[E, S, C], name string, wrong func(i int, r Reacted[E, S, C], timers []decider.Timer[E]) *breach) law[E, map[string]S, E] {
	return law[E, map[string]S, E]{name: name, check: func(r *run[E, map[string]S, E], es []E) *breach {
		all := map[string][]decider.Timer[E]{}
		return reacting(p, name, func(i int, r Reacted[E, S, C]) *breach {
			timers := slices.DeleteFunc(slices.Clone(all[r.Instance]), func(t decider.Timer[E]) bool {
				return show.Same(t.Event, r.Event) || stops(r.Reaction, t.Name) // it has fired, or has been replaced
			})
			timers = append(timers, r.Reaction.Later...)
			all[r.Instance] = timers
			return wrong(i, r, timers)
		}).check(r, es)
	}}
}

func timerFires[E, S, C any](p decider.Process[E, S, C]) func(int, Reacted[E, S, C], []decider.Timer[E]) *breach {
	return func(i int, r Reacted[E, S, C], timers []decider.Timer[E]) *breach {
		if p.IsTerminal(r.After) {
			return nil
		}
		for _, t := range timers {
			if err := catch(func() { p.React(p.Evolve(r.After, t.Event), t.Event) }); err != nil {
				return breachf(i, "after %s the timer %q still runs, and fails if it fires now with %s:\n  %v", show.Text(r.Event), t.Name, show.Text(t.Event), err)
			}
		}
		return nil
	}
}

func timersStopped[E, S, C any](p decider.Process[E, S, C]) func(int, Reacted[E, S, C], []decider.Timer[E]) *breach {
	return func(i int, r Reacted[E, S, C], timers []decider.Timer[E]) *breach {
		if len(timers) == 0 || !p.IsTerminal(r.After) {
			return nil
		}
		return breachf(i, "after %s the instance has ended and can be forgotten, but the timer %q still runs: when it fires, a new instance begins\n  state  %s",
			show.Text(r.Event), timers[0].Name, show.Text(r.After))
	}
}

const maxRedelivered = 3 // events that are redelivered

func redelivery[E, S, C any](p decider.Process[E, S, C]) law[E, map[string]S, E] {
	return law[E, map[string]S, E]{name: "events may be redelivered", check: func(r *run[E, map[string]S, E], es []E) *breach {
		seen, sent := map[string][]E{}, map[string][]C{}
		return reacting(p, "", func(i int, r Reacted[E, S, C]) *breach {
			seen[r.Instance] = append(seen[r.Instance], r.Event)
			sent[r.Instance] = append(sent[r.Instance], r.Reaction.Send...)
			past := seen[r.Instance]
			if show.Same(r.Before, r.After) { // it may have come too early, and have an effect now
				past, seen[r.Instance] = past[len(past)-1:], nil
			}
			for n := 1; n <= min(len(past), maxRedelivered); n++ {
				if wrong := redeliver(p, r.After, past[len(past)-n:], sent[r.Instance]); wrong != "" {
					return breachf(i, "after this event, redelivering the last %d event(s) of %q: %s", n, r.Instance, wrong)
				}
			}
			return nil
		}).check(r, es)
	}}
}

// redeliver returns what is wrong when events are redelivered to an instance in state.
func redeliver[E, S, C any](p decider.Process[E, S, C], state S, events []E, sent []C) string {
	next := state
	for _, e := range events {
		if p.IsTerminal(next) {
			break
		}
		next = p.Evolve(next, e)
		for _, c := range p.React(next, e).Send {
			if !has(sent, c) {
				return "after " + show.Text(e) + " the process sends " + show.Text(c) + ", which it has not sent before"
			}
		}
	}
	if change := show.Changes(state, next); change != "" {
		return "this changes " + change
	}
	return ""
}

// reactionText returns r as text.
func reactionText[C, E any](r decider.Reaction[C, E]) string {
	var all []string
	for _, c := range r.Send {
		all = append(all, "send "+show.Text(c))
	}
	for _, name := range r.Cancel {
		all = append(all, "stop "+strconv.Quote(name))
	}
	for _, t := range r.Later {
		all = append(all, fmt.Sprintf("start %q after %v: %s", t.Name, t.After, show.Text(t.Event)))
	}
	if len(all) == 0 {
		return "nothing"
	}
	return strings.Join(all, ", ")
}

// aligned returns rows of three columns as numbered lines, and marks the one with index
// here.
func aligned(rows [][]string, here int) []string {
	limits := [...]int{maxColumn, maxChange, maxChange}
	var width [2]int
	for _, row := range rows {
		for c := range row {
			row[c] = show.Cut(row[c], limits[c])
			if c < len(width) {
				width[c] = max(width[c], len([]rune(row[c])))
			}
		}
	}
	digits := len(strconv.Itoa(len(rows)))
	lines := make([]string, len(rows))
	for i, row := range rows {
		line := fmt.Sprintf("%*d  %s   %s   %s", digits, i+1, show.Pad(row[0], width[0]), show.Pad(row[1], width[1]), row[2])
		if i == here {
			line += "   ← here"
		}
		lines[i] = strings.TrimRight(line, " ")
	}
	return lines
}
