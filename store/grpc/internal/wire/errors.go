package wire

import (
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/evolvego/evolve/store"
)

// ErrProtocol means that an answer violates the protocol.
var ErrProtocol = errors.New("not eventstore.v1")

// The metadata of requests and answers with which our client and server exchange what
// the messages of the protocol have no field for. Others ignore it.
const (
	MDClient        = "evolve-client"             // request: the client knows all of this metadata
	MDAggregateType = "evolve-aggregate-type-bin" // request: the type of the stream to read
	MDStreamType    = "evolve-stream-type-bin"    // request, repeated: store.Filter.StreamTypes
	MDEventType     = "evolve-event-type-bin"     // request, repeated: store.Filter.EventTypes
	MDIDPrefix      = "evolve-id-prefix-bin"      // request: store.Filter.IDPrefix
	MDExpected      = "evolve-expected"           // request: ExpectAny or ExpectExists, instead of the versions
	MDHead          = "evolve-head"               // trailer: store.Page.Head
	MDReplayed      = "evolve-replayed"           // trailer: store.Appended.Replayed
)

// DetailsKey is the trailer in which gRPC sends the details of a status.
const DetailsKey = "grpc-status-details-bin"

// The values of MDExpected.
const (
	ExpectAny    = "any"    // store.Any
	ExpectExists = "exists" // store.Exists
)

// DuplicateStatus returns the status for an append that was refused with err.
func DuplicateStatus(err *store.DuplicateError) *status.Status {
	return detailed(status.Newf(codes.AlreadyExists, "event_id '%s' is already used", Clip(err.EventID)), map[string]*structpb.Value{
		"event_id":        structpb.NewStringValue(err.EventID),
		"aggregate_type":  structpb.NewStringValue(err.In.Type),
		"aggregate_id":    structpb.NewStringValue(err.In.ID),
		"aggregate_nonce": structpb.NewNumberValue(float64(err.Version)),
	})
}

// DuplicateFrom returns the error for st, the status of an append to s, or nil if st is
// not about a duplicate id.
func DuplicateFrom(st *status.Status, s store.Stream) *store.DuplicateError {
	fields := detailOf(st)
	if st.Code() != codes.AlreadyExists || fields["event_id"] == nil {
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

// InvalidStatus returns the status, with this code, for a request that was refused with
// err. The code is InvalidArgument or ResourceExhausted.
func InvalidStatus(code codes.Code, err *store.InvalidError) *status.Status {
	return detailed(status.New(code, wireNames().Replace(Clip(err.Field))+" "+Clip(err.Reason)), map[string]*structpb.Value{
		"field":  structpb.NewStringValue(Clip(err.Field)),
		"reason": structpb.NewStringValue(Clip(err.Reason)),
	})
}

// wireNames translates the name of a field of an append into its name on the wire.
func wireNames() *strings.Replacer {
	return strings.NewReplacer("stream.id", "aggregate_id", "stream.type", "aggregate_type", "].id", "].event_id", "].type", "].event_type",
		"].data", "].payload", "content type", "content_type", " id", "_id", "tenant", "tenant_id", "header key", "headers", "header ", "headers.")
}

// InvalidFrom returns the error for st, or nil if st is not about an invalid argument.
func InvalidFrom(st *status.Status) *store.InvalidError {
	fields := detailOf(st)
	if st.Code() != codes.InvalidArgument && st.Code() != codes.ResourceExhausted || fields["field"] == nil {
		return nil
	}
	return &store.InvalidError{Field: fields["field"].GetStringValue(), Reason: fields["reason"].GetStringValue()}
}

// RefusedStatus returns the status for an append that the store cannot make now, and
// has not made.
func RefusedStatus() *status.Status {
	return detailed(status.New(codes.FailedPrecondition, "the store refuses to write now"),
		map[string]*structpb.Value{"refused": structpb.NewBoolValue(true)})
}

// IsRefused reports whether st is a RefusedStatus.
func IsRefused(st *status.Status) bool {
	return st.Code() == codes.FailedPrecondition && detailOf(st)["refused"].GetBoolValue()
}

// Clip returns text for use in a message: cut to the length of a name, because clients
// refuse long headers, and with unprintable characters escaped as in a Go string.
func Clip(text string) string {
	if len(text) > store.MaxName {
		text = strings.ToValidUTF8(text[:store.MaxName], "") + "…"
	}
	if utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return !strconv.IsPrint(r) }) {
		return text
	}
	quoted := strconv.Quote(text)
	return quoted[1 : len(quoted)-1]
}

func detailed(st *status.Status, fields map[string]*structpb.Value) *status.Status {
	with, err := st.WithDetails(&structpb.Struct{Fields: fields})
	if err != nil {
		return st // the text is not UTF-8
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
