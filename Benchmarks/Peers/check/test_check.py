"""The checker on a driver that errs: `python3 -m unittest` in this folder."""

import contextlib
import io
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import check  # noqa: E402
import faulty_mixed  # noqa: E402
import process  # noqa: E402
from faulty import FAULTS  # noqa: E402
from payload import Payload  # noqa: E402

FAULTY, FAULTY_MIXED = (os.path.join(os.path.dirname(os.path.abspath(__file__)), name) for name in ("faulty.py", "faulty_mixed.py"))

# What is told of each fault, in a line of a check that fails.
TOLD = {
    "receipts": "as seen on the wire",
    "payload": "is not what the contract says",
    "blind": "came none",
    "unverified": "`verified`",
    "second-line": "one line for each command",
    "sleeping": "of the server within 2.0 s; came nothing",
    "deaf": "to end when standard input ended",
    "early": "streams at the client when the client is ready",
    "greeting": "a greeting of",
    "guest": "6 streams; came 7",
    "boundary": "ended within message",
    "counters": "that goes on",
    "latency": "operations in `latency`",
    "options": "exit code 64",
    "silent-death": "was killed",
}

# The same of what goes on beside the requests of mixed, and the check that tells it.
TOLD_OF_MIXED = {
    "reads-stopped": ("mixed beside stopped up: the server", "to stay unread while 50 requests are answered"),
    "blocks": ("mixed beside stopped down: the client", "50 requests to be answered beside a stream that nobody reads"),
    "never-again": ("mixed beside stopped up: the server", "every stream to be closed by both ends after `stop`"),
    "no-rests": ("mixed beside stalled up: the server", "receivers that rest for 10 ms"),
    "long-rests": ("mixed beside stalled up: the server", "every stream to be closed by both ends after `stop`"),
    "counts-churn": ("mixed beside churn up: the client", "requests `completed`"),
    "times-churn": ("mixed beside churn up: the client", "operations in `latency`"),
    "churn-size": ("mixed beside churn up: the client", "is not what the contract says"),
    "one-more": ("mixed beside churn up: the client", "has 5 streams at once"),
    "together": ("mixed beside bulk up, apart: the client", "4 streams at the client when the client is ready; came 8"),
    "swapped": ("mixed beside bulk up, apart: the client", "connection 0 has 2 streams at once"),
    "shifted": ("mixed beside bulk down, apart: the server", "is not what the contract says"),
    "tolerant": ("options: an unknown thing beside", "to end when an unknown thing"),
}


def run(*arguments):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = check.main(list(arguments))
    return code, out.getvalue(), err.getvalue()


class CheckTests(unittest.TestCase):
    def tearDown(self):
        self.assertEqual(process.running, set(), "processes that were not ended")

    def test_a_driver_that_obeys(self):
        code, out, _ = run(sys.executable, FAULTY, "none")
        self.assertEqual(code, 0, out)
        self.assertNotIn("FAILS", out)

    def test_every_fault_is_found(self):
        self.assertEqual(set(TOLD) | {"none"}, set(FAULTS))
        for fault, told in TOLD.items():
            with self.subTest(fault):
                short = [] if fault in ("deaf", "options", "silent-death") else ["--quick"]
                code, out, _ = run(sys.executable, FAULTY, fault, "--patience", "2", *short)
                self.assertEqual(code, 1, out)
                failing = [line for line in out.splitlines() if line.startswith("FAILS")]
                self.assertTrue(any(told in line for line in failing), out)

    def test_a_driver_that_obeys_beside_requests(self):
        code, out, _ = run(sys.executable, FAULTY_MIXED, "none", "--only", "mixed beside", "--only", "options", "--only", "mixed up")
        self.assertEqual(code, 0, out)
        for words in ("tcp mixed beside stopped", "tcp+yamux mixed beside churn up, apart: the client", "options: --apart that is not yes"):
            self.assertIn(f"ok     {words}", out)

    def test_every_fault_beside_requests_is_found(self):
        self.assertEqual(set(TOLD_OF_MIXED) | {"none"}, set(faulty_mixed.FAULTS))
        for fault, (only, told) in TOLD_OF_MIXED.items():
            with self.subTest(fault):
                code, out, _ = run(sys.executable, FAULTY_MIXED, fault, "--stack", "tcp+yamux", "--only", only, "--patience", "5")
                self.assertEqual(code, 1, out)
                self.assertIn(told, "".join(line for line in out.splitlines() if line.startswith("FAILS")), out)

    def test_what_is_not_announced_is_refused(self):
        code, out, _ = run(sys.executable, FAULTY, "none", "--only", "options")
        self.assertEqual(code, 0, out)
        for words in ("--beside stopped", "--beside stalled", "--beside churn", "--apart yes"):
            self.assertIn(f"ok     options: {words}, which is not announced", out)

    def test_usage(self):
        for arguments in ([], ["--quick"], ["cat", "--colour"], ["cat", "--stack"], ["cat", "--only"], ["cat", "--patience", "long"], ["./no-such-driver"]):
            code, out, err = run(*arguments)
            self.assertEqual((code, out), (64, ""), arguments)
            self.assertIn("check-driver: ", err)

    def test_a_stack_that_is_not_offered(self):
        code, out, _ = run(sys.executable, FAULTY, "none", "--stack", "tcp+yamux")
        self.assertEqual(code, 1, out)
        self.assertIn("expected the stack tcp+yamux; came tcp", out)

    def test_a_program_that_is_no_driver(self):
        code, out, _ = run("true")
        self.assertEqual(code, 1, out)
        self.assertIn("FAILS  about", out)

    def test_payload_vectors(self):
        payload = Payload(1)
        self.assertEqual(payload.table[:8].hex(), "c15c0289ec2d0a91")
        vectors = [
            ((0, 0, False), 0xE12C9EA0AF20F203, [30840, 10664, 8672], "03ca580d93cc5b5a"),
            ((0, 0, True), 0x8EB776CA3E7A845C, [3536, 21712, 7120], "7f2ce58beec17cdb"),
            ((3, 1000, False), 0x9496FFFCE18DC47B, [33528, 62816, 19416], "c2879221475af661"),
        ]
        for where, key, starts, first in vectors:
            self.assertEqual(payload.key(*where), key)
            self.assertEqual([payload.start(key, piece) for piece in range(3)], starts)
            self.assertEqual(payload.message(key, 0, 8).hex(), first)


if __name__ == "__main__":
    unittest.main()
