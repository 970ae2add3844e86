package main

import (
	"io"
	"time"
)

// restTime is how long a receiver of `stalled` rests after each message.
const restTime = 10 * time.Millisecond

// takeWithRests reads a message, rests, and reads on, until it is told to stop or the stream has ended: what is left is then for others to read, and so is
// the end. No read asks for more than what is missing of a message, so that what comes next stays in the multiplexer while this end rests.
func (r *receiver) takeWithRests(stream io.Reader, buffer []byte, rest time.Duration, stop <-chan struct{}) error {
	for {
		select {
		case <-stop:
			return nil
		default:
		}
		part := buffer
		if missing := r.size - r.offset; uint64(len(part)) > missing {
			part = part[:missing]
		}
		n, err := stream.Read(part)
		r.take(part[:n])
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if n == 0 || r.offset > 0 {
			continue
		}
		over := time.NewTimer(rest)
		select {
		case <-over.C:
		case <-stop:
			over.Stop()
			return nil
		}
	}
}
