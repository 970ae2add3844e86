package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"sync/atomic"
)

// end is what commands are carried out by: the client or the server of the run.
type end interface {
	ready() map[string]interface{}
	all() []*link
	open() error
	start()
	stop() error
	finish()
}

var reporting int32

func isReporting() bool { return atomic.LoadInt32(&reporting) != 0 }

func answer(value interface{}) {
	line, err := json.Marshal(value)
	if err == nil {
		_, err = os.Stdout.Write(append(line, '\n'))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "answering:", err)
		os.Exit(exitCannotGoOn)
	}
}

func giveUp(err error) {
	fmt.Fprintln(os.Stderr, err)
	answer(map[string]string{"error": err.Error()})
	os.Exit(exitCannotGoOn)
}

// readCommands ends the process when standard input ends, whatever is under way.
func readCommands() <-chan string {
	commands := make(chan string, 16)
	go func() {
		lines := bufio.NewScanner(os.Stdin)
		for lines.Scan() {
			commands <- lines.Text()
		}
		if err := lines.Err(); err != nil {
			giveUp(fmt.Errorf("reading commands: %w", err))
		}
		os.Exit(0)
	}()
	return commands
}

// obey carries out commands until the report is given.
func obey(e end, commands <-chan string) {
	nothing := struct{}{}
	for command := range commands {
		if gone := whatIsLost(); gone != "" && command != "report" {
			giveUp(fmt.Errorf("%s", gone))
		}
		switch command {
		case "streams":
			answer(map[string]int{"streams": openStreams(e)})
		case "open":
			if err := e.open(); err != nil {
				giveUp(err)
			}
			answer(nothing)
		case "settle":
			answer(map[string]uint64{"heap_bytes": settle()})
		case "start":
			e.start()
			answer(nothing)
		case "begin":
			answer(count(e, windowOpen))
		case "end":
			answer(count(e, windowOver))
		case "stop":
			stop(e)
			if gone := whatIsLost(); gone != "" {
				giveUp(fmt.Errorf("%s", gone))
			}
			answer(nothing)
		case "report":
			if !isStopping() {
				stop(e)
			}
			atomic.StoreInt32(&reporting, 1)
			e.finish()
			answer(makeReport(e))
			return
		default:
			giveUp(fmt.Errorf("%q is not a command", command))
		}
	}
}

func stop(e end) {
	if atomic.CompareAndSwapInt32(&stopping, 0, 1) {
		close(stopTold)
	}
	if err := e.stop(); err != nil {
		giveUp(err)
	}
}

func openStreams(e end) int {
	open := 0
	for _, l := range e.all() {
		open += l.openStreams()
	}
	return open
}

func settle() uint64 {
	runtime.GC()
	debug.FreeOSMemory()
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	return memory.HeapAlloc + memory.StackInuse
}

type counters struct {
	Time      int64  `json:"time_ns"`
	Bytes     uint64 `json:"received_bytes"`
	Messages  uint64 `json:"received_messages"`
	Completed uint64 `json:"completed"`
}

// count opens or closes the window, at the instant that the counters are of.
func count(e end, then int32) counters {
	c := received(e)
	atomic.StoreInt32(&window, then)
	return c
}

func received(e end) counters {
	var c counters
	for _, l := range e.all() {
		c.Bytes += atomic.LoadUint64(&l.meter.bytes)
		c.Messages += atomic.LoadUint64(&l.meter.messages)
		c.Completed += atomic.LoadUint64(&l.meter.completed)
	}
	c.Time = now()
	return c
}

type receipt struct {
	Bytes    uint64 `json:"bytes"`
	Messages uint64 `json:"messages"`
}

type report struct {
	Sent     receipt     `json:"sent"`
	Received receipt     `json:"received"`
	Verified uint64      `json:"verified"`
	Streams  uint64      `json:"streams"`
	Problems []string    `json:"problems"`
	Latency  [][2]uint64 `json:"latency"`
}

func makeReport(e end) report {
	c := received(e)
	total.mutex.Lock()
	defer total.mutex.Unlock()
	r := report{
		Sent:     receipt{total.sentBytes, total.sentMessages},
		Received: receipt{c.Bytes, c.Messages},
		Verified: total.verified,
		Streams:  atomic.LoadUint64(&total.streams),
		Problems: append([]string{}, total.problems...),
		Latency:  [][2]uint64{},
	}
	if unsaid := total.problemsCount - len(r.Problems); unsaid > 0 {
		last := len(r.Problems) - 1
		r.Problems[last] = fmt.Sprintf("%s (and %d more problems)", r.Problems[last], unsaid)
	}
	for octave := range total.latency {
		for bucket, operations := range total.latency[octave] {
			if operations > 0 {
				r.Latency = append(r.Latency, [2]uint64{bucketBound(octave, bucket), operations})
			}
		}
	}
	return r
}
