"""What goes on beside the requests of `mixed`, as the far end of a driver sees it."""

import time

import roles
import shapes
from process import Broken, wait_for

# Requests that are answered while nothing else happens: enough to tell a receiver that has stopped from one that is slow.
REQUESTS = 50
# How much faster than allowed a receiver may seem that rests.
MARGIN = 10
# How long it has to seem so at least.
RESTED_SECONDS = 0.5


def check(run, role, driver, peer, limit):
    """In traffic, before `stop`; `limit` is how many seconds what has to happen may take."""
    if run.beside == "stopped":
        check_stopped(peer, limit)
    elif run.beside == "stalled":
        check_stalled(run, peer, limit)
    elif run.beside == "churn" and role == "client":
        check_churn(driver, peer, limit)


def happens(peer, condition, limit):
    """Whether it is so in time; what is wrong on the wire is told at once."""
    came = wait_for(lambda: peer.faults or condition(), limit)
    if peer.faults:
        raise Broken("what the contract says on the wire", "; ".join(peer.faults[:5]), "On the wire")
    return came


def answered(peer):
    """Requests of which both ways are known to this end: as client it has the answer, as server it has the next request."""
    return sum(line.messages for line in peer.of_role("request"))


def sends_bulk(peer):
    return peer.options.direction in ("both", "up" if peer.is_client else "down")


def check_stopped(peer, limit):
    """Bytes that nobody reads stay where they are, and requests are answered meanwhile; what comes is read after `stop`, as the end of the run shows."""
    lines = peer.of_role("stopped")
    marks = {}

    def has_stopped(line):
        """No byte of the stream has gone anywhere since so many requests."""
        state = peer.moved(line), line.position
        is_full = peer.is_stuck(line) if sends_bulk(peer) else line.position or peer.options.stack == "tcp"
        if not is_full or marks.get(line, (None,))[0] != state:
            marks[line] = state, answered(peer)
        return answered(peer) - marks[line][1] >= REQUESTS

    if happens(peer, lambda: all([has_stopped(line) for line in lines]), limit):
        return
    if answered(peer) < REQUESTS:
        raise Broken(f"{REQUESTS} requests to be answered beside a stream that nobody reads", str(answered(peer)), "On the wire")
    moving = next((line for line in lines if answered(peer) - marks[line][1] < REQUESTS), lines[0])
    raise Broken(
        f"bytes of a stopped stream to stay unread while {REQUESTS} requests are answered",
        f"{moving.name}: its bytes moved all the time, {peer.moved(moving)} were sent and {answered(peer)} requests answered", "On the wire",
    )


def check_stalled(run, peer, limit):
    """A receiver that rests for 10 ms after each message takes no more than so many: once a stream has used up its credit, no more than that comes back for a
    while. Now and then a multiplexer gives more of its own accord, when it finds its window too small. Of `tcp` nobody can tell what lies in the sockets."""
    lines = peer.of_role("stalled") if sends_bulk(peer) and run.stack != "tcp" else []
    marks = {}

    def has_rested(line):
        """Since the mark no more was taken than that, for long enough."""
        now, moved = time.monotonic(), peer.moved(line)
        if line not in marks and not peer.is_stuck(line):
            return False
        since, before, requests = marks.get(line, (now, -1, 0))
        if before < 0 or moved - before > MARGIN * ((now - since) / roles.REST_SECONDS + 1) * line.size:
            marks[line] = now, moved, answered(peer)
            return False
        return now - since >= RESTED_SECONDS and answered(peer) - requests >= REQUESTS

    if happens(peer, lambda: answered(peer) >= REQUESTS and all([has_rested(line) for line in lines]), limit):
        return
    if answered(peer) < REQUESTS:
        raise Broken(f"{REQUESTS} requests to be answered beside streams whose receivers rest", str(answered(peer)), "On the wire")
    raise Broken(
        f"receivers that rest for {roles.REST_SECONDS * 1000:.0f} ms after each message of {run.message_bytes} bytes",
        ", ".join(f"{peer.moved(line)} bytes on {line.name}" for line in lines) + f" within {limit:.0f} s", "On the wire",
    )


def check_churn(driver, peer, limit):
    """Streams that come and go beside the requests are not counted with them."""
    before = shapes.counters(driver.ask("begin"))
    requests, gone = answered(peer), churned(peer)
    if not happens(peer, lambda: churned(peer) >= gone + requests + REQUESTS and answered(peer) >= requests + 3, limit):
        raise Broken(
            f"{requests + REQUESTS} streams of churn and 3 requests more", f"{churned(peer) - gone} and {answered(peer) - requests}", "On the wire")
    completed = shapes.counters(driver.ask("end"))["completed"] - before["completed"]
    if completed > (most := answered(peer)):
        raise Broken(f"at most {most} requests `completed`, as many as there were on the streams of requests", str(completed), "On the wire")


def churned(peer):
    """Streams of churn that the far end has closed."""
    return sum(line.ended for line in peer.of_role("churn"))


def check_end(role, peer, report):
    """`latency` is of nothing but the requests, and what a receiver did not read at once comes all the same."""
    if peer.options.workload != "mixed":
        return
    if role == "client" and (operations := sum(count for _, count in report["latency"])) > (most := answered(peer)):
        raise Broken(f"at most {most} operations in `latency`, as many as there were requests", str(operations), "On the wire")
    for line in peer.of_role("stopped") + peer.of_role("stalled"):
        if peer.receives(line) and not line.messages:
            raise Broken(f"messages on {line.name}", "none", "On the wire")
