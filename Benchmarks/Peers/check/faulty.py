#!/usr/bin/env python3
"""A small driver for the stack `tcp` and the workload `request` that errs when it is told to, to try the checker on.

    faulty.py FAULT about | server OPTIONS | client OPTIONS

FAULT is one of FAULTS; `none` is a driver that obeys.
"""

import json
import os
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from payload import Payload  # noqa: E402
from peer import GREETING, greeting  # noqa: E402

FAULTS = {
    "none": "obeys",
    "receipts": "reports one message more than it sent",
    "payload": "sends a wrong byte in its tenth message",
    "blind": "compares nothing, and reports that it has",
    "unverified": "reports that it has compared nothing",
    "second-line": "answers `start` with two lines",
    "sleeping": "does not answer `end`",
    "deaf": "goes on when standard input has ended",
    "early": "says that it is ready before its streams are open",
    "greeting": "leaves the version out of its greeting",
    "guest": "takes a connection with a foreign greeting for one of its own",
    "boundary": "ends its streams within a message",
    "counters": "counters that stand still",
    "latency": "measures nothing",
    "options": "takes every option",
    "silent-death": "says nothing when the far end has gone",
}
COUNTERS = ("time_ns", "received_bytes", "received_messages", "completed")


def say(value):
    os.write(1, json.dumps(value).encode() + b"\n")


class Driver:
    def __init__(self, fault, role, told):
        self.fault, self.role = fault, role
        self.size, self.streams, self.connections = int(told["message-bytes"]), int(told["streams"]), int(told["connections"])
        self.payload = Payload(int(told["seed"]))
        self.lock = threading.Lock()
        self.sent = self.received = self.verified = self.completed = self.open = self.ever = 0
        self.window, self.latency, self.problems, self.threads = False, {}, [], []
        self.go, self.stopping = threading.Event(), False
        self.told = told

    def problem(self, sentence):
        with self.lock:
            if self.fault not in ("silent-death",) and len(self.problems) < 20:
                self.problems.append(sentence)

    def listen(self):
        listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        say({"ready": True, "port": listener.getsockname()[1]})
        while True:
            sock, _ = listener.accept()
            self.begin(self.welcome, sock)

    def begin(self, work, *arguments):
        self.threads.append(thread := threading.Thread(target=work, args=arguments, daemon=True))
        thread.start()

    def welcome(self, sock):
        head = sock.recv(GREETING.size, socket.MSG_WAITALL)
        magic, layout, version, _, connection, first, _ = GREETING.unpack(head.ljust(GREETING.size, b"\0"))
        if (magic, layout, version) != (b"strmgage", 2, 1):
            if self.fault != "guest":
                self.problem("a foreign greeting")
                sock.close()
                return
            with self.lock:
                self.ever += 1
            return
        self.stream(sock, connection, first)

    def dial_all(self):
        for connection in range(self.connections):
            for number in range(self.streams - (self.fault == "early" and connection == 0)):
                sock = socket.create_connection(("127.0.0.1", int(self.told["connect"].split(":")[1])))
                head = bytearray(greeting(connection, number))
                if self.fault == "greeting":
                    head[9] = 0
                sock.sendall(head)
                self.begin(self.stream, sock, connection, number)
        while self.ever < self.connections * self.streams - (self.fault == "early"):
            time.sleep(0.001)
        say({"ready": True})

    def stream(self, sock, connection, number):
        is_client = self.role == "client"
        mine, theirs = (self.payload.key(connection, number, down) for down in (not is_client, is_client))
        with self.lock:
            self.open += 1
            self.ever += 1
        try:
            self.exchange(sock, mine, theirs, is_client)
        except OSError as error:
            self.problem(f"stream {number}: {error}")
        with self.lock:
            self.open -= 1
        sock.close()

    def exchange(self, sock, mine, theirs, is_client):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if is_client:
            self.go.wait()
        count = 0
        while not (is_client and self.stopping):
            begun = time.monotonic_ns()
            if is_client:
                self.send(sock, mine, count)
            data = sock.recv(self.size, socket.MSG_WAITALL)
            if len(data) < self.size:
                if is_client or data:
                    self.problem("the far end has gone")
                return
            if self.fault != "blind" and data != self.payload.message(theirs, count, self.size):
                self.problem("a wrong byte")
            with self.lock:
                self.received += 1
                self.verified += self.fault != "unverified"
                self.completed += is_client
                if self.window and is_client and self.fault != "latency":
                    took = (time.monotonic_ns() - begun) // 1000 * 1000
                    self.latency[took] = self.latency.get(took, 0) + 1
            if not is_client:
                self.send(sock, mine, count)
            count += 1
        if self.fault == "boundary":
            sock.sendall(self.payload.message(mine, count, self.size)[:10])
        sock.shutdown(socket.SHUT_WR)
        sock.recv(1)

    def send(self, sock, key, count):
        data = bytearray(self.payload.message(key, count, self.size))
        if self.fault == "payload" and count == 10:
            data[7] ^= 1
        sock.sendall(data)
        with self.lock:
            self.sent += 1

    def counters(self):
        values = (time.monotonic_ns(), self.received * self.size, self.received, self.completed)
        return dict(zip(COUNTERS, values if self.fault != "counters" else (1, 0, 0, 0)))

    def wait(self):
        for thread in self.threads[1 if self.role == "server" else 0 :]:
            thread.join()

    def carry_out(self, command):
        with self.lock:
            if command == "streams":
                return {"streams": self.open}
            if command in ("begin", "end"):
                self.window = command == "begin"
                return self.counters()
        if command == "start":
            self.go.set()
            if self.fault == "second-line":
                say({})
        if command == "stop":
            self.stopping = True
            self.go.set()
            if self.role == "client":
                self.wait()
        if command == "report":
            self.wait()
            sent = self.sent + (self.fault == "receipts")
            return {
                "sent": {"bytes": sent * self.size, "messages": sent}, "received": {"bytes": self.received * self.size, "messages": self.received},
                "verified": self.verified, "streams": self.ever, "problems": self.problems, "latency": sorted(self.latency.items()),
            }
        return {}

    def run(self):
        if self.role == "server":
            self.begin(self.listen)
        else:
            try:
                self.dial_all()
            except OSError as error:
                say({"error": str(error)})
                os._exit(1)
        for line in sys.stdin:
            command = line.strip()
            if self.fault == "sleeping" and command == "end":
                time.sleep(3600)
            say(self.carry_out(command))
        while self.fault == "deaf":
            time.sleep(1)
        os._exit(0)


def main(fault, role, *rest):
    if role == "about":
        say({"contract": 1, "name": "faulty", "version": fault, "stacks": ["tcp"], "workloads": ["request"], "directions": ["up"]})
        return 0
    names = ["stack", "workload", "direction", "connections", "streams", "message-bytes", "depth", "seed"] + ["connect"] * (role == "client")
    told = {name.removeprefix("--"): value for name, value in zip(rest[::2], rest[1::2])}
    numbers = all(told.get(name, "x").isdigit() for name in names[3:8]) and int(told["seed"]) < 2**64
    known = told.get("stack") == "tcp" and told.get("workload") == "request" and told.get("direction") in ("up", "down", "both")
    if (sorted(told) != sorted(names) or len(rest) % 2 or not numbers or not known) and fault != "options":
        print("these options cannot be understood", file=sys.stderr)
        return 64
    Driver(fault, role, {**dict.fromkeys(names, "1"), **told} if fault == "options" else told).run()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
