package server_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	gogrpc "google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	pb "github.com/evolvego/evolve/store/grpc/eventstorev1"
)

// preface is how an HTTP/2 connection begins: RFC 9113, section 3.4.
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// drawFrames draws frames of any type, whose lengths may be wrong.
func drawFrames(t *rapid.T) []byte {
	frames := []byte{0, 0, 0, 4, 0, 0, 0, 0, 0} // settings
	for range rapid.IntRange(0, 5).Draw(t, "frames") {
		payload := rapid.SliceOfN(rapid.Byte(), 0, 64).Draw(t, "payload")
		length := len(payload)
		if rapid.Bool().Draw(t, "lies") {
			length = rapid.IntRange(0, 1<<24-1).Draw(t, "length")
		}
		frames = append(frames, byte(length>>16), byte(length>>8), byte(length),
			rapid.ByteRange(0, 12).Draw(t, "type"), rapid.Byte().Draw(t, "flags"))
		frames = binary.BigEndian.AppendUint32(frames, rapid.SampledFrom([]uint32{0, 1, 2, 3, 1<<31 - 1, 1 << 31}).Draw(t, "stream"))
		frames = append(frames, payload...)
	}
	return frames
}

// tapped is a connection that records what is written to it.
type tapped struct {
	net.Conn

	mu      sync.Mutex
	written bytes.Buffer // guarded by mu
}

func (c *tapped) Write(b []byte) (int, error) {
	c.mu.Lock()
	c.written.Write(b)
	c.mu.Unlock()
	return c.Conn.Write(b)
}

// session returns the bytes of a client that appends and reads.
func (s served) session(t *testing.T) []byte {
	t.Helper()
	var tap *tapped
	conn := s.dial(t, gogrpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		tap = &tapped{Conn: c}
		return tap, err
	}))
	client := pb.NewEventStoreClient(conn)
	if _, err := client.Append(t.Context(), rawAppend("acc-1", 0, 2)); err != nil {
		t.Fatal(err)
	}
	if _, err := client.ReadStream(t.Context(), &pb.ReadStreamRequest{TenantId: "t", AggregateId: "acc-1", Forward: true}); err != nil {
		t.Fatal(err)
	}
	tap.mu.Lock()
	defer tap.mu.Unlock()
	return bytes.Clone(tap.written.Bytes())
}

// send sends b on a new connection, and reads until the server ends the connection or
// has nothing more to send.
func (s served) send(t *rapid.T, b []byte) {
	conn, err := net.Dial("tcp", s.address) //nolint:noctx // it has a deadline
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = conn.Write(b) // the server may close the connection
	if c, ok := conn.(*net.TCPConn); ok {
		_ = c.CloseWrite()
	}
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, conn); isTimeout(err) {
		t.Errorf("the server keeps a connection whose client is gone")
	}
}

func isTimeout(err error) bool {
	netErr, ok := err.(net.Error) //nolint:errorlint // as io.Copy returns it
	return ok && netErr.Timeout()
}

// TestMalformedFrames checks that arbitrary bytes on a connection harm no other client,
// and nothing that is recorded.
func TestMalformedFrames(t *testing.T) {
	t.Parallel()
	s := serveRaw(t, newMemory(t))
	s.mustAppend(t, rawAppend("acc-2", 0, 3))
	read := &pb.ReadStreamRequest{TenantId: "t", AggregateId: "acc-2", Forward: true}
	want, err := s.ReadStream(t.Context(), read)
	if err != nil {
		t.Fatal(err)
	}
	recorded := s.session(t)
	subscribed, _ := s.subscribe(t, &pb.SubscribeRequest{TenantId: "t", AggregateIdPrefix: "acc-2"})
	for range want.GetEvents() {
		if _, err := subscribed.Recv(); err != nil {
			t.Fatal(err)
		}
	}
	version := uint64(len(want.GetEvents()))
	rapid.Check(t, func(r *rapid.T) {
		var b []byte
		switch rapid.IntRange(0, 2).Draw(r, "kind") {
		case 0:
			b = rapid.SliceOf(rapid.Byte()).Draw(r, "bytes")
		case 1:
			b = append([]byte(preface), drawFrames(r)...)
		default:
			b = bytes.Clone(recorded)
			for range rapid.IntRange(1, 3).Draw(r, "changes") {
				b[rapid.IntRange(0, len(b)-1).Draw(r, "at")] ^= 1 << rapid.IntRange(0, 7).Draw(r, "bit")
			}
			b = b[:rapid.IntRange(1, len(b)).Draw(r, "cut")]
		}
		s.send(r, b)
		got, err := s.ReadStream(t.Context(), read)
		if err != nil || !proto.Equal(got, want) {
			r.Fatalf("after these bytes ReadStream = %v, %v; want %v", got, err, want)
		}
	})
	s.mustAppend(t, rawAppend("acc-2", version, 1))
	if resp, err := subscribed.Recv(); err != nil || resp.GetEvent().GetMeta().GetAggregateNonce() != version+1 {
		t.Errorf("the subscription continues with %v, %v; want version %d", resp, err, version+1)
	}
}
