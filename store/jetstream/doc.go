// Package jetstream is the durable store in NATS JetStream, on three servers that survive
// the loss of one. It has the capabilities [store.Log], [store.Tenants], [store.Snapshots],
// [store.Checkpoints], [store.Claims], [store.Leases] and [store.Finder]. It has no [store.Documents] and no
// Update: JetStream has no transaction that a read model could be written in. So a projection
// that reads this log keeps its read model, with its checkpoint, in another store, such as
// SQLite or PostgreSQL.
//
// # Settings of the servers
//
// Appends are durable only if each server has
//
//	jetstream { sync_interval: always }
//
// Without it a server acknowledges what it has not written to its disk, and three servers
// that lose their power together lose up to two minutes of acknowledged events. A client
// cannot ask a server for this setting unless it has an account of the system; ask with
//
//	nats server report jetstream
//	nats server request jetstream --config
//
// Servers must have version 2.15.3 or later. [Open] checks that, and that the streams of the
// log have the settings that it gives them. What all stores accept needs higher limits than
// the default ones:
//
//	max_payload: 8MB  # an event, with its metadata, is a message
//	jetstream {
//	  store_dir: "/var/lib/nats"
//	  sync_interval: always
//	  limits { batch { max_msgs: 4096, max_inflight_per_stream: 200 } }
//	}
//
// With the default limits, 1 MB and 1,000 messages, an append of more than 500 events, or of
// a larger event, is a *[store.InvalidError] that says so.
//
// # Order and conditions
//
// A log is one stream of JetStream, and an event is one message in it: the data, with the
// metadata in headers, so that every client of NATS can read it. The position of an event is
// the sequence of its message. Positions increase, with gaps. All tenants share one order,
// in which each sees its own events.
//
// An append is one atomic batch: a message for each event id, a message for each claim, and
// the events. Each of these subjects is expected to be as the store has seen it. So a batch
// is recorded only if nothing has changed, and at most one attempt to make an append can be
// recorded, however often it is sent. Appends that arrive while a batch is under way share
// the next one.
//
// A refusal rests on an answer that is not older than the call: the store first has a
// majority of the servers record a message, and then only believes a server that has it. A
// leader that was paused or cut off cannot make the store refuse what was recorded. That
// costs a refusal one more write.
//
// # Reads
//
// [Store.Read] and [Store.Holder] return what was appended before the call, whoever has
// appended it. They too have a message recorded first, one for all reads that wait, and then
// ask any replica. [WithLeaderReads] leaves that out. That is faster, by the time of a write,
// but next to a leader that was cut off, a read can be old for up to 20 seconds. The default
// is the safe one, because a program that decides on what it reads, and then does not append,
// would not notice.
//
// The log is read from its leader: [Store.ReadAll], [Store.Head] and [Store.Subscribe] never
// skip an event, but may not know of the last ones for as long. So are snapshots, checkpoints
// and leases, of which a write that rests on an old one is refused.
//
// # Cost
//
// Each event is two messages, and each event id is a subject, that every server keeps in its
// memory: about 115 bytes for each event, for ever, and 500 for those of the last minutes. See
// [WithIDsFor] for another choice. After a server was killed it may read the whole log to find
// them.
//
// # Errors
//
// What the servers answer, or that they do not answer, is an *[Error], and the outcome of an
// append is then unknown; append the same events again to settle it. A call tries again for
// up to 30 seconds, or until its context ends, while the log has no leader. An answer that
// comes within 100 ms after the context of its call has ended is taken.
//
// # Full servers
//
// If the log has reached the max_bytes of its stream, or the account its limit, an append
// fails with [ErrFull] and [store.ErrRefused]: nothing of it was recorded. Reads go on, and are
// those of [WithLeaderReads] meanwhile, because no message can be recorded before them.
//
// A server that has used its max_file_store gives up the lead of the log, and another one takes
// over. If all have, the first append fails in the same way after ten seconds. From then on
// the log has no leader, and everything is [ErrUnavailable]. The same happens if the disks
// are full before max_file_store is reached; then the outcome of the first append is unknown
// too, and the servers must be started again when there is room. So set max_file_store below
// what the disk has, and have an alarm well below that.
//
// With one replica, a server whose disk is full may show a part of the append that has filled
// it. It completes that append when it is started again with more room.
//
// No event can be deleted. Encrypt what must be forgotten, and forget the key.
package jetstream
