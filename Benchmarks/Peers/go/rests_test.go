package main

import (
	"bytes"
	"fmt"
	"io"
	"testing"
	"time"
)

// A receiver that rests has read one message and no byte more, however the bytes come, and reads no further when it is told to stop.
func TestRests(t *testing.T) {
	table = makeTable(5)
	run = options{seed: 5}
	for _, size := range []int{64, 4096, 100000} {
		c := &conversation{link: &link{}}
		var sent collector
		s := c.sender(size, 0)
		s.out = &sent
		for n := 0; n < 3; n++ {
			if err := s.send(); err != nil {
				t.Fatal(err)
			}
		}
		stream := bytes.NewReader(sent)
		d := discard{c.receiver(size, 0)}
		stop, over := make(chan struct{}), make(chan error)
		go func() {
			over <- d.takeWithRests(&eventful{stream, func() {
				if stream.Len() == 2*size {
					// The first message is complete. The rest would take an hour.
					close(stop)
				}
			}}, make([]byte, 4096), time.Hour, stop)
		}()
		if err := <-over; err != nil {
			t.Fatal(err)
		}
		if d.message != 1 || d.offset != 0 || stream.Len() != 2*size {
			t.Errorf("size %d: %d messages and %d bytes were read, %d bytes are left", size, d.message, d.offset, stream.Len())
		}
		// Told to stop before it begins, it leaves everything.
		if err := d.takeWithRests(stream, make([]byte, 4096), time.Hour, stop); err != nil || stream.Len() != 2*size {
			t.Errorf("size %d: %v, and %d bytes are left", size, err, stream.Len())
		}
		// Rests that take no time: all messages are read, and the end is left to others.
		if err := d.takeWithRests(stream, make([]byte, 4096), 0, make(chan struct{})); err != nil || d.message != 3 || d.differs {
			t.Errorf("size %d: %v, %d messages were read, differs: %v", size, err, d.message, d.differs)
		}
	}
}

// eventful tells of each read.
type eventful struct {
	io.Reader
	read func()
}

func (e *eventful) Read(into []byte) (int, error) {
	n, err := e.Reader.Read(into)
	e.read()
	return n, err
}

// What the streams of two connections are for, and which of them nobody reads.
func TestRoles(t *testing.T) {
	for _, v := range []struct {
		options options
		// A letter a stream: r a request, b bulk, s bulk that is stopped, c churn, i idle.
		streams [2]string
	}{
		{options{workload: workloadBulk, beside: besideBulk}, [2]string{"bbb", "bbb"}},
		{options{workload: workloadRequest, beside: besideBulk}, [2]string{"rrr", "rrr"}},
		{options{workload: workloadChurn, beside: besideBulk}, [2]string{"ccc", "ccc"}},
		{options{workload: workloadIdle, beside: besideBulk}, [2]string{"iii", "iii"}},
		{options{workload: workloadMixed, beside: besideBulk}, [2]string{"rbb", "rbb"}},
		{options{workload: workloadMixed, beside: besideStopped}, [2]string{"rsb", "rsb"}},
		{options{workload: workloadMixed, beside: besideStalled}, [2]string{"rbb", "rbb"}},
		{options{workload: workloadMixed, beside: besideChurn}, [2]string{"rcc", "rcc"}},
		{options{workload: workloadMixed, beside: besideBulk, apart: true}, [2]string{"r", "bb"}},
		{options{workload: workloadMixed, beside: besideStopped, apart: true}, [2]string{"r", "sb"}},
		{options{workload: workloadMixed, beside: besideChurn, apart: true}, [2]string{"r", "cc"}},
	} {
		o := v.options
		o.streams = 3
		for connection, wanted := range v.streams {
			got, lasting := "", 0
			for n := 0; n < o.streamsOn(uint32(connection)); n++ {
				letter := "brci"[o.role(uint32(connection), uint32(n))]
				if o.isStopped(uint32(connection), uint32(n)) {
					letter = 's'
				}
				if letter != 'c' {
					lasting++
				}
				got += string(letter)
			}
			if got != wanted || o.lastingStreams(uint32(connection)) != lasting {
				t.Errorf("%+v, connection %d: %s instead of %s, of which %d last", o, connection, got, wanted, o.lastingStreams(uint32(connection)))
			}
		}
	}
}

func TestOptionsOfMixed(t *testing.T) {
	for _, v := range []struct {
		workload string
		more     []string
		isFine   bool
		beside   string
		apart    bool
	}{
		{workloadMixed, nil, true, besideBulk, false},
		{workloadMixed, []string{"--beside", "stopped"}, true, besideStopped, false},
		{workloadMixed, []string{"--beside", "stalled", "--apart", "yes"}, true, besideStalled, true},
		{workloadMixed, []string{"--beside", "churn"}, true, besideChurn, false},
		{workloadMixed, []string{"--apart", "yes"}, true, besideBulk, true},
		{workloadMixed, []string{"--beside", "locusts"}, false, "", false},
		{workloadMixed, []string{"--beside", ""}, false, "", false},
		{workloadMixed, []string{"--apart", "perhaps"}, false, "", false},
		{workloadMixed, []string{"--apart", ""}, false, "", false},
		{workloadBulk, []string{"--beside", "stopped"}, false, "", false},
		{workloadBulk, []string{"--apart", "yes"}, false, "", false},
	} {
		arguments := append([]string{"server", "--stack", "tcp", "--workload", v.workload, "--direction", "up", "--connections", "2", "--streams", "3",
			"--message-bytes", "64", "--depth", "1", "--seed", "1"}, v.more...)
		run = options{}
		_, err := parse(arguments)
		if (err == nil) != v.isFine {
			t.Errorf("%v: %v", arguments, err)
		}
		if got, wanted := fmt.Sprint(run.beside, run.apart), fmt.Sprint(v.beside, v.apart); v.isFine && got != wanted {
			t.Errorf("%v: %s instead of %s", arguments, got, wanted)
		}
	}
}
