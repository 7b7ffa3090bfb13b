package codec

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"reflect"
	"strings"

	"github.com/evolvego/evolve/decider/internal/exact"
	"github.com/evolvego/evolve/store"
)

// JSON returns a Codec of the events in names, each under its name, with their data as
// JSON (encoding/json, content type application/json). The values of the samples are not
// used. Data may have keys that the event does not have (see [Named.Strict]). null is
// never an event, and neither is data that is not UTF-8 or has a repeated key. This is
// checked whenever an event is read, in about a tenth of the time that it takes to decode
// it.
//
// An event's own UnmarshalJSON must copy the data that it keeps, as json.Unmarshaler
// requires, because the memory is reused.
//
// Integers beyond ±2⁵³ are written and read exactly, but JavaScript readers round them:
// give such a field the tag `json:",string"`.
//
// JSON panics if a sample is nil or has the type of another sample, if a name is empty,
// if JSON loses a part of an event, or if the upcasters do not fit together.
func JSON[E any](names map[string]E, upcasters ...Upcaster) *Named[E] {
	return newNamed(format{
		contentType: "application/json",
		reads:       readsJSON,
		writer: func(typ reflect.Type) (w marshal, opaque bool, err error) {
			t, err := exact.Of(typ)
			if err != nil {
				return nil, false, err
			}
			return func(event any) ([]byte, error) {
				data, err := t.Marshal(event)
				if err == nil && string(data) == "null" {
					return nil, errors.New("it would be null, which cannot be distinguished from no event")
				}
				return data, err
			}, t.Opaque(), nil
		},
		reader: func() unmarshal { return new(jsonReader).unmarshal },
	}, names, upcasters)
}

// readsJSON reports whether data of this content type may be JSON.
func readsJSON(contentType string) bool {
	if contentType == "" || contentType == store.OctetStream {
		return true
	}
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && (media == "application/json" || strings.HasSuffix(media, "+json"))
}

// maxReader is the largest data that goes through a jsonReader, which keeps as much
// memory.
const maxReader = 1 << 16

// jsonReader is json.Unmarshal for small data with one decoder for all of it, because
// making decoders is half the cost of json.Unmarshal.
type jsonReader struct {
	source  bytes.Reader
	decoder *json.Decoder // of source; nil: not made yet
	checker exact.Checker
}

// unmarshal also refuses data that JSON readers understand in different ways: text that
// is not UTF-8, and a repeated key. That makes decoding an event 1.08 times (one field)
// to 1.12 times (five fields) as expensive, and a command that reads a hundred small
// events up to 1.1 times. Without it, an event could be read differently from what was
// recorded, without an error.
func (r *jsonReader) unmarshal(data []byte, into any, folds exact.Folds, strict bool) error {
	if err := r.decode(data, into, strict); err != nil {
		return err
	}
	return r.checker.Check(data, folds)
}

func (r *jsonReader) decode(data []byte, into any, strict bool) error {
	switch {
	case !bytes.HasPrefix(data, []byte("{")) && string(bytes.TrimSpace(data)) == "null":
		return errors.New("the data is null")
	case strict:
		return unmarshalStrict(data, into)
	case len(data) > maxReader:
		return json.Unmarshal(data, into)
	}
	if r.decoder == nil {
		r.decoder = json.NewDecoder(&r.source)
	}
	r.source.Reset(data)
	start := r.decoder.InputOffset()
	err := r.decoder.Decode(into)
	rest := data[min(int(r.decoder.InputOffset()-start), len(data)):]
	r.source.Reset(nil)
	if err == nil && len(rest) == 0 {
		return nil
	}
	r.decoder = nil // it holds the rest, or has failed permanently
	if err == nil && len(bytes.TrimLeft(rest, " \t\r\n")) == 0 {
		return nil
	}
	return json.Unmarshal(data, into) // which reports what is wrong with all of it
}

func unmarshalStrict(data []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more after the JSON value")
	}
	return nil
}
