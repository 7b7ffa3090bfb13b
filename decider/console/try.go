package console

import (
	"context"
	"fmt"
	"strings"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/internal/show"
	"github.com/evolvego/evolve/store"
)

const (
	maxWishes   = 50  // commands of a branch
	maxGiven    = 200 // events of a scenario
	maxOutcomes = 500 // events of a command on a page
)

// wish is a command as it was entered.
type wish struct {
	Name string `json:"name"`
	JSON string `json:"json"`
}

// trial is a branch of a stream: what commands would do from one of its versions on.
type trial struct {
	Start    show.Node  `json:"start"`
	Steps    []tryStep  `json:"steps"`
	Problem  string     `json:"problem,omitempty"` // why nothing could be tried
	Really   []tryEvent `json:"really,omitempty"`  // what happened after that version
	Scenario string     `json:"scenario,omitempty"`
	Differs  bool       `json:"differs"` // the branch differs from what happened
}

// tryStep is the outcome of a command.
type tryStep struct {
	Wish     wish          `json:"command"`
	Text     string        `json:"text,omitempty"`
	Events   []tryEvent    `json:"events"`
	Cut      int           `json:"cut,omitempty"` // events that are not shown
	Rejected string        `json:"rejected,omitempty"`
	Problem  string        `json:"problem,omitempty"`
	Why      *why          `json:"why,omitempty"`
	Changes  []show.Change `json:"changes"`
	State    show.Node     `json:"state"`
}

type tryEvent struct {
	Kind string    `json:"kind"`
	Text string    `json:"text"`
	Tree show.Node `json:"event"`
}

func eventsOf[E any](events []E) (all []tryEvent, cut int) {
	for _, e := range events[:min(len(events), maxOutcomes)] {
		all = append(all, tryEvent{show.Kind(e), show.Text(e), show.Tree(e)})
	}
	return all, len(events) - len(all)
}

func (a aggregate[C, S, E]) try(
	ctx context.Context, src *source, s store.Stream, version uint64, wishes []wish,
) (t trial, err error) {
	defer recovered("showing what was decided", &err)
	given, all := []E(nil), true
	f, problem, err := a.upTo(ctx, src, s, version, nil)
	if err != nil || problem != "" {
		t.Problem = problem
		return t, err
	}
	t.Start = show.Tree(f.state)
	if version <= maxGiven {
		err = walk(ctx, src, s, version, func(e *store.Recorded) (err error) {
			given, err = a.m.Codec.Decode(given, []store.Recorded{*e})
			return err
		})
	} else {
		all = false
	}
	if err != nil {
		return t, err
	}
	var happened []E
	for _, w := range wishes {
		step, cmd, events := a.step(ctx, f, w)
		t.Steps = append(t.Steps, step)
		happened = append(happened, events...)
		if step.Problem == "" && all {
			t.Scenario = scenario(given, cmd, events, step.Rejected)
			given = append(given, events...)
		}
		if step.Problem != "" || ctx.Err() != nil {
			break
		}
	}
	err = a.compare(ctx, src, s, version, happened, &t)
	return t, err
}

// compare sets what really happened after a version.
func (a aggregate[C, S, E]) compare(ctx context.Context, src *source, s store.Stream, version uint64, happened []E, t *trial) error {
	page, err := src.read(ctx, s, store.ReadOptions{From: version + 1, Limit: max(20, len(happened))})
	if err != nil {
		return err
	}
	really, failed := a.m.Codec.Decode(nil, page.Events)
	if failed != nil || len(really) == 0 {
		return nil //nolint:nilerr // there is nothing to compare with
	}
	really = really[:min(len(really), max(1, len(happened)))]
	t.Really, _ = eventsOf(really)
	t.Differs = !show.Same(really, happened)
	return nil
}

// step decides a command on the state of f, and folds its events.
func (a aggregate[C, S, E]) step(ctx context.Context, f *folding[C, S, E], w wish) (step tryStep, cmd C, events []E) {
	step = tryStep{Wish: w}
	before := show.Tree(f.state)
	cmd, err := a.command(w)
	if err != nil {
		step.Problem, step.State = err.Error(), before
		return step, cmd, nil
	}
	step.Text = show.Text(cmd)
	events, rejection, err := decide(f.decider, cmd, f.state)
	switch {
	case err != nil:
		step.Problem = err.Error()
	case rejection != nil:
		step.Rejected = rejection.Error()
		step.Why = whyNot(ctx, f.decider, cmd, f.state, rejection)
	default:
		step.Events, step.Cut = eventsOf(events)
		if step.Problem = f.evolve(events); step.Problem == "" {
			step.Problem = a.encodes(events)
		}
	}
	step.State = show.Tree(f.state)
	step.Changes = show.TreeChanges(before, step.State)
	return step, cmd, events
}

// evolve folds decided events, or returns why it cannot.
func (f *folding[C, S, E]) evolve(events []E) (problem string) {
	var err error
	func() {
		defer recovered("Evolve", &err)
		for _, e := range events {
			f.state = f.decider.Evolve(f.state, e)
		}
	}()
	if err != nil {
		return err.Error()
	}
	return ""
}

// encodes returns why events could not be recorded, or "" if they could.
func (a aggregate[C, S, E]) encodes(events []E) string {
	var err error
	func() {
		defer recovered("Encode", &err)
		for _, e := range events {
			if _, err = a.m.Codec.Encode(e); err != nil {
				return
			}
		}
	}()
	if err != nil {
		return "these events cannot be recorded: " + err.Error()
	}
	return ""
}

// decide calls the decider. Its err is a panic.
func decide[C, S, E any](d decider.Decider[C, S, E], cmd C, state S) (events []E, rejection, err error) {
	defer recovered("Decide", &err)
	events, rejection = d.Decide(cmd, state)
	return events, decider.Unhandled(rejection, cmd), nil
}

// scenario returns a step of a branch as Go code for a test.
func scenario[C, E any](given []E, cmd C, then []E, rejected string) string {
	var b strings.Builder
	b.WriteString("props.Spec(t, d).\n")
	if len(given) > 0 {
		fmt.Fprintf(&b, "\tGiven(%s).\n", codes(given, "\t\t"))
	}
	fmt.Fprintf(&b, "\tWhen(%s).\n", show.Code(cmd))
	switch {
	case rejected != "":
		fmt.Fprintf(&b, "\tThenError(…) // %s", line(rejected))
	default:
		fmt.Fprintf(&b, "\tThen(%s)", codes(then, "\t\t"))
	}
	return b.String()
}

func codes[E any](events []E, indent string) string {
	all := make([]string, len(events))
	for i, e := range events {
		all[i] = show.Code(e)
	}
	if len(all) <= 1 {
		return strings.Join(all, "")
	}
	return "\n" + indent + strings.Join(all, ",\n"+indent) + ",\n" + strings.TrimSuffix(indent, "\t")
}

type tryView struct {
	view `json:"-"`

	Stream   store.Stream `json:"stream"`
	V        uint64       `json:"version"`
	Head     uint64       `json:"head"`
	Samples  []sample     `json:"commands"`
	Wishes   []wish       `json:"-"` // of the steps, to continue from
	Next     wish         `json:"-"` // that the form begins with
	Trial    trial        `json:"trial"`
	Branches bool         `json:"-"`
}

// tryPage shows what commands would do at a version of a stream. Nothing is written.
func (c *Console) tryPage(q *request) error {
	s, version, asked, err := q.streamOf()
	if err != nil {
		return err
	}
	t, ok := c.types[s.Type]
	if !ok || len(t.model.commands()) == 0 || !q.access.Data {
		return errNotFound
	}
	ctx := q.r.Context()
	page, err := q.source.read(ctx, s, store.ReadOptions{Backward: true, Limit: 1})
	if err != nil {
		return err
	}
	if !asked || version > page.Head {
		version = page.Head
	}
	wishes, err := q.wishes()
	if err != nil {
		return err
	}
	v := tryView{view: q.view("streams", "Try on "+clean(s.Type+"/"+s.ID)), Stream: s, V: version, Head: page.Head, Samples: t.model.commands(), Wishes: wishes}
	v.Next = v.Samples[0].wish(q.r.FormValue("command"))
	for _, sample := range v.Samples {
		if sample.Name == v.Next.Name && v.Next.JSON == "" {
			v.Next.JSON = sample.JSON
		}
	}
	if n := len(wishes); n > 0 {
		v.Next = wishes[n-1]
	}
	err = c.ask(ctx, func(ctx context.Context) (err error) {
		v.Trial, err = t.model.try(ctx, q.source, s, version, wishes)
		return err
	})
	if err != nil {
		return err
	}
	if n := len(v.Trial.Steps); n > 0 && v.Trial.Steps[n-1].Problem != "" {
		v.Wishes = wishes[:n-1] // it is shown in the form again
	}
	v.Branches = len(v.Wishes) > 0
	return q.answer("try", v)
}

// wish returns the command that a form begins with.
func (s sample) wish(name string) wish {
	if name == "" || name == s.Name {
		return wish(s)
	}
	return wish{Name: name}
}

// wishes returns the commands of a form: those of the branch, and one more.
func (q *request) wishes() ([]wish, error) {
	if q.r.Method != "POST" {
		return nil, nil
	}
	names, texts := q.r.PostForm["name"], q.r.PostForm["json"]
	if len(names) != len(texts) || len(names) > maxWishes {
		return nil, badRequest("A branch has at most %d commands, each with a name and fields.", maxWishes)
	}
	var all []wish
	for i := range names {
		if strings.TrimSpace(texts[i]) == "" {
			texts[i] = "{}"
		}
		all = append(all, wish{names[i], texts[i]})
	}
	return all, nil
}
