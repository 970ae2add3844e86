"""Runs every peer against every other, in all that both have, and prints what came of it: what is in README.md comes from here.
Ends with 1 when something fails. `check.py --verbose` prints what the nodes printed."""
import itertools
import json
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
PYTHON = HERE.parents[2] / ".peers" / "venv" / "bin" / "python"
NODES = {
    "py-libp2p": ("pylibp2p_node.py", ["noise", "tls", "plaintext"], ["yamux", "mplex"], ["ed25519", "rsa", "secp256k1"]),
    "p2pd": ("p2pd_node.py", ["noise", "tls"], ["yamux"], ["ed25519", "rsa", "ecdsa", "secp256k1"]),
}
SOMEONE_ELSE = "12D3KooWDFYh1NkYhHkaDbGdPTSPZiFwLCw1PvWo1UWTsnF5WtpY"


def node(name, *options):
    return [PYTHON, HERE / NODES[name][0], *options]


def run(listener, dialer, *stack, dials=(), someone_else=False):
    """What the dialer saw, and the lines of the listener."""
    with subprocess.Popen(node(listener, *stack), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        address = process.stdout.readline().strip()
        if someone_else:
            address = address[: address.rindex("/") + 1] + SOMEONE_ELSE
        dialled = subprocess.run(node(dialer, *stack, "--dial", address, *dials), capture_output=True, text=True)
        events, complaints = process.communicate("")
    if "--verbose" in sys.argv:
        print(dialled.stdout, dialled.stderr, events, complaints, sep="")
    return json.loads(dialled.stdout), [json.loads(line) for line in events.splitlines()]


def common(listener, dialer, part):
    return [choice for choice in NODES[listener][part] if choice in NODES[dialer][part]]


def main():
    failures = 0

    def tell(good, *what):
        nonlocal failures
        failures += not good
        print("ok    " if good else "FAILS ", *what, flush=True)

    for listener, dialer in itertools.product(NODES, repeat=2):
        for security, muxer in itertools.product(common(listener, dialer, 1), common(listener, dialer, 2)):
            perf = ["--perf", "300000:500000", "--finish", "first"] if "p2pd" not in (listener, dialer) else []
            seen, events = run(listener, dialer, "--security", security, "--muxer", muxer, dials=["--echo", "1048576", "--streams", "3", *perf])
            good = seen["ok"] and [one["bytes"] for one in events if one["event"] == "echo"] == [1048576] * 3
            tell(good, f"{dialer} to {listener}, {security}, {muxer}", seen.get("failed", ""))
        for security, key in itertools.product(common(listener, dialer, 1), common(listener, dialer, 3)):
            seen, _ = run(listener, dialer, "--security", security, "--key", key)
            tell(seen["ok"] and seen["identify"]["publicKeyPeer"] == seen["peer"], f"{dialer} to {listener}, {security}, keys of {key}", seen.get("failed", ""))
        for security in common(listener, dialer, 1):
            seen, _ = run(listener, dialer, "--security", security, someone_else=True)
            tell(seen.get("failed", {}).get("stage") == "connect", f"{dialer} to {listener}, {security}, refused: another peer was expected")
    sys.exit(1 if failures else 0)


main()
