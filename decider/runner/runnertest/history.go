package runnertest

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/evolvego/evolve/store"
)

func (h *handled) about() string {
	text := fmt.Sprintf("%s %d (%s)", h.Command.Do, h.Command.N, h.Command.Tag)
	if h.Expected != nil {
		text += fmt.Sprintf(" at version %d", *h.Expected)
	}
	return text
}

func (h *handled) result() string {
	switch {
	case h.err != nil:
		return h.err.Error()
	case h.out.Replayed:
		return fmt.Sprintf("was recorded before, now version %d", h.out.Version)
	}
	return fmt.Sprintf("%d events, version %d", len(h.out.Events), h.out.Version)
}

func (h *handled) owns(e Event) bool { return e.Tag == h.Command.Tag }

// wantHistory compares what the calls returned with the stream.
func (s *simulation) wantHistory() {
	s.Helper()
	events := s.stream(acc)
	s.wantDecisions(events)
	broken := s.sim.Faulted() > 0
	for i := range s.calls {
		h := &s.calls[i]
		s.wantAttempts(h)
		landed := slices.ContainsFunc(events, h.owns) && !h.shared
		if errors.Is(h.err, context.Canceled) && !h.gaveUp {
			s.Errorf("%s = %v, but its context has not ended", h.about(), h.err)
		}
		switch {
		case h.err == nil && (h.out.Replayed || len(h.out.Events) > 0):
			s.wantLanded(h, events)
		case h.err == nil:
			s.wantFold(acc, h.out.State, h.out.Version, h.about())
			s.wantJustified(h, events, "has nothing to do", func(version uint64, decided []Event, err error) bool {
				return version == h.out.Version && len(decided) == 0 && err == nil
			})
		case errors.Is(h.err, ErrRejected):
			s.wantJustified(h, events, "is rejected", func(_ uint64, _ []Event, err error) bool { return err != nil })
			if landed {
				s.Errorf("%s was rejected, but is in the stream", h.about())
			}
		case h.Expected != nil && errors.Is(h.err, store.ErrConflict):
			s.wantJustified(h, events, "conflicts", func(version uint64, _ []Event, _ error) bool {
				return version != *h.Expected
			})
		case !broken && !errors.Is(h.err, store.ErrConflict):
			s.Errorf("%s = %v, although the store works", h.about(), h.err)
		case !broken && !h.shared && slices.ContainsFunc(events[:h.last], h.owns):
			s.Errorf("%s = %v, but it is in the stream", h.about(), h.err)
		}
	}
}

// wantAttempts checks the calls of the store that a call made: it appends no more often
// than allowed, at a version that is not older than its last conflict, and only once if
// it expects a version. Because each conflict means that another call succeeded, a call
// with as many attempts as there are calls succeeds.
func (s *simulation) wantAttempts(h *handled) {
	s.Helper()
	appends, told := 0, uint64(0)
	for i := range h.asked {
		op := &h.asked[i]
		if op.Expected == 0 {
			continue
		}
		appends++
		if version, ok := op.Expected.Version(); !ok || version < told {
			s.Errorf("%s appends at %s after a conflict with version %d", h.about(), op.Expected, told)
		}
		if told > 0 && h.Expected != nil {
			s.Errorf("%s retries after a conflict", h.about())
		}
		if conflict := (*store.ConflictError)(nil); errors.As(op.Err, &conflict) {
			told = conflict.Actual
		}
	}
	if h.Attempts > 0 && appends > h.Attempts {
		s.Errorf("%s appends %d times, but may try %d times", h.about(), appends, h.Attempts)
	}
	if h.Expected == nil && h.Attempts >= s.planned() && s.sim.Faulted() == 0 && errors.Is(h.err, store.ErrConflict) {
		s.Errorf("%s may try %d times, as often as there are calls, but gave up: %v", h.about(), h.Attempts, h.err)
	}
}

// wantDecisions checks that each run of events of a command is what the command decides
// on the state before it, and that each command has at most one run.
func (s *simulation) wantDecisions(events []Event) {
	s.Helper()
	commands, seen := map[string]Command{}, map[string]bool{}
	for i := range s.calls {
		commands[s.calls[i].Command.Tag] = s.calls[i].Command
	}
	for from, to := 0, end(events, 0); from < len(events); from, to = to, end(events, to) {
		tag := events[from].Tag
		c, ours := commands[tag]
		if !ours {
			continue
		}
		want, err := s.decider.Decide(c, s.decider.Fold(s.decider.Start(), events[:from]...))
		if err != nil || !slices.Equal(events[from:to], want) {
			s.Errorf("the versions %d to %d are %+v, but %+v decides %+v, %v", from+1, to, events[from:to], c, want, err)
		}
		if seen[tag] {
			s.Errorf("the versions %d to %d are %+v, but %+v was in the stream before", from+1, to, events[from:to], c)
		}
		seen[tag] = true
	}
}

// end returns the end of the run of events of one command that begins at from.
func end(events []Event, from int) int {
	to := from
	for to < len(events) && events[to].Tag == events[from].Tag {
		to++
	}
	return to
}

// wantLanded checks the outcome of a command that is reported as recorded.
func (s *simulation) wantLanded(h *handled, events []Event) {
	s.Helper()
	s.wantFold(acc, h.out.State, h.out.Version, h.about())
	from := slices.IndexFunc(events, h.owns)
	if from < 0 {
		s.Errorf("%s succeeded, but the stream does not have it", h.about())
		return
	}
	to := end(events, from)
	before, after := uint64(len(events[:from])), uint64(len(events[:to]))
	switch {
	case after > h.out.Version:
		s.Errorf("%s succeeded at version %d, but the stream does not have it", h.about(), h.out.Version)
	case h.out.Replayed && len(h.out.Events) > 0 && !slices.Equal(h.out.Events, events[from:to]):
		s.Errorf("%s was recorded as %+v, but the outcome has %+v", h.about(), events[from:to], h.out.Events)
	case h.out.Replayed:
	case after != h.out.Version || !slices.Equal(h.out.Events, events[from:to]):
		s.Errorf("%s is the versions %d to %d, %+v, but the outcome says %+v", h.about(), from+1, to, events[from:to], h.out)
	case h.Expected != nil && *h.Expected != before:
		s.Errorf("%s was recorded at version %d", h.about(), from)
	}
}

// wantJustified checks that at some version during a call the command was not recorded
// and the answer of the call was true.
func (s *simulation) wantJustified(
	h *handled, events []Event, what string, is func(version uint64, decided []Event, err error) bool,
) {
	s.Helper()
	for version := h.first; version <= min(h.last, uint64(len(events))); version++ {
		decided, err := s.decider.Decide(h.Command, s.decider.Fold(s.decider.Start(), events[:version]...))
		if is(version, decided, err) && !slices.ContainsFunc(events[:version], h.owns) {
			return
		}
	}
	s.Errorf("%s: %s; but that is true at no version from %d to %d at which the stream lacks it", h.about(), what, h.first, h.last)
}
