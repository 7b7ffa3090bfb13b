package jsonl

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// names returns the names of the fields of a line. Package json also accepts them in
// other cases.
func names() []string {
	return []string{
		"position", "stream_type", "stream_id", "version", "id", "type", "schema", "content_type", "time", "recorded_at",
		"correlation_id", "causation_id", "actor_id", "headers", "data", "data_base64", "golden",
	}
}

// fieldsOf returns the fields of the JSON object in text, which must contain nothing
// else.
func fieldsOf(text []byte) (map[string]json.RawMessage, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	if open, err := decoder.Token(); err != nil {
		return nil, err
	} else if open != json.Delim('{') {
		return nil, errors.New("is not a JSON object")
	}
	fields := make(map[string]json.RawMessage)
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		key, _ := name.(string) // only names can be tokens here
		if _, ok := fields[key]; ok {
			return nil, fmt.Errorf("field %q comes twice", key)
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, err
		}
		fields[key] = value
	}
	if _, err := decoder.Token(); err != nil { // the closing brace
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("has more text after the JSON object")
	}
	return fields, nil
}

// loneSurrogate reports whether text, which is JSON, has an escaped half of a surrogate pair.
// Package json decodes it to something else.
func loneSurrogate(text []byte) bool {
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			continue
		}
		switch half(text[i:]) {
		case 0:
			i++ // skips the escaped character, which may be a backslash
		case 'h':
			if half(text[i+6:]) != 'l' {
				return true
			}
			i += 11
		default:
			return true
		}
	}
	return false
}

// half returns 'h' if text begins with an escaped high surrogate, 'l' for a low one, and 0
// otherwise.
func half(text []byte) byte {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' || text[2] != 'd' && text[2] != 'D' {
		return 0
	}
	switch c := text[3]; {
	case c >= '8' && c <= '9', c >= 'a' && c <= 'b', c >= 'A' && c <= 'B':
		return 'h'
	case c >= 'c' && c <= 'f', c >= 'C' && c <= 'F':
		return 'l'
	}
	return 0
}
