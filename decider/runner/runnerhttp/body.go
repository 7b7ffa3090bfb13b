package runnerhttp

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// maxBody is the most bytes in a body that [Options] reads.
const maxBody = 4 << 20

// BodyError is a request body that cannot be read, or is too large.
type BodyError struct {
	Err error
}

// Error says why.
func (e *BodyError) Error() string { return fmt.Sprintf("runnerhttp: body: %v", e.Err) }

// Unwrap returns why.
func (e *BodyError) Unwrap() error { return e.Err }

// HTTPStatus is 413 if the body is too large, otherwise 400.
func (e *BodyError) HTTPStatus() int {
	if _, ok := errors.AsType[*http.MaxBytesError](e.Err); ok {
		return http.StatusRequestEntityTooLarge
	}
	return http.StatusBadRequest
}

// fingerprint returns a hash of what r asks for, each part after its length, and lets
// its body be read once more.
func fingerprint(r *http.Request) (string, error) {
	var body []byte
	if r.Body != nil && r.Body != http.NoBody {
		read, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
		if err == nil && len(read) > maxBody {
			err = &http.MaxBytesError{Limit: maxBody}
		}
		if err != nil {
			return "", &BodyError{err}
		}
		body, r.Body = read, replayed{bytes.NewReader(read), r.Body}
	}
	h := sha256.New()
	for _, part := range [][]byte{[]byte(r.Method), []byte(r.URL.EscapedPath()), []byte(r.URL.RawQuery), body} {
		_, _ = h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		_, _ = h.Write(part)
	}
	return hex.EncodeToString(h.Sum(nil)[:16]), nil
}

// replayed is a body that was read before.
type replayed struct {
	io.Reader
	io.Closer
}
