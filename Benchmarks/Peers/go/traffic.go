package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync/atomic"

	"github.com/xtaci/smux"
)

const yieldOneIn = 64

// errOver ends a pump from inside: everything that was due has arrived.
var errOver = errors.New("over")

// pump hands everything that arrives on a stream to a consumer, until the stream ends (nil) or either fails.
func pump(stream io.ReadWriteCloser, consumer io.Writer, buffer []byte) error {
	if frames, ok := stream.(*smux.Stream); ok {
		return pumpFrames(frames, consumer)
	}
	for {
		n, err := stream.Read(buffer)
		if n > 0 {
			if _, err := consumer.Write(buffer[:n]); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// pumpFrames lets smux hand over its own receive buffers: Read would copy them once more. A socket that ends makes smux report the end of a stream
// whose last frames are still queued, so an end counts only when nothing came before it.
func pumpFrames(stream *smux.Stream, consumer io.Writer) error {
	for {
		n, err := stream.WriteTo(consumer)
		if err != io.EOF {
			return err
		}
		if n == 0 {
			return nil
		}
	}
}

// conversation is one stream, as one end sees it.
type conversation struct {
	link   *link
	stream io.ReadWriteCloser
	number uint32
	closed int32
}

func (c *conversation) name() string {
	return fmt.Sprintf("stream %d of connection %d", c.number, c.link.number)
}

func (c *conversation) failed(doing string, err error) {
	problem(fmt.Sprintf("%s, %s: %v", c.name(), doing, err))
}

func (c *conversation) sender(size int, direction uint64) sender {
	return sender{out: c.stream, key: payloadKey(run.seed, c.link.number, c.number, direction), size: size}
}

func (c *conversation) receiver(size int, direction uint64) receiver {
	return receiver{
		meter: &c.link.meter, conversation: c, key: payloadKey(run.seed, c.link.number, c.number, direction),
		size: uint64(size), pieces: uint64(size+pieceSize-1) / pieceSize,
	}
}

// close closes a stream that the far end has closed already, or that has failed; the first call counts.
func (c *conversation) close() {
	if !atomic.CompareAndSwapInt32(&c.closed, 0, 1) {
		return
	}
	if err := c.link.closeStream(c.stream); err != nil {
		c.failed("closing", err)
	}
}

// finish closes a stream from this end first. With these multiplexers that is all that can be done. A connection that is a stream can be half-closed:
// it tells when the far end has closed too, and bytes that arrive after a full close would reset it.
func (c *conversation) finish() {
	if c.closeSending() {
		c.awaitEnd()
	}
}

// closeSending is the first half of finish; it tells whether there is a second.
func (c *conversation) closeSending() bool {
	socket, bare := c.stream.(*net.TCPConn)
	if !bare {
		c.close()
		return false
	}
	if err := socket.CloseWrite(); err != nil {
		c.failed("half-closing", err)
		c.close()
		return false
	}
	return true
}

// awaitEnd reads a stream on which nothing may come any more until it ends, and closes it.
func (c *conversation) awaitEnd() {
	var one [1]byte
	if n, err := c.stream.Read(one[:]); n > 0 {
		problem(c.name() + ": bytes came where nothing was to come")
	} else if err != io.EOF {
		c.failed("waiting for its end", err)
	}
	c.close()
}

// sendBulk sends messages until `stop` and closes the stream.
func (c *conversation) sendBulk(direction uint64) {
	s := c.sender(run.messageBytes, direction)
	for !isStopping() {
		if err := s.send(); err != nil {
			c.failed("sending", err)
			break
		}
		// A socket that takes every small message keeps its goroutine running for 10 ms at a time: behind a thousand of those a command waits for seconds.
		if s.messages%yieldOneIn == 0 {
			runtime.Gosched()
		}
	}
	c.finish()
	total.addSent(&s)
}

type discard struct{ receiver }

func (d *discard) Write(chunk []byte) (int, error) {
	d.take(chunk)
	return len(chunk), nil
}

// receiveBulk reads until the stream ends, and closes it.
func (c *conversation) receiveBulk(direction uint64) {
	d := discard{c.receiver(run.messageBytes, direction)}
	buffer := make([]byte, run.readBuffer())
	var err error
	if run.isStopped(c.link.number, c.number) {
		<-stopTold
	} else if run.beside == besideStalled {
		err = d.takeWithRests(c.stream, buffer, restTime, stopTold)
	}
	if err == nil {
		err = pump(c.stream, &d, buffer)
	}
	if err != nil {
		c.failed("receiving", err)
	}
	d.ended()
	c.close()
	total.addVerified(&d.receiver)
}

// answerer answers every message as soon as it is complete.
type answerer struct {
	receiver
	sender sender
}

func (a *answerer) Write(chunk []byte) (int, error) {
	for due := a.take(chunk); due > 0; due-- {
		if err := a.sender.send(); err != nil {
			return 0, err
		}
	}
	return len(chunk), nil
}

// answer serves requests until the stream ends, and closes it.
func (c *conversation) answer(size int) {
	a := answerer{c.receiver(size, 0), c.sender(size, directionDown)}
	if err := pump(c.stream, &a, make([]byte, run.requestBuffer(size))); err != nil {
		c.failed("answering", err)
	}
	a.ended()
	c.close()
	total.addSent(&a.sender)
	total.addVerified(&a.receiver)
}

// requester keeps `depth` messages under way on a stream. With one under way the goroutine that reads the answer sends the next message. With more, a
// second goroutine sends, because the far end may stop reading while its answers are not taken.
type requester struct {
	receiver
	sender  sender
	depth   uint64
	latency *histogram
	// When each message under way was sent: message n at n % depth.
	starts  []int64
	granted uint64 // messages that the sending side may have sent
	permits chan struct{}
}

func (q *requester) Write(chunk []byte) (int, error) {
	complete := q.take(chunk)
	if complete == 0 {
		return len(chunk), nil
	}
	time := now()
	for n := q.message - complete; n < q.message; n++ {
		q.latency.record(time - atomic.LoadInt64(&q.starts[n%q.depth]))
	}
	q.meter.complete(complete)
	if q.message > q.granted {
		return 0, errors.New("more answers than requests")
	}
	for ; complete > 0 && !isStopping(); complete-- {
		q.granted++
		if q.permits != nil {
			q.permits <- struct{}{}
		} else if err := q.sendOne(time); err != nil {
			return 0, err
		}
	}
	if q.message == q.granted {
		return 0, errOver
	}
	return len(chunk), nil
}

func (q *requester) sendOne(time int64) error {
	atomic.StoreInt64(&q.starts[q.sender.messages%q.depth], time)
	return q.sender.send()
}

// request sends requests until `stop`, waits for what is due and closes the stream.
func (c *conversation) request(size int) {
	if isStopping() {
		c.finish()
		return
	}
	q := requester{
		receiver: c.receiver(size, directionDown), sender: c.sender(size, 0), depth: uint64(run.depth), granted: uint64(run.depth),
		latency: new(histogram), starts: make([]int64, run.depth),
	}
	var err error
	if run.depth == 1 {
		err = q.sendOne(now())
	} else {
		// With room for all there can be, the reader never waits for the sender.
		q.permits = make(chan struct{}, run.depth)
		for n := 0; n < run.depth; n++ {
			q.permits <- struct{}{}
		}
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			for range q.permits {
				if err := q.sendOne(now()); err != nil {
					c.failed("requesting", err)
					// The reader waits for answers that will not come.
					c.close()
					return
				}
			}
		}()
		defer func() {
			close(q.permits)
			<-sent
			total.addSent(&q.sender)
		}()
	}
	if err == nil {
		err = pump(c.stream, &q, make([]byte, run.requestBuffer(size)))
	}
	if err == errOver {
		c.finish()
	} else {
		if err == nil {
			err = fmt.Errorf("the stream ended while %d answers were due", q.granted-q.message)
		}
		c.failed("requesting", err)
		c.close()
	}
	if q.permits == nil {
		total.addSent(&q.sender)
	}
	total.addVerified(&q.receiver)
	total.addLatency(q.latency)
}

// churn keeps one stream of a connection under way, one after the other.
func (l *link) churn(slot uint32) {
	latency := new(histogram)
	buffer := make([]byte, run.requestBuffer(run.exchangeBytes()))
	for !isStopping() && l.churnOnce(slot, buffer, latency) {
	}
	total.addLatency(latency)
}

func (l *link) churnOnce(slot uint32, buffer []byte, latency *histogram) bool {
	opened := now()
	stream, number, err := l.open(slot)
	if err != nil {
		problem(fmt.Sprintf("connection %d, opening a stream: %v", l.number, err))
		return false
	}
	c := conversation{link: l, stream: stream, number: number}
	a := awaiter{c.receiver(run.exchangeBytes(), directionDown)}
	s := c.sender(run.exchangeBytes(), 0)
	err = s.send()
	if err == nil {
		err = pump(stream, &a, buffer)
	}
	if err == errOver {
		// Beside requests churn is not what is counted.
		if run.workload == workloadChurn {
			latency.record(now() - opened)
			l.meter.complete(1)
		}
	} else if err == nil {
		err = errors.New("the stream ended before its answer")
	}
	c.close()
	total.addSent(&s)
	total.addVerified(&a.receiver)
	if err != errOver {
		c.failed("one request", err)
	}
	return err == errOver
}

// awaiter waits for one answer.
type awaiter struct{ receiver }

func (a *awaiter) Write(chunk []byte) (int, error) {
	if a.take(chunk) == 0 {
		return len(chunk), nil
	}
	if a.message > 1 || a.offset > 0 {
		return 0, errors.New("more than one answer")
	}
	return 0, errOver
}
