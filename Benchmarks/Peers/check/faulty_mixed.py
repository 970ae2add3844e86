#!/usr/bin/env python3
"""A small driver for the workload `mixed` with all that can go on beside its requests, made of the checker's own end. It errs when it is told to.

    faulty_mixed.py FAULT about | server OPTIONS | client OPTIONS

FAULT is one of FAULTS; `none` is a driver that obeys.
"""

import json
import os
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from peer import Line, Peer  # noqa: E402
from process import options, wait_for  # noqa: E402

FAULTS = {
    "none": "obeys",
    "reads-stopped": "reads the stream at once that it should not read",
    "blocks": "reads nothing at all from a connection on which a stream is stopped",
    "never-again": "does not read on after `stop`",
    "no-rests": "reads on at once where it should rest",
    "long-rests": "goes on resting after `stop`",
    "counts-churn": "counts churn with the requests",
    "times-churn": "times churn with the requests",
    "churn-size": "sends messages of --message-bytes where 64 bytes are due",
    "one-more": "has one stream of churn more under way than it should",
    "together": "opens all streams on every connection where the requests should have one to themselves",
    "swapped": "opens on connection 0 what belongs on connection 1, and the other way round",
    "shifted": "numbers streams from 1 on connections without requests",
    "tolerant": "takes every value of --beside",
}
STACKS, BESIDE = ("tcp", "tcp+yamux"), ("bulk", "stopped", "stalled", "churn")


def say(value):
    os.write(1, json.dumps(value).encode() + b"\n")


class End(Peer):
    """One end of a run that counts and errs."""

    def __init__(self, run, error, port=None):
        super().__init__(run, port=port)
        self.error = error
        self.completed, self.window, self.latency, self.begun = 0, False, {}, {}
        self.counting = threading.Lock()

    def counts(self, line, fault):
        return self.is_client and (line.role == "request" or line.role == "churn" and self.error == fault)

    def work(self, line):
        before = line.queued
        super().work(line)
        if line.queued > before:
            self.begun[line] = time.monotonic_ns()

    def take(self, line, data):
        before = line.messages
        super().take(line, data)
        if line.messages == before:
            return
        with self.counting:
            if self.counts(line, "counts-churn"):
                self.completed += 1
            if self.counts(line, "times-churn") and self.window:
                took = (time.monotonic_ns() - self.begun[line]) // 1000 * 1000
                self.latency[took] = self.latency.get(took, 0) + 1

    def counters(self, window):
        with self.counting:
            self.window = window
            return {
                "time_ns": time.monotonic_ns(), "received_bytes": self.received(), "received_messages": self.messages(), "completed": self.completed,
            }

    # What goes wrong

    def line(self, wire, number):
        line = Line(self, wire, number)
        if self.error == "churn-size" and line.role == "churn":
            line.size = self.options.message_bytes
        if self.error == "shifted" and self.options.apart and wire.connection:
            line.key_in, line.key_out = (self.payload.key(wire.connection, number + 1, down) for down in (self.is_client, not self.is_client))
        return line

    def streams_on(self, connection):
        if self.error == "swapped" and self.is_client:
            connection = 1 - connection
        return super().streams_on(connection) + (self.error == "one-more" and self.options.beside == "churn" and self.is_client)

    def holds(self, line):
        return super().holds(line) and (line.role, self.error) not in (("stopped", "reads-stopped"), ("stalled", "no-rests"))

    def read_on(self, line):
        if line.role == "stopped" and self.error == "never-again":
            return
        stopping = self.stopping
        self.stopping = stopping and self.error != "long-rests"
        super().read_on(line)
        self.stopping = stopping

    def readable(self, wire):
        if self.error == "blocks" and not self.stopping and any(line.role == "stopped" and line.position for line in wire.lines.values()):
            time.sleep(0.001)
        else:
            super().readable(wire)


def carry_out(end, command):
    if command == "streams":
        return {"streams": sum(not (line.ended and line.closed) for line in list(end.lines))}
    if command in ("begin", "end"):
        return end.counters(command == "begin")
    if command == "start":
        end.go = True
    if command == "stop":
        end.stopping = True
        if end.is_client and not wait_for(end.is_over, 25):
            say({"error": "streams are not over 25 s after stop"})
            os._exit(1)
    if command == "report":
        if not end.is_client and not wait_for(lambda: end.is_over() and not end.open_wires(), 25):
            end.faults.append("connections are not over 25 s after report")
        end.quit = True
        end.join()
        return {
            "sent": {"bytes": end.sent(), "messages": sum(line.queued for line in end.lines)},
            "received": {"bytes": end.received(), "messages": end.messages()}, "verified": end.messages(), "streams": len(end.lines),
            "problems": end.faults[:20], "latency": sorted(end.latency.items()),
        }
    return {}


def parse(error, role, rest):
    """The run that the options describe, or nothing when they cannot be understood."""
    told = {name.removeprefix("--").replace("-", "_"): value for name, value in zip(rest[::2], rest[1::2])}
    numbers = ("connections", "streams", "message_bytes", "depth", "seed")
    needed = {"stack", "workload", "direction", *numbers} | ({"connect"} if role == "client" else set())
    if len(rest) % 2 or not needed <= set(told) <= needed | {"beside", "apart"}:
        return None
    if not all(told[name].isdigit() for name in numbers) or int(told["seed"]) >= 2**64:
        return None
    if told["stack"] not in STACKS or told["workload"] != "mixed" or told["direction"] not in ("up", "down"):
        return None
    if told.get("apart", "yes") != "yes" or told.get("beside", "bulk") not in BESIDE and error != "tolerant":
        return None
    return options(
        told["stack"], "mixed", told["direction"], *(int(told[name]) for name in numbers), beside=told.get("beside", "bulk"),
        apart="apart" in told and error != "together",
    ), int(told["connect"].split(":")[1]) if role == "client" else None


def main(error, role, *rest):
    if role == "about":
        say({
            "contract": 1, "name": "faulty-mixed", "version": error, "stacks": STACKS, "workloads": ["mixed"], "directions": ["up", "down"],
            "beside": BESIDE, "apart": True,
        })
        return 0
    if not (parsed := parse(error, role, rest)):
        print("these options cannot be understood", file=sys.stderr)
        return 64
    run, port = parsed
    end = End(run, error, port)
    end.start()
    if end.is_client:
        while len(end.lines) < sum(end.streams_on(connection) for connection in range(run.connections)):
            time.sleep(0.001)
        say({"ready": True})
    else:
        say({"ready": True, "port": end.port})
    for line in sys.stdin:
        say(carry_out(end, line.strip()))
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
