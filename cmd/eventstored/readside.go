package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/decider/process"
	"github.com/evolvego/evolve/decider/projection"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
	"github.com/evolvego/evolve/store/open"
	"github.com/evolvego/evolve/store/postgres"
	"github.com/evolvego/evolve/store/sqlite"
)

// target is a store that can hold read models and processes.
type target interface {
	open.Backend
	store.Documents
	store.Checkpoints
}

func targetOf(st open.Backend) (target, error) {
	t, ok := st.(target)
	if !ok {
		return nil, fmt.Errorf("a %T has no read models: use the store behind the server, or the store of the read model", st)
	}
	return t, nil
}

// documentsOf calls each for every document of kind.
func documentsOf(ctx context.Context, t store.Documents, kind string, each func(store.Document) error) error {
	for from := ""; ; {
		docs, err := t.ScanDocuments(ctx, kind, from, "", store.DefaultLimit)
		if err != nil {
			return err
		}
		for _, d := range docs {
			if err := each(d); err != nil {
				return fmt.Errorf("document %q of kind %q: %w", d.ID, kind, err)
			}
		}
		if len(docs) < store.DefaultLimit {
			return nil
		}
		from = docs[len(docs)-1].ID + "\x01"
	}
}

// printRows prints rows as a table, or as JSON objects.
func printRows[R any](w io.Writer, asJSON bool, header string, rows []R, line func(R) string) error {
	if asJSON {
		encoder := json.NewEncoder(w)
		encoder.SetEscapeHTML(false)
		for _, r := range rows {
			if err := encoder.Encode(r); err != nil {
				return err
			}
		}
		return nil
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, header)
	for _, r := range rows {
		fmt.Fprintln(table, line(r))
	}
	return table.Flush()
}

// buildRow is a version of a projection or a process.
type buildRow struct {
	Build       string `json:"build"`
	State       string `json:"state,omitempty"` // for a projection: building, ready, active or retired
	Position    uint64 `json:"position"`
	Lag         uint64 `json:"lag"` // from there to the head of the log in the same store
	Parked      int    `json:"parked,omitempty"`
	Waiting     int    `json:"waiting,omitempty"`
	Quarantined int    `json:"quarantined,omitempty"`
}

// stuckRow is a parked key, or a waiting instance.
type stuckRow struct {
	ID          string    `json:"id"`
	Position    uint64    `json:"position"` // of the event that failed
	Attempts    int       `json:"attempts"`
	Since       time.Time `json:"since"`
	Quarantined bool      `json:"quarantined,omitempty"`
	Cause       string    `json:"cause,omitempty"`
}

func (s stuckRow) line() string {
	return fmt.Sprintf("%s\t%d\t%d\t%s\t%q", s.ID, s.Position, s.Attempts, s.Since.Format(time.RFC3339), s.Cause)
}

// at sets the position of b.
func (b *buildRow) at(ctx context.Context, t target, checkpoint string) error {
	c, err := t.LoadCheckpoint(ctx, checkpoint)
	if err != nil {
		return err
	}
	head, err := t.Head(ctx)
	b.Position, b.Lag = c.Position, head-min(head, c.Position)
	return err
}

// projections lists the projections in a store, or the parked keys of one, or retires
// one.
func projections(ctx context.Context, args []string, e env) error {
	var of source
	f := flags("projections")
	of.add(f)
	retire := f.Bool("retire", false, "end NAME@VERSION forever: remove its checkpoint, its parked events and its documents; your own tables stay")
	yes := f.Bool("yes", false, "make the change, instead of printing what would change")
	asJSON := f.Bool("json", false, "print JSON objects, one per line")
	operands, err := parseFlags(e, f, args, 0, 1)
	if err != nil {
		return err
	}
	switch {
	case *retire && len(operands) == 0:
		return fmt.Errorf("%w: projections: NAME@VERSION is missing", errUsage)
	case *yes && !*retire:
		return fmt.Errorf("%w: projections: -yes needs -retire", errUsage)
	case *retire && *yes:
		return of.writing(ctx, func(st open.Backend) error {
			err := onTarget(ctx, st, operands[0], desk{projection: func(p retirer) error { return p.Retire(ctx) }})
			return done(e, err, "retired %s\n", operands[0])
		})
	}
	return of.reading(ctx, func(st open.Backend) error {
		t, err := targetOf(st)
		switch {
		case err != nil:
			return err
		case *retire:
			_, err := fmt.Fprintf(e.stdout, "would retire %s: stop its instances, and repeat with -yes\n", operands[0])
			return err
		case len(operands) == 1:
			rows, err := parkedKeys(ctx, t, operands[0])
			if err != nil {
				return err
			}
			return printRows(e.stdout, *asJSON, "KEY\tPOSITION\tATTEMPTS\tSINCE\tCAUSE", rows, stuckRow.line)
		}
		rows, err := projectionBuilds(ctx, t)
		if err != nil {
			return err
		}
		return printRows(e.stdout, *asJSON, "PROJECTION\tSTATE\tPOSITION\tLAG\tPARKED", rows, func(b buildRow) string {
			return fmt.Sprintf("%s\t%s\t%d\t%d\t%d", b.Build, b.State, b.Position, b.Lag, b.Parked)
		})
	})
}

// projectionBuilds returns the versions of projections in t.
func projectionBuilds(ctx context.Context, t target) ([]buildRow, error) {
	active := make(map[string]bool)
	err := documentsOf(ctx, t, "evolve/active", func(d store.Document) error {
		var is struct{ Build string }
		err := json.Unmarshal(d.Data, &is)
		active[is.Build] = true
		return err
	})
	if err != nil {
		return nil, err
	}
	var rows []buildRow
	err = documentsOf(ctx, t, "evolve/projections", func(d store.Document) error {
		var about struct{ Ready, Retired bool }
		if err := json.Unmarshal(d.Data, &about); err != nil {
			return err
		}
		b := buildRow{Build: d.ID, State: "building"}
		switch {
		case about.Retired:
			b.State = "retired"
		case active[d.ID]:
			b.State = "active"
		case about.Ready:
			b.State = "ready"
		}
		parked, err := parkedKeys(ctx, t, d.ID)
		if err != nil {
			return err
		}
		b.Parked = len(parked)
		if err := b.at(ctx, t, d.ID); err != nil {
			return err
		}
		rows = append(rows, b)
		return nil
	})
	return rows, err
}

// parkedKeys returns the parked keys of a version of a projection.
func parkedKeys(ctx context.Context, t target, build string) (rows []stuckRow, err error) {
	err = documentsOf(ctx, t, "evolve/parked/"+build, func(d store.Document) error {
		var row stuckRow
		err := json.Unmarshal(d.Data, &row)
		row.ID = d.ID
		rows = append(rows, row)
		return err
	})
	return rows, err
}

// processes lists the processes in a store, or the waiting instances of one, or
// releases or abandons one of these.
func processes(ctx context.Context, args []string, e env) error {
	var of source
	f := flags("processes")
	of.add(f)
	release := f.String("release", "", "retry the waiting `INSTANCE` of NAME@VERSION, from the input that failed")
	abandon := f.String("abandon", "", "end the `INSTANCE` of NAME@VERSION forever: stop its timers, and drop its waiting inputs")
	yes := f.Bool("yes", false, "make the change, instead of printing what would change")
	asJSON := f.Bool("json", false, "print JSON objects, one per line")
	operands, err := parseFlags(e, f, args, 0, 1)
	if err != nil {
		return err
	}
	what, instance := "release", *release
	if *abandon != "" {
		what, instance = "abandon", *abandon
	}
	switch {
	case *release != "" && *abandon != "":
		return fmt.Errorf("%w: processes: -release and -abandon exclude each other", errUsage)
	case instance != "" && len(operands) == 0:
		return fmt.Errorf("%w: processes: NAME@VERSION is missing", errUsage)
	case *yes && instance == "":
		return fmt.Errorf("%w: processes: -yes needs -release or -abandon", errUsage)
	case *yes:
		return of.writing(ctx, func(st open.Backend) error {
			err := onTarget(ctx, st, operands[0], desk{process: func(p amender) error {
				if *abandon != "" {
					return p.Abandon(ctx, instance)
				}
				return p.Release(ctx, instance)
			}})
			return done(e, err, "%s %s of %s\n", map[string]string{"release": "released", "abandon": "abandoned"}[what], instance, operands[0])
		})
	}
	return of.reading(ctx, func(st open.Backend) error {
		t, err := targetOf(st)
		switch {
		case err != nil:
			return err
		case instance != "":
			_, err := fmt.Fprintf(e.stdout, "would %s %s of %s: repeat with -yes\n", what, instance, operands[0])
			return err
		case len(operands) == 1:
			rows, err := waitingInstances(ctx, t, operands[0])
			if err != nil {
				return err
			}
			return printRows(e.stdout, *asJSON, "INSTANCE\tPOSITION\tATTEMPTS\tSINCE\tCAUSE", rows, stuckRow.line)
		}
		rows, err := processBuilds(ctx, t)
		if err != nil {
			return err
		}
		return printRows(e.stdout, *asJSON, "PROCESS\tPOSITION\tLAG\tWAITING\tQUARANTINED", rows, func(b buildRow) string {
			return fmt.Sprintf("%s\t%d\t%d\t%d\t%d", b.Build, b.Position, b.Lag, b.Waiting, b.Quarantined)
		})
	})
}

// ofProcess is the prefix of the names of checkpoints of processes.
const ofProcess = "process/"

// processBuilds returns the versions of processes in t.
func processBuilds(ctx context.Context, t target) ([]buildRow, error) {
	all, err := allCheckpoints(ctx, t)
	if err != nil {
		return nil, err
	}
	var rows []buildRow
	for _, c := range all {
		build, ok := strings.CutPrefix(c.Name, ofProcess)
		if !ok || !named.MatchString(build) {
			continue
		}
		b := buildRow{Build: build}
		waiting, err := waitingInstances(ctx, t, build)
		if err != nil {
			return nil, err
		}
		for _, w := range waiting {
			b.Waiting++
			if w.Quarantined {
				b.Quarantined++
			}
		}
		if err := b.at(ctx, t, c.Name); err != nil {
			return nil, err
		}
		rows = append(rows, b)
	}
	return rows, nil
}

// waitingInstances returns the instances of a version of a process that wait,
// quarantined or not.
func waitingInstances(ctx context.Context, t target, build string) (rows []stuckRow, err error) {
	var ids []string
	err = documentsOf(ctx, t, "process/"+build+"/marked", func(d store.Document) error {
		ids = append(ids, d.ID)
		return nil
	})
	for len(ids) > 0 && err == nil {
		var docs []store.Document
		part := ids[:min(len(ids), store.DefaultLimit)]
		ids = ids[len(part):]
		if docs, err = t.LoadDocuments(ctx, "process/"+build+"/instance", part); err != nil {
			return nil, err
		}
		for _, d := range docs {
			var note struct {
				Failing *struct {
					stuckRow

					At struct {
						Position uint64 `json:"position"`
					} `json:"at"`
				} `json:"failing"`
			}
			if err := json.Unmarshal(d.Data, &note); err != nil {
				return nil, err
			}
			if w := note.Failing; w != nil {
				w.ID, w.Position = d.ID, w.At.Position
				rows = append(rows, w.stuckRow)
			}
		}
	}
	return rows, err
}

var named = regexp.MustCompile(`^(.+)@(\d+)$`)

// retirer is a projection and amender a process, without the types of their events.
type (
	retirer interface {
		Retire(ctx context.Context) error
	}
	amender interface {
		Release(ctx context.Context, instance string) error
		Abandon(ctx context.Context, instance string) error
		Skip(ctx context.Context, instance string, position uint64) error
	}
)

// desk has the functions for a projection and for a process.
type desk struct {
	projection func(retirer) error
	process    func(amender) error
}

// onTarget calls the function of d with the version in st that build names.
func onTarget(ctx context.Context, st open.Backend, build string, d desk) error {
	switch st := st.(type) {
	case *memory.Store:
		return at[*memory.Tx](ctx, st, st, build, d)
	case *sqlite.Store:
		return at[*sqlite.Tx](ctx, st, st, build, d)
	case *postgres.Store:
		return at[*postgres.Tx](ctx, st, st, build, d)
	}
	_, err := targetOf(st)
	return errors.Join(err, fmt.Errorf("a %T has no read models", st))
}

// nothing is the type of the events and commands of a stand-in.
type nothing struct{}

// at calls the function of d with a stand-in for the projection or process of that
// name. The stand-in handles no events, but it has access to the records of the
// original.
func at[T projection.Tx](ctx context.Context, t target, in projection.Target[T], build string, d desk) error {
	match := named.FindStringSubmatch(build)
	if match == nil {
		return fmt.Errorf("%w: %q is not NAME@VERSION", errUsage, build)
	}
	version, err := strconv.Atoi(match[2])
	if err != nil || version < 1 || len(match[1]) > store.MaxName/2 || store.ValidateConsumer(match[1]) != nil {
		return fmt.Errorf("%w: %q is not NAME@VERSION", errUsage, build)
	}
	if there, err := isThere(ctx, t, build, d); err != nil || !there {
		return errors.Join(err, fmt.Errorf("there is no %s in this store", build))
	}
	source := codec.Events(codec.From("none of "+match[1], codec.JSON(map[string]nothing{"Nothing": {}}), func(*store.Recorded, nothing) nothing { return nothing{} }))
	if d.process != nil {
		p := decider.Process[nothing, nothing, nothing]{
			Evolve: func(s, _ nothing) nothing { return s },
			React:  func(nothing, nothing) decider.Reaction[nothing, nothing] { return decider.Reaction[nothing, nothing]{} },
			Key:    func(nothing) (string, bool) { return "", false },
		}
		return d.process(process.New(t, in, match[1], p, source).WithVersion(version))
	}
	return d.projection(projection.New(t, in, match[1], source, func(context.Context, T, projection.Event[nothing]) error { return nil }).WithVersion(version))
}

// isThere reports whether t has a projection or process called build.
func isThere(ctx context.Context, t target, build string, d desk) (bool, error) {
	if d.process != nil {
		c, err := t.LoadCheckpoint(ctx, ofProcess+build)
		return c != (store.Checkpoint{}), err
	}
	docs, err := t.LoadDocuments(ctx, "evolve/projections", []string{build})
	return err == nil && docs[0].Data != nil, err
}

// done prints what was done, unless err is set.
func done(e env, err error, format string, args ...any) error {
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.stdout, format, args...)
	return err
}
