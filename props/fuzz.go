package props

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

const (
	fuzzSeeds = 16      // inputs to begin with
	fuzzBytes = 8 << 10 // bytes of each
)

// Fuzz checks all laws on histories that the fuzzer makes: each choice within a history
// is read from the input, so that coverage can guide it. A failure is reported as in
// [Suite.Check], and the fuzzer keeps it as an input. Commands drawn by [Suite.Commands]
// depend on the input as a whole. For most deciders Check finds more in the same time.
// Use Fuzz for runs of several hours.
func (s Suite[C, S, E]) Fuzz(f *testing.F) {
	f.Helper()
	for seed := range uint64(fuzzSeeds) {
		f.Add(fuzzInput(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		reports, problem := s.fuzzed(t, &bytesSource{data: data})
		if problem != "" {
			t.Fatal(problem)
		}
		for _, p := range reports {
			t.Error(p.text + p.publish(t))
		}
	})
}

// fuzzInput returns an input to begin with, the same one for each seed.
func fuzzInput(seed uint64) []byte {
	data := make([]byte, fuzzBytes)
	for n := range fuzzBytes / 8 {
		binary.LittleEndian.PutUint64(data[8*n:], mix(seed<<32+uint64(n)))
	}
	return data
}

// fuzzed returns the reports of the laws that the history of source breaks. Problem says
// why s could not be checked.
func (s Suite[C, S, E]) fuzzed(t *testing.T, source rand.Source) (out []*report[C, S, E], problem string) {
	t.Helper()
	r := s.Checks(1).run(t)
	if problem = r.unfit(); problem != "" {
		return nil, problem
	}
	cmds, err := r.generator.from(source)
	r.judge(cmds)
	if err != nil && len(r.failures) == 0 {
		return nil, err.Error()
	}
	for _, l := range r.laws {
		if p := r.verdict(t, l); p != nil {
			out = append(out, p)
		}
	}
	return out, ""
}

// bytesSource is a source of numbers: first those in data, then others derived from data.
type bytesSource struct {
	data []byte
	last uint64
}

// Uint64 returns the next eight bytes.
func (b *bytesSource) Uint64() uint64 {
	if len(b.data) < 8 {
		b.last = mix(b.last)
		return b.last
	}
	n := binary.LittleEndian.Uint64(b.data)
	b.data, b.last = b.data[8:], b.last^n
	return n
}
