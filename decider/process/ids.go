package process

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strconv"

	"github.com/evolvego/evolve/store"
)

// mark identifies a decoded event: the position of the recorded event, and the index
// among the events decoded from it. Marks order all inputs.
type mark struct {
	Position uint64 `json:"position"`
	Index    int    `json:"index,omitempty"`
}

// after reports whether m is later than o in the log.
func (m mark) after(o mark) bool {
	return m.Position > o.Position || m.Position == o.Position && m.Index > o.Index
}

func (m mark) String() string {
	return strconv.FormatUint(m.Position, 10) + "." + strconv.Itoa(m.Index)
}

// makeID returns a UUID of version 8 (RFC 9562 §5.8): a hash of parts, each preceded by
// its length.
func makeID(parts ...string) string {
	b := make([]byte, 0, 256)
	for _, part := range parts {
		b = binary.BigEndian.AppendUint64(b, uint64(len(part)))
		b = append(b, part...)
	}
	sum := sha256.Sum256(b)
	sum[6] = sum[6]&0x0f | 0x80
	sum[8] = sum[8]&0x3f | 0x80
	id := make([]byte, 0, 36)
	for i, n := 0, 4; i < 16; i, n = i+n, 2 {
		if i > 0 {
			id = append(id, '-')
		}
		if i == 10 {
			n = 6
		}
		id = hex.AppendEncode(id, sum[i:i+n])
	}
	return string(id)
}

// commandID returns the ID of a command. It is the same for the same reaction, and
// differs between different commands, wherever they stand in the reaction. n is the
// number of equal commands before it.
func commandID(process, instance string, at mark, encoded []byte, n int) string {
	return makeID("command", process, instance, at.String(), string(encoded), strconv.Itoa(n))
}

// timerID returns the ID of the event of a timer that was started at a mark.
func timerID(process, instance string, at mark, name string) string {
	return makeID("timer", process, instance, at.String(), name)
}

// rejectionID returns the ID of the event that answers a rejected command.
func rejectionID(command string) string { return makeID("rejection", command) }

// Headers of the events that a process records.
const (
	headerTimer = "evolve-timer"         // the name of the timer
	headerStart = "evolve-timer-started" // the mark of the input that started it
)

// traceOf returns the headers that say which trace an event belongs to, as named by W3C
// Trace Context, or nil if there are none. Events that a process records because of this
// event carry them too.
func traceOf(headers map[string]string) map[string]string {
	var trace map[string]string
	for _, name := range [...]string{"traceparent", "tracestate"} {
		if value, ok := headers[name]; ok {
			if trace == nil {
				trace = map[string]string{}
			}
			trace[name] = value
		}
	}
	return trace
}

// timerOf returns the timer that r is the event of, and whether r is such an event.
func timerOf(r *store.Recorded) (name, start string, ok bool) {
	start, ok = r.Meta.Headers[headerStart]
	return r.Meta.Headers[headerTimer], start, ok
}
