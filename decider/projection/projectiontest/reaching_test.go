package projectiontest_test

// reaching is a bug for one assertion of a clause, and a part of the assertion's message.
type reaching struct{ clause, bug, says string }

// reachings returns bugs for assertions that no other bug reaches.
func reachings() []reaching {
	const inlineFails = inlineTest + "no append fails because of the projection"
	return []reaching{
		{"versions are independent", "all versions park under one name", "want 0 keys"},
		{"versions are independent", "nothing can be unparked", `Unpark("Thing/b") =`},
		{"versions are independent", "the end of the context is no error", "want the error of its context"},
		{"setup runs once", "the end of the context is no error", "want the error of its context"},
		{"a setup that fails ends Run", "a failed projection is idle", "after a setup that"},
		{"a setup that fails ends Run", "a failed setup is committed", "has left"},
		{"a new version is ready once, and not before it has caught up with what readers see", "the last version is ready each time", "by version 3, want 2"},
		{"a retired version stays retired", "an active version can be retired", "want ErrActive"},
		{"a retired version stays retired", "a version is retired once", "Retire ="},
		{"a retired version stays retired", "a retired version keeps its checkpoint", "the retired version has left"},
		{"a retired version stays retired", "a retired version keeps its parked keys", "want 0 keys"},
		{"a checkpoint of another log is refused, and nothing is written", "a checkpoint is moved before the log is looked at", "of another log has written"},
		{"a checkpoint of another log is refused, and nothing is written", "another log is retried", "whose checkpoint became that of another log"},
		{"an event of a newer schema is left to a newer program", "an outdated projection has no cause", "the newer schema at"},

		{"newly read event types must not be behind the checkpoint", "an older program keeps the types of a newer one", "after an older program has passed over"},

		{inlineTest + "an inline append is in the read model when it returns", "the inline store has only events", "has lost the log"},
		{inlineTest + "each event is in the read model once, inline or not", "an inline append reports a failure", "append: "},
		{inlineFails, "only one parked key is listed", "want 2 keys"},
		{inlineFails, "nothing can be unparked", `Unpark("Thing/`},
		{inlineTest + "a refused inline append leaves nothing", "an inline replay is not reported", "replayed: true"},
		{inlineTest + "a refused inline append leaves nothing", "an inline append is left to Run", "moved the checkpoint from"},

		{"batches of any size make the same read model", "documents cannot be scanned", "Scan of"},
		{"documents are loaded and saved once in a transaction", "a table is not loaded", "Load was not called"},
		{"documents are loaded and saved once in a transaction", "documents are saved without their state", "; want "},
		{"one owner works while its lease holds, and hands over", "the lease is asked for rarely", "handing over took"},
		{"one owner works while its lease holds, and hands over", "the lease is released too early", "two instances worked at once"},
		{"Run returns when its context ends, and continues when called again", "the end of the context is no error", "want the error of its context"},
		{"Run returns when its context ends, and continues when called again", "a projection that has ended stands by", "after Run the progress is"},
		{"Run returns when its context ends, and continues when called again", "nothing is run on an ended context", "on a context that has ended"},

		{"events before a failing event are committed, and none after it", "progress is reported before the commit", "want the one before"},
		{"events before a failing event are committed, and none after it", "an error does not name its event", "want an *EventError"},
		{"a failing event blocks, visibly, until its handler works", "nobody knows since when it fails", "want that it retries because of it"},
		{"a failing event blocks, visibly, until its handler works", "a success is an attempt", "want no cause and no attempts"},
		{"parking makes later events of the key wait, and others continue", "parked keys are not counted after a restart", "keys are parked by the progress"},
		{"parking makes later events of the key wait, and others continue", "attempts of a parked key are lost", "want also the cause"},
		{"unparking is in order, and new events of the key wait their turn", "nothing can be unparked", "Unpark while more events"},
		{"unparking is in order, and new events of the key wait their turn", "a key that is free cannot be unparked", `Unpark("Thing/b") =`},
		{"unparking is in order, and new events of the key wait their turn", "parked keys cannot be listed", "Parked ="},
		{"an event that fails again leaves the rest parked", "a key that failed again stays parked", `Unpark("Thing/b") =`},
		{"no more keys are parked than allowed", "only one parked key is listed", "want 2 keys"},
		{"no more keys are parked than allowed", "progress moves at the end of a page", "blocks, want the one before"},
		{"permanent failures are parked at once, others after a while", "only one parked key is listed", "want 4 keys"},
		{"permanent failures are parked at once, others after a while", "a key is parked after its event", "is parked at"},
		{"the end of the context is not a failure", "the end of the context is no error", "want the error of its context"},
		{"a panic in user code harms nothing else", "a panic of an observer is not told", "want the observer's panic"},
		{"a panic in user code harms nothing else", "an error does not name its event", "want an *EventError that names the event"},

		{"progress covers events that do not concern the projection", "it is never live", "want that it is live"},
		{"the checkpoint moves over events that do not concern the projection", "a checkpoint names another event", "want the last event"},
		{"waiting for the impossible is an error", "a wait ends without a message", "want a message that it is idle"},
		{"waiting for the impossible is an error", "a wait ends without the cause", "want the cause"},
		{"waiting for the impossible is an error", "a failed projection is idle", "WaitFor after Run has failed"},
		{"progress never goes back, and is not live while an event fails", "the head stays behind", "up to the head"},
		{"progress never goes back, and is not live while an event fails", "it is live while an event fails", "it is live, but has a cause"},
		{"progress never goes back, and is not live while an event fails", "it is live while an event fails", "want that it retries, at the position before"},
		{"the lag is the age of the oldest event that waits", "without events the lag is long", "at the end of the log the lag is"},
		{"the lag is the age of the oldest event that waits", "the lag stays", "when the event has succeeded the lag is"},
		{"the lag is the age of the oldest event that waits", "half of the lag limit is unhealthy", "want that it is healthy"},
		{"transactions grow as long as allowed, and no longer", "transactions never have less than 8 events", "transactions took longer than"},
		{"effects are delivered at least once, in order, and not again because another one fails", "a key gets no more effects", "events were delivered"},
	}
}

// moreBugs returns the bugs of reachings that are not in bugs.
func moreBugs() map[string]planted {
	return map[string]planted{
		"all versions park under one name": {
			file: "notes.go", old: `{ return "evolve/parked/" + c.build() }`,
			with: "{\n	if BUG {\n		return \"evolve/parked/\" + c.name\n	}\n	return \"evolve/parked/\" + c.build()\n}",
		},
		"nothing can be unparked": {
			file: "unpark.go", old: "	for limit := pageSize; ; {\n", with: "	if BUG {\n		return errBeaten\n	}\nOLD",
		},
		"the end of the context is no error": {
			file: "run.go", old: "		case ctx.Err() != nil:\n			return ctx.Err()\n", with: "		case ctx.Err() != nil && BUG:\n			return nil\nOLD",
		},
		"a failed projection is idle": {
			file: "run.go", old: "		s.is.State, s.is.Cause = Failed, err\n", with: "		if !BUG {\nOLD		}\n",
		},
		"a failed setup is committed": {
			file: "build.go", old: "		err = r.p.target.Update(ctx, func(tx T) error { return r.begin(ctx, tx, start, known, about) })\n",
			with: "		if BUG {\n			var failed error\n			err = r.p.target.Update(ctx, func(tx T) error { failed = r.begin(ctx, tx, start, known, about); return nil })\n			err = errors.Join(err, failed)\n		} else {\nOLD		}\n",
		},
		"the last version is ready each time": {
			file: "build.go", old: "becomeReady(ctx context.Context, now time.Time) error {\n",
			with: "OLD	if BUG && r.p.version == 3 {\n		r.about.Ready = false\n	}\n",
		},
		"an active version can be retired": {
			file: "build.go", old: "err != nil || found && is.Build == p.build() {", with: "err != nil || !BUG && found && is.Build == p.build() {",
		},
		"a version is retired once": {
			file: "build.go", old: "&about); err != nil || about.Retired {\n			return err\n", with: "&about); err != nil || about.Retired {\n			if BUG {\n				return ErrRetired\n			}\n			return err\n",
		},
		"a retired version keeps its checkpoint": {
			file: "build.go", old: "		if err := tx.SaveCheckpoint(p.build(), at, store.Checkpoint{}); err != nil {",
			with: "		to := store.Checkpoint{}\n		if BUG {\n			to = at\n		}\n		if err := tx.SaveCheckpoint(p.build(), at, to); err != nil {",
		},
		"a retired version keeps its parked keys": {
			file: "build.go", old: "		for more := true; more && err == nil; {\n", with: "		for more := !BUG; more && err == nil; {\n",
		},
		"a checkpoint is moved before the log is looked at": {
			file: "build.go", old: "		return at, nil\n	}\n	page, err :=", with: "		if BUG && at.Position > 0 {\n			at.Position++\n		}\nOLD",
		},
		"another log is retried": {
			file: "run.go", old: "		case final(err):\n			err =", with: "		case final(err) && !(BUG && p.Progress().Position > 0):\n			err =",
		},
		"an outdated projection has no cause": {
			file: "run.go", old: "	s.is.State, s.is.Cause = Outdated, err\n", with: "OLD	if BUG {\n		s.is.Cause = nil\n	}\n",
		},

		"the inline store has only events": {
			file: "inline.go", old: "	if c, ok := st.(capable); ok {", with: "	if c, ok := st.(capable); ok && !BUG {",
		},
		"an inline append reports a failure": {
			file: "inline.go", old: "	if moved.Position > 0 {\n", with: "	if BUG {\n		return appended, ErrFenced\n	}\nOLD",
		},
		"an inline replay is not reported": {
			file: "inline.go", old: "	return appended, nil\n", with: "	if BUG {\n		appended.Replayed = false\n	}\nOLD",
		},

		"documents cannot be scanned": {
			file: "documents.go", old: "	states := make([]Entry[S], len(docs))\n", with: "	if BUG {\n		return nil, ErrParked\n	}\nOLD",
		},
		"a table is not loaded": {
			file: "documents.go", old: "		return f.table.Load(ctx, tx, keys)\n", with: "		if BUG {\n			return nil, nil\n		}\nOLD",
		},
		"documents are saved without their state": {
			file: "documents.go", old: "		data, err := f.json.Marshal(states[key])\n", with: "		if BUG {\n			delete(states, key)\n		}\nOLD",
		},
		"the lease is asked for rarely": {
			file: "run.go", old: "min(max(left, standbyPoll/100), standbyPoll)); err != nil {",
			with: "min(max(left, standbyPoll/100), map[bool]time.Duration{false: 1, true: 10}[BUG]*standbyPoll)); err != nil {",
		},
		"the lease is released too early": {
			file: "run.go", old: "	err = p.asOwner(working, work)\n",
			with: "	if do := work; BUG {\n		context.AfterFunc(ctx, func() { _ = p.leases.ReleaseLease(context.WithoutCancel(ctx), lease) })\n" +
				"		work = func(ctx context.Context) error {\n			defer time.Sleep(3 * standbyPoll / 2)\n			return do(ctx)\n		}\n	}\nOLD",
		},
		"a projection that has ended stands by": {
			file: "run.go", old: "	s.is.State = Idle\n", with: "	if !BUG {\nOLD	}\n",
		},
		"nothing is run on an ended context": {
			file: "run.go", old: "	var pauses backoff\n	for {\n", with: "	if BUG && ctx.Err() != nil {\n		return nil\n	}\nOLD",
		},

		"progress is reported before the commit": {
			file: "apply.go", old: "		r.alone = r.itemOf(bad.index).recorded.Position // apply what is before it first\n",
			with: "		if BUG {\n			r.p.live.committed(r.itemOf(bad.index).recorded.Position - 1)\n			r.p.live.failing(err)\n			return sleep(ctx, time.Second)\n		}\nOLD",
		},
		"an error does not name its event": {
			file: "apply.go", old: "	err = eventError(r.p.build(), it.recorded, bad.err)\n", with: "OLD	if BUG {\n		err = bad.err\n	}\n",
		},
		"nobody knows since when it fails": {
			file: "progress.go", old: "	if s.is.Cause == nil {\n", with: "	if s.is.Cause == nil && !BUG {\n",
		},
		"a success is an attempt": {
			file: "progress.go", old: "	s.is.State = s.working(live)\n", with: "OLD	if BUG {\n		s.is.Attempts++\n	}\n",
		},
		"parked keys are not counted after a restart": {
			file: "parked.go", old: "	s.is.Parked = len(parked)\n", with: "	if !BUG {\nOLD	}\n",
		},
		"attempts of a parked key are lost": {
			file: "park.go", old: "	why := parkedKey{Position:", with: "	if BUG {\n		attempts = 0\n	}\nOLD",
		},
		"a key that is free cannot be unparked": {
			file: "unpark.go", old: "	events, err := p.readParked(ctx, ids)\n", with: "	if BUG && len(ids) == 0 {\n		return false, 0, ErrParked\n	}\nOLD",
		},
		"parked keys cannot be listed": {
			file: "parked.go", old: "	var all []Parked\n", with: "	if BUG {\n		return nil, ErrParked\n	}\nOLD",
		},
		"a key that failed again stays parked": {
			file: "unpark.go", old: "		why.Attempts++\n",
			with: "OLD		if BUG { // an event that the log does not have\n			docs := []store.Document{{Kind: p.kindEvents(), ID: parkedID(key, 1<<40, 0), Data: []byte(key)}}\n" +
				"			_ = tx.SaveDocuments(docs)\n		}\n",
		},
		"only one parked key is listed": {
			file: "parked.go", old: "	return all, nil\n", with: "	if BUG {\n		all = all[:min(1, len(all))]\n	}\nOLD",
		},
		"progress moves at the end of a page": {
			file: "progress.go", old: "func (s *status) committed(position uint64) {\n", with: "OLD	if BUG {\n		position = 0\n	}\n",
		},
		"a key is parked after its event": {
			file: "park.go", old: "	r.parking = &parking{key: key, why: why, err: err}\n", with: "	if BUG {\n		why.Position++\n	}\nOLD",
		},
		"a panic of an observer is not told": {
			file: "observer.go", old: "		p.live.change(func(s *Progress) { s.Fault = err })\n", with: "		if !BUG {\nOLD		}\n",
		},

		"it is never live": {
			file: "progress.go", old: "	case live:\n", with: "	case live && !BUG:\n",
		},
		"a checkpoint names another event": {
			file: "follow.go", old: "	err = r.p.target.Update(ctx, func(tx T) error {\n		if err := r.fence(tx, to)", with: "	if BUG {\n		to.EventID = \"another\"\n	}\nOLD",
		},
		"a wait ends without a message": {
			file: "progress.go", old: "	is := p.Progress()\n", with: "	if BUG {\n		return ctx.Err()\n	}\nOLD",
		},
		"a wait ends without the cause": {
			file: "progress.go", old: "	if is.Cause != nil {\n		err =", with: "	if is.Cause != nil && !BUG {\n		err =",
		},
		"the head stays behind": {
			file: "progress.go", old: "	s.is.Head = max(s.is.Head, position)\n	if s.is.Cause", with: "	if !BUG {\n		s.is.Head = max(s.is.Head, position)\n	}\n	if s.is.Cause",
		},
		"without events the lag is long": {
			file: "progress.go", old: "	if !s.oldest.IsZero() {", with: "	if BUG || !s.oldest.IsZero() {",
		},
		"the lag stays": {
			file: "progress.go", old: "	if live {\n", with: "	if live && !BUG {\n",
		},
		"half of the lag limit is unhealthy": {
			file: "health.go", old: "is.Lag > p.lagLimit:", with: "(is.Lag > p.lagLimit || BUG && is.Lag > p.lagLimit/4):",
		},
		"transactions never have less than 8 events": {
			file: "apply.go", old: "		r.size = max(1, len(items)/2, int(fit))\n", with: "OLD		if BUG {\n			r.size = max(r.size, 8)\n		}\n",
		},
		"a key gets no more effects": {
			file: "deliver.go", old: "		_, err := r.p.applier(ctx, &r.p.config, none, w.events[i:i+1])\n",
			with: "		if e := w.events[i].Recorded; BUG && e.Stream.ID == \"d\" && e.Position > 30 {\n			continue\n		}\nOLD",
		},
	}
}
