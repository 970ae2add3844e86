"""The checker on a driver that errs: `python3 -m unittest` in this folder."""

import contextlib
import io
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import check  # noqa: E402
import process  # noqa: E402
from faulty import FAULTS  # noqa: E402
from payload import Payload  # noqa: E402

FAULTY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "faulty.py")

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

    def test_usage(self):
        for arguments in ([], ["--quick"], ["cat", "--colour"], ["cat", "--stack"], ["cat", "--patience", "long"], ["./no-such-driver"]):
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
