// The Go driver of `streamgauge compare`: hashicorp/yamux and xtaci/smux on TCP, and TCP alone. The contract is Benchmarks/Peers/README.md;
// what is configured how, and why, is in README.md beside this file.
package main

import (
	"fmt"
	"os"
	"runtime"
)

const (
	exitCannotGoOn = 1
	exitUsage      = 64
)

// Set by scripts/install-drivers: the Debian packages that were built in.
var (
	yamuxVersion = "of unknown version"
	smuxVersion  = "of unknown version"
)

type about struct {
	Contract   int      `json:"contract"`
	Name       string   `json:"name"`
	Version    string   `json:"version"`
	Stacks     []string `json:"stacks"`
	Workloads  []string `json:"workloads"`
	Directions []string `json:"directions"`
	// How Go's net package reads and writes sockets.
	SocketCalls string   `json:"socket_calls"`
	Beside      []string `json:"beside"`
	Apart       bool     `json:"apart"`
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == "about" {
		version := fmt.Sprintf("hashicorp/yamux %s, smux %s, %s", yamuxVersion, smuxVersion, runtime.Version())
		answer(about{1, "go", version, stacks, workloads, directions, "read/write", besides, true})
		return
	}
	isClient, err := parse(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(exitUsage)
	}
	commands := readCommands()
	table = makeTable(run.seed)
	var e end
	if isClient {
		e, err = newClient()
	} else {
		e, err = newServer()
	}
	if err != nil {
		giveUp(err)
	}
	answer(e.ready())
	obey(e, commands)
}
