"""The server and the client of a run."""

from collections import deque

import trio

import links
import roles
from traffic import READ, Failure, Run, clock

# So much is taken on the way by every stack, also when nobody reads at the far end.
FITS = 65_536


class Server(Run):
    def __init__(self, options):
        super().__init__(options)
        self.listener = links.listen()
        self.numbers = set()

    async def prepare(self, nursery):
        nursery.start_soon(self.accept_all, nursery)
        return {"ready": True, "port": self.listener.getsockname()[1]}

    def may_end(self):
        return self.stopping.is_set()

    async def accept_all(self, nursery):
        try:
            while True:
                nursery.start_soon(self.welcome, nursery, await links.accept(self.listener))
        except trio.ClosedResourceError:
            return
        except OSError as error:
            self.problem(f"accept: {error}")

    async def welcome(self, nursery, sock):
        """Reads the greeting; a connection without one is refused and does not count."""
        options, sentence = self.options, None
        try:
            greeting = b""
            with trio.move_on_after(10):
                greeting = await links.receive_exactly(sock, links.GREETING.size)
            if len(greeting) < links.GREETING.size:
                sentence = f"a connection came with {len(greeting)} bytes of a greeting"
            elif isinstance(told := links.parse_greeting(greeting), str):
                sentence = told
            else:
                connection, first = told
                endless = options.stack == "tcp" and options.workload == "churn"
                most = roles.streams_on(options, connection)
                if connection >= options.connections or first and (options.stack != "tcp" or first >= most and not endless):
                    sentence = f"a connection came as connection {connection}, stream {first}, which this run does not have"
                elif told in self.numbers:
                    sentence = f"connection {connection}, stream {first} came twice"
        except OSError as error:
            sentence = f"a connection ended before its greeting: {error}"
        if sentence:
            self.problem(sentence)
            links.close_socket(sock)
            return
        self.numbers.add(told)
        if options.stack == "tcp":
            await self.carry(self.serve, self.flow(connection, links.TCPStream(sock, first)))
            return
        muxed = links.STACKS[options.stack](sock, connection, False)
        self.connections.append(muxed)
        nursery.start_soon(self.run_connection, muxed)
        while stream := await muxed.accept():
            nursery.start_soon(self.carry, self.serve, self.flow(connection, stream))

    async def serve(self, flow):
        if flow.role in ("request", "churn"):
            await self.answer(flow)
        elif flow.role == "idle":
            await self.read_to_end(flow)
            await flow.stream.close()
        else:
            await self.bulk(flow)

    async def answer(self, flow):
        read, write, source, sink = flow.stream.read, flow.stream.write, flow.source, flow.sink
        take, send, size = sink.take, source.send, sink.size
        try:
            while data := await read(READ):
                take(data)
                due = sink.position // size
                while source.sent < due:
                    await send(write)
        except links.ENDED:
            pass
        await flow.stream.close()

    async def after_sending(self, flow):
        await self.read_to_end(flow)

    async def stop(self):
        self.stopping.set()
        self.go.set()

    async def finish(self):
        await self.wait_until(lambda: not self.live and not self.running)
        links.close_socket(self.listener)
        options = self.options
        expected = sum(roles.streams_on(options, number) if options.stack == "tcp" else 1 for number in range(options.connections))
        if len(self.numbers) < expected:
            self.problem(f"{len(self.numbers)} of {expected} connections came")


class Client(Run):
    is_client = True

    def __init__(self, options):
        super().__init__(options)
        self.closing = False
        self.opened = [0] * options.connections

    def may_end(self):
        return self.closing

    async def prepare(self, nursery):
        options = self.options
        self.nursery = nursery
        stack = links.STACKS[options.stack]
        if options.workload in ("bulk", "mixed") and options.direction == "both" and not self.is_duplex:
            raise Failure("py-libp2p's mplex does not write on a stream while a read waits on it, so bulk cannot go both ways")
        if stack and stack.limit and max(roles.streams_on(options, number) for number in range(options.connections)) > stack.limit:
            raise Failure(f"py-libp2p's yamux has at most {stack.limit} streams open on a connection, {options.streams} are asked for")
        if stack:
            for number in range(options.connections):
                sock = await links.connect(options.connect)
                await self.greet(sock, number, 0)
                self.connections.append(stack(sock, number, True))
                nursery.start_soon(self.run_connection, self.connections[-1])
        await self.open_all(0, max(1, options.streams // 10) if options.workload == "idle" else options.streams)
        return {"ready": True}

    async def greet(self, sock, connection, stream):
        if sock.send(links.greeting(connection, stream)) != links.GREETING.size:
            raise Failure("a fresh connection did not take the greeting")

    async def open_all(self, begin, end):
        for connection in range(self.options.connections):
            for _ in range(begin, min(end, roles.streams_on(self.options, connection))):
                flow = await self.open_stream(connection)
                if flow.role == "churn":
                    self.nursery.start_soon(self.churn, connection, flow)
                else:
                    self.nursery.start_soon(self.carry, self.work, flow)

    async def open_second(self):
        await self.open_all(max(1, self.options.streams // 10), self.options.streams)

    async def open_stream(self, connection):
        if self.options.stack == "tcp":
            number = self.opened[connection]
            self.opened[connection] += 1
            sock = await links.connect(self.options.connect)
            await self.greet(sock, connection, number)
            return self.flow(connection, links.TCPStream(sock, number))
        return self.flow(connection, await self.connections[connection].open())

    async def work(self, flow):
        if flow.role == "idle":
            await self.stopping.wait()
            await flow.stream.close()
            await self.after_sending(flow)
        elif flow.role == "request":
            if self.options.depth == 1:
                await self.request(flow)
            elif self.options.depth * flow.sink.size <= FITS or not self.is_duplex:
                await self.request_several(flow)
            else:
                await self.request_many(flow)
            await flow.stream.close()
            await self.after_sending(flow)
        else:
            await self.bulk(flow)

    async def after_sending(self, flow):
        # A multiplexer forgets the stream when the far end closes it too, which `stop` waits for; a socket has to be read.
        if self.options.stack == "tcp":
            await self.read_to_end(flow)

    async def exchange(self, flow):
        """One message and its answer."""
        read, sink = flow.stream.read, flow.sink
        await flow.source.send(flow.stream.write)
        due = flow.source.sent * sink.size
        try:
            while (missing := due - sink.position) > 0:
                data = await read(missing)
                if not data:
                    raise EOFError("the stream ended before an answer was complete")
                sink.take(data)
        except links.ENDED:
            raise EOFError("the stream ended before an answer was complete") from None

    async def request(self, flow):
        await self.go.wait()
        stopping = self.stopping
        while not stopping.is_set():
            begun = clock()
            await self.exchange(flow)
            self.record(begun, clock())

    async def request_several(self, flow):
        """Several requests under way, written and read by one task: their bytes have to find room on the way while nobody reads."""
        await self.go.wait()
        read, write, source, sink = flow.stream.read, flow.stream.write, flow.source, flow.sink
        depth, stopping, begun, answered = self.options.depth, self.stopping, deque(), 0
        while True:
            while len(begun) < depth and not stopping.is_set():
                begun.append(clock())
                await source.send(write)
            if not begun:
                return
            try:
                data = await read(READ)
            except links.ENDED:
                data = b""
            if not data:
                raise EOFError("the stream ended before an answer was complete")
            sink.take(data)
            ended = clock()
            while answered < sink.messages:
                answered += 1
                self.record(begun.popleft(), ended)

    async def request_many(self, flow):
        """Reads answers beside the writing of requests, as a far end that cannot send its answers stops reading."""
        await self.go.wait()
        begun, room, done = deque(), trio.Semaphore(self.options.depth), False

        async def read_answers():
            read, sink = flow.stream.read, flow.sink
            answered = 0
            try:
                while data := await read(READ):
                    sink.take(data)
                    while answered < sink.messages:
                        answered += 1
                        self.record(begun.popleft(), clock())
                        room.release()
                    if done and not begun:
                        return
            except links.ENDED:
                pass
            raise EOFError("the stream ended before an answer was complete")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read_answers)
            while True:
                await room.acquire()
                if self.stopping.is_set():
                    break
                begun.append(clock())
                await flow.source.send(flow.stream.write)
            done = True
            if not begun:
                nursery.cancel_scope.cancel()

    async def churn(self, connection, flow):
        """One place of a connection: stream after stream with one exchange each."""
        await self.go.wait()
        begun = clock()
        while not self.stopping.is_set():
            await self.carry(self.churn_once, flow, begun)
            if flow.failed or self.stopping.is_set():
                return
            begun = clock()
            try:
                flow = await self.open_stream(connection)
            except Exception as error:
                self.problem(f"connection {connection}, another stream: {type(error).__name__}: {error}")
                return
        await self.carry(self.close_unused, flow)

    async def churn_once(self, flow, begun):
        await self.exchange(flow)
        ended = clock()
        if self.options.stack != "tcp":
            await flow.stream.close()
        if self.options.workload == "churn":
            self.record(begun, ended)

    async def close_unused(self, flow):
        await flow.stream.close()

    def streams_are_over(self):
        return not self.live and not any(connection.open_streams() for connection in self.connections)

    async def stop(self):
        self.stopping.set()
        self.go.set()
        await self.wait_until(self.streams_are_over)

    async def finish(self):
        self.closing = True
        async with trio.open_nursery() as nursery:
            for connection in self.connections:
                nursery.start_soon(connection.close)
        await self.wait_until(lambda: not self.running and not self.live)
