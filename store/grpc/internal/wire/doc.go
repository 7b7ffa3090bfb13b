// Package wire holds what the client and the server of eventstore.v1 share: events as
// messages, errors as statuses, and the metadata with which the two exchange what the
// protocol has no field for.
package wire
