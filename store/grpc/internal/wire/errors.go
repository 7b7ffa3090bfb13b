package wire

import (
	"errors"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/evolvego/evolve/store"
)

// ErrProtocol is an answer that the protocol does not allow.
var ErrProtocol = errors.New("not eventstore.v1")

// The metadata of requests and answers with which our client and server tell each
// other what the messages of the protocol have no field for. Others ignore it.
const (
	MDClient        = "evolve-client"             // request: the client knows all of this
	MDAggregateType = "evolve-aggregate-type-bin" // request: the type of the stream to read
	MDStreamType    = "evolve-stream-type-bin"    // request, repeated: store.Filter.StreamTypes
	MDEventType     = "evolve-event-type-bin"     // request, repeated: store.Filter.EventTypes
	MDIDPrefix      = "evolve-id-prefix-bin"      // request: store.Filter.IDPrefix
	MDExpected      = "evolve-expected"           // request: ExpectAny or ExpectExists, in place of the versions
	MDHead          = "evolve-head"               // trailer: store.Page.Head
	MDReplayed      = "evolve-replayed"           // trailer: store.Appended.Replayed
)

// DetailsKey is the trailer in which gRPC sends the details of a status.
const DetailsKey = "grpc-status-details-bin"

// What MDExpected says.
const (
	ExpectAny    = "any"    // store.Any
	ExpectExists = "exists" // store.Exists
)

// DuplicateStatus returns the status of an append that was refused with err.
func DuplicateStatus(err *store.DuplicateError) *status.Status {
	return detailed(status.Newf(codes.AlreadyExists, "event_id '%s' is already used", err.EventID), map[string]*structpb.Value{
		"event_id":        structpb.NewStringValue(err.EventID),
		"aggregate_type":  structpb.NewStringValue(err.In.Type),
		"aggregate_id":    structpb.NewStringValue(err.In.ID),
		"aggregate_nonce": structpb.NewNumberValue(float64(err.Version)),
	})
}

// DuplicateFrom returns the error of an append to s that has status st, nil if
// that is not that of a duplicate id.
func DuplicateFrom(st *status.Status, s store.Stream) *store.DuplicateError {
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

// InvalidStatus returns the status of a request that was refused with err.
func InvalidStatus(err *store.InvalidError) *status.Status {
	return detailed(status.New(codes.InvalidArgument, wireNames().Replace(Clip(err.Field))+" "+Clip(err.Reason)), map[string]*structpb.Value{
		"field":  structpb.NewStringValue(Clip(err.Field)),
		"reason": structpb.NewStringValue(Clip(err.Reason)),
	})
}

// wireNames turns the name of a field of an append into the one on the wire.
func wireNames() *strings.Replacer {
	return strings.NewReplacer("stream.id", "aggregate_id", "stream.type", "aggregate_type", "].id", "].event_id", "].type", "].event_type",
		"].data", "].payload", "content type", "content_type", " id", "_id", "tenant", "tenant_id", "header key", "headers", "header ", "headers.")
}

// InvalidFrom returns the error whose status is st, nil if it is not that of one.
func InvalidFrom(st *status.Status) *store.InvalidError {
	if st.Code() != codes.InvalidArgument {
		return nil
	}
	fields := detailOf(st)
	if fields["field"] == nil {
		return nil
	}
	return &store.InvalidError{Field: fields["field"].GetStringValue(), Reason: fields["reason"].GetStringValue()}
}

// Clip returns text, or how it begins if it is longer than a name may be, since
// clients refuse long headers.
func Clip(text string) string {
	if len(text) <= store.MaxName {
		return text
	}
	return strings.ToValidUTF8(text[:store.MaxName], "") + "…"
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
