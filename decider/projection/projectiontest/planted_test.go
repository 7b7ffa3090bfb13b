package projectiontest_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// planted is a bug that the suite must find: old is replaced by with in file. In with,
// BUG is the condition that the bug is switched on, and OLD stands for old.
type planted struct {
	clause    string // finds it
	file      string
	old, with string
}

// inlineTest begins the clauses of RunInline.
const inlineTest = "inline: "

// bugs returns bugs that other projections have had, and bugs that this design invites.
func bugs() map[string]planted {
	return map[string]planted{
		"the checkpoint is saved after the read model": {
			"every event is in the read model once, whatever fails", "apply.go",
			"	if err := r.fence(tx, to); err != nil {\n		return err\n	}\n	if err := r.park",
			"	if BUG {\n		go func() { _ = r.p.target.Update(context.Background(), func(tx T) error { return r.fence(tx, to) }) }()\n" +
				"	} else if err := r.fence(tx, to); err != nil {\n		return err\n	}\n	if err := r.park",
		},
		"a refused checkpoint is ignored": {
			"a refused checkpoint leaves nothing behind", "follow.go",
			"	if errors.Is(err, store.ErrConflict) {", "	if BUG {\n		return nil\n	}\nOLD",
		},
		"the position moves before the commit": {
			"memory changes only after the commit", "apply.go",
			"	var said error // returned by do", "	was := r.at\n	defer func() { _ = was }()\n	if BUG {\n		defer func() { r.at = to }()\n	}\nOLD",
		},
		"after a refusal the batch continues where it was": {
			"events that another owner applied are not applied again", "apply.go",
			"		for len(items) > 0 && items[0].recorded.Position <= r.at.Position {", "		for !BUG && len(items) > 0 && items[0].recorded.Position <= r.at.Position {",
		},
		"a failed commit counts as made": {
			"an unknown outcome is settled by the checkpoint", "apply.go",
			"	return 0, r.settle(ctx, err)\n", "	if BUG {\n		return len(items), nil\n	}\nOLD",
		},
		"states of the previous batch are forgotten": {
			"batches of any size make the same read model", "documents.go",
			"			state, ok := states[of[i]]\n", "			state, ok := states[of[i]]\n			ok = ok && (!BUG || i > 0)\n",
		},
		"keys are loaded for each event": {
			"documents are loaded and saved once in a transaction", "documents.go",
			"			if _, ok := seen[key]; !ok {", "			if _, ok := seen[key]; !ok || BUG {",
		},
		"a failing event undoes the events before it": {
			"events before a failing event are committed, and none after it", "apply.go",
			"			return max(i, 1)", "			if BUG {\n				time.Sleep(time.Second)\n				continue\n			}\nOLD",
		},
		"a failing event is given up": {
			"a failing event blocks, visibly, until its handler works", "apply.go",
			"	failed, err := r.p.applier(ctx, &r.p.config, tx, work.events)\n",
			"OLD	if BUG && r.failing != nil && r.failing.times > 3 {\n		return nil\n	}\n",
		},
		"only the failed event is parked": {
			"parking makes later events of the key wait, and others continue", "park.go",
			"	return r.parking != nil && r.parking.key == key || r.p.live.isParked(key)", "	return r.parking != nil && r.parking.key == key || !BUG && r.p.live.isParked(key)",
		},
		"parked keys are forgotten at a restart": {
			"parking makes later events of the key wait, and others continue", "build.go",
			"	p.live.setParked(parked)", "	if !BUG {\n		p.live.setParked(parked)\n	}",
		},
		"a key is freed before its last event": {
			"unparking is in order, and new events of the key wait their turn", "unpark.go",
			"	if err != nil || len(left) > 0 {\n		return false, nil, err", "	if err != nil || len(left) > 0 && !BUG {\n		return false, nil, err",
		},
		"parked events are replayed backward": {
			"unparking is in order, and new events of the key wait their turn", "unpark.go",
			"	if len(events) > 0 && !p.effect {", "	if BUG && len(events) > 1 {\n		events[0], events[1] = events[1], events[0]\n	}\nOLD",
		},
		"unparking continues after an event that fails": {
			"an event that fails again leaves the rest parked", "unpark.go",
			"			return false, err, nil\n", "			if !BUG {\n	return false, err, nil\n			}\n",
		},
		"an error of a handler is treated as an error of the store": {
			"a failing event blocks, visibly, until its handler works", "run.go",
			"	return !errors.As(err, new(*applyError)) &&", "	return (BUG || !errors.As(err, new(*applyError))) &&",
		},
		"any number of keys is parked": {
			"no more keys are parked than allowed", "park.go",
			"|| p.live.parkedKeys() >= p.parking {", "|| !BUG && p.live.parkedKeys() >= p.parking {",
		},
		"a panic is retried like any failure": {
			"permanent failures are parked at once, others after a while", "errors.go",
			"	return errors.Is(err, ErrPermanent)", "	if BUG {\n		return false\n	}\nOLD",
		},
		"every failure is parked at once": {
			"permanent failures are parked at once, others after a while", "park.go",
			"	if !isPermanent(err) && (", "	if !BUG && !isPermanent(err) && (",
		},
		"a long attempt is the last one": {
			"permanent failures are parked at once, others after a while", "park.go",
			"r.failing.times < leastTimes || ", "!BUG && r.failing.times < leastTimes || ",
		},
		"the end of the context is a failure": {
			"the end of the context is not a failure", "apply.go",
			"		case ctx.Err() != nil:\n			return context.Cause(ctx)\n		case fenced(err)",
			"		case ctx.Err() != nil && !BUG:\n			return context.Cause(ctx)\n		case BUG && ctx.Err() != nil:\n			ctx = context.WithoutCancel(ctx)\n" +
				"			_ = r.failed(ctx, items[:n], err)\n		case fenced(err)",
		},
		"progress stays at the last event that matched": {
			"progress covers events that do not concern the projection", "follow.go",
			"	r.scanned = max(r.scanned, page.Next-1)\n", "	if !BUG {\n	r.scanned = max(r.scanned, page.Next-1)\n	}\n",
		},
		"the checkpoint stays at the last event that matched": {
			"the checkpoint moves over events that do not concern the projection", "follow.go",
			"	if r.scanned <= r.at.Position || now.Sub(r.saved) < saveEvery {", "	if BUG {\n		r.saved = now\n		return nil\n	}\nOLD",
		},
		"new event types are taken on trust": {
			"newly read event types must not be behind the checkpoint", "build.go",
			"	for _, f := range more {", "	if BUG {\n		more = nil\n	}\nOLD",
		},
		"an older program keeps the types of a newer one": {
			"newly read event types must not be behind the checkpoint", "build.go",
			"	about.Setup, about.Reads = true, p.source.Filters()", "	about.Setup = true\n	if !BUG || len(about.Reads) == 0 || len(grown(about.Reads, p.source.Filters())) > 0 {\n		about.Reads = p.source.Filters()\n	}",
		},
		"an older program passes over what a newer one has begun to read": {
			"an older program does not silently pass over events that a newer one reads", "follow.go",
			"	if err == nil && len(grown(r.p.source.Filters(), about.Reads)) > 0 {", "	if !BUG && !planted(\"an older program keeps the types of a newer one\") && err == nil && len(grown(r.p.source.Filters(), about.Reads)) > 0 {",
		},
		"the version is written and not read": {
			"versions are independent", "projection.go",
			`func (c *config) build() string { return`, "func (c *config) build() string {\n	if BUG {\n		return c.name + \"@1\"\n	}\n	return",
		},
		"setup runs at each start": {
			"setup runs once", "build.go", "	if !about.Setup && p.setup != nil {", "	if (BUG || !about.Setup) && p.setup != nil {",
		},
		"setup is committed before it has succeeded": {
			"a setup that fails ends Run", "build.go",
			"			return &userError{inSetup, err}", "			if BUG {\n				return nil\n			}\nOLD",
		},
		"a version is ready at its first end": {
			"a new version is ready once, and not before it has caught up with what readers see", "build.go",
			"		if at.Position > r.at.Position {", "		if !BUG && at.Position > r.at.Position {",
		},
		"ready is called each time": {
			"a new version is ready once, and not before it has caught up with what readers see", "build.go",
			"	if r.about.Ready || r.overtaken", "	if !BUG && r.about.Ready || r.overtaken",
		},
		"an older version becomes the active one": {
			"an older version does not take readers back", "build.go",
			"	if r.overtaken = found && is.Version > p.version; r.overtaken {", "	if r.overtaken = !BUG && found && is.Version > p.version; r.overtaken {",
		},
		"a retired version begins again": {
			"a retired version stays retired", "build.go",
			"		if about.Retired {\n			return ErrRetired", "		if !BUG && about.Retired {\n			return ErrRetired",
		},
		"an owner keeps its lease when it ends": {
			"one owner works while its lease holds, and hands over", "run.go",
			"	_ = p.leases.ReleaseLease(releasing, lease)", "	if !BUG {\n	_ = p.leases.ReleaseLease(releasing, lease)\n	}",
		},
		"an owner works without its lease": {
			"one owner works while its lease holds, and hands over", "run.go",
			"		held := new(store.LeaseHeldError)\n", "		if BUG && err != nil {\n			return lease, asked, nil\n		}\nOLD",
		},
		"an owner works without its lease, after a pause": {
			"one owner works while its lease holds, and hands over", "run.go",
			"		held := new(store.LeaseHeldError)\n",
			"		if BUG && err != nil {\n			_ = sleep(ctx, standbyPoll/2)\n			return lease, asked, nil\n		}\nOLD",
		},
		"an owner keeps working when its lease has expired": {
			"an owner that cannot extend its lease stops", "run.go",
			"errors.Is(err, store.ErrLeaseHeld), p.now()", "errors.Is(err, store.ErrLeaseHeld), !BUG && p.now()",
		},
		"a wait ends one page early": {
			"a reader sees what it waited for", "progress.go",
			"	if is.Position < position {", "	if is.Position+1 < position {\n		return false, nil\n	}\n	if !BUG && is.Position < position {",
		},
		"a wait for the impossible": {
			"waiting for the impossible is an error", "progress.go",
			"err == nil && position > head {", "err == nil && position > head && !BUG {",
		},
		"a wait ignores parked keys": {
			"parking makes later events of the key wait, and others continue", "progress.go",
			"	if parked != \"\" {\n		return true", "	if parked != \"\" && !BUG {\n		return true",
		},
		"it is live while an event fails": {
			"progress never goes back, and is not live while an event fails", "progress.go",
			"	s.is.State, s.is.Cause = Retrying, err", "	s.is.Cause = err\n	if !BUG {\n		s.is.State = Retrying\n	}",
		},
		"lag is counted from now": {
			"the lag is the age of the oldest event that waits", "progress.go",
			"	s.oldest = then", "	if s.oldest = then; BUG {\n		s.oldest = s.now()\n	}",
		},
		"the log is not looked at": {
			"a checkpoint of another log is refused, and nothing is written", "follow.go",
			"	from, err := store.Resume(ctx, r.p.log, r.at)\n", "	from, err := store.Resume(ctx, r.p.log, r.at)\n	if BUG {\n		from, err = r.at.Position+1, nil\n	}\n",
		},
		"any number of pages is read ahead": {
			"memory is bounded, whatever the backlog", "follow.go",
			"	pages := make(chan store.Page, 1)", "	ahead := 1\n	if BUG {\n		ahead = 100\n	}\n	pages := make(chan store.Page, ahead)",
		},
		"a page is one transaction however long it takes": {
			"transactions grow as long as allowed, and no longer", "apply.go",
			"	case took > r.p.atMost:", "	case took > r.p.atMost && !BUG:",
		},
		"a transaction stays small": {
			"transactions grow as long as allowed, and no longer", "apply.go",
			"		r.size = min(2*r.size, r.p.batch)", "		if !BUG {\n			r.size = min(2*r.size, r.p.batch)\n		}",
		},
		"the reader leaks": {
			"Run returns when its context ends, and continues when called again", "follow.go",
			"		for range pages { // drain it\n		}", "		for !BUG {\n			if _, ok := <-pages; !ok {\n				break\n			}\n		}\n		if BUG {\n			go func() {\n				for {\n					time.Sleep(time.Hour)\n				}\n			}()\n		}",
		},
		"an effect is delivered from the start": {
			"effects begin at the end of the log", "build.go",
			"	if known || !r.p.effect", "	if BUG || known || !r.p.effect",
		},
		"delivered events are delivered again": {
			"effects are delivered at least once, in order, and not again because another one fails", "deliver.go",
			"			if position == items[0].recorded.Position {", "			if BUG || position == items[0].recorded.Position {",
		},
		"an event of a newer schema is parked": {
			"an event of a newer schema is left to a newer program", "apply.go",
			"	if final(err) || errors.Is(err, codec.ErrNewerSchema) {", "	if final(err) || errors.Is(err, codec.ErrNewerSchema) && !BUG {",
		},
		"every partition has all keys": {
			"partitions share the keys", "deliver.go",
			"			return h.Sum64()%uint64(n) == uint64(i)", "			if BUG {\n				return true\n			}\nOLD",
		},
		"an observer ends the projection": {
			"a panic in user code harms nothing else", "observer.go",
			"	p.told(func()", "	if BUG {\n		p.observer.Observe(ctx, n)\n	}\nOLD",
		},
		"an inline append moves no checkpoint": {
			inlineTest + "an inline append is in the read model when it returns", "inline.go",
			"	err = tx.SaveCheckpoint(p.build(), at, to)\n", "	if !BUG {\n		err = tx.SaveCheckpoint(p.build(), at, to)\n	}\n",
		},
		"an inline append applies wherever the projection is": {
			inlineTest + "each event is in the read model once, inline or not", "inline.go",
			"at.Position+uint64(len(events)) != appended.Position {", "!BUG && at.Position+uint64(len(events)) != appended.Position {",
		},
		"an inline append is left to Run": {
			inlineTest + "an inline append is in the read model when it returns", "inline.go",
			"	if err != nil || !found || about.Retired || len(", "	if BUG || err != nil || !found || about.Retired || len(",
		},
		"an inline append fails with its projection": {
			inlineTest + "no append fails because of the projection", "inline.go",
			"	case errors.Is(err, errNotInline) && ctx.Err() == nil:", "	case !BUG && errors.Is(err, errNotInline) && ctx.Err() == nil:",
		},
		"an inline append does not wait behind parked events": {
			inlineTest + "no append fails because of the projection", "inline.go",
			"	if s.p.parking == 0 || len(b.events) == 0 {", "	if BUG || s.p.parking == 0 || len(b.events) == 0 {",
		},
		"a refused inline append is made without the projection": {
			inlineTest + "a refused inline append leaves nothing", "inline.go",
			"	case refused != nil:\n", "	case refused != nil && BUG:\n		return s.Store.Append(ctx, stream, store.Any, events)\nOLD",
		},
		"an inline event has no time": {
			inlineTest + "an event is the same inline and from the log", "inline.go",
			"	return page.Events, err\n", "	if BUG && err == nil {\n		page.Events[0].RecordedAt = events[0].Time\n	}\nOLD",
		},
	}
}

// TestPlanted builds the suite over a projection package with all bugs in it, each
// switched on by its name, and checks that the suite finds each.
func TestPlanted(t *testing.T) {
	t.Parallel()
	suite := buildPlanted(t)
	for name, bug := range bugs() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, found := finds(t, suite, bug.clause, name)
			clause := strings.ReplaceAll(strings.TrimPrefix(bug.clause, inlineTest), " ", "_")
			if !found || !strings.Contains(out, clause) && !strings.Contains(out, "panic: the handler is broken") {
				t.Errorf("the clause %q does not find it:\n%s", bug.clause, out)
			}
		})
	}
	for _, r := range reachings() {
		t.Run(r.bug+": "+r.says, func(t *testing.T) {
			t.Parallel()
			if out, found := finds(t, suite, r.clause, r.bug); !found || !strings.Contains(out, r.says) {
				t.Errorf("the clause %q does not say %q:\n%s", r.clause, r.says, out)
			}
		})
	}
	t.Run("without a bug", func(t *testing.T) {
		t.Parallel()
		out, err := exec.CommandContext(t.Context(), suite, "-test.run", "^TestMemory", "-test.timeout", "60s").CombinedOutput()
		if err != nil {
			t.Errorf("the suite fails without a bug: %v\n%s", err, out)
		}
	})
}

// finds runs a clause of suite with a bug, and returns what it says, and whether it
// failed. A clause that hangs has found nothing.
func finds(t *testing.T, suite, clause, bug string) (out string, found bool) {
	t.Helper()
	test := "TestMemory"
	if rest, ok := strings.CutPrefix(clause, inlineTest); ok {
		test, clause = "TestMemoryInline", rest
	}
	pattern := fmt.Sprintf("^%s$/^%s$", test, regexp.QuoteMeta(strings.ReplaceAll(clause, " ", "_")))
	run := exec.CommandContext(t.Context(), suite, "-test.run", pattern, "-test.timeout", "20s")
	run.Env = append(os.Environ(), "EVOLVE_PLANTED="+bug)
	said, err := run.CombinedOutput()
	return string(said), err != nil && !strings.Contains(string(said), "test timed out")
}

// buildPlanted returns the test program of this package, built over a projection package
// with all bugs.
func buildPlanted(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	source, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	all := bugs()
	maps.Copy(all, moreBugs())
	for _, name := range slices.Sorted(maps.Keys(all)) {
		bug := all[name]
		text, ok := files[bug.file]
		if !ok {
			data, err := os.ReadFile(filepath.Join(source, bug.file))
			if err != nil {
				t.Fatal(err)
			}
			text = string(data)
		}
		if strings.Count(text, bug.old) != 1 {
			t.Fatalf("%s: the code to change occurs in %s %d times, want once:\n%s", name, bug.file, strings.Count(text, bug.old), bug.old)
		}
		with := strings.ReplaceAll(bug.with, "OLD", bug.old)
		files[bug.file] = strings.Replace(text, bug.old, strings.ReplaceAll(with, "BUG", fmt.Sprintf("planted(%q)", name)), 1)
	}
	files["planted.go"] = "package projection\n\nimport \"os\"\n\nvar bug = os.Getenv(\"EVOLVE_PLANTED\")\n\n" +
		"func planted(name string) bool { return name == bug }\n"
	overlay := map[string]map[string]string{"Replace": {}}
	for file, text := range files {
		path := filepath.Join(dir, file)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		overlay["Replace"][filepath.Join(source, file)] = path
	}
	data, err := json.Marshal(overlay)
	if err != nil {
		t.Fatal(err)
	}
	list, suite := filepath.Join(dir, "overlay.json"), filepath.Join(dir, "suite.test")
	if err := os.WriteFile(list, data, 0o600); err != nil {
		t.Fatal(err)
	}
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-overlay", list, "-o", suite, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the suite with bugs: %v\n%s", err, out)
	}
	return suite
}
