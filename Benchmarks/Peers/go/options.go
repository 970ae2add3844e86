package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"net"
	"strings"
)

const (
	workloadBulk    = "bulk"
	workloadRequest = "request"
	workloadChurn   = "churn"
	workloadIdle    = "idle"
	workloadMixed   = "mixed"

	directionNameUp   = "up"
	directionNameDown = "down"

	// Of stream 0 in mixed, whatever --message-bytes says.
	mixedRequestBytes = 64
)

var (
	workloads = []string{workloadBulk, workloadRequest, workloadChurn, workloadIdle, workloadMixed}
	// Neither library reads from a stream that it has closed itself, so `both` cannot end.
	directions = []string{directionNameUp, directionNameDown}
)

type options struct {
	stack, workload, direction                string
	connections, streams, messageBytes, depth int
	seed                                      uint64
	connect                                   *net.TCPAddr
}

// run is what this process was told to do; it is written once, at the start.
var run options

// parse reads the command line into run and tells whether this is the client.
func parse(arguments []string) (isClient bool, err error) {
	if len(arguments) == 0 {
		return false, errors.New("about, server or client is missing")
	}
	isClient = arguments[0] == "client"
	if !isClient && arguments[0] != "server" {
		return false, fmt.Errorf("%q is none of about, server and client", arguments[0])
	}
	flags := flag.NewFlagSet(arguments[0], flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&run.stack, "stack", "", "")
	flags.StringVar(&run.workload, "workload", "", "")
	flags.StringVar(&run.direction, "direction", "", "")
	flags.IntVar(&run.connections, "connections", 0, "")
	flags.IntVar(&run.streams, "streams", 0, "")
	flags.IntVar(&run.messageBytes, "message-bytes", 0, "")
	flags.IntVar(&run.depth, "depth", 0, "")
	flags.Uint64Var(&run.seed, "seed", 0, "")
	var connect string
	if isClient {
		flags.StringVar(&connect, "connect", "", "")
	}
	if err := flags.Parse(arguments[1:]); err != nil {
		return isClient, err
	}
	if flags.NArg() > 0 {
		return isClient, fmt.Errorf("%q is not an option", flags.Arg(0))
	}
	given := make(map[string]bool)
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	flags.VisitAll(func(f *flag.Flag) {
		if !given[f.Name] {
			err = fmt.Errorf("--%s is missing", f.Name)
		}
	})
	if err != nil {
		return isClient, err
	}
	if isClient {
		if run.connect, err = net.ResolveTCPAddr("tcp4", connect); err != nil {
			return isClient, fmt.Errorf("--connect: %w", err)
		}
	}
	return isClient, run.check()
}

func (o *options) check() error {
	for _, choice := range []struct {
		name, value string
		of          []string
	}{{"stack", o.stack, stacks}, {"workload", o.workload, workloads}, {"direction", o.direction, directions}} {
		if !contains(choice.of, choice.value) {
			return fmt.Errorf("--%s is %q, not one of %s", choice.name, choice.value, strings.Join(choice.of, ", "))
		}
	}
	for _, number := range []struct {
		name  string
		value int
	}{{"connections", o.connections}, {"streams", o.streams}, {"message-bytes", o.messageBytes}, {"depth", o.depth}} {
		if number.value < 1 || number.value > math.MaxInt32 {
			return fmt.Errorf("--%s is %d, not between 1 and %d", number.name, number.value, math.MaxInt32)
		}
	}
	return nil
}

func contains(list []string, value string) bool {
	for _, candidate := range list {
		if candidate == value {
			return true
		}
	}
	return false
}

// idleFirst is how many idle streams of a connection are opened before the client is ready.
func (o *options) idleFirst() int {
	if o.streams < 10 {
		return 1
	}
	return o.streams / 10
}

const (
	readBufferMin  = 4 << 10
	readBufferMax  = 256 << 10
	readBuffersMax = 64 << 20 // of all streams together
	socketBuffer   = 64 << 10
)

// readBuffer is the size of what bulk is read into. Every stream has such a buffer while it waits, so many streams have smaller ones.
func (o *options) readBuffer() int {
	size := readBuffersMax / (o.connections * o.streams)
	if size < readBufferMin {
		size = readBufferMin
	}
	if size > readBufferMax {
		size = readBufferMax
	}
	return size
}

// requestBuffer holds what can be under way on a stream of requests.
func (o *options) requestBuffer(size int) int {
	if most := o.readBuffer(); size > most/o.depth {
		return most
	}
	return size * o.depth
}
