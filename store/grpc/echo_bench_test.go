//go:build unix

package grpc_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc/metadata"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/grpc/eventstorev1"
	"github.com/evolvego/evolve/store/grpc/server"
	"github.com/evolvego/evolve/store/memory"
)

// BenchmarkAppendOfEcho runs many callers that append an event of 200 bytes to new
// streams, in turns with the client, with the generated code, and with the generated
// code to a server that does nothing (an echo). It reports the time of an append as a
// multiple of the echo's: in wall time, and in CPU time of client and server together.
func BenchmarkAppendOfEcho(b *testing.B) {
	for _, callers := range []int{1, 32, 256} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			ways := []func(id string) error{byEcho(b), byGenerated(b), byClient(b)}
			var ids atomic.Uint64
			clock, processor := make([][]float64, len(ways)), make([][]float64, len(ways))
			for b.Loop() {
				var ofEcho [2]float64
				for i, way := range ways {
					cpu, began := processorTime(b), time.Now()
					appendMany(b, callers, &ids, way)
					took := [2]float64{float64(time.Since(began)), float64(processorTime(b) - cpu)}
					if i == 0 {
						ofEcho = took
					}
					clock[i] = append(clock[i], took[0]/ofEcho[0])
					processor[i] = append(processor[i], took[1]/ofEcho[1])
				}
			}
			for i, name := range []string{"", "generated", "client"} {
				if i > 0 {
					b.ReportMetric(median(clock[i]), name+"-time-of-echo")
					b.ReportMetric(median(processor[i]), name+"-processor-of-echo")
				}
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

func byClient(b *testing.B) func(id string) error {
	b.Helper()
	st := open(b, listen(b, server.New(memory.New()), server.GRPCOptions()...))
	return func(id string) error {
		event := numbered(1)
		event.ID, event.Data = "event "+id, make([]byte, 200)
		_, err := st.Append(b.Context(), store.Stream{Type: "Account", ID: id}, store.NoStream, []store.Event{event})
		return err
	}
}

func byGenerated(b *testing.B) func(id string) error {
	b.Helper()
	return generated(b, server.New(memory.New()))
}

func byEcho(b *testing.B) func(id string) error {
	b.Helper()
	return generated(b, &echo{newForeign()})
}

func generated(b *testing.B, service registrar) func(id string) error {
	b.Helper()
	raw := dialRaw(b, listen(b, service, server.GRPCOptions()...))
	ctx := metadata.AppendToOutgoingContext(b.Context(), "evolve-client", "1")
	return func(id string) error { return appendRaw(ctx, raw, id) }
}

func appendRaw(ctx context.Context, raw eventstorev1.EventStoreClient, id string) error {
	data := rawEvent(id, 1)
	data.Meta.EventId, data.Meta.EventType, data.Meta.EventVersion = "event "+id, "Numbered", 1
	data.Payload = make([]byte, 200)
	_, err := raw.Append(ctx, &eventstorev1.AppendRequest{
		TenantId: "t", AggregateId: id, AggregateType: "Account", Events: []*eventstorev1.EventData{data},
	})
	return err
}

// appendMany makes 8192 appends with this number of callers.
func appendMany(b *testing.B, callers int, ids *atomic.Uint64, add func(id string) error) {
	b.Helper()
	var calling sync.WaitGroup
	for range callers {
		calling.Go(func() {
			for range 8192 / callers {
				if err := add("acc-" + strconv.FormatUint(ids.Add(1), 10)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	calling.Wait()
}

func median(all []float64) float64 {
	slices.Sort(all)
	return all[len(all)/2]
}

// processorTime returns the CPU time of this process.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
