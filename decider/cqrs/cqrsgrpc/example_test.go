package cqrsgrpc_test

import (
	"context"
	"fmt"

	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/evolvego/evolve/decider/cqrs/cqrsgrpc"
)

// The calls of a tracked context read what earlier calls wrote.
func ExampleTrack() {
	client, end := dial(&service{})
	defer end()
	ctx, seen := cqrsgrpc.Track(context.Background())
	_, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: "command"})
	fmt.Println(seen.Position(), err)
	// Output: 10 <nil>
}
