package codec

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"strings"

	"github.com/evolvego/evolve/store"
)

// JSON returns a Codec of the events in names, each under its name, with their
// data as JSON (encoding/json, content type application/json). A sample's value
// is not used. Data may have keys that the event does not have (see
// [Named.Strict]); null is never an event.
//
// Integers beyond ±2⁵³ are written and read exactly, but JavaScript readers round
// them: give such a field the tag `json:",string"`.
//
// JSON panics if a sample is nil or has the type of another, a name is empty, or
// the upcasters do not fit together.
func JSON[E any](names map[string]E, upcasters ...Upcaster) *Named[E] {
	return newNamed(format{
		contentType: "application/json",
		reads:       readsJSON,
		marshal:     json.Marshal,
		unmarshal:   unmarshalJSON,
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

func unmarshalJSON(data []byte, into any, strict bool) error {
	if !bytes.HasPrefix(data, []byte("{")) && string(bytes.TrimSpace(data)) == "null" {
		return errors.New("the data is null")
	}
	if !strict {
		return json.Unmarshal(data, into)
	}
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
