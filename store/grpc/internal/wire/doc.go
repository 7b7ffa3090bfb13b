// Package wire holds what the client and the server of eventstore.v1 both know:
// events as messages, errors as statuses, and the metadata with which the two tell
// each other what the protocol has no field for.
package wire
