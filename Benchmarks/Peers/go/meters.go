package main

import (
	"fmt"
	"math/bits"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const problemsMax = 20

// meter counts what the streams of one connection received. It is added to once a batch; a cache line of its own keeps connections apart.
type meter struct {
	bytes     uint64
	messages  uint64
	completed uint64
	_         [5]uint64
}

func (m *meter) received(bytes, messages uint64) {
	atomic.AddUint64(&m.bytes, bytes)
	if messages > 0 {
		atomic.AddUint64(&m.messages, messages)
	}
}

func (m *meter) complete(operations uint64) { atomic.AddUint64(&m.completed, operations) }

// The window of latencies: `begin` opens it, `end` closes it for good.
const (
	windowAhead = iota
	windowOpen
	windowOver
)

var (
	processStart = time.Now()
	window       int32
	// stopping is set at `stop`: nobody starts anything new. stopTold is closed then: whoever did not read until then reads on.
	stopping int32
	stopTold = make(chan struct{})
)

// now reads the monotonic clock, in nanoseconds since the process began.
func now() int64 { return int64(time.Since(processStart)) }

func isStopping() bool { return atomic.LoadInt32(&stopping) != 0 }

// Sub-buckets in a power of two: a bucket is at most 1/128 as wide as its values are large.
const (
	octaveBits    = 7
	octaveBuckets = 1 << octaveBits
	octavesMax    = 64 - octaveBits
)

// histogram is log-linear: below 128 ns a bucket a nanosecond, above 128 buckets a power of two. Only the powers that occur have memory, because
// every stream has a histogram of its own: recording takes no lock.
type histogram struct {
	octaves [octavesMax]*[octaveBuckets]uint32
}

func (h *histogram) record(nanoseconds int64) {
	if atomic.LoadInt32(&window) != windowOpen {
		return
	}
	value := uint64(nanoseconds)
	octave := 0
	if top := bits.Len64(value); top > octaveBits {
		octave = top - octaveBits
		// The highest bit is set and says nothing.
		value = value>>(octave-1) - octaveBuckets
	}
	counts := h.octaves[octave]
	if counts == nil {
		counts = new([octaveBuckets]uint32)
		h.octaves[octave] = counts
	}
	counts[value]++
}

// bucketBound is the largest value that a bucket counts.
func bucketBound(octave, bucket int) uint64 {
	if octave == 0 {
		return uint64(bucket)
	}
	return (uint64(octaveBuckets+bucket)+1)<<(octave-1) - 1
}

// totals is what streams leave behind when they end, and what the report says.
type totals struct {
	mutex         sync.Mutex
	sentBytes     uint64
	sentMessages  uint64
	verified      uint64
	streams       uint64
	problems      []string
	problemsCount int
	lost          string
	latency       [octavesMax][octaveBuckets]uint64
}

var total totals

func problem(sentence string) {
	total.mutex.Lock()
	defer total.mutex.Unlock()
	total.problemsCount++
	if len(total.problems) < problemsMax {
		total.problems = append(total.problems, sentence)
		fmt.Fprintln(os.Stderr, "problem:", sentence)
	}
}

// lost says that a connection is gone that this end still needs: every command but `report` is then answered with an error.
func lost(sentence string) {
	total.mutex.Lock()
	if total.lost == "" {
		total.lost = sentence
	}
	total.mutex.Unlock()
	problem(sentence)
}

func whatIsLost() string {
	total.mutex.Lock()
	defer total.mutex.Unlock()
	return total.lost
}

func (t *totals) addSent(s *sender) {
	t.mutex.Lock()
	t.sentBytes += s.bytes
	t.sentMessages += s.messages
	t.mutex.Unlock()
}

func (t *totals) addVerified(r *receiver) {
	t.mutex.Lock()
	t.verified += r.verified
	t.mutex.Unlock()
}

func (t *totals) addLatency(h *histogram) {
	t.mutex.Lock()
	for octave, counts := range h.octaves {
		if counts != nil {
			for bucket, count := range counts {
				t.latency[octave][bucket] += uint64(count)
			}
		}
	}
	t.mutex.Unlock()
}

func (t *totals) addStream() { atomic.AddUint64(&t.streams, 1) }
