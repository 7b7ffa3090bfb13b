package storetest_test

import (
	"context"
	"slices"
	"testing"

	"github.com/evolvego/evolve/store"
)

// wrong replaces the last event of page and changes, if there is none or the page is one of the log,
// its Head, if that is the selected answer.
func (p *erring) wrong(page store.Page, log bool, err error) (store.Page, error) {
	if err != nil || !p.a.counts("wrong") {
		return page, err
	}
	last := len(page.Events) - 1
	if last >= 0 {
		e := &page.Events[last]
		*e = store.Recorded{Event: store.Event{ID: "wrong"}, Stream: e.Stream, Version: e.Version, Position: e.Position}
	}
	if last < 0 || log {
		page.Head++
	}
	return page, nil
}

func (p *erring) Read(ctx context.Context, s store.Stream, o store.ReadOptions) (store.Page, error) {
	page, err := p.plain.Read(ctx, s, o)
	return p.wrong(page, false, err)
}

func (p *erring) ReadAll(ctx context.Context, o store.LogOptions) (store.Page, error) {
	page, err := p.plain.ReadAll(ctx, o)
	return p.wrong(page, true, err)
}

func (p *erring) Head(ctx context.Context) (uint64, error) {
	head, err := p.plain.Head(ctx)
	if p.a.counts("wrong") {
		head++
	}
	return head, err
}

func (p *erring) ReadValues(ctx context.Context, s store.Stream, from uint64) (store.Values, error) {
	values, err := p.plain.ReadValues(ctx, s, from)
	if p.a.counts("wrong") {
		values.Head++
	}
	return values, err
}

func (p *erring) Holder(ctx context.Context, key string) (store.Stream, bool, error) {
	s, held, err := p.plain.Holder(ctx, key)
	if p.a.counts("wrong") {
		return store.Stream{Type: "wrong", ID: "wrong"}, true, nil
	}
	return s, held, err
}

func (p *erring) LoadCheckpoint(ctx context.Context, name string) (store.Checkpoint, error) {
	c, err := p.plain.LoadCheckpoint(ctx, name)
	if p.a.counts("wrong") {
		return store.Checkpoint{Position: c.Position + 1, EventID: "wrong"}, nil
	}
	return c, err
}

func (p *erring) ListCheckpoints(ctx context.Context, from string, limit int) ([]store.NamedCheckpoint, error) {
	list, err := p.plain.ListCheckpoints(ctx, from, limit)
	if p.a.counts("wrong") {
		return append(list, store.NamedCheckpoint{Name: "wrong"}), nil
	}
	return list, err
}

func (p *erring) LoadSnapshot(ctx context.Context, s store.Stream, schema string) (store.Snapshot, bool, error) {
	snap, ok, err := p.plain.LoadSnapshot(ctx, s, schema)
	if p.a.counts("wrong") {
		return snap, !ok, nil
	}
	return snap, ok, err
}

func (p *erring) LoadDocuments(ctx context.Context, kind string, ids []string) ([]store.Document, error) {
	docs, err := p.plain.LoadDocuments(ctx, kind, ids)
	if p.a.counts("wrong") {
		return append(docs, store.Document{Kind: kind, ID: "wrong"}), nil
	}
	return docs, err
}

func (p *erring) ScanDocuments(ctx context.Context, kind, from, to string, limit int) ([]store.Document, error) {
	docs, err := p.plain.ScanDocuments(ctx, kind, from, to, limit)
	if p.a.counts("wrong") {
		return append(docs, store.Document{Kind: kind, ID: "wrong", Data: []byte("wrong")}), nil
	}
	return docs, err
}

func (p *erring) FindEvent(ctx context.Context, id string) (store.Recorded, bool, error) {
	r, found, err := p.plain.FindEvent(ctx, id)
	if p.a.counts("wrong") {
		return r, !found, nil
	}
	return r, found, err
}

func (p *erring) ListStreams(ctx context.Context, o store.StreamsOptions) (store.StreamsPage, error) {
	page, err := p.plain.ListStreams(ctx, o)
	if p.a.counts("wrong") {
		page.Streams = append(page.Streams, store.StreamInfo{Version: 1})
		return page, nil
	}
	return page, err
}

func (p *erring) StreamTypes(ctx context.Context) ([]string, error) {
	types, err := p.plain.StreamTypes(ctx)
	if p.a.counts("wrong") {
		return append(types, "wrong"), nil
	}
	return types, err
}

// TestEveryAnswer checks that clauses notice a wrong answer. The number of answers is
// checked too: without it, nobody would notice that a clause no longer asks for one.
func TestEveryAnswer(t *testing.T) {
	t.Parallel()
	for clause, answers := range answers() {
		check := func(t *testing.T) {
			t.Helper()
			asked, unused := answers[0], answers[1:]
			if _, n := goesAstray(clause, "wrong", 0); n != asked {
				t.Fatalf("the clause asks for %d answers, want %d; if that is right, correct answers()", n, asked)
			}
			for at := asked; at > 0; at -= 1 + max(asked-20, 0)/10 {
				if got, _ := goesAstray(clause, "wrong", at); !got.Failed() && !slices.Contains(unused, at) {
					t.Errorf("answer %d of %d is wrong, and the clause says %q", at, asked, got.said())
				}
			}
		}
		t.Run(clause, func(t *testing.T) {
			t.Parallel()
			byTheClock(t, clause, check)
		})
	}
}

// answers returns how many answers each of these clauses asks for, of reads and of writes,
// and then the numbers of those that it does not look at. Clauses are left out where
// chance decides how often they ask, or which do not look at most of the answers.
func answers() map[string][]int {
	return map[string][]int{
		"Aliases/Append changes none of its arguments":                                    {4},
		"Aliases/a page in a Buffer has the same events":                                  {132},
		"Aliases/a page with ReadOnly has the same events":                                {31},
		"Aliases/the caller can change a page":                                            {21, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20},
		"Aliases/the caller can change a page in a Buffer":                                {17, 2, 4, 6, 8, 10, 12, 14, 16},
		"Aliases/the caller can change refused events and append them":                    {4},
		"Aliases/the caller can change the events after Append":                           {24, 4, 10, 16, 22},
		"Append/Any accepts everything":                                                   {3},
		"Append/Exactly accepts one version, and a refusal leaves no gap":                 {23},
		"Append/Exactly of a version does not create a missing stream":                    {12},
		"Append/Exists accepts an existing stream and creates none":                       {6},
		"Append/NoStream creates a stream once":                                           {5},
		"Append/a batch keeps its order":                                                  {2},
		"Append/a refused batch records nothing and reserves no id":                       {12},
		"Append/returns the version and position of the last event":                       {6},
		"Append/streams are kept apart":                                                   {80},
		"Append/streams are kept apart, byte for byte":                                    {952},
		"Append/versions are 1 to n without a gap":                                        {10},
		"Checkpoints/a load returns the saved bytes":                                      {162},
		"Checkpoints/a new consumer has the zero checkpoint":                              {1},
		"Checkpoints/a save from another checkpoint is a conflict and changes nothing":    {25},
		"Checkpoints/a save to the same checkpoint changes nothing":                       {9},
		"Checkpoints/a save to zero resets it":                                            {7},
		"Checkpoints/it moves forward, to itself or to zero, with a valid name":           {23},
		"Checkpoints/names are kept apart, byte for byte":                                 {714},
		"Checkpoints/nothing is saved with an ended context":                              {6},
		"Checkpoints/they are listed in the byte order of their names":                    {133},
		"Claims/a claimed key has a holder, and a free key has none":                      {5},
		"Claims/a duplicate and a conflict are reported before a claim":                   {6},
		"Claims/a refused append leaves no claim":                                         {12},
		"Claims/a refused claim leaves no event and no other claim":                       {21, 20},
		"Claims/a released key can be taken":                                              {22},
		"Claims/a repeated append is replayed, whoever holds the keys":                    {10},
		"Claims/invalid claims are refused":                                               {54},
		"Claims/keys are kept apart, byte for byte":                                       {714},
		"Claims/nothing is claimed with an ended context":                                 {9},
		"Claims/only the holder can release a key":                                        {5},
		"Claims/only the holder can take its key again":                                   {10},
		"Claims/the append is like one without claims":                                    {7, 2, 4, 6},
		"Claims/the maximum number of claims":                                             {12},
		"Close/subscriptions end with ErrClosed":                                          {1},
		"Context/a read with an ended context fails with the error of the context":        {1},
		"Context/an append with an ended context writes nothing":                          {23},
		"Documents/a document of 1 MiB comes back":                                        {4},
		"Documents/a load returns the saved bytes, in the requested order":                {10},
		"Documents/a scan is in byte order":                                               {241},
		"Documents/a scan respects its bounds and its limit":                              {19},
		"Documents/a transaction sees what it has saved":                                  {39},
		"Documents/documents of tenants are separate":                                     {13},
		"Documents/invalid arguments are refused":                                         {40},
		"Documents/kinds and ids are kept apart, byte for byte":                           {954},
		"Documents/many documents are saved and loaded in one call":                       {8},
		"Documents/nil removes a document, and empty data does not":                       {16},
		"Documents/nothing is loaded with an ended context":                               {6},
		"Documents/the caller can change saved and loaded data":                           {36, 13, 14, 17, 18, 31, 32, 35, 36},
		"Documents/the last of several documents with one name wins":                      {9},
		"Fidelity/1 MiB of data comes back":                                               {2, 2},
		"Fidelity/a batch of 1000 comes back or is refused as invalid":                    {2},
		"Fidelity/a value comes back or is refused as invalid":                            {3},
		"Fidelity/an empty content type is stored as application octet-stream":            {2},
		"Fidelity/an event never changes":                                                 {10, 5, 6, 7},
		"Fidelity/data comes back byte for byte":                                          {2},
		"Fidelity/every schema number comes back":                                         {2},
		"Fidelity/metadata comes back byte for byte":                                      {2},
		"Fidelity/metadata comes back up to its limit":                                    {2},
		"Fidelity/names come back byte for byte":                                          {476},
		"Fidelity/the time of recording is about now":                                     {2},
		"Fidelity/the zero time is stored as the time of recording":                       {2},
		"Fidelity/times come back to the millisecond":                                     {2},
		"Finder/a stream without events is not listed":                                    {4, 2},
		"Finder/a type and a prefix select streams, byte for byte":                        {560},
		"Finder/an event is found by its id, with all its fields":                         {8},
		"Finder/an unused id is not found, byte for byte":                                 {714},
		"Finder/invalid arguments are refused":                                            {39},
		"Finder/nothing is found with an ended context":                                   {6},
		"Finder/pages follow one another, and the last one has End set":                   {616},
		"Finder/streams are listed by type and id, in byte order, with their last events": {341},
		"Finder/tenants are separate":                                                     {8},
		"Finder/the caller owns a found event":                                            {3, 2},
		"Finder/types are listed once, in byte order":                                     {151},
		"Ids/a duplicate reserves no other id of its batch":                               {6},
		"Ids/a recorded id is a duplicate, and nothing is written":                        {48},
		"Ids/a recorded id is found anywhere in a large batch":                            {33},
		"Ids/a recorded id is reported before a conflict":                                 {6},
		"Ids/a repeated batch is replayed, whatever it expects":                           {25},
		"Ids/a replay ignores metadata and time, and keeps the originals":                 {3},
		"Ids/consecutive events of several appends are replayed":                          {19, 3},
		"Ids/ids are compared byte for byte":                                              {122},
		"Invalid/an invalid stream has no events to read":                                 {16},
		"Invalid/batches that are empty or too large":                                     {37},
		"Invalid/events": {378},
		"Invalid/expected versions, including the zero Expected":                              {25},
		"Invalid/negative limits":                                                             {1},
		"Invalid/streams":                                                                     {17},
		"Invalid/too much data":                                                               {4},
		"Leases/a former holder that wakes up late releases nothing":                          {19},
		"Leases/an expired lease is granted anew, even to the same owner":                     {15},
		"Leases/it expires":                                                                   {14},
		"Leases/its owner can extend it, and the fence stays the same":                        {17},
		"Leases/its owner can make it shorter":                                                {13},
		"Leases/the fence increases with every handover":                                      {46},
		"Leases/a released lease is free at once":                                             {12},
		"Leases/invalid arguments are refused":                                                {35},
		"Leases/nothing is granted or released with an ended context":                         {8},
		"Leases/only its holder can release it":                                               {16},
		"Leases/only one owner holds it":                                                      {5},
		"Leases/the result describes the granted lease":                                       {1},
		"Log/a filter compares names byte for byte":                                           {477},
		"Log/a filter finds few events among many":                                            {20},
		"Log/a negative limit is refused":                                                     {2},
		"Log/a read with an ended context fails with the error of the context":                {4, 3, 4},
		"Log/an empty log":                                                                    {17, 2, 4, 6, 8, 10, 12},
		"Log/an event reads the same in the log and in its stream":                            {29},
		"Log/appended events are in the log at once":                                          {30},
		"Log/events with more bytes than fit into a page are read to the end":                 {23},
		"Log/pages of every size cover everything, backward":                                  {387},
		"Log/pages of every size cover everything, forward":                                   {387, 11},
		"Log/positions strictly increase and agree with the versions":                         {16, 16},
		"Log/refused events are not in the log":                                               {34, 34},
		"Log/resuming at the last Next finds exactly the new events":                          {43, 1, 2, 3, 4, 5, 9, 10, 11, 22, 25, 32, 41, 43},
		"Log/the caller can change a page":                                                    {12, 5, 7, 9, 11},
		"Log/the zero limit is the default, and large ones are possible":                      {25},
		"Read/Events yields the stream from a version on":                                     {11, 9, 10, 11},
		"Read/a missing stream is an empty page":                                              {28},
		"Read/events with more bytes than fit into a page are read to the end":                {14},
		"Read/pages of every size cover everything, backward":                                 {176},
		"Read/pages of every size cover everything, forward":                                  {137},
		"Read/resuming at the last Next finds exactly the new events":                         {12, 2},
		"Read/the zero limit is the default, and large ones are possible":                     {17, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17},
		"Refused claims/an append with claims makes no claim":                                 {6},
		"Refused subscriptions/a subscription continues":                                      {4},
		"Refused transactions/an Update fails at once, definitely, and writes nothing":        {24, 6, 7, 8, 9, 10, 11},
		"Refused/an append fails at once, definitely, and records nothing":                    {11},
		"Refused/reads continue":                                                              {4},
		"Reopened checkpoints/they are unchanged":                                             {3},
		"Reopened claims/a held key has its holder, and a released key is free":               {7},
		"Reopened documents/they are unchanged":                                               {6},
		"Reopened leases/a lease has its owner, and the fence continues":                      {4},
		"Reopened log/a consumer continues after its checkpoint":                              {6, 2},
		"Reopened log/every event has its position, and positions continue":                   {7},
		"Reopened snapshots/they are unchanged":                                               {4},
		"Reopened tenants/each tenant has its data":                                           {7},
		"Reopened/event ids are still known":                                                  {3},
		"Reopened/every event is unchanged":                                                   {12},
		"Reopened/versions continue":                                                          {5},
		"Resume/a log of other events has diverged":                                           {15, 5},
		"Resume/a log that cannot be read has not diverged":                                   {3, 3},
		"Resume/continues right after the checkpoint":                                         {20, 8, 10, 12, 14, 16, 20},
		"Snapshots/a load returns the saved bytes":                                            {36},
		"Snapshots/a missing snapshot is not found":                                           {3},
		"Snapshots/invalid arguments are refused":                                             {50},
		"Snapshots/nothing is saved with an ended context":                                    {6},
		"Snapshots/snapshots are never in the streams":                                        {9},
		"Snapshots/streams and schemas are kept apart, byte for byte":                         {1428},
		"Snapshots/the caller can change saved and loaded data":                               {5, 3, 5},
		"Snapshots/the newest snapshot wins":                                                  {18},
		"Subscribe/a filter selects exactly the matching events, replayed and live":           {62},
		"Subscribe/a slow loop gets everything, and slows down nobody else":                   {68},
		"Subscribe/backward and negative limits are refused":                                  {2},
		"Subscribe/break ends it":                                                             {5},
		"Subscribe/every kind of append wakes it":                                             {15},
		"Subscribe/from beyond the head, only events from there on arrive":                    {9, 3},
		"Subscribe/it catches up with an empty log at once":                                   {3},
		"Subscribe/later events arrive one by one":                                            {203},
		"Subscribe/resuming at any Next yields exactly the rest":                              {7},
		"Subscribe/the caller can change a page":                                              {18},
		"Subscribe/the end of its context ends it, with that error last":                      {15},
		"Subscribe/yields the log from a position on, and then reports that it has caught up": {7},
		"Tenants/checkpoints are separate":                                                    {5},
		"Tenants/claims are separate":                                                         {7},
		"Tenants/conflicts reveal nothing about another tenant":                               {6},
		"Tenants/event ids are separate":                                                      {9},
		"Tenants/leases are separate":                                                         {9},
		"Tenants/logs are separate":                                                           {57},
		"Tenants/snapshots are separate":                                                      {5},
		"Tenants/streams with the same name are separate":                                     {11},
		"Tenants/subscriptions are separate":                                                  {25},
		"Tenants/tenants are kept apart, byte for byte":                                       {476},
		"Tenants/the same id returns the same tenant":                                         {4},
		"Tenants/the store that was opened is the default tenant":                             {4},
		"Tenants/writers of two tenants never conflict":                                       {62},
		"Update/a panic rolls back, and reaches the caller unchanged":                         {25, 7, 8, 9, 10, 11, 12},
		"Update/a refused call changes nothing, and the transaction can continue":             {30},
		"Update/a repeated append in it is replayed":                                          {6},
		"Update/a transaction of a tenant writes nothing of another tenant":                   {47, 15, 16, 17, 18, 19, 20, 22, 23, 24, 25, 26, 27},
		"Update/a write to the store in its function does not wait for it":                    {19, 12},
		"Update/an error rolls back, and is returned unchanged":                               {26, 8, 9, 10, 11, 12, 13},
		"Update/it reads streams including its own appends":                                   {36},
		"Update/it sees its own writes":                                                       {16, 16},
		"Update/its function is not called with an ended context":                             {2},
		"Update/its transaction is unusable after it returns":                                 {16, 3, 4, 5, 6, 7, 8, 11, 12, 13, 14, 15, 16},
		"Update/its writes are committed together":                                            {13},
		"Update/nobody sees its writes before the commit":                                     {20, 7, 8, 9, 10, 11, 12},
		"Values/a missing stream has no values":                                               {3},
		"Values/values are those of the events, from any version on":                          {318, 318},
	}
}
