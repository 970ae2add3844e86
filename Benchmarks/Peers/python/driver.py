#!/usr/bin/env python3
"""The driver for py-libp2p (../README.md is the contract): its multiplexers yamux and mplex on a bare TCP connection, and TCP alone as trio does it.

    driver.py about
    driver.py server OPTIONS
    driver.py client OPTIONS --connect 127.0.0.1:PORT

What the library cannot do: yamux has at most 256 streams open on a connection that it dials; mplex does not write on a stream while a read waits on it, so
that bulk cannot go both ways at once. As `about` speaks of all stacks, it leaves `both` out; tcp and tcp+yamux do it when they are asked.

Beside the requests of mixed there can be bulk, `stalled` and `churn`, but not `stopped`: a writer of yamux gives up when its stream has had no window for
5 seconds, and mplex resets a stream that nobody has read for so long, having read nothing else from its connection meanwhile.
"""

import ctypes
import gc
import importlib.metadata
import json
import os
import platform
import resource
import sys
import threading
import types

STACKS = ["tcp", "tcp+yamux", "tcp+mplex"]
WORKLOADS = ["bulk", "request", "churn", "idle", "mixed"]
DIRECTIONS = ["up", "down", "both"]
BESIDE = ["bulk", "stalled", "churn"]
NUMBERS = {"connections": 1 << 20, "streams": 1 << 20, "message-bytes": 1 << 30, "depth": 1 << 20}
# A command is answered within 30 seconds, whatever the far end does.
PATIENCE = 25


def answer(value):
    line = json.dumps(value, separators=(",", ":")).encode() + b"\n"
    while line:
        line = line[os.write(1, line) :]


def end(code):
    """Ends at once: whatever tasks there are have nothing left to say."""
    sys.stderr.flush()
    os._exit(code)


def fail(sentence):
    answer({"error": sentence})
    end(1)


def refuse(sentence):
    print(sentence, file=sys.stderr)
    end(64)


def about():
    version = importlib.metadata.version
    answer(
        {
            "contract": 1,
            "name": "python",
            "version": f"py-libp2p {version('libp2p')}, trio {version('trio')}, "
            f"Python {platform.python_version()}",
            "stacks": STACKS,
            "streams_max": {"tcp+yamux": 256},
            "workloads": WORKLOADS,
            # What all stacks can do; see above.
            "directions": ["up", "down"],
            "beside": BESIDE,
            "apart": True,
        }
    )


def number(name, text, most, least=1):
    if not (text.isascii() and text.isdigit()) or not least <= int(text) <= most:
        refuse(f"--{name} {text}: a number from {least} to {most} was expected")
    return int(text)


def parse(role, arguments):
    names = ["stack", "workload", "direction", *NUMBERS, "seed"] + (["connect"] if role == "client" else [])
    told = {}
    for index in range(0, len(arguments), 2):
        name = arguments[index].removeprefix("--")
        if not arguments[index].startswith("--") or name not in [*names, "beside", "apart"]:
            refuse(f"{arguments[index]}: no such option")
        if index + 1 == len(arguments):
            refuse(f"--{name}: its value is missing")
        if name in told:
            refuse(f"--{name}: told twice")
        told[name] = arguments[index + 1]
    if missing := [name for name in names if name not in told]:
        refuse(f"--{missing[0]} is missing")
    for name, values in (("stack", STACKS), ("workload", WORKLOADS), ("direction", DIRECTIONS), ("beside", BESIDE), ("apart", ["yes"])):
        if name in told and told[name] not in values:
            refuse(f"--{name} {told[name]}: one of {', '.join(values)} was expected")
        if name in ("beside", "apart") and name in told and told["workload"] != "mixed":
            refuse(f"--{name} is an option of mixed, and the workload is {told['workload']}")
    options = types.SimpleNamespace(
        stack=told["stack"], workload=told["workload"], direction=told["direction"], beside=told.get("beside", "bulk"), apart="apart" in told
    )
    for name, most in NUMBERS.items():
        setattr(options, name.replace("-", "_"), number(name, told[name], most))
    options.seed = number("seed", told["seed"], (1 << 64) - 1, 0)
    if role == "client":
        host, colon, port = told["connect"].rpartition(":")
        if host != "127.0.0.1":
            refuse(f"--connect {told['connect']}: 127.0.0.1:PORT was expected")
        options.connect = (host, number("connect", port, 65535))
    return options


class Commands:
    """Reads standard input on a thread of its own, so that its end is seen whatever the driver is at."""

    def __init__(self):
        self.lock = threading.Lock()
        self.waiting = []
        self.deliver = None
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in sys.stdin.buffer:
            with self.lock:
                if self.deliver:
                    self.deliver(line)
                else:
                    self.waiting.append(line)
        end(0)

    def deliver_to(self, deliver):
        with self.lock:
            for line in self.waiting:
                deliver(line)
            self.deliver = deliver


def settle():
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except AttributeError:
        # Another C library than glibc: what the collector freed is all that can be given back.
        return


async def carry_out(run, command):
    """The answer to a command, or nothing when there is no such command."""
    if command == "streams":
        return {"streams": run.open_streams()}
    if command == "open" and run.is_client and run.options.workload == "idle":
        await run.open_second()
        return {}
    if command == "settle":
        settle()
        return {}
    if command == "start":
        run.start()
        return {}
    if command in ("begin", "end"):
        run.in_window = command == "begin"
        return run.counters()
    if command == "stop":
        await run.stop()
        return {}
    if command == "report":
        await run.finish()
        return run.report()
    return None


async def drive(role, options, commands):
    import trio

    from ends import Client, Server

    send, receive = trio.open_memory_channel(float("inf"))
    token = trio.lowlevel.current_trio_token()
    commands.deliver_to(lambda line: token.run_sync_soon(send.send_nowait, line))
    run = (Server if role == "server" else Client)(options)
    async with trio.open_nursery() as nursery:
        with trio.move_on_after(PATIENCE) as patience:
            answer(await run.prepare(nursery))
        if patience.cancelled_caught:
            fail(f"was not ready after {PATIENCE} seconds")
        async for line in receive:
            command = line.decode(errors="replace").strip()
            with trio.move_on_after(PATIENCE) as patience:
                value = await carry_out(run, command)
            if patience.cancelled_caught:
                fail("; ".join([f"{command} was not over after {PATIENCE} seconds", *run.problems]))
            if value is None:
                fail(f"{command!r} is no command here")
            answer(value)
            if command == "report":
                end(0)


def main(arguments):
    if arguments == ["about"]:
        return about()
    if not arguments or arguments[0] not in ("server", "client"):
        refuse("usage: driver.py about | server OPTIONS | client OPTIONS --connect 127.0.0.1:PORT")
    role, options = arguments[0], parse(arguments[0], arguments[1:])
    commands = Commands()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    try:
        import trio

        import links

        links.load(options.stack)
        # What was loaded lives as long as the process: the collector need not look at it again and again.
        gc.collect()
        gc.freeze()
        trio.run(drive, role, options, commands)
    except BaseException as error:
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        fail(f"{type(error).__name__}: {error}" if type(error).__name__ != "Failure" else str(error))


if __name__ == "__main__":
    main(sys.argv[1:])
