// Package runnerhttp fits a runner into the net/http handlers you already have. It does
// no routing and wraps no handlers: a handler uses it to read the headers of the request
// and to write those of the response.
//
//	opts, err := runnerhttp.Options(r)           // If-Match, If-None-Match, Idempotency-Key
//	out, err := accounts.Handle(ctx, id, cmd, opts...)
//	runnerhttp.WriteProblem(w, r, err)           // 422, 412, 409, 503, … as in RFC 9457
//	runnerhttp.SetETag(w.Header(), out.Version)
//	runnerhttp.SetPosition(w.Header(), out.Position)
//
// The entity tag of an aggregate is its version: a client that sends the ETag back as
// If-Match changes only what it has seen. The position is that of the command in the log:
// a client that sends it back as At-Least with a query reads its own writes.
package runnerhttp
