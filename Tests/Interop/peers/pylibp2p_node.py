"""A node of py-libp2p, to listen or to dial. See README.md in the folder above for what it prints."""
import logging
import secrets
import sys
import time

import driver
import multiaddr
import trio
from libp2p import new_host
from libp2p.crypto import ed25519, rsa, secp256k1, x25519
from libp2p.host.ping import perform_ping_roundtrip
from libp2p.network.stream.exceptions import StreamEOF, StreamError, StreamReset
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import info_from_p2p_addr
from libp2p.perf import PerfService
from libp2p.security.insecure.transport import InsecureTransport
from libp2p.security.noise.transport import Transport as NoiseTransport
from libp2p.security.tls.transport import TLSTransport
from libp2p.stream_muxer.mplex.mplex import Mplex
from libp2p.stream_muxer.yamux.yamux import Yamux

# ECDSA is missing: the library can neither sign with such keys nor read those of others.
KEYS = {
    "ed25519": ed25519.create_new_key_pair,
    "rsa": rsa.create_new_key_pair,
    "secp256k1": secp256k1.create_new_key_pair,
}
LOOPBACK = multiaddr.Multiaddr("/ip4/127.0.0.1/tcp/0")


def make_host(options):
    keys = KEYS[options.key]()
    security = {
        "noise": lambda: NoiseTransport(keys, noise_privkey=x25519.create_new_key_pair().private_key),
        "tls": lambda: TLSTransport(keys),
        "plaintext": lambda: InsecureTransport(keys),
    }[options.security]()
    muxer = {"yamux": Yamux, "mplex": Mplex}[options.muxer]
    return new_host(
        key_pair=keys,
        sec_opt={driver.SECURITY[options.security]: security},
        muxer_opt={driver.MUXERS[options.muxer]: muxer},
        listen_addrs=[LOOPBACK],
    )


async def read_some(stream):
    """The next bytes; none at the end of the stream."""
    try:
        return await stream.read(65536)
    except StreamEOF:
        return b""


async def read_all(stream):
    """Everything to the end of the stream."""
    got = bytearray()
    while chunk := await read_some(stream):
        got += chunk
    return bytes(got)


async def echo(stream):
    """Sends back what comes, to its end."""
    count = 0
    try:
        while chunk := await read_some(stream):
            count += len(chunk)
            await stream.write(chunk)
        await stream.close()
        driver.event("echo", bytes=count, end="finished")
    except Exception as error:
        driver.event("echo", bytes=count, end=type(error).__name__)
        try:
            await stream.reset()
        except Exception:
            pass


async def half_close(stream):
    """Sends back what came, once everything has."""
    await stream.write(await read_all(stream))
    await stream.close()


async def reset(stream):
    """Resets the stream when asked to, or answers and tells how the far end ends it."""
    if await stream.read(1) == b"R":
        return await stream.reset()
    await stream.write(b"ok")
    driver.event("reset", end=await ending(stream))


async def ending(stream):
    """How the far end ends a stream without saying anything more."""
    try:
        await stream.read(1)
        return "more bytes"
    except StreamReset:
        return "reset"
    except StreamEOF:
        # The library tells a reader that waits of a reset as of an end. But after an end this side could still write.
        try:
            await stream.write(b"?")
            return "finished"
        except StreamError:
            return "reset"


class Witness:
    """Connections as they come and go."""

    async def connected(self, network, connection):
        driver.event("connected", peer=str(connection.muxed_conn.peer_id))

    async def disconnected(self, network, connection):
        driver.event("disconnected", peer=str(connection.muxed_conn.peer_id))

    async def opened_stream(self, network, stream): ...
    async def closed_stream(self, network, stream): ...
    async def listen(self, network, address): ...
    async def listen_close(self, network, address): ...


async def listen(host):
    host.set_stream_handler(driver.ECHO, echo)
    host.set_stream_handler(driver.HALF_CLOSE, half_close)
    host.set_stream_handler(driver.RESET, reset)
    await PerfService(host).start()
    host.get_network().register_notifee(Witness())
    async with host.run(listen_addrs=[LOOPBACK]):
        driver.say(f"{host.get_transport_addrs()[0]}/p2p/{host.get_id()}")
        await trio.to_thread.run_sync(sys.stdin.buffer.read, abandon_on_cancel=True)
        await host.close()
    return 0


async def dial(host, options):
    seen = {"ok": True, "local": str(host.get_id())}
    stage = "connect"
    try:
        with trio.fail_after(options.timeout):
            # A host that listens on nothing waits half a second before it answers identify.
            async with host.run(listen_addrs=[LOOPBACK]):
                info = info_from_p2p_addr(multiaddr.Multiaddr(options.dial))
                await host.connect(info)
                muxed = host.get_network().get_connections(info.peer_id)[0].muxed_conn
                seen["peer"] = str(info.peer_id)
                seen["security"] = getattr(muxed, "negotiated_security_protocol", None)
                seen["muxer"] = getattr(muxed, "negotiated_muxer_protocol", None)

                for stage in filter(lambda stage: driver.wanted(options, stage), DONE):
                    await DONE[stage](host, info.peer_id, options, seen)
                stage = "close"
                await host.disconnect(info.peer_id)
                await host.close()
    except BaseException as error:
        driver.failed(seen, stage, error)
    driver.report(seen)


async def pings(host, peer: ID, options, seen):
    """Microseconds, all on one stream; the library compares what came back."""
    seen["pings"] = []
    if options.ping == 0:
        return
    stream = await host.new_stream(peer, [driver.PING])
    for _ in range(options.ping):
        start = time.monotonic()
        await perform_ping_roundtrip(stream)
        seen["pings"].append(round((time.monotonic() - start) * 1e6))
    await stream.close()


async def identify(host, peer: ID, options, seen):
    stream = await host.new_stream(peer, [driver.IDENTIFY])
    seen["identify"] = driver.identity(await read_all(stream))
    await stream.close()


async def at_once(stream, sent, got, finish):
    """Sends and receives at the same time."""
    everything = trio.Event()

    async def send():
        await stream.write(sent)
        if finish == "last":
            await everything.wait()
        await stream.close_write()

    async with trio.open_nursery() as both:
        both.start_soon(send)
        while chunk := await read_some(stream):
            got += chunk
            if len(got) >= len(sent):
                everything.set()
        everything.set()


async def in_turns(stream, sent, got, finish):
    """Sends a piece, receives it, and so on: the library's mplex streams cannot be read and written at the same time."""
    piece = 32768
    for start in range(0, len(sent), piece):
        await stream.write(sent[start : start + piece])
        if finish == "first" and start + piece >= len(sent):
            await stream.close_write()
        while len(got) < min(len(sent), start + piece) and (chunk := await read_some(stream)):
            got += chunk
    if finish == "last":
        await stream.close_write()
    got += await read_all(stream)


async def echoes(host, peer: ID, options, seen):
    seen["echo"] = [None] * options.streams

    async def one(number):
        sent, got, end = driver.pattern(options.echo, number), bytearray(), "finished"
        stream = await host.new_stream(peer, [driver.ECHO])
        try:
            await (in_turns if options.muxer == "mplex" else at_once)(stream, sent, got, options.finish)
            await stream.close()
        except* Exception as group:
            end = type(group.exceptions[0]).__name__
        seen["echo"][number] = driver.compared(sent, bytes(got), end)

    async with trio.open_nursery() as nursery:
        for number in range(options.streams):
            nursery.start_soon(one, number)
    if not all(one["same"] for one in seen["echo"]):
        raise driver.Failure("echo", "what came back is not what was sent")


async def streams(host, peer: ID, options, seen):
    """Streams that are all open before the first one ends."""
    seen["streams"] = {"open": 0, "same": 0, "finished": 0}
    everyone = trio.Event()

    async def one(number):
        sent, got = driver.pattern(options.echo, number), bytearray()
        stream = await host.new_stream(peer, [driver.ECHO])
        await stream.write(sent)
        while len(got) < len(sent) and (chunk := await read_some(stream)):
            got += chunk
        seen["streams"]["same"] += sent == got
        seen["streams"]["open"] += 1
        if seen["streams"]["open"] == options.streams:
            everyone.set()
        await everyone.wait()
        await stream.close_write()
        rest = await read_some(stream)
        seen["streams"]["finished"] += rest == b""
        await stream.close()

    async with trio.open_nursery() as nursery:
        for number in range(options.streams):
            nursery.start_soon(one, number)


async def half_closes(host, peer: ID, options, seen):
    sent = driver.pattern(options.echo)
    stream = await host.new_stream(peer, [driver.HALF_CLOSE])
    await stream.write(sent)
    await stream.close_write()
    seen["halfClose"] = driver.compared(sent, await read_all(stream), "finished")
    await stream.close()


async def resets(host, peer: ID, options, seen):
    """A stream that is reset here, one that is reset there, and a ping that both leave alone."""
    stream = await host.new_stream(peer, [driver.RESET])
    await stream.write(b"W")
    if await stream.read(2) != b"ok":
        raise driver.Failure("reset", "another answer than 'ok'")
    await stream.reset()
    stream = await host.new_stream(peer, [driver.RESET])
    await stream.write(b"R")
    seen["reset"] = await ending(stream)
    await pings(host, peer, options, seen)


async def perf(host, peer: ID, options, seen):
    up, down = map(int, options.perf.split(":"))
    stream = await host.new_stream(peer, [driver.PERF])
    await stream.write(down.to_bytes(8, "big"))
    for start in range(0, up, 65536):
        await stream.write(secrets.token_bytes(min(65536, up - start)))
    await stream.close_write()
    got = len(await read_all(stream))
    await stream.close()
    if got != down:
        raise driver.Failure("perf", f"asked for {down} bytes, received {got}")
    seen["perf"] = {"sent": up, "received": got}


# What a dialer does after connecting, in this order.
DONE = {"ping": pings, "identify": identify, "echo": echoes, "streams": streams, "half-close": half_closes, "reset": resets, "perf": perf}


def main():
    options = driver.arguments("A node of py-libp2p.", list(driver.SECURITY), list(driver.MUXERS), list(KEYS))
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
    host = make_host(options)
    if options.dial:
        trio.run(dial, host, options)
    else:
        sys.exit(trio.run(listen, host))


main()
