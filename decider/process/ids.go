package process

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strconv"

	"github.com/evolvego/evolve/store"
)

// mark names an event of today: the position of the recorded one, and which of the
// events it is that were decoded from it. Marks order all inputs.
type mark struct {
	Position uint64 `json:"position"`
	Index    int    `json:"index,omitempty"`
}

// after reports whether m is behind o in the log.
func (m mark) after(o mark) bool {
	return m.Position > o.Position || m.Position == o.Position && m.Index > o.Index
}

func (m mark) String() string {
	return strconv.FormatUint(m.Position, 10) + "." + strconv.Itoa(m.Index)
}

// makeID returns a UUID of version 8 (RFC 9562 §5.8), of the hash of what it names:
// each part after its length.
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

// commandID returns the id of a command: that of the same reaction is the same, and
// another command has another one, wherever it stands in the reaction. n is how many
// equal ones are before it.
func commandID(process, instance string, at mark, encoded []byte, n int) string {
	return makeID("command", process, instance, at.String(), string(encoded), strconv.Itoa(n))
}

// timerID returns the id of the event of a timer that was started at a mark.
func timerID(process, instance string, at mark, name string) string {
	return makeID("timer", process, instance, at.String(), name)
}

// rejectionID returns the id of the event that answers a rejected command.
func rejectionID(command string) string { return makeID("rejection", command) }

// The headers of what a process records.
const (
	headerTimer = "evolve-timer"         // the name of the timer
	headerStart = "evolve-timer-started" // the mark of the input that started it
)

// traceOf returns those of an event's headers that say which trace it belongs to, by the
// names of W3C Trace Context; nil if there are none. What a process records because of an
// event carries them on.
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

// timerOf returns which timer fired with r, and whether r is the event of a timer.
func timerOf(r *store.Recorded) (name, start string, ok bool) {
	start, ok = r.Meta.Headers[headerStart]
	return r.Meta.Headers[headerTimer], start, ok
}
