"""What the drivers of both peers share: the command line, the lines they print, and the formats that both need."""
import argparse
import hashlib
import json
import os
import sys
import threading

PING = "/ipfs/ping/1.0.0"
IDENTIFY = "/ipfs/id/1.0.0"
ECHO = "/echo/1.0.0"
PERF = "/perf/1.0.0"
# Not libp2p's. Of the first, the listener sends back what came when it knows that nothing more will; README.md says what the second does.
HALF_CLOSE = "/half-close/1.0.0"
RESET = "/reset/1.0.0"
STAGES = ["connect", "ping", "identify", "echo", "streams", "half-close", "reset", "perf"]
SECURITY = {"noise": "/noise", "tls": "/tls/1.0.0", "plaintext": "/plaintext/2.0.0"}
MUXERS = {"yamux": "/yamux/1.0.0", "mplex": "/mplex/6.7.0"}


class Failure(Exception):
    """A step that did not go as it should, named."""

    def __init__(self, stage, message):
        super().__init__(message)
        self.stage = stage


def arguments(description, securities, muxers, keys):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--security", choices=securities, default="noise")
    parser.add_argument("--muxer", choices=muxers, default="yamux")
    parser.add_argument("--key", choices=keys, default="ed25519", help="the kind of the node's own key")
    parser.add_argument("--dial", metavar="ADDR", help="a multiaddr with /p2p/; without it the node listens until its input ends")
    parser.add_argument("--ping", type=int, default=3, metavar="N", help="pings on one stream")
    parser.add_argument("--echo", type=int, default=0, metavar="BYTES", help="bytes to send through /echo/1.0.0 and to compare")
    parser.add_argument("--streams", type=int, default=1, metavar="N", help="streams that echo at the same time")
    parser.add_argument("--finish", choices=["first", "last"], default="last", help="end the sending of an echo before reading its answer's end, or after")
    parser.add_argument("--perf", metavar="UP:DOWN", help="bytes to send and to ask for through /perf/1.0.0")
    parser.add_argument("--only", choices=STAGES, help="what to do after connecting, instead of ping, identify and what the options ask for")
    parser.add_argument("--timeout", type=float, default=30, metavar="SECONDS", help="for everything a dialer does")
    return parser.parse_args()


def wanted(options, stage):
    """Whether a dialer is to do this."""
    if options.only:
        return stage == options.only
    return stage in ("ping", "identify") or stage == "echo" and options.echo > 0 or stage == "perf" and options.perf is not None


_printing = threading.Lock()


def say(line):
    """One line, whole, at once: readers wait for it."""
    with _printing:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def event(name, **what):
    say(json.dumps({"event": name, **what}))


def report(seen):
    """A dialer's last line and its status."""
    say(json.dumps(seen))
    sys.stdout.flush()
    # Not through the interpreter's farewell: threads of a library may still hold on to a stream.
    os._exit(0 if seen["ok"] else 1)


def failed(seen, stage, error):
    seen.update(ok=False, failed={"stage": stage, "error": "; ".join(reasons(error))})
    return seen


def reasons(error):
    """What an error says, and what was the reason for it, innermost last."""
    said = []
    while error is not None and len(said) < 8:
        text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        if text not in said:
            said.append(text)
        inner = getattr(error, "exceptions", None)
        error = inner[0] if inner else error.__cause__ or error.__context__
    return said


def pattern(size, stream=0):
    """Bytes to send: SHA-256 of stream and block number, one after another, so that no two places look alike."""
    blocks = (hashlib.sha256(b"%d/%d" % (stream, number)).digest() for number in range(size // 32 + 1))
    return b"".join(blocks)[:size]


def base58(data):
    alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
    number, text = int.from_bytes(data, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        text = alphabet[digit] + text
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + text


def unbase58(text):
    number = 0
    for character in text:
        number = number * 58 + "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz".index(character)
    body = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return b"\0" * (len(text) - len(text.lstrip("1"))) + body


def varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def unvarint(data, at=0):
    """A number and where it ends."""
    number = shift = 0
    while True:
        byte = data[at]
        number |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return number, at


def fields(data):
    """A protobuf message as {number: [values]}: integers and bytes, as they stand."""
    found, at = {}, 0
    while at < len(data):
        key, at = unvarint(data, at)
        if key & 7 == 0:
            value, at = unvarint(data, at)
        elif key & 7 == 2:
            length, at = unvarint(data, at)
            if at + length > len(data):
                raise ValueError(f"field {key >> 3} ends after the message")
            value, at = data[at : at + length], at + length
        else:
            raise ValueError(f"field {key >> 3} has wire type {key & 7}")
        found.setdefault(key >> 3, []).append(value)
    return found


def message(*pairs):
    """A protobuf message of (number, value): integers, texts and bytes; None is left out."""
    out = bytearray()
    for number, value in pairs:
        if value is None:
            continue
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
        else:
            value = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(value)) + value
    return bytes(out)


def peer_of(public_key):
    """The peer ID of a public key as it is on the wire."""
    if len(public_key) <= 42:
        return base58(b"\0" + bytes([len(public_key)]) + public_key)
    return base58(b"\x12\x20" + hashlib.sha256(public_key).digest())


def multiaddr_text(data):
    """IP, TCP and UDP only: what nodes on loopback have."""
    text, at = "", 0
    while at < len(data):
        code, at = unvarint(data, at)
        if code == 4:
            text, at = text + "/ip4/" + ".".join(map(str, data[at : at + 4])), at + 4
        elif code in (6, 273):
            text, at = text + f"/{'tcp' if code == 6 else 'udp'}/{int.from_bytes(data[at : at + 2], 'big')}", at + 2
        elif code == 421:
            length, at = unvarint(data, at)
            text, at = text + "/p2p/" + base58(data[at : at + length]), at + length
        else:
            return "hex:" + data.hex()
    return text


def multiaddr_bytes(text):
    """The reverse, and /unix with it."""
    if text.startswith("/unix/"):
        path = text[5:].encode()
        return varint(400) + varint(len(path)) + path
    out, parts = b"", text.strip("/").split("/")
    for name, value in zip(parts[::2], parts[1::2], strict=True):
        if name == "ip4":
            out += varint(4) + bytes(map(int, value.split(".")))
        elif name == "tcp":
            out += varint(6) + int(value).to_bytes(2, "big")
        elif name != "p2p":
            raise ValueError(f"/{name} is not an address these drivers dial")
    return out


def split(address):
    """A multiaddr and the peer ID at its end."""
    where, found, peer = address.rpartition("/p2p/")
    if not found:
        raise ValueError(f"{address} has no /p2p/ at its end")
    return where, peer


def identity(answer):
    """What identify sent: one message with its length before it, all of it."""
    length, start = unvarint(answer)
    if start + length != len(answer):
        raise ValueError(f"identify sent {len(answer) - start} bytes, and said {length}")
    found = fields(answer[start:])

    def text(number):
        return found[number][-1].decode() if number in found else None

    return {
        "protocolVersion": text(5),
        "agentVersion": text(6),
        "publicKeyPeer": peer_of(found[1][-1]) if 1 in found else None,
        "listenAddrs": [multiaddr_text(address) for address in found.get(2, [])],
        "protocols": [name.decode() for name in found.get(3, [])],
        "observedAddr": multiaddr_text(found[4][-1]) if 4 in found else None,
        "signedPeerRecord": 8 in found,
    }


def compared(sent, got, end):
    """What an echo amounts to; `differsAt` is the first byte that is not what was sent, `end` how the stream ended."""
    digests = {"sentSHA256": hashlib.sha256(sent).hexdigest(), "receivedSHA256": hashlib.sha256(got).hexdigest()}
    seen = {"sent": len(sent), "received": len(got), "same": sent == got, **digests, "end": end}
    if sent != got:
        seen["differsAt"] = next((at for at, pair in enumerate(zip(sent, got)) if pair[0] != pair[1]), min(len(sent), len(got)))
    return seen
