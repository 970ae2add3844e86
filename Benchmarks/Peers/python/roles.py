"""What the streams of a run are for (../README.md, "On the wire"): `bulk`, `request`, `churn` or `idle`."""

# How long a receiver of `stalled` rests after each message.
REST_SECONDS = 0.01
# Payload of requests and of churn in mixed, whatever --message-bytes says.
SMALL = 64


def role(options, connection, stream):
    if options.workload != "mixed":
        return options.workload
    if stream == 0 and (connection == 0 or not options.apart):
        return "request"
    return "churn" if options.beside == "churn" else "bulk"


def message_bytes(options, of_role):
    return SMALL if options.workload == "mixed" and of_role != "bulk" else options.message_bytes


def streams_on(options, connection):
    """Streams that a connection has at once."""
    if not options.apart:
        return options.streams
    return 1 if connection == 0 else options.streams - 1
