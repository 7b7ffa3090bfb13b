package codec_test

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	"pgregory.net/rapid"

	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/store"
)

func messages() map[string]proto.Message {
	return map[string]proto.Message{
		"Counted": &wrapperspb.Int64Value{}, "Named": (*wrapperspb.StringValue)(nil), "Noted": &structpb.Struct{},
	}
}

// drawMessage draws any registered message.
func drawMessage(t *rapid.T) proto.Message {
	switch rapid.IntRange(0, 2).Draw(t, "kind") {
	case 0:
		return wrapperspb.Int64(rapid.Int64().Draw(t, "count"))
	case 1:
		return wrapperspb.String(rapid.String().Draw(t, "name"))
	}
	fields := map[string]*structpb.Value{}
	for _, key := range rapid.SliceOfN(rapid.String(), 0, 6).Draw(t, "keys") {
		fields[key] = structpb.NewStringValue(key)
	}
	return &structpb.Struct{Fields: fields}
}

func TestProtoRoundTrip(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]*codec.Named[proto.Message]{"tolerant": codec.Proto(messages()), "strict": codec.Proto(messages()).Strict()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				want := drawMessage(t)
				first, err := c.Encode(want)
				second, err2 := c.Encode(want)
				if err != nil || err2 != nil || !bytes.Equal(first.Data, second.Data) || first.ContentType != "application/protobuf" {
					t.Fatalf("Encode(%v) = %+v, %v and %+v, %v", want, first, err, second, err2)
				}
				got, err := c.Decode(nil, []store.Recorded{{Event: first}})
				if err != nil || len(got) != 1 || !proto.Equal(got[0], want) {
					t.Fatalf("Decode = %v, %v, want %v", got, err, want)
				}
			})
		})
	}
}

func TestProtoUpcast(t *testing.T) {
	t.Parallel()
	c := codec.Proto(messages(),
		codec.Up("Counted", 1, func(old *wrapperspb.Int32Value) proto.Message { return wrapperspb.Int64(int64(old.GetValue())) }),
		codec.UpMany("Renamed", 1, func(old *wrapperspb.StringValue) []proto.Message { return []proto.Message{old, old} }).Retired(),
		codec.Up("Timed", 1, func(old *durationpb.Duration) *timestamppb.Timestamp {
			return &timestamppb.Timestamp{Seconds: old.GetSeconds()}
		}).Retired(),
		codec.Up("Timed", 2, func(old *timestamppb.Timestamp) proto.Message { return wrapperspb.Int64(old.GetSeconds()) }).Retired(),
	)
	for name, tt := range map[string]struct {
		schema uint32
		old    proto.Message
		want   []proto.Message
	}{
		"Counted": {1, wrapperspb.Int32(7), []proto.Message{wrapperspb.Int64(7)}},
		"Renamed": {1, wrapperspb.String("ann"), []proto.Message{wrapperspb.String("ann"), wrapperspb.String("ann")}},
		"Timed":   {1, &durationpb.Duration{Seconds: 9}, []proto.Message{wrapperspb.Int64(9)}},
	} {
		data, err := proto.Marshal(tt.old)
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.Decode(nil, []store.Recorded{{Event: store.Event{Type: name, Schema: tt.schema, Data: data}}})
		if err != nil || len(got) != len(tt.want) {
			t.Fatalf("%s: %v, %v, want %v", name, got, err, tt.want)
		}
		for i := range got {
			if !proto.Equal(got[i], tt.want[i]) {
				t.Errorf("%s: event %d is %v, want %v", name, i, got[i], tt.want[i])
			}
		}
	}
}

func TestProtoRefuses(t *testing.T) {
	t.Parallel()
	c := codec.Proto(messages())
	extra := protowire.AppendTag([]byte{}, 99, protowire.VarintType)
	extra = protowire.AppendVarint(extra, 1)
	deep, err := proto.Marshal(&structpb.Struct{Fields: map[string]*structpb.Value{"k": structpb.NewStringValue("v")}})
	if err != nil {
		t.Fatal(err)
	}
	value := append(protowire.AppendString(protowire.AppendTag(nil, 3, protowire.BytesType), "v"), extra...)
	entry := protowire.AppendBytes(protowire.AppendTag(protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "k"), 2, protowire.BytesType), value)
	deep = protowire.AppendBytes(protowire.AppendTag(deep, 1, protowire.BytesType), entry)
	tests := map[string]struct {
		codec codec.Codec[proto.Message]
		event store.Event
		text  string // empty: accepted
	}{
		"cut off":                          {c, store.Event{Type: "Counted", Data: []byte{8}}, "cannot parse invalid wire-format data"},
		"JSON":                             {c, store.Event{Type: "Counted", ContentType: "application/json", Data: []byte("{}")}, `its content type is "application/json", not application/protobuf`},
		"unknown field":                    {c, store.Event{Type: "Counted", Data: extra}, ""},
		"unknown field, strict":            {c.Strict(), store.Event{Type: "Counted", Data: extra}, "it has unknown fields: (google.protobuf.Int64Value)"},
		"deep field":                       {c, store.Event{Type: "Noted", Data: deep}, ""},
		"deep field, strict":               {c.Strict(), store.Event{Type: "Noted", Data: deep}, `it has unknown fields: (google.protobuf.Struct).fields["k"]`},
		"empty data is a message":          {c.Strict(), store.Event{Type: "Counted"}, ""},
		"octet stream":                     {c, store.Event{Type: "Counted", ContentType: store.OctetStream}, ""},
		"invalid text":                     {c, store.Event{Type: "Named", Data: protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "\xff")}, "invalid UTF-8"},
		"schema version of another writer": {c, store.Event{Type: "Counted", Schema: math.MaxUint32}, "newer schema version: the codec knows 1 to 1"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := tt.codec.Decode(nil, []store.Recorded{{Event: tt.event}})
			switch {
			case tt.text == "" && (err != nil || len(got) != 1):
				t.Errorf("Decode = %v, %v", got, err)
			case tt.text != "" && (!errors.Is(err, codec.ErrDecode) || !strings.Contains(strings.ReplaceAll(err.Error(), "\u00a0", " "), tt.text)):
				t.Errorf("Decode = %v, %v, want %q", got, err, tt.text)
			}
		})
	}
	if _, err := c.Encode(wrapperspb.String("\xff")); !errors.Is(err, codec.ErrEncode) {
		t.Errorf("Encode of invalid UTF-8: %v", err)
	}
}
