package eventstorev1_test

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/evolvego/evolve/store/grpc/eventstorev1"
)

// contract is what clients and servers in other languages rely on. Only add to it;
// never change it.
const contract = `
syntax proto3 package eventstore.v1
service EventStore
  Append AppendRequest -> AppendResponse
  ReadStream ReadStreamRequest -> ReadStreamResponse
  Subscribe SubscribeRequest -> stream SubscribeResponse
  ReadAll ReadAllRequest -> ReadAllResponse
message EventMetadata
  1 event_id string
  2 aggregate_id string
  3 aggregate_type string
  4 aggregate_nonce uint64
  5 event_type string
  6 event_version uint32
  7 content_type string
  8 content_schema string
  9 correlation_id string
  10 causation_id string
  11 actor_id string
  12 tenant_id string
  13 timestamp_unix_ms uint64
  14 recorded_time_unix_ms uint64
  15 payload_sha256 bytes
  16 headers map<string,string>
  17 global_nonce uint64
message EventData
  1 meta EventMetadata
  2 payload bytes
message AppendRequest
  1 tenant_id string
  2 aggregate_id string
  3 aggregate_type string
  4 expected_aggregate_nonce uint64
  5 idempotency_key string
  6 events repeated EventData
message AppendResponse
  1 last_global_nonce uint64
  2 last_aggregate_nonce uint64
message ReadStreamRequest
  1 tenant_id string
  2 aggregate_id string
  3 from_aggregate_nonce uint64
  4 max_count uint32
  5 forward bool
message ReadStreamResponse
  1 events repeated EventData
  2 is_end bool
  3 next_from_aggregate_nonce uint64
message SubscribeRequest
  1 tenant_id string
  2 aggregate_id_prefix string
  3 from_global_nonce uint64
message SubscribeResponse
  1 event EventData
message ReadAllRequest
  1 tenant_id string
  2 from_global_nonce uint64
  3 max_count uint32
  4 forward bool
message ReadAllResponse
  1 events repeated EventData
  2 is_end bool
  3 next_from_global_nonce uint64
message ConcurrencyErrorDetail
  1 tenant_id string
  2 aggregate_id string
  3 actual_last_aggregate_nonce uint64
  4 actual_last_global_nonce uint64
`

func TestContract(t *testing.T) {
	t.Parallel()
	if got := describe(eventstorev1.File_eventstorev1_eventstore_proto); got != strings.TrimPrefix(contract, "\n") {
		t.Errorf("the protocol is\n%s\nwant\n%s", got, contract)
	}
}

func TestMethodNames(t *testing.T) {
	t.Parallel()
	got := []string{
		eventstorev1.EventStore_Append_FullMethodName, eventstorev1.EventStore_ReadStream_FullMethodName,
		eventstorev1.EventStore_Subscribe_FullMethodName, eventstorev1.EventStore_ReadAll_FullMethodName,
	}
	for i, name := range []string{"Append", "ReadStream", "Subscribe", "ReadAll"} {
		if want := "/eventstore.v1.EventStore/" + name; got[i] != want {
			t.Errorf("method = %q, want %q", got[i], want)
		}
	}
}

func describe(file protoreflect.FileDescriptor) string {
	var b strings.Builder
	fmt.Fprintln(&b, "syntax", file.Syntax(), "package", file.Package())
	for i := range file.Services().Len() {
		service := file.Services().Get(i)
		fmt.Fprintln(&b, "service", service.Name())
		for j := range service.Methods().Len() {
			m := service.Methods().Get(j)
			fmt.Fprintf(&b, "  %s %s%s -> %s%s\n", m.Name(), stream(m.IsStreamingClient()), m.Input().Name(),
				stream(m.IsStreamingServer()), m.Output().Name())
		}
	}
	for i := range file.Messages().Len() {
		message := file.Messages().Get(i)
		fmt.Fprintln(&b, "message", message.Name())
		for j := range message.Fields().Len() {
			field := message.Fields().Get(j)
			fmt.Fprintf(&b, "  %d %s %s\n", field.Number(), field.Name(), kind(field))
		}
	}
	return b.String()
}

func stream(is bool) string {
	if is {
		return "stream "
	}
	return ""
}

func kind(field protoreflect.FieldDescriptor) string {
	name := field.Kind().String()
	if field.Kind() == protoreflect.MessageKind {
		name = string(field.Message().Name())
	}
	switch {
	case field.IsMap():
		return "map<" + field.MapKey().Kind().String() + "," + field.MapValue().Kind().String() + ">"
	case field.IsList():
		return "repeated " + name
	case field.HasOptionalKeyword() || field.Cardinality() == protoreflect.Required:
		return field.Cardinality().String() + " " + name
	}
	return name
}
