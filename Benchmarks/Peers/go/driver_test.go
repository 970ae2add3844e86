package main

import (
	"fmt"
	"testing"
)

// The vectors of the contract.
func TestPayload(t *testing.T) {
	table := makeTable(1)
	if first := fmt.Sprintf("%x", table[:8]); first != "c15c0289ec2d0a91" {
		t.Errorf("the table begins %s", first)
	}
	for _, v := range []struct {
		connection, stream uint32
		direction, key     uint64
		starts             [3]int
		first              string
	}{
		{0, 0, 0, 0xe12c9ea0af20f203, [3]int{30840, 10664, 8672}, "03ca580d93cc5b5a"},
		{0, 0, directionDown, 0x8eb776ca3e7a845c, [3]int{3536, 21712, 7120}, "7f2ce58beec17cdb"},
		{3, 1000, 0, 0x9496fffce18dc47b, [3]int{33528, 62816, 19416}, "c2879221475af661"},
	} {
		key := payloadKey(1, v.connection, v.stream, v.direction)
		if key != v.key {
			t.Errorf("key %x instead of %x", key, v.key)
		}
		for piece, start := range v.starts {
			if got := pieceStart(key, uint64(piece)); got != start {
				t.Errorf("key %x: piece %d starts at %d instead of %d", key, piece, got, start)
			}
		}
		if first := fmt.Sprintf("%x", table[v.starts[0]:v.starts[0]+8]); first != v.first {
			t.Errorf("key %x: first bytes %s instead of %s", key, first, v.first)
		}
	}
}

// A chunk may end anywhere: the same bytes are counted and compared.
func TestReceiver(t *testing.T) {
	table = makeTable(5)
	run.seed = 5
	for _, size := range []int{1, 64, 65536, 65537, 200000} {
		for _, step := range []int{1, 63, 4096, 300000} {
			messages := 200000/size + 2
			if step == 1 && size > 64 {
				continue
			}
			var sent collector
			c := &conversation{link: &link{}}
			s := c.sender(size, 0)
			s.out = &sent
			for n := 0; n < messages; n++ {
				if err := s.send(); err != nil {
					t.Fatal(err)
				}
			}
			r := c.receiver(size, 0)
			for at := 0; at < len(sent); at += step {
				end := at + step
				if end > len(sent) {
					end = len(sent)
				}
				r.take(sent[at:end])
			}
			sampled := uint64(messages+sampledOneIn-1) / sampledOneIn
			if r.differs || r.offset != 0 || r.message != uint64(messages) || r.verified != sampled {
				t.Errorf("size %d, step %d: %d messages of %d, %d compared of %d, differs: %v", size, step, r.message, messages, r.verified, sampled, r.differs)
			}
			sent[size-1] ^= 1
			r = c.receiver(size, 0)
			if r.take(sent); !r.differs {
				t.Errorf("size %d: a wrong byte was not seen", size)
			}
		}
	}
}

type collector []byte

func (c *collector) Write(bytes []byte) (int, error) {
	*c = append(*c, bytes...)
	return len(bytes), nil
}

// A bound is never below the value, and at most 1 % above it.
func TestHistogram(t *testing.T) {
	window = windowOpen
	for value := uint64(1); value < 1<<60; value = value*5/4 + 1 {
		var h histogram
		h.record(int64(value))
		for octave, counts := range h.octaves {
			if counts == nil {
				continue
			}
			for bucket, count := range counts {
				bound := bucketBound(octave, bucket)
				if count > 0 && (bound < value || bound-value > value/100) {
					t.Errorf("%d ns are counted up to %d ns", value, bound)
				}
			}
		}
	}
}
