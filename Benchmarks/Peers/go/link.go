package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
)

const prefaceSize = 32

// preface is what every connection begins with, ahead of the multiplexer's first frame.
type preface struct {
	connection  uint32
	firstStream uint64
}

func (p preface) write(socket *net.TCPConn) error {
	var bytes [prefaceSize]byte
	copy(bytes[:], "strmgage\x02\x01")
	binary.BigEndian.PutUint32(bytes[12:], p.connection)
	binary.BigEndian.PutUint64(bytes[16:], p.firstStream)
	_, err := socket.Write(bytes[:])
	return err
}

func readPreface(socket *net.TCPConn) (preface, error) {
	var bytes [prefaceSize]byte
	if _, err := io.ReadFull(socket, bytes[:]); err != nil {
		return preface{}, err
	}
	p := preface{binary.BigEndian.Uint32(bytes[12:]), binary.BigEndian.Uint64(bytes[16:])}
	expected := bytes
	copy(expected[:], "strmgage\x02\x01\x00\x00")
	for at := 24; at < prefaceSize; at++ {
		expected[at] = 0
	}
	switch {
	case bytes != expected:
		return p, fmt.Errorf("the first 32 bytes are not the contract's: %x", bytes)
	case p.connection >= uint32(run.connections):
		return p, fmt.Errorf("connection number %d of %d", p.connection, run.connections)
	case run.stack == stackTCP && p.firstStream >= uint64(run.streamsOn(p.connection)) && run.workload != workloadChurn:
		return p, fmt.Errorf("stream number %d of %d", p.firstStream, run.streamsOn(p.connection))
	case run.stack != stackTCP && p.firstStream != 0:
		return p, fmt.Errorf("first stream %d on a connection with a multiplexer", p.firstStream)
	}
	return p, nil
}

// link is a connection with a multiplexer and all that belongs to it; of bare TCP it is a group of connections, a stream each.
type link struct {
	meter   meter
	number  uint32
	session session
	socket  *net.TCPConn
	// Of bare TCP: sockets that are open.
	sockets int64
	idle    idleStreams
	// The server's handlers of the streams, but those of bare TCP that the server counts as connections.
	handlers sync.WaitGroup
}

// open opens a stream. Of bare TCP the caller says which number it has; a multiplexer counts.
func (l *link) open(slot uint32) (io.ReadWriteCloser, uint32, error) {
	if l.session != nil {
		stream, number, err := l.session.open()
		if err == nil {
			total.addStream()
		}
		return stream, number, err
	}
	socket, err := net.DialTCP("tcp4", nil, run.connect)
	if err != nil {
		return nil, 0, err
	}
	atomic.AddInt64(&l.sockets, 1)
	total.addStream()
	err = (preface{l.number, uint64(slot)}).write(socket)
	if err == nil {
		err = limitSendBuffer(socket)
	}
	if err != nil {
		l.closeStream(socket)
		return nil, 0, err
	}
	return socket, slot, nil
}

const (
	sendBuffersMax = 256 << 20 // of all sockets together
	sendBufferMin  = 16 << 10
)

// limitSendBuffer keeps the kernel from queueing megabytes on each of thousands of sockets of bulk, which would take it longer to deliver than `stop` may
// take. Up to 64 sockets the kernel sizes them itself. Receive buffers are its own: small ones hold few small messages, a fixed cost each.
func limitSendBuffer(socket *net.TCPConn) error {
	size := sendBuffersMax / (run.connections * run.streams)
	if size >= 4<<20 || run.workload != workloadBulk && run.workload != workloadMixed {
		return nil
	}
	if size < sendBufferMin {
		size = sendBufferMin
	}
	return socket.SetWriteBuffer(size)
}

func (l *link) closeStream(stream io.ReadWriteCloser) error {
	if l.session == nil {
		atomic.AddInt64(&l.sockets, -1)
	}
	return stream.Close()
}

func (l *link) openStreams() int {
	if l.session == nil {
		return int(atomic.LoadInt64(&l.sockets))
	}
	return l.session.openStreams()
}

// idleStreams are the silent streams of a link. One costs what the multiplexer needs for it and 16 bytes here: none has a goroutine but the first, whose
// end tells that the client has begun to close.
type idleStreams struct {
	mutex   sync.Mutex
	streams []io.ReadWriteCloser
	waiting bool // every stream has a goroutine that waits for its end
}

// keepIdle stores a stream of the server's.
func (l *link) keepIdle(stream io.ReadWriteCloser) {
	l.idle.mutex.Lock()
	defer l.idle.mutex.Unlock()
	number := uint32(len(l.idle.streams))
	l.idle.streams = append(l.idle.streams, stream)
	if number == 0 || l.idle.waiting {
		l.handlers.Add(1)
		go func() {
			defer l.handlers.Done()
			(&conversation{link: l, stream: stream, number: number}).awaitEnd()
			l.awaitIdleEnds()
		}()
	}
}

// awaitIdleEnds waits for the end of every stream, each with a goroutine of its own, because the client closes them in any order. Memory has been
// measured by then.
func (l *link) awaitIdleEnds() {
	l.idle.mutex.Lock()
	defer l.idle.mutex.Unlock()
	if l.idle.waiting {
		return
	}
	l.idle.waiting = true
	for number := 1; number < len(l.idle.streams); number++ {
		c := &conversation{link: l, stream: l.idle.streams[number], number: uint32(number)}
		l.handlers.Add(1)
		go func() {
			defer l.handlers.Done()
			c.awaitEnd()
		}()
	}
}
