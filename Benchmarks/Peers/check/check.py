"""Tells whether a driver obeys the contract in Benchmarks/Peers/README.md.

    scripts/check-driver COMMAND [ARG...] [--stack S]... [--only WORDS]... [--quick] [--patience SECONDS]

COMMAND and its arguments are the driver as it is called, for example `.peers/drivers/go` or `.build/release/streamgauge driver`. One line is printed for
each check. Exit code 0: everything holds; 1: something fails; 64: the arguments cannot be understood.

    --stack S             only this stack, which the driver has to offer; may be told several times
    --only WORDS          only checks whose names have these words in them, as "mixed beside stopped"; may be told several times
    --quick               only the first connections with a few workloads, and nothing that has to do with ends that come early
    --patience SECONDS    how long a command may take (30, as the contract says)
"""

import concurrent.futures
import shutil
import socket
import subprocess
import sys
import time

import roles
import runs
import shapes
from machines import MACHINES
from process import Broken, arguments, kill_all, options

# Checks that are under way at once; they mostly wait.
AT_ONCE = 3
BESIDE = ("stopped", "stalled", "churn")


def check_about(bench):
    with bench.begin() as here:
        process = here.process("about", [], stdin=subprocess.DEVNULL)
        value = shapes.about(process.hear("the answer to `about`", "The program"))
        process.ends(0, after="`about` was answered")
        return value


def refused(name, change):
    """A check that a call that nobody can understand is refused."""

    def check(bench, run):
        role, told = change(arguments(run))
        with bench.begin() as here:
            process = here.process(role, told)
            process.ends(64, within=min(15, bench.patience), after=name)
            if not process.lines.queue[0] is None:
                raise Broken("nothing on standard output", repr(process.lines.queue[0][:200]), "Lines")
            if not any(process.errors):
                raise Broken("a sentence on standard error", "nothing", "Lines")

    return f"options: {name}", check


def changed(told, name, value):
    told = list(told)
    told[told.index(name) + 1] = value
    return told


REFUSED = [
    refused("an unknown option", lambda told: ("server", [*told, "--colour", "red"])),
    refused("a missing option", lambda told: ("server", told[:-2])),
    refused("an option without its value", lambda told: ("server", told[:-1])),
    refused("a client without --connect", lambda told: ("client", told)),
    refused("a stack that nobody has", lambda told: ("server", changed(told, "--stack", "tcp+pigeons"))),
    refused("a workload that nobody has", lambda told: ("server", changed(told, "--workload", "sleep"))),
    refused("a direction that nobody has", lambda told: ("server", changed(told, "--direction", "sideways"))),
    refused("a number that is none", lambda told: ("server", changed(told, "--connections", "many"))),
    refused("a seed beyond 64 bits", lambda told: ("server", changed(told, "--seed", str(2**64)))),
]


def mixed(told, *more):
    return "server", [*changed(told, "--workload", "mixed"), *more]


def refused_of_mixed(about):
    """What is refused of the options that only some drivers have."""
    checks = [
        refused("an unknown thing beside the requests of mixed", lambda told: mixed(told, "--beside", "locusts")),
        refused("--beside without its value", lambda told: mixed(told, "--beside")),
        refused("--apart that is not yes", lambda told: mixed(told, "--apart", "perhaps")),
    ]
    for name in BESIDE:
        if name not in about.get("beside", []):
            checks.append(refused(f"--beside {name}, which is not announced", lambda told, name=name: mixed(told, "--beside", name)))
    if not about.get("apart"):
        checks.append(refused("--apart yes, which is not announced", lambda told: mixed(told, "--apart", "yes")))
    return checks


def input_ends_before_ready(bench, run):
    with bench.begin() as here, socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        server = here.process("server", arguments(run))
        client = here.process("client", [*arguments(run), "--connect", f"127.0.0.1:{port}"])
        for process in (server, client):
            process.close_input()
        for process in (server, client):
            # An interpreter takes its time to start; a fast driver was ready before it saw the end.
            process.ends(0, within=10, may_be_ready=True)


def input_ends(phase):
    def check(bench, run):
        with bench.begin() as here:
            server, port = here.server(run)
            client = here.client(run, port)
            if phase != "before start":
                for process in (server, client):
                    runs.ask_nothing(process, "start")
                time.sleep(0.1)
            if phase == "after stop":
                for process in (server, client):
                    runs.ask_nothing(process, "stop")
            # Client first: that its end goes must not keep the server.
            for process in (client, server):
                process.close_input()
            for process in (client, server):
                process.ends(0)

    return check


def unreachable(bench, run):
    with bench.begin() as here:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        client = here.process("client", [*arguments(run), "--connect", f"127.0.0.1:{port}"])
        value = client.hear("the error", errors_too=True)
        shapes.exact(value, {"error": lambda it: isinstance(it, str) and it}, "an error, as no server is there")
        client.ends(1, after="it could not go on")


def whole(run, bench):
    """A run that is made again with a longer window when too little happened in a short one: a busy machine is no fault of the driver."""
    try:
        runs.against_itself(bench, run, bench.window)
    except Broken as broken:
        if "grow in the window" not in str(broken):
            raise
        runs.against_itself(bench, run, 10 * bench.window)


def beside_runs(about, stack):
    """Of mixed, what only some drivers have."""
    first, directions = about["directions"][0], [way for way in about["directions"] if way != "both"]
    offered = [name for name in BESIDE if name in about.get("beside", []) and (name != "churn" or "+" in stack)]
    kinds = [(name, way, False) for name in offered for way in (directions if name != "churn" else [first])]
    if about.get("apart"):
        kinds += [("bulk", way, True) for way in directions] + [(name, first, True) for name in offered if name != "stalled"]
    runs_of = [options(stack, "mixed", way, streams=4, message_bytes=4_000, beside=name, apart=apart) for name, way, apart in kinds]
    for run in runs_of:
        if run.beside == "stalled":
            # Messages are short, so that to go on resting through all of a window takes longer than an end waits for the other.
            run.connections, run.streams, run.message_bytes = 1, 3, 64
    return runs_of


def plan(about, chosen, quick):
    """Names of checks and what they call with the bench."""
    checks = []

    def add(name, work):
        checks.append((name, work))

    def add_run(name, run):
        add(f"{name}: against itself", lambda bench: whole(run, bench))
        if stack in MACHINES and roles.can_hold_back(run):
            for role in ("server", "client"):
                add(f"{name}: the {role} as seen on the wire", lambda bench, role=role: runs.against_peer(bench, run, role))

    offered = set(about["workloads"])
    first = options(chosen[0], about["workloads"][0], about["directions"][0])
    for name, check in REFUSED + refused_of_mixed(about) if not quick else REFUSED[:2]:
        add(name, lambda bench, check=check: check(bench, first))
    for stack in chosen:
        directed = [(workload, direction) for workload in about["workloads"] for direction in about["directions"]]
        kept = [(w, d) for w, d in directed if w in ("bulk", "mixed") or d == about["directions"][0]]
        # Without a multiplexer no streams come and go.
        kept = [(w, d) for w, d in kept if w != "churn" or "+" in stack]
        if quick:
            kept = [(w, d) for w, d in kept if w in ("bulk", "request") and d == about["directions"][0]]
        for workload, direction in kept:
            # A message of mixed is short so that requests get through between them on a slow driver; of bulk it has two pieces.
            size = {"bulk": 70_000, "request": 3_000, "churn": 300, "idle": 64, "mixed": 4_000}[workload]
            run = options(
                stack, workload, direction, streams=20 if workload == "idle" else 4, message_bytes=size, depth=3 if workload == "request" else 1
            )
            add_run(f"{stack} {workload} {direction}" if workload in ("bulk", "mixed") else f"{stack} {workload}", run)
        for run in [] if quick or "mixed" not in offered else beside_runs(about, stack):
            add_run(f"{stack} mixed beside {run.beside} {run.direction}{', apart' * run.apart}", run)
        workload = "request" if "request" in offered else about["workloads"][0]
        run = options(stack, workload, about["directions"][0])
        up = options(stack, "bulk", "up", message_bytes=1 << 20) if "bulk" in offered and "up" in about["directions"] else run
        if stack in MACHINES:
            if workload == "request":
                for role, wrong in (("server", "message"), ("client", "answer")):
                    add(f"{stack}: a wrong byte in {'a' if role == 'server' else 'an'} {wrong} is noticed",
                        lambda bench, run=run, role=role: runs.against_peer(bench, run, role, fault="payload"))
            if up is not run and not quick:
                add(f"{stack}: a wrong byte in bulk is noticed", lambda bench, run=up: runs.against_peer(bench, run, "server", fault="payload"))
            add(f"{stack}: a foreign greeting is not counted", lambda bench, run=run: runs.against_peer(bench, run, "server", foreign=True))
        if quick:
            continue
        add(f"{stack}: standard input ends before the driver is ready", lambda bench, run=run: input_ends_before_ready(bench, run))
        for phase in ("before start", "in traffic", "after stop"):
            add(f"{stack}: standard input ends {phase}", lambda bench, run=run, phase=phase: input_ends(phase)(bench, run))
        add(f"{stack}: nobody is there to connect to", lambda bench, run=run: unreachable(bench, run))
        add(f"{stack}: the server is killed in traffic", lambda bench, run=run: runs.kill_other(bench, run, "server"))
        if up is run and stack == "tcp":
            # That a socket ended between two requests is all that a server sees of it.
            continue
        # A socket that ends between two messages ends as it should; most ends come within a long one.
        long = up if up is run else options(stack, "bulk", "up", message_bytes=1 << 24)
        add(f"{stack}: the client is killed in traffic", lambda bench, run=long: runs.kill_other(bench, run, "client"))
    return checks


def attempt(bench, work):
    """What is wrong, or nothing."""
    try:
        work(bench)
        return None
    except Broken as broken:
        return str(broken)
    except Exception as error:
        return f"{type(error).__name__}: {error} (in the checker)"


def say(name, wrong):
    print(f"ok     {name}" if wrong is None else f"FAILS  {name}: {wrong}", flush=True)


def check_all(bench, chosen, quick, only=()):
    about = {}
    wrong = attempt(bench, lambda bench: about.update(check_about(bench)))
    say("about", wrong)
    if wrong is not None:
        return 1, 1
    if unknown := [stack for stack in chosen if stack not in about["stacks"]]:
        say("about", f"expected the stack {unknown[0]}; came {', '.join(about['stacks'])} (contract, “The program”)")
        return 1, 1
    checks = [(name, work) for name, work in plan(about, chosen or about["stacks"], quick) if not only or any(words in name for words in only)]
    failures = []
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        results = [pool.submit(attempt, bench, work) for _, work in checks]
        try:
            for (name, _), result in zip(checks, results):
                say(name, wrong := result.result())
                if wrong is not None:
                    failures.append((name, wrong))
        except BaseException:
            for result in results:
                result.cancel()
            kill_all()
            raise
    if failures:
        # Once more at the end: a log may have been cut at its beginning.
        print(f"\nOf {bench.command[0]}:")
        for name, wrong in failures:
            say(name, wrong)
    return len(failures), len(checks) + 1


def usage(sentence):
    print(f"check-driver: {sentence}\n\n{__doc__}", file=sys.stderr)
    return 64


def main(told):
    command, chosen, only, quick, patience = [], [], [], False, 30.0
    rest = list(told)
    while rest:
        word = rest.pop(0)
        if word in ("--help", "-h") and not command:
            print(__doc__)
            return 0
        if word == "--quick":
            quick = True
        elif word in ("--stack", "--only", "--patience"):
            if not rest:
                return usage(f"{word}: its value is missing")
            value = rest.pop(0)
            if word != "--patience":
                (chosen if word == "--stack" else only).append(value)
                continue
            try:
                patience = float(value)
            except ValueError:
                return usage(f"--patience {value}: a number of seconds was expected")
        elif word.startswith("--"):
            return usage(f"{word}: no such option")
        else:
            command.append(word)
    if not command:
        return usage("which driver?")
    if not shutil.which(command[0]):
        return usage(f"{command[0]}: no such program")
    begun = time.monotonic()
    try:
        failed, count = check_all(runs.Bench(command, patience, 0.2 if quick else 0.4), chosen, quick, only)
    finally:
        kill_all()
    took = time.monotonic() - begun
    print(f"{count - failed} of {count} checks hold, {took:.0f} s" if failed else f"all {count} checks hold, {took:.0f} s")
    return 1 if failed else 0
