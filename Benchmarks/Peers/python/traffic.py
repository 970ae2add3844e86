"""The workloads, what is counted of them, and the two ends of a run."""

import time

import trio

import links
import roles
from payload import Sink, Source, make_key, make_table

clock = time.monotonic_ns
READ = 1 << 20
PROBLEMS = 20


class Failure(Exception):
    """The driver cannot go on."""


class Run:
    """What both ends have in common."""

    is_client = False

    def __init__(self, options):
        self.options = options
        self.is_duplex = options.stack == "tcp" or links.STACKS[options.stack].is_duplex
        self.table = make_table(options.seed)
        self.problems = []
        self.go = trio.Event()
        self.stopping = trio.Event()
        self.in_window = False
        self.latency = {}
        self.completed = 0
        self.streams_ever = 0
        self.live = {}
        self.connections = []
        self.running = 0
        # Of streams that are over: bytes and messages sent, bytes and messages received, messages compared.
        self.over = [0, 0, 0, 0, 0]

    # What the commands ask for

    def counters(self):
        _, _, received, messages, _ = self.totals()
        return {"time_ns": clock(), "received_bytes": received, "received_messages": messages, "completed": self.completed}

    def totals(self):
        totals = list(self.over)
        for flow in self.live:
            for index, value in enumerate(flow.totals()):
                totals[index] += value
        return totals

    def open_streams(self):
        if self.options.stack == "tcp":
            return len(self.live)
        return sum(connection.open_streams() for connection in self.connections)

    def report(self):
        sent, sent_messages, received, received_messages, verified = self.totals()
        return {
            "sent": {"bytes": sent, "messages": sent_messages},
            "received": {"bytes": received, "messages": received_messages},
            "verified": verified,
            "streams": self.streams_ever,
            "problems": self.problems,
            "latency": sorted(self.latency.items()),
        }

    def start(self):
        self.go.set()

    def problem(self, sentence):
        if len(self.problems) < PROBLEMS:
            self.problems.append(sentence)

    def record(self, begun, ended):
        """One operation is over, a request or the stream of one. Of streams beside requests it is not told."""
        self.completed += 1
        if self.in_window:
            took = ended - begun
            # Eight significant bits: bounds are less than 0.8 % apart.
            shift = took.bit_length() - 8
            bound = ((took >> shift) + 1) << shift if shift > 0 else took
            self.latency[bound] = self.latency.get(bound, 0) + 1

    # Streams

    def flow(self, connection, stream):
        flow = Flow(self, connection, stream)
        self.streams_ever += 1
        self.live[flow] = None
        return flow

    async def carry(self, work, flow, *arguments):
        """Does the work of one stream; whatever goes wrong in it is a problem of the run."""
        try:
            await work(flow, *arguments)
        except Exception as error:
            flow.failed = True
            while isinstance(error, BaseExceptionGroup):
                error = error.exceptions[0]
            self.problem(f"{flow.name}: {type(error).__name__}: {error}" if str(error) else f"{flow.name}: {type(error).__name__}")
        finally:
            flow.check()
            del self.live[flow]
            for index, value in enumerate(flow.totals()):
                self.over[index] += value
            with trio.CancelScope(shield=True):
                await flow.stream.release()

    async def run_connection(self, connection):
        """Keeps a multiplexer at work until its connection is over."""
        self.running += 1
        try:
            await connection.run()
            if not self.may_end():
                self.problem(f"connection {connection.number} ended before it was time")
        except Exception as error:
            self.problem(f"connection {connection.number}: {type(error).__name__}: {error}")
        finally:
            self.running -= 1

    async def wait_until(self, condition):
        """Looks again and again: a read on a stream of yamux that ends when it is closed already leaves an event behind in the library for each stream."""
        while not condition():
            await trio.sleep(0.002)

    # Work that both ends do

    async def send_bulk(self, flow):
        await self.go.wait()
        send, write, stopping = flow.source.send, flow.stream.write, self.stopping
        while not stopping.is_set():
            await send(write)

    async def read_to_end(self, flow):
        read, take, ended = flow.stream.read, flow.sink.take, links.ENDED
        try:
            while data := await read(READ):
                take(data)
        except ended:
            pass

    async def read_with_rests(self, flow):
        """Reads a message and rests, until `stop`; what comes next stays in the multiplexer meanwhile."""
        read, sink, stopping = flow.stream.read, flow.sink, self.stopping
        while not stopping.is_set():
            try:
                data = await read(min(READ, sink.size - sink.position % sink.size))
            except links.ENDED:
                return
            if not data:
                return
            sink.take(data)
            if sink.position % sink.size == 0:
                with trio.move_on_after(roles.REST_SECONDS):
                    await stopping.wait()

    async def receive_bulk(self, flow):
        if self.options.beside == "stalled":
            await self.read_with_rests(flow)
        await self.read_to_end(flow)

    async def send_both(self, flow):
        await self.send_bulk(flow)
        if self.is_client:
            await flow.stream.close()

    async def bulk(self, flow):
        up, down = self.options.direction in ("up", "both"), self.options.direction in ("down", "both")
        sends, reads = (up, down) if self.is_client else (down, up)
        if sends and reads:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.send_both, flow)
                await self.receive_bulk(flow)
            if not self.is_client:
                # Not before everything is read: that this end has closed tells the client that it may close the connection.
                await flow.stream.close()
        elif sends:
            await self.send_bulk(flow)
            await flow.stream.close()
            await self.after_sending(flow)
        else:
            await self.receive_bulk(flow)
            await flow.stream.close()


class Flow:
    """Both directions of one stream."""

    __slots__ = ("run", "name", "stream", "source", "sink", "role", "failed")

    def __init__(self, run, connection, stream):
        options = run.options
        self.run = run
        self.stream = stream
        self.failed = False
        self.name = f"connection {connection}, stream {stream.number}"
        self.role = roles.role(options, connection, stream.number)
        size = roles.message_bytes(options, self.role)
        self.source = Source(run.table, make_key(options.seed, connection, stream.number, not run.is_client), size)
        self.sink = Sink(run.table, make_key(options.seed, connection, stream.number, run.is_client), size)

    def totals(self):
        source, sink = self.source, self.sink
        return source.sent * source.size, source.sent, sink.position, sink.messages, sink.verified

    def check(self):
        sink, run = self.sink, self.run
        if sink.differs is not None:
            run.problem(f"{self.name}: byte {sink.differs} received is not what was to be sent")
        if sink.position % sink.size:
            run.problem(f"{self.name}: ended within message {sink.messages}, after {sink.position} bytes")
        if sink.position and self.role == "idle":
            run.problem(f"{self.name}: {sink.position} bytes came on a stream that has to be silent")
        if self.stream.was_reset():
            run.problem(f"{self.name}: was reset")
