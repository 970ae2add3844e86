"""Connections and streams of the three stacks: plain sockets, and py-libp2p's two multiplexers on a bare TCP connection.

Every kind of connection has `number`, `run()` (works until the connection is over), `open()`, `accept()`, `open_streams()` and `close()`; every stream has
`number` within its connection, `read` (a bound method: bytes, or b"" or one of ENDED at the end), `write`, `close` (this direction, or both) and `was_reset()`.
"""

import errno
import socket
import struct

import trio

GREETING = struct.Struct(">8sBBHIQQ")
MAGIC = b"strmgage"
RECEIVE = 262_144

# What a read says at the end of a stream instead of returning nothing; libp2p's are added when it is loaded.
ENDED = ()


def greeting(connection, first_stream):
    return GREETING.pack(MAGIC, 2, 1, 0, connection, first_stream, 0)


def parse_greeting(data):
    """Connection and first stream, or a sentence about what is wrong with it."""
    magic, layout, version, zero, connection, first_stream, end = GREETING.unpack(data)
    if magic != MAGIC or layout != 2 or version != 1 or zero or end:
        return f"a connection began with {data.hex()}, which is no greeting"
    return connection, first_stream


def listen():
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setblocking(False)
    listener.bind(("127.0.0.1", 0))
    listener.listen(4096)
    return listener


async def accept(listener):
    while True:
        try:
            sock, _ = listener.accept()
            break
        except BlockingIOError:
            await trio.lowlevel.wait_readable(listener)
        except ConnectionAbortedError:
            continue
    return prepare(sock)


async def connect(address):
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        if (code := sock.connect_ex(address)) == errno.EINPROGRESS:
            await trio.lowlevel.wait_writable(sock)
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, f"connect to {address[0]}:{address[1]}: {errno.errorcode.get(code, code)}")
        return prepare(sock)
    except BaseException:
        sock.close()
        raise


def prepare(sock):
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


async def receive_exactly(sock, count):
    """Up to `count` bytes, fewer when the connection ended before."""
    data = b""
    while len(data) < count:
        try:
            more = sock.recv(count - len(data))
        except BlockingIOError:
            await trio.lowlevel.wait_readable(sock)
            continue
        if not more:
            break
        data += more
    return data


def close_socket(sock):
    if sock.fileno() >= 0:
        trio.lowlevel.notify_closing(sock)
        sock.close()


class TCPStream:
    """A stream of the stack `tcp`: a connection of its own, read and written as trio does it."""

    def __init__(self, sock, number):
        self.number = number
        self.tcp = trio.SocketStream(trio.socket.from_stdlib_socket(sock))
        self.read = self.receive
        self.write = self.tcp.send_all

    async def receive(self, count):
        return await self.tcp.receive_some(min(count, RECEIVE))

    async def close(self):
        await self.tcp.send_eof()

    async def release(self):
        await self.tcp.aclose()

    def was_reset(self):
        return False


class SecureSocket:
    """What py-libp2p's multiplexers need of a secure connection, on a plain socket. What a read leaves over is kept for the next one, so that a header
    costs no call of its own; writes go out as they come."""

    def __init__(self, sock, is_initiator, errors):
        self.sock = sock
        self.is_initiator = is_initiator
        self.errors = errors
        self.buffer = b""
        self.at = 0
        self.closed = False
        # Mplex writes from all its streams without a lock of its own.
        self.turn = trio.Lock()

    async def read(self, n=None):
        if self.at == len(self.buffer):
            while True:
                if self.closed:
                    return b""
                try:
                    self.buffer = self.sock.recv(RECEIVE)
                    break
                except BlockingIOError:
                    try:
                        await trio.lowlevel.wait_readable(self.sock)
                    except trio.ClosedResourceError:
                        return b""
                except OSError as error:
                    raise self.errors(f"TCP connection: {error}") from error
            self.at = 0
        begin = self.at
        data = self.buffer[begin : begin + n] if n is not None else self.buffer[begin:]
        self.at = begin + len(data)
        return data

    async def write(self, data):
        async with self.turn:
            if self.closed:
                raise self.errors("TCP connection is closed")
            try:
                sent = self.sock.send(data)
            except BlockingIOError:
                sent = 0
            except OSError as error:
                raise self.errors(f"TCP connection: {error}") from error
            if sent < len(data):
                await self.write_rest(memoryview(data)[sent:])

    async def write_rest(self, rest):
        while rest:
            try:
                await trio.lowlevel.wait_writable(self.sock)
                rest = rest[self.sock.send(rest) :]
            except BlockingIOError:
                continue
            except (OSError, trio.ClosedResourceError) as error:
                raise self.errors(f"TCP connection: {error}") from error

    async def close(self):
        self.closed = True
        close_socket(self.sock)

    def get_remote_address(self):
        return None


class YamuxConnection:
    """One connection of `tcp+yamux`."""

    # The library holds a slot for every stream it has opened until it has closed its own side, and has 256 of them: an open waits for ever at the 257th.
    limit = 256
    is_duplex = True

    def __init__(self, sock, number, is_initiator):
        from libp2p.io.exceptions import ConnectionClosedError
        from libp2p.stream_muxer.exceptions import MuxedConnUnavailable
        from libp2p.stream_muxer.yamux.yamux import Yamux

        self.number = number
        self.unavailable = MuxedConnUnavailable
        self.muxer = Yamux(SecureSocket(sock, is_initiator, ConnectionClosedError), None, is_initiator)

    async def run(self):
        await self.muxer.start()
        # Mplex leaves its socket open when the far end has closed.
        await self.muxer.secured_conn.close()

    async def open(self):
        return self.wrap(await self.muxer.open_stream())

    async def accept(self):
        """The next stream that the far end opened, or nothing when the connection is over."""
        try:
            return self.wrap(await self.muxer.accept_stream())
        except self.unavailable:
            return None

    def wrap(self, stream):
        return MuxedStream(stream, (stream.stream_id - 1) // 2, lambda: stream.reset_received)

    def open_streams(self):
        return len(self.muxer.streams)

    async def close(self):
        await self.muxer.close()


class MplexConnection(YamuxConnection):
    """One connection of `tcp+mplex`."""

    limit = None
    # A read holds a lock of its stream while it waits, which a write needs too.
    is_duplex = False

    def __init__(self, sock, number, is_initiator):
        from libp2p.io.exceptions import ConnectionClosedError
        from libp2p.stream_muxer.exceptions import MuxedConnUnavailable
        from libp2p.stream_muxer.mplex.mplex import Mplex

        self.number = number
        self.unavailable = MuxedConnUnavailable
        self.muxer = Mplex(SecureSocket(sock, is_initiator, ConnectionClosedError), None)

    def wrap(self, stream):
        return MuxedStream(stream, stream.stream_id.channel_id, stream.event_reset.is_set)


class MuxedStream:
    """A stream of a multiplexer; its calls are the library's own."""

    __slots__ = ("number", "read", "write", "close", "was_reset")

    def __init__(self, stream, number, was_reset):
        self.number = number
        self.read = stream.read
        self.write = stream.write
        self.close = stream.close
        self.was_reset = was_reset

    async def release(self):
        """Nothing: the library forgets a stream when both ends have closed it."""


STACKS = {"tcp": None, "tcp+yamux": YamuxConnection, "tcp+mplex": MplexConnection}


def load(stack):
    """Imports what a stack needs, before the driver says that it is ready."""
    global ENDED
    if STACKS[stack]:
        import libp2p.stream_muxer.mplex.mplex  # noqa: F401
        import libp2p.stream_muxer.yamux.yamux  # noqa: F401
        from libp2p.stream_muxer.exceptions import MuxedStreamEOF

        ENDED = (MuxedStreamEOF,)
