"""The three wire formats that the checker speaks itself. A machine takes received bytes and gives events; what it wants to send lies in `out`.

Events are ("open", n), ("data", n, bytes), ("end", n) and ("reset", n), with n the number of a stream as the contract counts them. Breaches of the format
are sentences in `faults`.
"""

import struct


class Plain:
    """`tcp`: the connection is its only stream."""

    def __init__(self, is_client, number):
        self.is_client, self.number = is_client, number
        self.out, self.faults = bytearray(), []
        self.shut = False

    def begin(self):
        return [] if self.is_client else [("open", self.number)]

    def open(self, number):
        return None

    def room(self, number):
        return 1 << 16

    def send(self, number, data):
        self.out += data

    def close(self, number):
        # The end of the stream is the end of what is written; the socket says it when `out` is empty.
        self.shut = True

    def hold(self, number):
        """Nothing: what is not to be read stays in the socket."""

    def receive(self, data):
        return [("data", self.number, data)]

    def ended(self):
        return [("end", self.number)]


DATA, WINDOW, PING, GO_AWAY = 0, 1, 2, 3
SYN, ACK, FIN, RST = 1, 2, 4, 8
INITIAL = 256 * 1024


class Yamux:
    HEADER = struct.Struct(">BBHII")

    def __init__(self, is_client, number):
        self.is_client = is_client
        self.out, self.faults, self.input = bytearray(), [], bytearray()
        self.shut = False
        self.window, self.credit = {}, {}
        # Of streams that are read later than their bytes come: bytes whose credit is still to be given back.
        self.unread = {}
        self.finished = set()

    def frame(self, kind, flags, identifier, length, data=b""):
        self.out += self.HEADER.pack(0, kind, flags, identifier, length) + data

    def begin(self):
        return []

    def open(self, number):
        self.window[number] = self.credit[number] = INITIAL
        self.frame(WINDOW, SYN, 2 * number + 1, 0)

    def room(self, number):
        return min(self.window.get(number, 0), 1 << 14)

    def send(self, number, data):
        self.window[number] -= len(data)
        self.frame(DATA, 0, 2 * number + 1, len(data), data)

    def close(self, number):
        self.frame(WINDOW, FIN, 2 * number + 1, 0)

    def hold(self, number):
        """From now on credit for what comes on the stream is given back by `release` alone."""
        self.unread[number] = 0

    def release(self, number, count=None):
        """As if `count` bytes had been read, or all."""
        count = self.unread[number] if count is None else count
        self.unread[number] -= count
        self.credit[number] += count
        if count and number not in self.finished:
            self.frame(WINDOW, 0, 2 * number + 1, count)

    def receive(self, data):
        self.input += data
        events = []
        while len(self.input) >= 12:
            version, kind, flags, identifier, length = self.HEADER.unpack_from(self.input)
            size = 12 + (length if kind == DATA else 0)
            if version or kind > GO_AWAY or kind == DATA and length > 1 << 24:
                self.faults.append(f"a yamux header of version {version}, type {kind}, length {length}")
                self.input.clear()
                break
            if len(self.input) < size:
                break
            body = bytes(self.input[12:size])
            del self.input[:size]
            if kind == PING:
                if flags & SYN:
                    self.frame(PING, ACK, 0, length)
            elif kind != GO_AWAY:
                self.stream_frame(kind, flags, identifier, length, body, events)
        return events

    def stream_frame(self, kind, flags, identifier, length, body, events):
        if not identifier & 1:
            self.faults.append(f"a yamux frame for stream {identifier}, which only a server would have opened")
            return
        number = identifier // 2
        if flags & SYN:
            if self.is_client or number in self.window:
                self.faults.append(f"a yamux SYN for stream {identifier}, which is open")
                return
            self.window[number] = self.credit[number] = INITIAL
            # Alone, as py-libp2p overlooks other flags on a frame that acknowledges.
            self.frame(WINDOW, ACK, identifier, 0)
            events.append(("open", number))
        if number not in self.window:
            self.faults.append(f"a yamux frame for stream {identifier}, which was never opened")
            return
        if kind == WINDOW:
            self.window[number] += length
        elif body:
            if number in self.finished:
                self.faults.append(f"yamux stream {identifier} brought {len(body)} bytes after its end")
            self.credit[number] -= len(body)
            if self.credit[number] < 0:
                self.faults.append(f"yamux stream {identifier} sent {-self.credit[number]} bytes more than its window")
            events.append(("data", number, body))
            if number in self.unread:
                self.unread[number] += len(body)
            else:
                self.credit[number] += len(body)
                if number not in self.finished and not flags & FIN:
                    self.frame(WINDOW, 0, identifier, len(body))
        if flags & RST:
            events.append(("reset", number))
        elif flags & FIN and number not in self.finished:
            self.finished.add(number)
            events.append(("end", number))

    def ended(self):
        return []


class Mplex:
    def __init__(self, is_client, number):
        self.is_client = is_client
        self.out, self.faults, self.input = bytearray(), [], bytearray()
        self.shut = False
        self.streams, self.finished = set(), set()

    def frame(self, number, flag, data=b""):
        self.out += self.varint(number << 3 | flag) + self.varint(len(data)) + data

    @staticmethod
    def varint(value):
        out = bytearray()
        while value > 127:
            out.append(value & 127 | 128)
            value >>= 7
        out.append(value)
        return bytes(out)

    def begin(self):
        return []

    def open(self, number):
        self.streams.add(number)
        self.frame(number, 0, str(number).encode())

    def room(self, number):
        return 1 << 14

    def send(self, number, data):
        self.frame(number, 2 if self.is_client else 1, data)

    def close(self, number):
        self.frame(number, 4 if self.is_client else 3)

    def hold(self, number):
        """Nothing: mplex has no credit, and whoever stops reading stops every stream of the connection."""

    def read_varint(self, at):
        value = shift = 0
        while at < len(self.input):
            byte = self.input[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value, at
        return None, at

    def receive(self, data):
        self.input += data
        events = []
        while True:
            header, at = self.read_varint(0)
            if header is None:
                return events
            length, at = self.read_varint(at)
            if length is None:
                return events
            if length > 1 << 20:
                self.faults.append(f"an mplex frame of {length} bytes")
                self.input.clear()
                return events
            if len(self.input) < at + length:
                return events
            body = bytes(self.input[at : at + length])
            del self.input[: at + length]
            self.one(header >> 3, header & 7, body, events)

    def one(self, number, flag, body, events):
        if flag == 0:
            if self.is_client or number in self.streams:
                self.faults.append(f"mplex stream {number} was opened a second time, or by a server")
                return
            self.streams.add(number)
            events.append(("open", number))
        elif flag == 7 or bool(flag & 1) != self.is_client:
            self.faults.append(f"an mplex frame of flag {flag} for stream {number}")
        elif number not in self.streams:
            self.faults.append(f"an mplex frame for stream {number}, which was never opened")
        elif flag in (1, 2):
            if number in self.finished:
                self.faults.append(f"mplex stream {number} brought {len(body)} bytes after its end")
            events.append(("data", number, body))
        elif flag in (3, 4):
            self.finished.add(number)
            events.append(("end", number))
        else:
            events.append(("reset", number))

    def ended(self):
        return []


MACHINES = {"tcp": Plain, "tcp+yamux": Yamux, "tcp+mplex": Mplex}
