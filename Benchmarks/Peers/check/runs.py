"""Whole runs: the driver against itself, and against the checker's own end."""

import contextlib
import time

import beside
import roles
import shapes
from peer import Peer
from process import Broken, Process, arguments, end_group, wait_for


class Bench:
    """What the checks of one driver share."""

    def __init__(self, command, patience, window):
        self.command, self.patience, self.window = command, patience, window
        self.started = []

    @contextlib.contextmanager
    def begin(self):
        """One check; what is started in it ends with it."""
        here = Bench(self.command, self.patience, self.window)
        try:
            yield here
        finally:
            # The drivers first: the checker's own end reads until they are gone.
            for one in sorted(here.started, key=lambda one: isinstance(one, Peer)):
                if isinstance(one, Peer):
                    one.quit = True
                    one.join(10)
                else:
                    one.kill()

    def process(self, role, extra, **rest):
        self.started.append(process := Process(self.command, role, extra, self.patience, **rest))
        return process

    def server(self, run):
        server = self.process("server", arguments(run))
        tests = {"ready": lambda it: it is True, "port": lambda it: it in range(1, 65536)}
        ready = shapes.exact(server.hear("the ready line"), tests, "the server's ready line")
        return server, ready["port"]

    def client(self, run, port):
        client = self.process("client", [*arguments(run), "--connect", f"127.0.0.1:{port}"])
        shapes.exact(client.hear("the ready line"), {"ready": lambda it: it is True}, "the client's ready line")
        return client

    def peer(self, run, **rest):
        self.started.append(peer := Peer(run, **rest))
        peer.start()
        return peer


def expect(condition, expected, came, section):
    if not condition:
        raise Broken(expected, came, section)


def nothing(value, command):
    return shapes.exact(value, {}, f"the answer to `{command}`")


def ask_nothing(process, command):
    nothing(process.ask(command), command)


def settle(process):
    shapes.exact(process.ask("settle"), {"heap_bytes": shapes.is_count}, "the answer to `settle`", optional=("heap_bytes",))


def streams(process):
    return shapes.exact(process.ask("streams"), {"streams": shapes.is_count}, "the answer to `streams`")["streams"]


def await_streams(process, count, when):
    """Streams that were just opened or closed may still be on their way."""
    end = time.monotonic() + min(10, process.patience)
    while (came := streams(process)) != count and time.monotonic() < end:
        time.sleep(0.01)
    expect(came == count, f"{count} streams at the {process.role} {when}", str(came), "Lines")


def established(port):
    """Connections to the server as the kernel knows them, by the client's port: while others come and go, the table may show one twice, or leave one out."""
    wanted = f"0100007F:{port:04X}"
    with open("/proc/net/tcp", encoding="ascii") as table:
        rows = [line.split() for line in table]
    return {row[1] for row in rows if len(row) > 3 and row[2] == wanted and row[3] == "01"}


def first_part(run):
    return run.connections * max(1, run.streams // 10) if run.workload == "idle" else roles.streams_in_all(run)


def check_streams(run, processes):
    if roles.comes_and_goes(run):
        for process in processes:
            streams(process)
        return
    for process in processes:
        await_streams(process, first_part(run), "when the client is ready")
    if run.workload == "idle":
        for process in processes:
            if process.role == "client":
                ask_nothing(process, "open")
        for process in processes:
            await_streams(process, roles.streams_in_all(run), "after `open`")


def receivers(run):
    """Which ends receive something."""
    if run.workload == "idle":
        return set()
    both = run.workload in ("request", "churn", "mixed") or run.direction == "both"
    return {"server", "client"} if both else {"server"} if run.direction == "up" else {"client"}


def in_flight(run):
    return (run.connections * run.streams if run.workload != "mixed" else 1 if run.apart else run.connections) * run.depth


def check_window(run, process, before, after):
    expect(after["time_ns"] > before["time_ns"], f"a clock at the {process.role} that goes on", f"{before} and {after}", "Lines")
    for name in ("received_bytes", "received_messages", "completed"):
        expect(after[name] >= before[name], f"counters of the {process.role} that grow", f"{before} and {after}", "Lines")
    grew = after["received_bytes"] > before["received_bytes"] and after["received_messages"] > before["received_messages"]
    if not roles.can_hold_back(run):
        return
    if process.role in receivers(run):
        expect(grew, f"`received_bytes` and `received_messages` of the {process.role} to grow in the window", f"{before} and {after}", "Lines")
    else:
        expect(after["received_bytes"] == 0, f"nothing received by the {process.role}", str(after), "On the wire")
    completes = process.role == "client" and run.workload in ("request", "churn", "mixed")
    expect(
        (after["completed"] > before["completed"]) == completes,
        f"`completed` of the {process.role} to {'grow in the window' if completes else 'stay as it is'}", f"{before} and {after}", "Lines",
    )
    if size := roles.size_of_all(run):
        whole, messages = after["received_bytes"] // size, after["received_messages"]
        # Messages under way at an end, and what threads do while the counters are read one after the other.
        slack = run.connections * run.streams + whole // 100
        expect(whole - slack <= messages <= whole + slack, f"`received_messages` that fit {after['received_bytes']} bytes", str(messages), "Lines")


def check_report(run, role, report, before, after):
    name = f"the {role}'s report"
    expect(not report["problems"], f"{name} without problems", "; ".join(report["problems"]), "Lines")
    for way in ("sent", "received"):
        came = report[way]
        if size := roles.size_of_all(run):
            expect(came["bytes"] == came["messages"] * size, f"{name}: `{way}` of whole messages", str(came), "On the wire")
        flows = role in receivers(run) if way == "received" else ({"server", "client"} - {role}) & receivers(run)
        expect(bool(came["bytes"]) == bool(flows), f"{name}: `{way}` {'more than' if flows else 'of'} 0", str(came), "On the wire")
    received, verified = report["received"]["messages"], report["verified"]
    # Where the choice is spread over a stream and not counted off, it may be one short.
    least = max(-(-received // 64) - report["streams"], min(received, 1))
    expect(least <= verified <= received, f"{name}: from {least} to {received} messages `verified`", str(verified), "Payload")
    expect(report["received"]["bytes"] >= after["received_bytes"], f"{name}: at least what `end` counted", str(report["received"]), "Lines")
    if not roles.comes_and_goes(run):
        count = roles.streams_in_all(run)
        expect(report["streams"] == count, f"{name}: {count} streams", str(report["streams"]), "Lines")
    operations = sum(count for _, count in report["latency"])
    completed = after["completed"] - before["completed"]
    expect(
        abs(operations - completed) <= in_flight(run) + completed // 100 if role == "client" else operations == 0,
        f"{name}: as many operations in `latency` as were completed in the window, {completed}", str(operations), "Lines",
    )


def window(run, bench, processes, seconds):
    before = {process: shapes.counters(process.ask("begin")) for process in processes}
    time.sleep(seconds)
    after = {process: shapes.counters(process.ask("end")) for process in processes}
    for process in processes:
        check_window(run, process, before[process], after[process])
    return before, after


def leave(process):
    process.close_input()
    process.ends(0, after="the report was given")


def against_itself(bench, run, seconds):
    with bench.begin() as here:
        server, port = here.server(run)
        client = here.client(run, port)
        check_streams(run, (server, client))
        settle(server)
        settle(client)
        ask_nothing(server, "start")
        ask_nothing(client, "start")
        time.sleep(0.1)
        before, after = window(run, here, (server, client), seconds)
        ask_nothing(server, "stop")
        ask_nothing(client, "stop")
        await_streams(client, 0, "after `stop`")
        await_streams(server, 0, "after `stop`")
        if run.stack != "tcp":
            is_right = wait_for(lambda: len(established(port)) == run.connections, 2)
            expect(is_right, f"{run.connections} connections open after `stop`", str(len(established(port))), "On the wire")
        client.tell("report")
        server.tell("report")
        reports = {process.role: shapes.report(process.hear("the report")) for process in (client, server)}
        if not roles.can_hold_back(run) and any(report["problems"] for report in reports.values()):
            # A stream that was reset, and the run INVALID: that is what there is to tell of such a multiplexer.
            for process in (server, client):
                leave(process)
            return
        for process in (server, client):
            check_report(run, process.role, reports[process.role], before[process], after[process])
        for one, other in (("client", "server"), ("server", "client")):
            sent, received = reports[one]["sent"], reports[other]["received"]
            expect(sent == received, f"the {other} to have received what the {one} sent, {sent}", str(received), "Lines")
        expect(
            reports["client"]["streams"] == reports["server"]["streams"], "as many streams in both reports",
            f"{reports['client']['streams']} and {reports['server']['streams']}", "Lines",
        )
        for process in (server, client):
            leave(process)


def against_peer(bench, run, role, fault=None, foreign=False):
    """The driver in a role; the checker at the other end looks at every byte, and errs when it is told to."""
    with bench.begin() as here:
        if role == "server":
            driver, port = here.server(run)
            peer = here.peer(run, port=port, fault=fault, foreign=foreign)
        else:
            peer = here.peer(run, fault=fault)
            driver = here.client(run, peer.port)
        if role == "client":
            check_streams(run, (driver,))
        elif not roles.comes_and_goes(run):
            await_streams(driver, roles.streams_in_all(run), "when all are open")
        ask_nothing(driver, "start")
        peer.go = True
        if run.workload == "idle":
            time.sleep(0.1)
        elif not wait_for(lambda: has_traffic(run, role, peer), 10):
            if not fault:
                raise Broken("traffic within 10 s of `start`", f"{peer.received()} bytes received, {peer.sent()} sent", "On the wire")
        if fault:
            check_fault(role, driver, peer)
            return
        beside.check(run, role, driver, peer, min(20, here.patience))
        stop(role, driver, peer)
        expect(wait_for(peer.is_over, min(10, here.patience)), "every stream to be closed by both ends after `stop`", unfinished(peer), "On the wire")
        check_open(run, peer)
        if role == "client":
            await_streams(driver, 0, "after `stop`")
        driver.tell("report")
        if role == "server":
            peer.quit = True
        report = shapes.report(driver.hear("the report"))
        leave(driver)
        check_seen(run, role, peer, report, foreign)


def has_traffic(run, role, peer):
    sends = peer.sent() >= 3 * run.message_bytes
    if run.beside in ("stopped", "stalled"):
        # That requests are answered beside it is a check of its own.
        return sends or peer.messages() >= 3
    return peer.messages() >= 3 if role in senders(run) else sends


def check_fault(role, driver, peer):
    peer.stopping = True
    for command in ("stop", "report"):
        driver.tell(command)
        if command == "report":
            peer.quit = True
        value = driver.hear(f"the answer to `{command}`", errors_too=True)
        if "error" in value:
            return
    wrong = "message" if role == "server" else "answer"
    expect(shapes.report(value)["problems"], f"a problem, as a byte of the first {wrong} was wrong", "none", "Payload")


def senders(run):
    """Which ends send something."""
    return {"server": "client", "client": "server"}[next(iter(receivers(run)))] if len(receivers(run)) == 1 else receivers(run)


def unfinished(peer):
    left = [f"{line.name}: {'ended' if line.ended else 'not ended'}, {'closed' if line.closed else 'not closed'}" for line in peer.lines]
    return "; ".join([text for text in left if "not" in text][:5] + peer.faults[:3])


def stop(role, driver, peer):
    """The server is told first, as a client that reads can only be over when it has stopped sending."""
    if role == "client":
        peer.stopping = True
    ask_nothing(driver, "stop")
    peer.stopping = True


def check_open(run, peer):
    if run.stack == "tcp":
        return
    # Long enough for an end that closes too early to be seen; nothing waits for it otherwise.
    time.sleep(0.05)
    expect(peer.open_wires() == run.connections, f"{run.connections} connections open until `report`", str(peer.open_wires()), "On the wire")


def check_seen(run, role, peer, report, foreign):
    name = f"the {role}'s report"
    problems = report["problems"]
    if foreign:
        expect(problems or peer.foreign_refused(), "a connection with a foreign greeting to be refused or told of", "neither", "On the wire")
    else:
        expect(not problems, f"{name} without problems", "; ".join(problems), "Lines")
    expect(not peer.faults, "what the contract says on the wire", "; ".join(peer.faults[:5]), "On the wire")
    for way, count in (("sent", peer.received()), ("received", peer.sent())):
        expect(report[way]["bytes"] == count, f"{name}: `{way}` as seen on the wire, {count} bytes", str(report[way]), "Lines")
    expect(report["sent"]["messages"] == peer.messages(), f"{name}: {peer.messages()} messages sent", str(report["sent"]), "Lines")
    beside.check_end(role, peer, report)
    expect(report["streams"] == len(peer.lines), f"{name}: {len(peer.lines)} streams", str(report["streams"]), "Lines")
    if role == "client":
        for wire in peer.wires if run.stack != "tcp" else []:
            # Not in which order they came: two that are opened at once may pass each other.
            numbers = sorted(wire.lines)
            expect(
                numbers == list(range(len(numbers))), f"streams numbered from 0 without gaps on connection {wire.connection}",
                f"{numbers[-3:]} as the last of {len(numbers)}", "On the wire")
        if run.stack == "tcp" and run.workload == "churn":
            groups = {connection for connection, _ in peer.greetings}
            expect(groups == set(range(run.connections)), f"greetings of {run.connections} groups", str(sorted(groups)), "On the wire")
            return
        wanted = [
            (connection, first) for connection in range(run.connections)
            for first in (range(roles.streams_on(run, connection)) if run.stack == "tcp" else (0,))
        ]
        expect(sorted(peer.greetings) == wanted, f"greetings for {wanted}", str(sorted(peer.greetings)), "On the wire")


def kill_other(bench, run, victim):
    """One end is killed in traffic; the other says so, and answers in time what it is told."""
    with bench.begin() as here:
        server, port = here.server(run)
        client = here.client(run, port)
        for process in (server, client):
            ask_nothing(process, "start")
        time.sleep(0.2)
        dead, left = (server, client) if victim == "server" else (client, server)
        end_group(dead.process)
        # Traffic goes on into the void for a while: told to stop at once, an end could find that all it waited for had come.
        time.sleep(0.2)
        for command in ("stop", "report"):
            value = left.ask(command, errors_too=True)
            if "error" in value:
                left.ends(1, after="it could not go on")
                return
        expect(value.get("problems"), f"a problem or an error of the {left.role} when the {victim} was killed", "none", "Lines")
