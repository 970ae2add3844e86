"""What the streams of a run are for, and how many there are (../README.md, "On the wire").

Roles are `request`, `churn`, `idle`, `bulk`, and of bulk whose receiver reads late `stopped` and `stalled`.
"""

# Payload of requests and of churn in mixed, whatever --message-bytes says.
SMALL = 64
# How long a receiver of `stalled` rests.
REST_SECONDS = 0.01


def role(run, connection, stream):
    if run.workload != "mixed":
        return run.workload
    if stream == 0 and (connection == 0 or not run.apart):
        return "request"
    if run.beside == "stopped":
        return "stopped" if stream == (0 if run.apart else 1) else "bulk"
    return run.beside


def message_bytes(run, of_role):
    return SMALL if run.workload == "mixed" and of_role in ("request", "churn") else run.message_bytes


def streams_on(run, connection):
    """Streams that a connection has at once."""
    return run.streams if not run.apart else 1 if connection == 0 else run.streams - 1


def streams_in_all(run):
    return sum(streams_on(run, connection) for connection in range(run.connections))


def comes_and_goes(run):
    """Whether there are streams that are opened and closed in traffic."""
    return "churn" in (run.workload, run.beside)


def size_of_all(run):
    """The payload of every message, where all have the same."""
    return None if run.workload == "mixed" and run.beside != "churn" else message_bytes(run, role(run, run.connections - 1, run.streams - 1))


def can_hold_back(run):
    """Whether a stream whose receiver does not read leaves the others alone. Mplex has no credit: it stops reading the socket, or resets the stream."""
    return not (run.stack.endswith("mplex") and run.beside in ("stopped", "stalled"))
