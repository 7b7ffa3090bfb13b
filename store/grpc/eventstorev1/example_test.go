package eventstorev1_test

import (
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/evolvego/evolve/store/grpc/eventstorev1"
)

// A client reads the version of the stream from the details of a refused append.
func ExampleConcurrencyErrorDetail() {
	refused, err := status.New(codes.Aborted, "append precondition failed").WithDetails(
		&eventstorev1.ConcurrencyErrorDetail{AggregateId: "acc-1", ActualLastAggregateNonce: 3})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, detail := range status.Convert(refused.Err()).Details() {
		if conflict, ok := detail.(*eventstorev1.ConcurrencyErrorDetail); ok {
			fmt.Println(conflict.GetAggregateId(), "is at", conflict.GetActualLastAggregateNonce())
		}
	}
	// Output: acc-1 is at 3
}
