package main

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"time"

	"github.com/hashicorp/yamux"
	"github.com/xtaci/smux"
)

const (
	stackTCP   = "tcp"
	stackYamux = "tcp+yamux"
	stackSmux  = "tcp+smux"
)

var stacks = []string{stackTCP, stackYamux, stackSmux}

// session is a connection with a multiplexer on it.
type session interface {
	// open and accept tell the stream's number: how many streams the client had opened before it.
	open() (io.ReadWriteCloser, uint32, error)
	accept() (io.ReadWriteCloser, uint32, error)
	openStreams() int
	// tellsFarClose says whether openStreams still counts a stream that only this end has closed.
	tellsFarClose() bool
	Close() error
}

func newSession(socket *net.TCPConn, client bool) (session, error) {
	switch run.stack {
	case stackYamux:
		create := yamux.Server
		if client {
			create = yamux.Client
		}
		s, err := create(socket, yamuxConfig())
		return yamuxSession{s}, err
	case stackSmux:
		create := smux.Server
		if client {
			create = smux.Client
		}
		s, err := create(newBufferedSocket(socket), smuxConfig())
		return smuxSession{s}, err
	}
	return nil, fmt.Errorf("%s has no multiplexer", run.stack)
}

// yamuxConfig is the default, but for two limits: nothing is sent beside the traffic, and a frame may wait longer for its turn, because a thousand bulk
// streams put a window each ahead of it.
func yamuxConfig() *yamux.Config {
	config := yamux.DefaultConfig()
	config.EnableKeepAlive = false
	config.ConnectionWriteTimeout = 30 * time.Second
	config.LogOutput = os.Stderr
	return config
}

type yamuxSession struct{ *yamux.Session }

func (s yamuxSession) open() (io.ReadWriteCloser, uint32, error) {
	stream, err := s.OpenStream()
	if err != nil {
		return nil, 0, err
	}
	return stream, (stream.StreamID() - 1) / 2, nil
}

func (s yamuxSession) accept() (io.ReadWriteCloser, uint32, error) {
	stream, err := s.AcceptStream()
	if err != nil {
		return nil, 0, err
	}
	return stream, (stream.StreamID() - 1) / 2, nil
}

func (s yamuxSession) openStreams() int    { return s.NumStreams() }
func (s yamuxSession) tellsFarClose() bool { return true }

const (
	smuxWindowMin     = 256 << 10 // what a sender assumes before it is told
	smuxWindowMax     = 2 << 20
	smuxConnectionMax = 1 << 30
)

// smuxConfig gives a stream 2 MiB, as kcptun does, less where there are so many streams that their windows together would pass 1 GiB. A connection takes
// in one window more than its streams can fill: at its limit smux stops reading the socket, window updates too, and two ends whose streams are all
// full then wait for each other for good.
func smuxConfig() *smux.Config {
	config := smux.DefaultConfig()
	config.Version = 2
	config.KeepAliveDisabled = true
	window := smuxConnectionMax / (run.streams + 1)
	if window > smuxWindowMax {
		window = smuxWindowMax
	}
	if window < smuxWindowMin {
		window = smuxWindowMin
	}
	config.MaxStreamBuffer = window
	if all := window * (run.streams + 1); all > math.MaxInt32 {
		config.MaxReceiveBuffer = math.MaxInt32
	} else if all > config.MaxReceiveBuffer {
		config.MaxReceiveBuffer = all
	}
	return config
}

type smuxSession struct{ *smux.Session }

func (s smuxSession) open() (io.ReadWriteCloser, uint32, error) {
	stream, err := s.OpenStream()
	if err != nil {
		return nil, 0, err
	}
	return stream, (stream.ID() - 3) / 2, nil
}

func (s smuxSession) accept() (io.ReadWriteCloser, uint32, error) {
	stream, err := s.AcceptStream()
	if err != nil {
		return nil, 0, err
	}
	return stream, (stream.ID() - 3) / 2, nil
}

func (s smuxSession) openStreams() int    { return s.NumStreams() }
func (s smuxSession) tellsFarClose() bool { return false }

// bufferedSocket reads many small frames with one system call: smux itself makes two for each frame.
type bufferedSocket struct {
	*net.TCPConn
	reader *bufio.Reader
}

func newBufferedSocket(socket *net.TCPConn) *bufferedSocket {
	return &bufferedSocket{socket, bufio.NewReaderSize(socket, socketBuffer)}
}

func (b *bufferedSocket) Read(into []byte) (int, error) { return b.reader.Read(into) }
