package grpc

import (
	"errors"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/evolvego/evolve/store"
)

// errProtocol is an answer that the protocol does not allow.
var errProtocol = errors.New("not eventstore.v1")

// The metadata of requests and answers with which our client and server tell each
// other what the messages of the protocol have no field for. Others ignore it.
const (
	mdClient        = "evolve-client"             // request: the client knows all of this
	mdAggregateType = "evolve-aggregate-type-bin" // request: the type of the stream to read
	mdStreamType    = "evolve-stream-type-bin"    // request, repeated: store.Filter.StreamTypes
	mdEventType     = "evolve-event-type-bin"     // request, repeated: store.Filter.EventTypes
	mdIDPrefix      = "evolve-id-prefix-bin"      // request: store.Filter.IDPrefix
	mdExpected      = "evolve-expected"           // request: expectAny or expectExists, in place of the versions
	mdHead          = "evolve-head"               // trailer: store.Page.Head
	mdReplayed      = "evolve-replayed"           // trailer: store.Appended.Replayed
)

// What mdExpected says.
const (
	expectAny    = "any"    // store.Any
	expectExists = "exists" // store.Exists
)

// duplicateStatus returns the status of an append that was refused with err.
func duplicateStatus(err *store.DuplicateError) *status.Status {
	return detailed(status.Newf(codes.AlreadyExists, "event_id '%s' is already used", err.EventID), map[string]*structpb.Value{
		"event_id":        structpb.NewStringValue(err.EventID),
		"aggregate_type":  structpb.NewStringValue(err.In.Type),
		"aggregate_id":    structpb.NewStringValue(err.In.ID),
		"aggregate_nonce": structpb.NewNumberValue(float64(err.Version)),
	})
}

// duplicateFrom returns the error of an append to s that has status st, nil if
// that is not that of a duplicate id.
func duplicateFrom(st *status.Status, s store.Stream) *store.DuplicateError {
	if st.Code() != codes.AlreadyExists {
		return nil
	}
	fields := detailOf(st)
	if fields["event_id"] == nil {
		return nil
	}
	return &store.DuplicateError{
		Stream:  s,
		EventID: fields["event_id"].GetStringValue(),
		In: store.Stream{
			Type: fields["aggregate_type"].GetStringValue(),
			ID:   fields["aggregate_id"].GetStringValue(),
		},
		Version: uint64(fields["aggregate_nonce"].GetNumberValue()),
	}
}

// invalidStatus returns the status of a request that was refused with err.
func invalidStatus(err *store.InvalidError) *status.Status {
	return detailed(status.New(codes.InvalidArgument, wireNames().Replace(clip(err.Field))+" "+clip(err.Reason)), map[string]*structpb.Value{
		"field":  structpb.NewStringValue(clip(err.Field)),
		"reason": structpb.NewStringValue(clip(err.Reason)),
	})
}

// wireNames turns the name of a field of an append into the one on the wire.
func wireNames() *strings.Replacer {
	return strings.NewReplacer("stream.id", "aggregate_id", "stream.type", "aggregate_type", "].id", "].event_id", "].type", "].event_type",
		"].data", "].payload", "content type", "content_type", " id", "_id", "tenant", "tenant_id", "header key", "headers", "header ", "headers.")
}

// invalidFrom returns the error whose status is st, nil if it is not that of one.
func invalidFrom(st *status.Status) *store.InvalidError {
	if st.Code() != codes.InvalidArgument {
		return nil
	}
	fields := detailOf(st)
	if fields["field"] == nil {
		return nil
	}
	return &store.InvalidError{Field: fields["field"].GetStringValue(), Reason: fields["reason"].GetStringValue()}
}

func detailed(st *status.Status, fields map[string]*structpb.Value) *status.Status {
	with, err := st.WithDetails(&structpb.Struct{Fields: fields})
	if err != nil {
		return st // a text that is not UTF-8
	}
	return with
}

func detailOf(st *status.Status) map[string]*structpb.Value {
	for _, detail := range st.Details() {
		if fields, ok := detail.(*structpb.Struct); ok {
			return fields.GetFields()
		}
	}
	return nil
}
