// Package jetstream is the durable store in NATS JetStream, on three servers that
// survive the loss of one. It has the capabilities [store.Log], [store.Tenants],
// [store.Snapshots], [store.Checkpoints], [store.Claims], [store.Leases] and
// [store.Finder]. It has no [store.Documents] and no Update, because JetStream has no
// transaction in which a read model could be written. So a projection that reads this
// log keeps its read model, with its checkpoint, in another store, such as SQLite or
// PostgreSQL.
//
// # Settings of the servers
//
// Appends are durable only if each server has
//
//	jetstream { sync_interval: always }
//
// Without it, a server acknowledges messages that it has not yet written to its disk,
// and three servers that lose power together lose up to two minutes of acknowledged
// events. A client cannot ask a server for this setting unless it uses the system
// account; check it with
//
//	nats server report jetstream
//	nats server request jetstream --config
//
// Servers must have version 2.15.3 or later. [Open] checks this, and also that the
// streams of the log have the settings that it gives them. To accept everything that
// other stores accept, the servers need higher limits than the default ones:
//
//	max_payload: 8MB  # an event, with its metadata, is a message
//	jetstream {
//	  store_dir: "/var/lib/nats"
//	  sync_interval: always
//	  limits { batch { max_msgs: 4096, max_inflight_per_stream: 200 } }
//	}
//
// With the default limits, 1 MB and 1,000 messages, an append of more than 500 events,
// or of a larger event, returns a *[store.InvalidError] that says so.
//
// # Order and conditions
//
// A log is one stream of JetStream, and an event is one message in it: the data, with
// the metadata in headers, so that every NATS client can read it. The position of an
// event is the sequence of its message. Positions increase, with gaps. All tenants
// share one order, in which each sees its own events.
//
// An append is one atomic batch: a message for each event id, a message for each claim,
// and the events. The batch is conditional on each of these subjects being as the store
// has seen it. So it is recorded only if nothing has changed, and at most one attempt
// to make an append can be recorded, however often it is sent. Appends that arrive
// while a batch is in progress share the next one.
//
// A refusal is based on an answer that is not older than the call: the store first
// makes a majority of the servers record a message, and then only trusts a server that
// has it. A leader that was paused or cut off cannot make the store refuse an append
// that was recorded. This costs a refusal one more write.
//
// # Reads
//
// [Store.Read] and [Store.Holder] return everything that was appended before the call,
// by any client. They also make the servers record a message first, one for all waiting
// reads, and then ask any replica. [WithLeaderReads] skips that message. That is
// faster, by the time of a write, but if a leader was cut off, its answers can be up to
// 20 seconds old. The default is the safe choice, because a program that makes a
// decision from what it reads, and then does not append, would not notice.
//
// [Store.ReadAll], [Store.Head] and [Store.Subscribe] read from the leader of the log.
// They never skip an event, but may lack the last events for up to the same time.
// Snapshots, checkpoints and leases are read in the same way, and a write that is based
// on an old one is refused.
//
// # Cost
//
// Each event is two messages, and each event id is a subject, which every server keeps
// in memory: about 115 bytes for each event, forever, and 500 for the events of the
// last minutes. See [WithIDsFor] for an alternative. After a server was killed, it may
// read the whole log to find the subjects.
//
// # Errors
//
// An error from the servers, or the lack of an answer, is an *[Error], and the outcome
// of an append is then unknown; append the same events again to settle it. While the
// log has no leader, a call retries for up to 30 seconds, or until its context ends.
// The store still accepts an answer that arrives within 100 ms after the context of its
// call has ended.
//
// # Full servers
//
// If the log has reached the max_bytes of its stream, or the account its limit, an
// append fails with [ErrFull] and [store.ErrRefused]: nothing of it was recorded. Reads
// continue, but behave as with [WithLeaderReads], because no message can be recorded
// before them.
//
// A server that has used up its max_file_store gives up leadership of the log, and
// another one takes over. If all have, the first append fails in the same way after ten
// seconds. From then on the log has no leader, and every call fails with
// [ErrUnavailable]. The same happens if the disks are full before max_file_store is
// reached; then the outcome of the first append is also unknown, and you must restart
// the servers when there is space. So set max_file_store below the size of the disk,
// and an alarm well below that.
//
// With one replica, a server whose disk is full may show a part of the append that
// filled it. It completes that append when you restart it with more space.
//
// No event can be deleted. Encrypt data that must be forgotten, and delete the key.
package jetstream
