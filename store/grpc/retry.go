package grpc

import (
	"context"
	"math/rand/v2"
	"time"

	gogrpc "google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const (
	// attempts is the maximum number of times that a request is sent while no server is
	// available.
	attempts = 6
	// shortest and longest are the limits of a wait, before jitter.
	shortest = 25 * time.Millisecond
	longest  = 2 * time.Second
)

// backOff waits before attempt n+1, for a random time up to a limit that begins at
// shortest and doubles with n up to longest. It returns the error of ctx if ctx ends
// before.
func backOff(ctx context.Context, n int, shortest, longest time.Duration) error {
	limit := min(shortest<<min(n, 20), longest)
	select {
	case <-time.After(1 + rand.N(limit)): //nolint:gosec // not a secret
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// unavailable reports whether err means that the request got no answer but may get one
// if it is retried: there is no connection, or it broke, or the server is shutting
// down. It does not mean that the request did not arrive.
func unavailable(err error) bool { return status.Code(err) == codes.Unavailable }

// invoke makes a unary call once, with the timeout. It returns the trailer if the
// server has answered, even with an error.
func invoke[Req, Resp any](
	ctx context.Context, c *client, call func(context.Context, Req, ...gogrpc.CallOption) (Resp, error), req Req,
) (Resp, metadata.MD, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	var trailer metadata.MD
	resp, err := call(ctx, req, gogrpc.Trailer(&trailer))
	return resp, trailer, err
}

// ask is invoke for a call that changes nothing: it retries while the server is
// unavailable.
func ask[Req, Resp any](
	ctx context.Context, c *client, call func(context.Context, Req, ...gogrpc.CallOption) (Resp, error), req Req,
) (Resp, metadata.MD, error) {
	for n := 1; ; n++ {
		resp, trailer, err := invoke(ctx, c, call, req)
		if !unavailable(err) || n == attempts || backOff(ctx, n-1, shortest, longest) != nil {
			return resp, trailer, err
		}
	}
}
