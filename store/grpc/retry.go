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
	// attempts is how often a request is sent at most while no server is there.
	attempts = 6
	// shortest and longest are the bounds of a wait, but for its jitter.
	shortest = 25 * time.Millisecond
	longest  = 2 * time.Second
)

// backOff waits before attempt n+1, some time up to one that begins at shortest and
// doubles with n up to longest, and returns what ctx ended with if it ends before.
func backOff(ctx context.Context, n int, shortest, longest time.Duration) error {
	limit := min(shortest<<min(n, 20), longest)
	timer := time.NewTimer(1 + rand.N(limit)) //nolint:gosec // not a secret
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// unavailable reports whether err says that the request got no answer but may get
// one if it is sent again: there is no connection, or it broke, or the server goes
// away. That it did not arrive, it does not say.
func unavailable(err error) bool { return status.Code(err) == codes.Unavailable }

// invoke makes a unary call once, under the timeout. The trailer is there if the
// server has answered, with an error too.
func invoke[Req, Resp any](
	ctx context.Context, c *client, call func(context.Context, Req, ...gogrpc.CallOption) (Resp, error), req Req,
) (Resp, metadata.MD, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	var trailer metadata.MD
	resp, err := call(ctx, req, gogrpc.Trailer(&trailer))
	return resp, trailer, err
}

// ask is invoke for a call that changes nothing: it is made again while the server
// is unavailable.
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
