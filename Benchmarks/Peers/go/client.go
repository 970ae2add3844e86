package main

import (
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

type client struct {
	links   []*link
	streams [][]*conversation // of every link, but for those of churn and idle
	workers sync.WaitGroup
	// Ends when a connection has ended at both ends.
	monitors  sync.WaitGroup
	closing   int32
	startOnce sync.Once
}

// newClient makes all connections and opens the streams.
func newClient() (*client, error) {
	c := &client{}
	for number := 0; number < run.connections; number++ {
		l := &link{number: uint32(number)}
		if run.stack != stackTCP {
			if err := c.connect(l); err != nil {
				return nil, fmt.Errorf("connection %d: %w", number, err)
			}
		}
		c.links = append(c.links, l)
	}
	if run.workload == workloadIdle {
		return c, c.openIdle(0, run.idleFirst())
	}
	for _, l := range c.links {
		streams := make([]*conversation, run.lastingStreams(l.number))
		for n := range streams {
			stream, number, err := l.open(uint32(n))
			if err != nil {
				return nil, fmt.Errorf("connection %d, opening stream %d: %w", l.number, n, err)
			}
			streams[n] = &conversation{link: l, stream: stream, number: number}
		}
		c.streams = append(c.streams, streams)
	}
	// The far end may send as soon as it has been told to start.
	if run.direction == directionNameDown {
		c.each(roleBulk, func(s *conversation) { s.receiveBulk(directionDown) })
	}
	return c, nil
}

func (c *client) connect(l *link) error {
	socket, err := net.DialTCP("tcp4", nil, run.connect)
	if err != nil {
		return err
	}
	if err := (preface{l.number, 0}).write(socket); err != nil {
		return err
	}
	l.socket = socket
	if l.session, err = newSession(socket, true); err != nil {
		return err
	}
	c.monitors.Add(1)
	go c.monitor(l)
	return nil
}

// monitor waits for the end of a connection. One that ends before this end closes it is lost; closing the session then frees whoever waits for it.
func (c *client) monitor(l *link) {
	defer c.monitors.Done()
	for {
		stream, number, err := l.session.accept()
		if err == nil {
			problem(fmt.Sprintf("the server opened stream %d on connection %d", number, l.number))
			stream.Close()
			continue
		}
		if atomic.LoadInt32(&c.closing) == 0 {
			lost(fmt.Sprintf("connection %d ended while it was needed: %v", l.number, err))
		} else if err != io.EOF {
			problem(fmt.Sprintf("closing connection %d: %v", l.number, err))
		}
		// What is wrong with the connection has been said; a second close is none.
		l.session.Close()
		return
	}
}

func (c *client) ready() map[string]interface{} { return map[string]interface{}{"ready": true} }

func (c *client) all() []*link { return c.links }

func (c *client) each(of role, work func(*conversation)) {
	for _, streams := range c.streams {
		for _, s := range streams {
			if run.role(s.link.number, s.number) == of {
				s := s
				c.workers.Add(1)
				go func() {
					defer c.workers.Done()
					work(s)
				}()
			}
		}
	}
}

func (c *client) start() {
	c.startOnce.Do(func() {
		if run.workload == workloadIdle {
			return
		}
		if run.direction == directionNameUp {
			c.each(roleBulk, func(s *conversation) { s.sendBulk(0) })
		}
		c.each(roleRequest, func(s *conversation) { s.request(run.exchangeBytes()) })
		for _, l := range c.links {
			for slot := run.lastingStreams(l.number); slot < run.streamsOn(l.number); slot++ {
				l, slot := l, uint32(slot)
				c.workers.Add(1)
				go func() {
					defer c.workers.Done()
					l.churn(slot)
				}()
			}
		}
	})
}

// open opens the second part of the idle streams.
func (c *client) open() error {
	if run.workload != workloadIdle {
		return fmt.Errorf("open is a command of idle")
	}
	return c.openIdle(run.idleFirst(), run.streams)
}

func (c *client) openIdle(from, to int) error {
	for _, l := range c.links {
		if l.idle.streams == nil {
			l.idle.streams = make([]io.ReadWriteCloser, 0, run.streams)
		}
		for n := from; n < to; n++ {
			stream, _, err := l.open(uint32(n))
			if err != nil {
				return fmt.Errorf("connection %d, opening stream %d: %w", l.number, n, err)
			}
			l.idle.streams = append(l.idle.streams, stream)
		}
	}
	return nil
}

// stop ends when every stream is over.
func (c *client) stop() error {
	c.start() // streams of a run that never started are to be closed too
	c.closeIdle()
	if !waitFor(&c.workers, overWithin) {
		return fmt.Errorf("%v after stop streams are not over", overWithin)
	}
	// yamux tells when the far end has closed too, but only when it is asked.
	asked := time.NewTicker(time.Millisecond)
	defer asked.Stop()
	limit := time.After(overWithin)
	for _, l := range c.links {
		for l.session != nil && l.session.tellsFarClose() && l.session.openStreams() > 0 && whatIsLost() == "" {
			select {
			case <-asked.C:
			case <-limit:
				return fmt.Errorf("%v after stop the server has not closed %d streams of connection %d", overWithin, l.session.openStreams(), l.number)
			}
		}
	}
	return nil
}

func (c *client) closeIdle() {
	for _, l := range c.links {
		var halves []*conversation
		for n, stream := range l.idle.streams {
			s := &conversation{link: l, stream: stream, number: uint32(n)}
			if endedEarly(stream) {
				s.failed("idle", io.ErrUnexpectedEOF)
			}
			if s.closeSending() {
				halves = append(halves, s)
			}
		}
		for _, s := range halves {
			s.awaitEnd()
		}
	}
}

// endedEarly tells whether the server has closed a silent connection that this end still has open: nobody reads there.
func endedEarly(stream io.ReadWriteCloser) bool {
	socket, bare := stream.(*net.TCPConn)
	if !bare {
		return false
	}
	ended := true
	raw, err := socket.SyscallConn()
	if err == nil {
		err = raw.Control(func(descriptor uintptr) {
			_, _, err := syscall.Recvfrom(int(descriptor), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
			ended = err != syscall.EAGAIN
		})
	}
	return err != nil || ended
}

// finish closes the connections: first this end's half, so that what the far end still has to say does not meet a closed socket and reset the connection
// before the far end has read everything.
func (c *client) finish() {
	atomic.StoreInt32(&c.closing, 1)
	for _, l := range c.links {
		if l.session != nil && whatIsLost() == "" {
			if err := l.socket.CloseWrite(); err != nil {
				problem(fmt.Sprintf("closing connection %d: %v", l.number, err))
			}
		}
	}
	if waitFor(&c.monitors, 10*time.Second) {
		return
	}
	for _, l := range c.links {
		if l.session != nil {
			l.session.Close()
		}
	}
	c.monitors.Wait()
}
