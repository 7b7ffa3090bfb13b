package main

import (
	"strings"
	"testing"
)

func TestConvert(t *testing.T) {
	t.Parallel()
	const in = `{"_id":1,"event_type":"guest:invited","timestamp":{"$date":"2026-01-02T03:04:05.678Z"},"aggregate_type":"Invitation","aggregate_id":"a-1","version":1,"data":{"name":"Ann & Bob"},"metadata":{}}
{"_id":{"$numberLong":"2"},"event_type":"guest:accepted","timestamp":{"$date":"2026-01-02T03:04:06Z"},"aggregate_type":"Invitation","aggregate_id":"a-1","version":{"$numberInt":"2"}}
`
	const want = `{"stream_type":"Invitation","stream_id":"a-1","version":1,"id":"Invitation/a-1/1","type":"guest:invited","schema":1,"time":"2026-01-02T03:04:05.678Z","data":{"name":"Ann & Bob"}}
{"stream_type":"Invitation","stream_id":"a-1","version":2,"id":"Invitation/a-1/2","type":"guest:accepted","schema":1,"time":"2026-01-02T03:04:06Z"}
`
	var out strings.Builder
	if err := convert(strings.NewReader(in), &out); err != nil || out.String() != want {
		t.Errorf("got\n%s%v\nwant\n%s", out.String(), err, want)
	}
	for bad, why := range map[string]string{
		`{"a":1}`: "document 1 is not an event of eventhorizon",
		`{`:       "document 1: unexpected EOF",
		`{"event_type":"x","aggregate_id":"y","version":"z"}`: "document 1 is not an event of eventhorizon",
	} {
		if err := convert(strings.NewReader(bad), &out); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v, want %q", bad, err, why)
		}
	}
}
