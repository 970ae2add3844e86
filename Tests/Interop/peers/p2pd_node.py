"""A node of go-libp2p: starts p2pd, go-libp2p's daemon, and speaks to it through its control socket. See README.md in the
folder above for what it prints. Needs nothing but Python."""
import os
import pathlib
import secrets
import select
import socket
import subprocess
import sys
import tempfile
import threading
import time

import driver

BINARY = pathlib.Path(__file__).resolve().parents[3] / ".peers" / "p2pd" / "p2pd"
# Request types, as p2pd.proto has them.
IDENTIFY, CONNECT, STREAM_OPEN, STREAM_HANDLER, LIST_PEERS, DISCONNECT = 0, 1, 2, 3, 5, 7


def read_exactly(connection, count):
    data = b""
    while len(data) < count:
        chunk = connection.recv(count - len(data))
        if not chunk:
            raise EOFError(f"the daemon closed the socket after {len(data)} of {count} bytes")
        data += chunk
    return data


def read_message(connection):
    length = shift = 0
    while True:
        byte = read_exactly(connection, 1)[0]
        length |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return driver.fields(read_exactly(connection, length))


def read_all(connection):
    data = bytearray()
    while chunk := connection.recv(65536):
        data += chunk
    return bytes(data)


class Daemon:
    """p2pd as a child, from its start to its end."""

    def __init__(self, options, listens):
        self.folder = tempfile.TemporaryDirectory(prefix="p2pd-")
        self.socket = os.path.join(self.folder.name, "control")
        self.timeout = options.timeout
        log = open(os.path.join(self.folder.name, "log"), "wb")
        self.process = subprocess.Popen(
            [
                BINARY, f"-listen=/unix{self.socket}",
                *(["-hostAddrs=/ip4/127.0.0.1/tcp/0"] if listens else ["-noListenAddrs"]),
                f"-noise={str(options.security == 'noise').lower()}", f"-tls={str(options.security == 'tls').lower()}",
                f"-muxer={options.muxer}", *self.own_key(options.key), "-relay=false", "-relayService=false", "-relayDiscovery=false",
            ],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
        )  # fmt: skip
        # Its greeting ends with the addresses; the first line alone says that the control socket is there.
        self.greeting = self.process.stdout.readline().decode()
        if not self.greeting:
            self.process.wait()
            log = pathlib.Path(self.folder.name, "log").read_text().strip()
            raise driver.Failure("start", f"p2pd ended with {self.process.returncode}: {log[-500:]}")
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def own_key(self, kind):
        """Without a key p2pd makes one of Ed25519; others are handed to it, as a protobuf of type and bytes."""
        if kind == "ed25519":
            return []
        number, commands = {
            # PKCS#1, the form of RFC 5915, and the bare number.
            "rsa": (0, ["openssl genrsa 2048", "openssl rsa -traditional -outform DER"]),
            "ecdsa": (3, ["openssl ecparam -name prime256v1 -genkey -noout -outform DER"]),
            "secp256k1": (2, ["openssl rand 32"]),
        }[kind]
        data = b""
        for command in commands:
            data = subprocess.run(command.split(), input=data, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout
        path = pathlib.Path(self.folder.name, "key")
        path.write_bytes(driver.message((1, number), (2, data)))
        return [f"-id={path}"]

    def stop(self):
        """Its connections end in order, which p2pd does not see to itself: it takes a signal for the end, and SIGINT not even that."""
        if self.process.poll() is None:
            try:
                for peer in self.peers():
                    self.disconnect(peer)
            except OSError:
                pass
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.folder.cleanup()

    def connection(self):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(self.timeout)
        connection.connect(self.socket)
        return connection

    def ask(self, kind, *pairs, keep=False):
        """One request and its answer; `keep` gives the socket too, which is then the stream."""
        connection = self.connection()
        request = driver.message((1, kind), *pairs)
        connection.sendall(driver.varint(len(request)) + request)
        answer = read_message(connection)
        if answer[1][0] != 0:
            connection.close()
            raise ConnectionError(driver.fields(answer[2][0])[1][0].decode(errors="replace"))
        if keep:
            return answer, connection
        connection.close()
        return answer

    def identify(self):
        found = driver.fields(self.ask(IDENTIFY)[4][0])
        return driver.base58(found[1][0]), [driver.multiaddr_text(address) for address in found.get(2, [])]

    def connect(self, peer, address):
        self.ask(CONNECT, (2, driver.message((1, driver.unbase58(peer)), (2, driver.multiaddr_bytes(address)), (3, round(self.timeout)))))

    def disconnect(self, peer):
        self.ask(DISCONNECT, (7, driver.message((1, driver.unbase58(peer)))))

    def peers(self):
        return {driver.base58(driver.fields(info)[1][0]) for info in self.ask(LIST_PEERS).get(6, [])}

    def open(self, peer, protocol):
        return self.ask(STREAM_OPEN, (3, driver.message((1, driver.unbase58(peer)), (2, protocol), (3, round(self.timeout)))), keep=True)[1]

    def handle(self, protocol, serve):
        """Streams of the protocol come as connections to a socket of ours, each with a StreamInfo first."""
        path = os.path.join(self.folder.name, "handler" + protocol.replace("/", "-"))
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        # A thousand streams may come at once, and the daemon resets those for which there is no room.
        listener.listen(4096)
        self.ask(STREAM_HANDLER, (4, driver.message((1, driver.multiaddr_bytes("/unix" + path)), (2, protocol), (3, 0))))

        def accept():
            while True:
                connection, _ = listener.accept()
                read_message(connection)
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()


def echo(connection):
    count = 0
    end = "finished"
    try:
        while chunk := connection.recv(65536):
            count += len(chunk)
            connection.sendall(chunk)
        connection.shutdown(socket.SHUT_WR)
    except OSError as error:
        end = type(error).__name__
    connection.close()
    driver.event("echo", bytes=count, end=end)


def reset(connection):
    """Has the daemon reset the stream when asked to, or answers and waits for the end; how the far end came to it the daemon does not tell."""
    if connection.recv(1, socket.MSG_PEEK) == b"R":
        return connection.close()
    connection.recv(1)
    connection.sendall(b"ok")
    driver.event("reset", end=ending(connection))
    connection.close()


def ending(connection):
    try:
        return "more bytes" if connection.recv(1) else "ended"
    except ConnectionResetError:
        return "ended"


def watch(daemon, seconds):
    """The daemon tells of connections when asked only; says what changed since it was last asked."""
    known = set()
    while not select.select([sys.stdin], [], [], seconds)[0] or os.read(0, 4096):
        now = daemon.peers()
        for peer in now - known:
            driver.event("connected", peer=peer)
        for peer in known - now:
            driver.event("disconnected", peer=peer)
        known = now


def listen(options):
    daemon = Daemon(options, listens=True)
    try:
        daemon.handle(driver.ECHO, echo)
        daemon.handle(driver.RESET, reset)
        peer, addresses = daemon.identify()
        address = next(address for address in addresses if "/tcp/" in address)
        driver.say(address if "/p2p/" in address else f"{address}/p2p/{peer}")
        watch(daemon, 0.02)
    finally:
        daemon.stop()
    return 0


def dial(options):
    seen = {"ok": True}
    stage = "start"
    daemon = None
    try:
        daemon = Daemon(options, listens=False)
        seen["local"] = daemon.identify()[0]
        stage = "connect"
        address, peer = driver.split(options.dial)
        daemon.connect(peer, address)
        # The daemon has one of each to offer, so these were agreed on. (It takes other names for -muxer, and ignores them.)
        seen.update(peer=peer, security=driver.SECURITY[options.security], muxer=driver.MUXERS[options.muxer])
        for stage in filter(lambda stage: driver.wanted(options, stage), DONE):
            DONE[stage](daemon, peer, options, seen)
        stage = "close"
        daemon.disconnect(peer)
        if peer in daemon.peers():
            raise driver.Failure(stage, "the daemon still lists the peer")
    except Exception as error:
        driver.failed(seen, getattr(error, "stage", stage), error)
    finally:
        if daemon:
            daemon.stop()
    driver.report(seen)


def pings(daemon, peer, options, seen):
    """Microseconds, all on one stream, through the daemon's socket."""
    seen["pings"] = []
    if options.ping == 0:
        return
    stream = daemon.open(peer, driver.PING)
    for _ in range(options.ping):
        sent, start = secrets.token_bytes(32), time.monotonic()
        stream.sendall(sent)
        if read_exactly(stream, 32) != sent:
            raise driver.Failure("ping", "what came back is not what was sent")
        seen["pings"].append(round((time.monotonic() - start) * 1e6))
    stream.close()


def identify(daemon, peer, options, seen):
    stream = daemon.open(peer, driver.IDENTIFY)
    seen["identify"] = driver.identity(read_all(stream))
    stream.close()


def echoes(daemon, peer, options, seen):
    results = seen["echo"] = [None] * options.streams

    def one(number):
        sent, got, end = driver.pattern(options.echo, number), bytearray(), "finished"
        try:
            stream = daemon.open(peer, driver.ECHO)
            threading.Thread(target=send, args=(stream, sent), daemon=True).start()
            while len(got) < len(sent) and (chunk := stream.recv(65536)):
                got += chunk
            stream.shutdown(socket.SHUT_WR)
            got += read_all(stream)
            stream.close()
        except OSError as error:
            end = f"{type(error).__name__}: {error}"
        results[number] = driver.compared(sent, bytes(got), end)

    def send(stream, sent):
        try:
            stream.sendall(sent)
        except OSError:
            pass  # Whoever reads misses what was not sent.

    threads = [threading.Thread(target=one, args=(number,), daemon=True) for number in range(options.streams)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if not all(one["same"] for one in results):
        raise driver.Failure("echo", "what came back is not what was sent")


def streams(daemon, peer, options, seen):
    """Streams that are all open before the first one ends."""
    seen["streams"] = {"open": 0, "same": 0, "finished": 0}
    held = [daemon.open(peer, driver.ECHO) for _ in range(options.streams)]
    for number, stream in enumerate(held):
        stream.sendall(driver.pattern(options.echo, number))
    for number, stream in enumerate(held):
        seen["streams"]["same"] += read_exactly(stream, options.echo) == driver.pattern(options.echo, number)
        seen["streams"]["open"] += 1
    for stream in held:
        stream.shutdown(socket.SHUT_WR)
    for stream in held:
        seen["streams"]["finished"] += stream.recv(1) == b""
        stream.close()


def resets(daemon, peer, options, seen):
    """A stream that is reset here, one that is reset there, and a ping that both leave alone."""
    stream = daemon.open(peer, driver.RESET)
    stream.sendall(b"W")
    # The answer stays in the socket: closing one that holds unread bytes fails the daemon's next read from it, and then it resets the stream.
    if stream.recv(2, socket.MSG_PEEK) != b"ok":
        raise driver.Failure("reset", "another answer than 'ok'")
    stream.close()
    stream = daemon.open(peer, driver.RESET)
    stream.sendall(b"R")
    seen["reset"] = ending(stream)
    stream.close()
    pings(daemon, peer, options, seen)


def without_half_close(daemon, peer, options, seen):
    raise driver.Failure(options.only or "perf", "p2pd's control socket has no half-close")


# What a dialer does after connecting, in this order.
DONE = {
    "ping": pings, "identify": identify, "echo": echoes, "streams": streams, "half-close": without_half_close, "reset": resets, "perf": without_half_close,
}  # fmt: skip


def main():
    options = driver.arguments("A node of go-libp2p (p2pd).", ["noise", "tls"], ["yamux"], ["ed25519", "rsa", "ecdsa", "secp256k1"])
    if options.dial and options.finish == "first":
        sys.exit("p2pd closes both directions of a stream when its client ends one: --finish last only")
    if options.dial:
        dial(options)
    else:
        sys.exit(listen(options))


main()
