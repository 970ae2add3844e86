package main

import (
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// overWithin is how long this end waits for the other before it says so; the contract allows a command 30 seconds.
const overWithin = 25 * time.Second

type server struct {
	listener *net.TCPListener
	started  chan struct{}
	// Links by number, made when the first connection names them.
	mutex sync.Mutex
	links map[uint32]*link
	// Connections, and of a connection its streams.
	accepting   sync.WaitGroup
	connections sync.WaitGroup
	startOnce   sync.Once
}

func newServer() (*server, error) {
	listener, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	s := &server{listener: listener, started: make(chan struct{}), links: make(map[uint32]*link)}
	s.accepting.Add(1)
	go s.acceptSockets()
	return s, nil
}

func (s *server) ready() map[string]interface{} {
	return map[string]interface{}{"ready": true, "port": s.listener.Addr().(*net.TCPAddr).Port}
}

func (s *server) acceptSockets() {
	defer s.accepting.Done()
	for {
		socket, err := s.listener.AcceptTCP()
		if err != nil {
			// `report` closes the listener.
			if !isReporting() {
				problem(fmt.Sprintf("accepting a connection: %v", err))
			}
			return
		}
		s.connections.Add(1)
		go func() {
			defer s.connections.Done()
			s.serve(socket)
		}()
	}
}

// serve serves one connection until it is over.
func (s *server) serve(socket *net.TCPConn) {
	p, err := readPreface(socket)
	if err != nil {
		problem(fmt.Sprintf("the beginning of a connection: %v", err))
		socket.Close()
		return
	}
	l, isNew := s.link(p.connection)
	if run.stack == stackTCP {
		atomic.AddInt64(&l.sockets, 1)
		total.addStream()
		if err := limitSendBuffer(socket); err != nil {
			problem(fmt.Sprintf("connection %d: %v", p.connection, err))
		}
		if run.workload == workloadIdle {
			l.keepIdle(socket)
		} else {
			s.converse(&conversation{link: l, stream: socket, number: uint32(p.firstStream)})
		}
		return
	}
	if !isNew {
		problem(fmt.Sprintf("a second connection %d", p.connection))
		socket.Close()
		return
	}
	session, err := newSession(socket, false)
	if err != nil {
		problem(fmt.Sprintf("connection %d: %v", p.connection, err))
		socket.Close()
		return
	}
	s.setSession(l, session)
	s.acceptStreams(l)
}

func (s *server) link(number uint32) (l *link, isNew bool) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	l = s.links[number]
	if l == nil {
		l = &link{number: number}
		s.links[number] = l
		isNew = true
	}
	return
}

func (s *server) setSession(l *link, session session) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	l.session = session
}

func (s *server) acceptStreams(l *link) {
	for {
		stream, number, err := l.session.accept()
		if err != nil {
			s.connectionEnded(l, err)
			return
		}
		total.addStream()
		if run.workload == workloadIdle {
			l.keepIdle(stream)
			continue
		}
		l.handlers.Add(1)
		go func() {
			defer l.handlers.Done()
			s.converse(&conversation{link: l, stream: stream, number: number})
		}()
	}
}

// connectionEnded waits for the handlers of a connection's streams. The client closes a connection when its streams are over; what ends earlier is lost,
// and closing the session then frees whoever waits for it.
func (s *server) connectionEnded(l *link, err error) {
	l.awaitIdleEnds()
	if err != io.EOF || !isStopping() && l.session.openStreams() > 0 {
		lost(fmt.Sprintf("connection %d ended while it was needed: %v", l.number, err))
	} else if !waitFor(&l.handlers, 5*time.Second) {
		lost(fmt.Sprintf("connection %d ended before its streams", l.number))
	}
	// What is wrong with the connection has been said; a second close is none.
	l.session.Close()
	l.handlers.Wait()
}

// converse plays the server's part on one stream.
func (s *server) converse(c *conversation) {
	switch {
	case run.role(c.link.number, c.number) != roleBulk:
		c.answer(run.exchangeBytes())
	case run.direction == directionNameUp:
		c.receiveBulk(0)
	default:
		<-s.started
		c.sendBulk(directionDown)
	}
}

func (s *server) all() []*link {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	links := make([]*link, 0, len(s.links))
	for _, l := range s.links {
		if run.stack == stackTCP || l.session != nil {
			links = append(links, l)
		}
	}
	return links
}

func (s *server) open() error { return fmt.Errorf("open is a command for the client") }

func (s *server) start() { s.startOnce.Do(func() { close(s.started) }) }

// stop lets senders finish; those that wait for `start` see that there is nothing to send.
func (s *server) stop() error {
	s.start()
	if run.workload == workloadIdle {
		for _, l := range s.all() {
			l.awaitIdleEnds()
		}
	}
	return nil
}

// finish waits until all connections are over.
func (s *server) finish() {
	if err := s.listener.Close(); err != nil {
		problem(fmt.Sprintf("closing the listener: %v", err))
	}
	s.accepting.Wait()
	limit := time.Now().Add(overWithin)
	over := waitFor(&s.connections, time.Until(limit))
	for _, l := range s.all() {
		over = waitFor(&l.handlers, time.Until(limit)) && over
	}
	if !over {
		problem(fmt.Sprintf("after %v connections are still open", overWithin))
	}
	if made := len(s.all()); made != run.connections {
		problem(fmt.Sprintf("%d connections were made of %d", made, run.connections))
	}
}

// waitFor tells whether a group was done in time.
func waitFor(group *sync.WaitGroup, limit time.Duration) bool {
	done := make(chan struct{})
	go func() {
		group.Wait()
		close(done)
	}()
	select {
	case <-done:
		return true
	case <-time.After(limit):
		return false
	}
}
