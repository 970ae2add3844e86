package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
)

const (
	pieceSize     = 65536
	sampledOneIn  = 64
	tableWords    = 16384
	golden        = 0x9e3779b97f4a7c15
	directionDown = uint64(1) << 63
)

// table is what every piece is cut from; it is written once, before the first connection.
var table []byte

func mix(v uint64) uint64 {
	v = (v ^ v>>30) * 0xbf58476d1ce4e5b9
	v = (v ^ v>>27) * 0x94d049bb133111eb
	return v ^ v>>31
}

func makeTable(seed uint64) []byte {
	words := make([]byte, 8*tableWords)
	state := seed
	for at := 0; at < len(words); at += 8 {
		state += golden
		binary.LittleEndian.PutUint64(words[at:], mix(state))
	}
	return words
}

func payloadKey(seed uint64, connection, stream uint32, direction uint64) uint64 {
	k := mix(seed ^ 0x53475041594c4f41)
	k = mix(k ^ uint64(connection) ^ direction)
	return mix(k ^ uint64(stream))
}

func pieceStart(key, piece uint64) int {
	m := (key ^ piece*golden) * 0xbf58476d1ce4e5b9
	m ^= m >> 32
	m *= 0x94d049bb133111eb
	return int(m >> 48 & 0xfff8)
}

// sender gives the messages of one direction of a stream to the library, straight out of the table: no message is ever built.
type sender struct {
	out      io.Writer
	key      uint64
	size     int
	piece    uint64
	bytes    uint64
	messages uint64
	// Only of messages of more than one piece on bare TCP: the pieces of one system call.
	pieces net.Buffers
}

// send hands over the next message, as one Write where it is one piece. Larger ones go piece by piece, because a copy that joins them costs
// more than it saves; on bare TCP the kernel takes them as a list.
func (s *sender) send() error {
	if s.size <= pieceSize {
		start := pieceStart(s.key, s.piece)
		s.piece++
		if _, err := s.out.Write(table[start : start+s.size]); err != nil {
			return err
		}
	} else if err := s.sendPieces(); err != nil {
		return err
	}
	s.bytes += uint64(s.size)
	s.messages++
	return nil
}

func (s *sender) sendPieces() error {
	socket, listed := s.out.(*net.TCPConn)
	list := s.pieces[:0]
	for left := s.size; left > 0; {
		length := left
		if length > pieceSize {
			length = pieceSize
		}
		start := pieceStart(s.key, s.piece)
		s.piece++
		left -= length
		if listed {
			list = append(list, table[start:start+length])
		} else if _, err := s.out.Write(table[start : start+length]); err != nil {
			return err
		}
	}
	if !listed {
		return nil
	}
	// WriteTo consumes the slice it is called on; the array behind it serves the next message.
	s.pieces = list
	_, err := list.WriteTo(socket)
	return err
}

// receiver counts the messages of one direction of a stream and compares one in 64, the first one included.
type receiver struct {
	meter        *meter
	conversation *conversation
	key          uint64
	size         uint64
	pieces       uint64 // in a message
	message      uint64 // number of the one under way
	offset       uint64 // of the next byte in it
	verified     uint64
	differs      bool
}

// take consumes what arrived and tells how many messages it completed.
func (r *receiver) take(chunk []byte) uint64 {
	before := r.message
	arrived := uint64(len(chunk))
	for len(chunk) > 0 {
		length := uint64(len(chunk))
		if phase := r.message % sampledOneIn; phase != 0 {
			// Nothing is compared up to the next sampled message.
			if unsampled := (sampledOneIn-phase)*r.size - r.offset; length > unsampled {
				length = unsampled
			}
		} else {
			if left := r.size - r.offset; length > left {
				length = left
			}
			r.compare(chunk[:length])
			if r.offset+length == r.size {
				r.verified++
			}
		}
		end := r.offset + length
		r.message += end / r.size
		r.offset = end % r.size
		chunk = chunk[length:]
	}
	completed := r.message - before
	r.meter.received(arrived, completed)
	return completed
}

func (r *receiver) compare(part []byte) {
	for at := r.offset; len(part) > 0; {
		within := at % pieceSize
		length := pieceSize - within
		if length > uint64(len(part)) {
			length = uint64(len(part))
		}
		start := uint64(pieceStart(r.key, r.message*r.pieces+at/pieceSize)) + within
		if !r.differs && !bytes.Equal(part[:length], table[start:start+length]) {
			r.differs = true
			problem(fmt.Sprintf("message %d of %s differs from what was sent, in its bytes from %d to %d", r.message, r.conversation.name(), at, at+length))
		}
		at += length
		part = part[length:]
	}
}

// ended tells whether the stream may end here.
func (r *receiver) ended() {
	if r.offset != 0 {
		problem(fmt.Sprintf("%s ended %d bytes into message %d of %d bytes", r.conversation.name(), r.offset, r.message, r.size))
	}
}
