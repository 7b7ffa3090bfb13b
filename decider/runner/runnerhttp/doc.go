// Package runnerhttp fits a runner into the net/http handlers you already have.
// It routes nothing and wraps nothing: a handler asks it what the request's
// headers mean, and lets it write the answer's.
//
//	opts, err := runnerhttp.Options(r)           // If-Match, If-None-Match, Idempotency-Key
//	out, err := accounts.Handle(ctx, id, cmd, opts...)
//	runnerhttp.WriteProblem(w, r, err)           // 422, 412, 409, 503, … as RFC 9457 says it
//	runnerhttp.SetETag(w.Header(), out.Version)
//	runnerhttp.SetPosition(w.Header(), out.Position)
//
// The entity tag of an aggregate is its version: a client that sends the ETag back as
// If-Match changes what it has seen, or nothing. The position is that of the command in
// the log: a client that sends it back as At-Least with a query reads what it wrote.
package runnerhttp
