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

	// What goes on beside the requests of mixed.
	besideBulk    = "bulk"
	besideStopped = "stopped"
	besideStalled = "stalled"
	besideChurn   = "churn"

	// Of requests and churn in mixed, whatever --message-bytes says.
	mixedRequestBytes = 64
)

var (
	workloads = []string{workloadBulk, workloadRequest, workloadChurn, workloadIdle, workloadMixed}
	// Neither library reads from a stream that it has closed itself, so `both` cannot end.
	directions = []string{directionNameUp, directionNameDown}
	besides    = []string{besideBulk, besideStopped, besideStalled, besideChurn}
)

type options struct {
	stack, workload, direction                string
	connections, streams, messageBytes, depth int
	seed                                      uint64
	connect                                   *net.TCPAddr
	// Only of mixed: what goes on beside the requests, and whether these have connection 0 to themselves.
	beside string
	apart  bool
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
	flags.StringVar(&run.beside, "beside", besideBulk, "")
	apart := flags.String("apart", "", "")
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
		isOptional := f.Name == "beside" || f.Name == "apart"
		if !given[f.Name] && !isOptional {
			err = fmt.Errorf("--%s is missing", f.Name)
		}
		if given[f.Name] && isOptional && run.workload != workloadMixed {
			err = fmt.Errorf("--%s is an option of mixed, and the workload is %q", f.Name, run.workload)
		}
	})
	if run.apart = given["apart"]; err == nil && run.apart && *apart != "yes" {
		err = fmt.Errorf("--apart is %q, not yes", *apart)
	}
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
	}{{"stack", o.stack, stacks}, {"workload", o.workload, workloads}, {"direction", o.direction, directions}, {"beside", o.beside, besides}} {
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

// role is what a stream is for.
type role int

const (
	roleBulk role = iota
	roleRequest
	roleChurn
	roleIdle
)

func (o *options) role(connection, stream uint32) role {
	switch o.workload {
	case workloadBulk:
		return roleBulk
	case workloadRequest:
		return roleRequest
	case workloadChurn:
		return roleChurn
	case workloadIdle:
		return roleIdle
	}
	switch {
	case stream == 0 && (connection == 0 || !o.apart):
		return roleRequest
	case o.beside == besideChurn:
		return roleChurn
	}
	return roleBulk
}

// streamsOn is how many streams a connection has at once.
func (o *options) streamsOn(connection uint32) int {
	switch {
	case !o.apart:
		return o.streams
	case connection == 0:
		return 1
	}
	return o.streams - 1
}

// lastingStreams is how many of them are opened before the start and stay until the end: those of churn come and go behind them.
func (o *options) lastingStreams(connection uint32) int {
	all := o.streamsOn(connection)
	for n := 0; n < all; n++ {
		if o.role(connection, uint32(n)) == roleChurn {
			return n
		}
	}
	return all
}

// isStopped tells whether nobody reads a stream of bulk until `stop`: the first of its connection.
func (o *options) isStopped(connection, stream uint32) bool {
	return o.beside == besideStopped && o.role(connection, stream) == roleBulk && (stream == 0 || o.role(connection, stream-1) != roleBulk)
}

// exchangeBytes is the payload of a message of requests and churn.
func (o *options) exchangeBytes() int {
	if o.workload == workloadMixed {
		return mixedRequestBytes
	}
	return o.messageBytes
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
