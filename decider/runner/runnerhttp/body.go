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

// maxBody is the largest body in bytes that [Options] reads.
const maxBody = 4 << 20

// BodyError is the error of a request body that is too large or cannot be read.
type BodyError struct {
	Err error
}

// Error says what is wrong with the body.
func (e *BodyError) Error() string { return fmt.Sprintf("runnerhttp: body: %v", e.Err) }

// Unwrap returns the cause.
func (e *BodyError) Unwrap() error { return e.Err }

// HTTPStatus returns 413 if the body is too large, and 400 otherwise.
func (e *BodyError) HTTPStatus() int {
	if _, ok := errors.AsType[*http.MaxBytesError](e.Err); ok {
		return http.StatusRequestEntityTooLarge
	}
	return http.StatusBadRequest
}

// fingerprint returns a hash of the parts of r, each after its length, and makes the body
// readable again.
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
