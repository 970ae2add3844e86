"""A driver as a process: commands in, lines out, with a limit on every wait."""

import json
import os
import queue
import signal
import subprocess
import threading
import time
import types

# Every process that was started and may still run.
running = set()
lock = threading.Lock()


class Broken(Exception):
    """What was expected, what came instead, and the section of the contract that says so."""

    def __init__(self, expected, came, section):
        super().__init__(f"expected {expected}; came {came} (contract, “{section}”)")


def options(stack, workload, direction="up", connections=2, streams=3, message_bytes=5_000, depth=1, seed=1, beside="bulk", apart=False):
    return types.SimpleNamespace(**locals())


def arguments(run):
    names = ("stack", "workload", "direction", "connections", "streams", "message_bytes", "depth", "seed")
    told = [part for name in names for part in ("--" + name.replace("_", "-"), str(getattr(run, name)))]
    return told + ["--beside", run.beside] * (run.beside != "bulk") + ["--apart", "yes"] * run.apart


class Process:
    def __init__(self, command, role, extra, patience=30, stdin=subprocess.PIPE):
        self.role, self.patience = role, patience
        self.process = subprocess.Popen(
            [*command, role, *extra], stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )
        with lock:
            running.add(self.process)
        self.lines, self.errors = queue.Queue(), []
        self.threads = [threading.Thread(target=work, daemon=True) for work in (self.read_lines, self.read_errors)]
        for thread in self.threads:
            thread.start()

    def read_lines(self):
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def read_errors(self):
        for line in self.process.stderr:
            if len(self.errors) < 100:
                self.errors.append(line.decode(errors="replace").strip())

    def tell(self, command):
        try:
            self.process.stdin.write(command.encode() + b"\n")
            self.process.stdin.flush()
        except OSError as error:
            raise Broken(f"a {self.role} that takes `{command}`", f"{error}; {self.told()}", "Lines") from None

    def hear(self, what, section="Lines", errors_too=False):
        """The next line as an object."""
        try:
            line = self.lines.get(timeout=self.patience)
        except queue.Empty:
            raise Broken(f"{what} of the {self.role} within {self.patience} s", "nothing", "Lines") from None
        if line is None:
            self.lines.put(None)
            raise Broken(f"{what} of the {self.role}", f"the end of its output; {self.told()}", section)
        try:
            value = json.loads(line)
        except ValueError:
            raise Broken(f"{what} of the {self.role} as one line of JSON", repr(line[:200]), "Lines") from None
        if not isinstance(value, dict):
            raise Broken(f"{what} of the {self.role} as a JSON object", repr(line[:200]), "Lines")
        if "error" in value and not errors_too:
            raise Broken(f"{what} of the {self.role}", f"the error {value['error']!r}", section)
        return value

    def ask(self, command, errors_too=False):
        self.silent(f"before `{command}`")
        self.tell(command)
        return self.hear(f"the answer to `{command}`", errors_too=errors_too)

    def silent(self, when):
        if not self.lines.empty():
            line = self.lines.get()
            if line is not None:
                raise Broken(f"one line for each command from the {self.role}", f"{line[:200]!r} {when}", "Lines")
            self.lines.put(None)

    def told(self):
        """How it ended and what it said to people."""
        try:
            code = self.process.wait(2)
        except subprocess.TimeoutExpired:
            code = None
        return f"exit code {code}, standard error {' / '.join(self.errors[-3:])!r}"

    def close_input(self):
        try:
            self.process.stdin.close()
        except OSError:
            # It ended with a command unread, which the exit code tells of.
            return

    def ends(self, code, within=5, after="standard input ended", may_be_ready=False):
        """Waits for the end of the process, and looks for lines nobody asked for."""
        try:
            came = self.process.wait(within)
        except subprocess.TimeoutExpired:
            raise Broken(f"the {self.role} to end when {after}", f"nothing within {within} s", "Lines") from None
        for thread in self.threads:
            thread.join(5)
        if came != code:
            raise Broken(f"exit code {code} of the {self.role} when {after}", self.told(), "Lines")
        left = [line for line in self.lines.queue if line]
        if may_be_ready and len(left) == 1 and b'"ready"' in left[0]:
            return
        if left and code == 0:
            raise Broken(f"one line for each command from the {self.role}", f"{left[0][:200]!r} at the end", "Lines")

    def kill(self):
        end_group(self.process)
        with lock:
            running.discard(self.process)
        for thread in self.threads:
            thread.join(5)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe and not (pipe is self.process.stdin and pipe.closed):
                try:
                    pipe.close()
                except OSError:
                    continue


def end_group(process):
    """Ends what was started, and what a wrapper started in its place: each driver has a group of its own."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def kill_all():
    with lock:
        left = list(running)
    for process in left:
        end_group(process)


def wait_for(condition, seconds):
    """Looks until it is so or the time is over."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True
