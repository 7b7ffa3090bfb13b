package eventstorev1_test

import (
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/evolvego/evolve/store/grpc/eventstorev1"
)

// What a client makes of an append that was refused: the detail of the status says
// which version the stream has.
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
