"""What the lines of a driver have to look like."""

from process import Broken


def is_count(value):
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def exact(value, fields, what, optional=()):
    """Exactly these fields, each as its test wants it."""
    for name, test in fields.items():
        if name not in value:
            if name in optional:
                continue
            raise Broken(f"{what} with {name!r}", str(value)[:300], "Lines")
        if not test(value[name]):
            raise Broken(f"{what} with a right {name!r}", str(value[name])[:300], "Lines")
    if extra := set(value) - set(fields):
        raise Broken(f"{what} with nothing but {', '.join(fields) or 'no field'}", f"also {', '.join(sorted(extra))}", "Lines")
    return value


def counters(value):
    names = ("time_ns", "received_bytes", "received_messages", "completed")
    tests = dict.fromkeys(names, is_count)
    tests["syscalls"] = lambda calls: isinstance(calls, dict) and all(is_count(count) for count in calls.values())
    return exact(value, tests, "counters", optional=("syscalls",))


def both(value):
    return isinstance(value, dict) and set(value) == {"bytes", "messages"} and all(is_count(item) for item in value.values())


def sentences(value):
    return isinstance(value, list) and len(value) <= 20 and all(isinstance(item, str) and item for item in value)


def latency(value):
    if not isinstance(value, list):
        return False
    pairs = all(isinstance(pair, list) and len(pair) == 2 and all(is_count(item) for item in pair) and pair[1] > 0 for pair in value)
    return pairs and all(first[0] < second[0] for first, second in zip(value, value[1:]))


def report(value):
    tests = {"sent": both, "received": both, "verified": is_count, "streams": is_count, "problems": sentences, "latency": latency}
    return exact(value, tests, "a report")


def about(value):
    def words(known):
        return lambda items: isinstance(items, list) and items and all(isinstance(item, str) and (not known or item in known) for item in items)

    tests = {
        "contract": lambda number: number == 1,
        "name": lambda text: isinstance(text, str) and text,
        "version": lambda text: isinstance(text, str) and text,
        "stacks": words(None),
        "workloads": words(("bulk", "request", "churn", "idle", "mixed")),
        "directions": words(("up", "down", "both")),
    }
    tests["socket_calls"] = lambda text: text == "read/write"
    tests["streams_max"] = lambda limits: isinstance(limits, dict) and all(
        stack in value.get("stacks", []) and type(most) is int and most > 0 for stack, most in limits.items()
    )
    tests["beside"] = lambda items: words(("bulk", "stopped", "stalled", "churn"))(items) and "mixed" in value.get("workloads", [])
    tests["apart"] = lambda answer: isinstance(answer, bool) and (not answer or "mixed" in value.get("workloads", []))
    return exact(value, tests, "`about`", optional=("socket_calls", "streams_max", "beside", "apart"))
