"""The checker's own end of a run: server or client, on a thread, every byte compared and every stream followed from its opening to its end."""

import selectors
import socket
import struct
import threading
import time

import roles
from machines import MACHINES
from payload import Payload

GREETING = struct.Struct(">8sBBHIQQ")
QUEUED = 1 << 16


def greeting(connection, stream):
    return GREETING.pack(b"strmgage", 2, 1, 0, connection, stream, 0)


class Line:
    """One stream."""

    def __init__(self, peer, wire, number):
        options = peer.options
        self.wire, self.number, self.name = wire, number, f"connection {wire.connection}, stream {number}"
        self.role = roles.role(options, wire.connection, number)
        self.is_request = self.role in ("request", "churn")
        self.size = roles.message_bytes(options, self.role)
        self.key_in = peer.payload.key(wire.connection, number, peer.is_client)
        self.key_out = peer.payload.key(wire.connection, number, not peer.is_client)
        self.pending = bytearray()
        self.queued = self.position = 0
        self.expected = b""
        self.ended = self.closed = False
        # Of a receiver that rests: when it reads on.
        self.rests_until = 0.0

    @property
    def messages(self):
        return self.position // self.size


class Wire:
    """One connection."""

    def __init__(self, sock):
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock, self.head, self.machine, self.connection = sock, b"", None, None
        self.lines = {}
        self.written = self.under_way = 0
        self.eof = self.is_shut = self.is_paused = False


class Peer(threading.Thread):
    def __init__(self, options, port=None, fault=None, foreign=False):
        super().__init__(daemon=True)
        self.options, self.is_client, self.fault = options, port is not None, fault
        self.payload = Payload(options.seed)
        self.faults, self.wires, self.greetings, self.lines = [], [], [], []
        self.go = self.stopping = self.quit = False
        self.selector = selectors.DefaultSelector()
        self.listener = None
        self.foreign = None
        if port is None:
            self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
            self.listener.setblocking(False)
            self.port = self.listener.getsockname()[1]
            self.selector.register(self.listener, selectors.EVENT_READ)
        else:
            self.port = port
            if foreign:
                self.foreign = socket.create_connection(("127.0.0.1", port))
                self.foreign.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n    ")

    # What a check asks afterwards

    def sent(self):
        return sum(line.queued * line.size - len(line.pending) for line in self.lines)

    def received(self):
        return sum(line.position for line in self.lines)

    def messages(self):
        return sum(line.messages for line in self.lines)

    def of_role(self, role):
        return [line for line in list(self.lines) if line.role == role]

    def moved(self, line):
        """Bytes of a stream that this end got rid of."""
        return line.wire.written if self.options.stack == "tcp" else line.queued * line.size - len(line.pending)

    def is_stuck(self, line):
        """Whether a stream has bytes to send and nobody who takes them, as far as this end can tell."""
        machine = line.wire.machine
        return bool(machine.out) if self.options.stack == "tcp" else bool(line.pending) and not machine.room(line.number)

    def is_over(self):
        """Every stream was ended by the far end and closed by this one, to the last byte."""
        return all(line.ended and line.closed and not line.wire.machine.out for line in list(self.lines))

    def open_wires(self):
        return sum(not wire.eof for wire in self.wires)

    # The thread

    def run(self):
        try:
            if self.is_client:
                self.dial_all()
            while not self.quit:
                for key, _ in self.selector.select(0.005):
                    if key.fileobj is self.listener:
                        self.accept()
                    else:
                        self.readable(key.data)
                for wire in list(self.wires):
                    if wire.machine and not (wire.eof and self.options.stack != "tcp"):
                        for line in list(wire.lines.values()):
                            self.work(line)
                        self.flush(wire)
                    if self.options.stack == "tcp":
                        self.pause(wire)
        except Exception as error:
            self.faults.append(f"the checker's own end: {type(error).__name__}: {error}")
        finally:
            for wire in self.wires:
                self.hang_up(wire)
            if self.listener:
                self.listener.close()
            self.selector.close()

    def hang_up(self, wire):
        """Says that this end is over and reads what still comes, so that nothing on its way is thrown away with the socket."""
        wire.sock.settimeout(2)
        try:
            if not wire.is_shut:
                wire.sock.shutdown(socket.SHUT_WR)
            while not wire.eof and wire.sock.recv(1 << 18):
                continue
        except OSError as error:
            if not wire.eof:
                self.faults.append(f"connection {wire.connection}, at its end: {error}")
        wire.sock.close()

    def pause(self, wire):
        """Bytes that nobody reads yet stay in the socket."""
        pauses = not wire.eof and not self.stopping and any(self.holds(line) and line.role == "stopped" for line in wire.lines.values())
        if pauses != wire.is_paused and not wire.eof:
            wire.is_paused = pauses
            if pauses:
                self.selector.unregister(wire.sock)
            else:
                self.selector.register(wire.sock, selectors.EVENT_READ, wire)

    def foreign_refused(self):
        self.foreign.settimeout(2)
        try:
            return not self.foreign.recv(1)
        except ConnectionError:
            return True
        except OSError:
            return False

    def dial_all(self):
        for connection in range(self.options.connections):
            count = self.streams_on(connection)
            if self.options.stack == "tcp":
                for number in range(count):
                    self.open(self.dial(connection, number), number)
            else:
                wire = self.dial(connection, 0)
                for number in range(count):
                    self.open(wire, number)

    def dial(self, connection, first):
        wire = Wire(socket.create_connection(("127.0.0.1", self.port)))
        wire.connection = connection
        wire.machine = MACHINES[self.options.stack](True, first)
        wire.machine.out += greeting(connection, first)
        self.add(wire)
        return wire

    def add(self, wire):
        self.wires.append(wire)
        self.selector.register(wire.sock, selectors.EVENT_READ, wire)

    def open(self, wire, number):
        wire.machine.open(number)
        self.begin(wire, number)

    def begin(self, wire, number):
        self.lines.append(line := self.line(wire, number))
        wire.lines[number] = line
        if self.holds(line):
            wire.machine.hold(number)

    def line(self, wire, number):
        return Line(self, wire, number)

    def streams_on(self, connection):
        return roles.streams_on(self.options, connection)

    def accept(self):
        try:
            self.add(Wire(self.listener.accept()[0]))
        except BlockingIOError:
            return

    def readable(self, wire):
        try:
            data = wire.sock.recv(1 << 18)
        except BlockingIOError:
            return
        except OSError as error:
            self.faults.append(f"connection {wire.connection}: {error}")
            data = b""
        if not data:
            wire.eof = True
            self.selector.unregister(wire.sock)
            if wire.machine is None:
                self.faults.append(f"a connection ended after {len(wire.head)} bytes of a greeting")
            else:
                self.handle(wire, wire.machine.ended())
                if self.options.stack != "tcp":
                    # A client that closes its half first waits for this one.
                    wire.machine.shut = True
                    self.flush(wire)
            return
        if wire.machine is None:
            wire.head += data
            if len(wire.head) < GREETING.size:
                return
            data = wire.head[GREETING.size :]
            if not self.greeted(wire, wire.head[: GREETING.size]):
                return
        if data:
            self.handle(wire, wire.machine.receive(data))

    def greeted(self, wire, head):
        magic, layout, version, zero, wire.connection, first, end = GREETING.unpack(head)
        if magic != b"strmgage" or (layout, version, zero, end) != (2, 1, 0, 0):
            self.faults.append(f"a greeting of {head.hex()}")
        if (wire.connection, first) in self.greetings:
            self.faults.append(f"connection {wire.connection}, first stream {first} came twice")
        self.greetings.append((wire.connection, first))
        wire.machine = MACHINES[self.options.stack](False, first)
        self.handle(wire, wire.machine.begin())
        return True

    def handle(self, wire, events):
        for kind, number, *rest in events:
            if kind == "open":
                self.opened(wire, number)
                continue
            line = wire.lines[number]
            if kind == "data":
                self.take(line, rest[0])
            elif kind == "reset":
                self.faults.append(f"{line.name}: was reset")
                self.end(line)
            else:
                self.end(line)
                if line.position % line.size:
                    self.faults.append(f"{line.name}: ended within message {line.messages}")
        self.faults += wire.machine.faults
        wire.machine.faults = []

    def opened(self, wire, number):
        """The far end has opened a stream, of which a connection has so many at once."""
        self.begin(wire, number)
        wire.under_way += 1
        most = self.streams_on(wire.connection)
        if self.options.stack != "tcp" and wire.under_way > most:
            self.faults.append(f"connection {wire.connection} has {wire.under_way} streams at once when stream {number} comes; it should have {most}")
        elif self.options.stack == "tcp" and number >= most:
            self.faults.append(f"connection {wire.connection} has a stream {number}; it should have {most}, numbered from 0")

    def end(self, line):
        line.wire.under_way -= not line.ended
        line.ended = True

    def receives(self, line):
        """Whether anything is to come on a stream."""
        return line.is_request or line.role != "idle" and self.options.direction != ("up" if self.is_client else "down")

    def holds(self, line):
        """Whether a stream is read later than its bytes come."""
        return line.role in ("stopped", "stalled") and self.receives(line)

    def read_on(self, line):
        """What a receiver that reads late has read by now is given back."""
        machine, now = line.wire.machine, time.monotonic()
        if self.stopping:
            machine.release(line.number)
        elif line.role == "stalled" and now >= line.rests_until and machine.unread[line.number] >= line.size:
            machine.release(line.number, line.size)
            line.rests_until = now + roles.REST_SECONDS

    def take(self, line, data):
        if not self.receives(line):
            self.faults.append(f"{line.name}: {len(data)} bytes in a direction in which nothing is to be sent")
        at = 0
        while at < len(data):
            within = line.position % line.size
            if within == 0:
                line.expected = self.payload.message(line.key_in, line.messages, line.size)
            part = data[at : at + line.size - within]
            if part != line.expected[within : within + len(part)] and len(self.faults) < 20:
                self.faults.append(f"{line.name}: message {line.messages} is not what the contract says")
            line.position += len(part)
            at += len(part)

    def work(self, line):
        """Queues what is to be sent next on a stream, and closes it when its time has come."""
        if self.holds(line) and self.options.stack.endswith("yamux"):
            self.read_on(line)
        if line.closed:
            return
        options, limit = self.options, 0
        if line.is_request:
            if self.is_client:
                depth = 1 if line.role == "churn" else options.depth
                if line.role == "churn":
                    limit = 1 if self.go and not (self.stopping and not line.queued) else line.queued
                else:
                    limit = line.messages + depth if self.go and not self.stopping else line.queued
                done = line.queued == line.messages and (self.stopping or line.role == "churn" and line.queued)
            else:
                limit, done = line.messages, line.ended
        elif line.role != "idle" and options.direction in ("both", "up" if self.is_client else "down"):
            limit = line.queued + 1 if self.go and not self.stopping else 0
            # In both directions a server does not close before it has read everything.
            done = self.stopping and (line.ended or self.is_client or options.direction != "both")
        else:
            done = line.ended if not self.is_client or line.role != "idle" else self.stopping
        while line.queued < limit and len(line.pending) < QUEUED:
            message = bytearray(self.payload.message(line.key_out, line.queued, line.size))
            if self.fault == "payload" and line.number == 0 and line.queued == 0:
                message[line.size // 2] ^= 1
            line.pending += message
            line.queued += 1
            if not line.is_request:
                limit += 1
        machine = line.wire.machine
        while line.pending and len(machine.out) < QUEUED and (room := machine.room(line.number)):
            machine.send(line.number, bytes(line.pending[:room]))
            del line.pending[:room]
        if done and not line.pending and line.queued >= limit:
            line.closed = True
            machine.close(line.number)
            if self.is_client and line.role == "churn" and not self.stopping:
                self.open_another(line.wire)

    def open_another(self, wire):
        if self.options.stack == "tcp":
            number = 1 + max(line.number for line in self.lines if line.wire.connection == wire.connection)
            self.open(self.dial(wire.connection, number), number)
        else:
            self.open(wire, len(wire.lines))

    def flush(self, wire):
        machine = wire.machine
        try:
            while machine.out:
                sent = wire.sock.send(machine.out[: 1 << 18])
                wire.written += sent
                del machine.out[:sent]
            if machine.shut and not wire.is_shut:
                wire.is_shut = True
                wire.sock.shutdown(socket.SHUT_WR)
        except BlockingIOError:
            return
        except OSError as error:
            machine.out.clear()
            self.faults.append(f"connection {wire.connection}: {error}")
