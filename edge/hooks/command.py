"""Runs a rule's command for each event: without a shell, limited in time and in number."""

from __future__ import annotations

import logging
import os
import select
import shutil
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Final

from edge.config.schema import HookSettings
from edge.errors import ConfigError
from edge.hooks import tree
from edge.runtime.service_thread import ServiceThread, StuckThreadError

STDERR_BYTES: Final = 2048  # the end of a command's standard error, for the error's last line
READ_BYTES: Final = 65536  # the capacity of a pipe on Linux
KILLED_S: Final = 1.0  # longest wait for a process after SIGKILL

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Job:
    rule: str
    argv: tuple[str, ...]
    body: bytes


class CommandRunner:
    """Runs up to `exec_at_once` commands at a time, and lets `exec_waiting` more wait.

    Commands beyond those are dropped and counted. All processes that a command has started end
    with it: see `edge.hooks.tree`. `on_error` receives one sentence for a command that fails, or is
    killed after `exec_limit_s`.
    """

    def __init__(self, settings: HookSettings, on_error: Callable[[str], object]) -> None:
        self._settings = settings
        self._on_error = on_error
        self._jobs: deque[_Job] = deque()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._stopping = False
        self._changed = threading.Condition()
        self._threads = [
            ServiceThread(f"exec-{number}", self._run) for number in range(settings.exec_at_once)
        ]
        self.dropped = 0

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    @property
    def error(self) -> BaseException | None:
        """The exception that ended one of the threads early."""
        return next((thread.error for thread in self._threads if thread.error is not None), None)

    def submit(self, rule: str, argv: tuple[str, ...], body: bytes) -> bool:
        """Never blocks. Returns False if too many wait, so that this one is dropped.

        body: for standard input.
        """
        with self._changed:
            if self._stopping or len(self._jobs) >= self._settings.exec_waiting:
                self.dropped += 1
                return False
            self._jobs.append(_Job(rule, argv, body))
            self._changed.notify()
            return True

    def stop(self, timeout_s: float) -> None:
        """Drops waiting commands, and kills running ones that don't end within `timeout_s`.

        Raises StuckThreadError if a thread does not end even then.
        """
        deadline_s = time.monotonic() + timeout_s
        with self._changed:
            self._stopping = True
            self.dropped += len(self._jobs)
            self._jobs.clear()
            self._changed.notify_all()
        for thread in self._threads:
            with suppress(StuckThreadError):
                thread.join(max(0.0, deadline_s - time.monotonic()))
        with self._changed:
            for process in self._running:
                _kill(process)
        deadline_s = time.monotonic() + KILLED_S
        for thread in self._threads:
            thread.join(max(0.0, deadline_s - time.monotonic()))

    def _run(self) -> None:
        while (job := self._take()) is not None:
            try:
                self._execute(job)
            except Exception as error:  # a NUL in an argument, no free descriptor, no memory
                reason = getattr(error, "strerror", None) or str(error)
                self._on_error(f"rule {job.rule}: can't run {job.argv[0]}: {reason}")

    def _take(self) -> _Job | None:
        with self._changed:
            self._changed.wait_for(lambda: self._jobs or self._stopping)
            return self._jobs.popleft() if self._jobs else None

    def _execute(self, job: _Job) -> None:
        """Raises OSError or ValueError for a command that can't be started."""
        limit_s = self._settings.exec_limit_s
        mark = tree.new_mark()
        process = subprocess.Popen(  # noqa: S603 - the command of the configuration
            job.argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
            env=os.environ | mark,
        )
        with self._changed:
            self._running.add(process)
        try:
            ended, errors = _wait(process, job.body, limit_s)
        finally:
            with self._changed:
                self._running.discard(process)
                _kill(process)
            process.wait()
            tree.kill(mark)
            assert process.stderr is not None
            process.stderr.close()
        if not ended:
            self._on_error(f"rule {job.rule}: {job.argv[0]} was killed after {limit_s:g} s")
        elif process.returncode:
            last = f": {errors[-1]}" if errors else ""
            self._on_error(
                f"rule {job.rule}: {job.argv[0]} failed with exit code {process.returncode}{last}"
            )
        else:
            log.debug("rule %s: %s ended", job.rule, job.argv[0])


def check_program(rule: str, argv: tuple[str, ...]) -> None:
    """Raises ConfigError if the program doesn't exist or an argument holds a NUL character."""
    if any("\0" in argument for argument in argv):
        raise ConfigError(f"the rule {rule}: exec holds a NUL character; remove it")
    if shutil.which(argv[0]) is None:
        raise ConfigError(
            f"the rule {rule}: exec names {argv[0]!r}, which is not a program on this machine; "
            "give its path as the first text of the list"
        )


def _wait(process: subprocess.Popen[bytes], body: bytes, limit_s: float) -> tuple[bool, list[str]]:
    """Whether it ended within `limit_s`, and the last lines of its standard error."""
    assert process.stdin is not None
    assert process.stderr is not None
    deadline_s = time.monotonic() + limit_s
    stderr, tail = process.stderr.fileno(), b""
    exited = os.pidfd_open(process.pid)
    try:
        stdin = _Input(process.stdin, body)
        poll = select.poll()
        poll.register(stderr, select.POLLIN)
        poll.register(exited, select.POLLIN)
        poll.register(stdin.fd, select.POLLOUT)
        while (left_s := deadline_s - time.monotonic()) > 0:
            ready = dict(poll.poll(left_s * 1000))
            if stdin.fd in ready and stdin.write():
                poll.unregister(stdin.fd)
                process.stdin.close()
            if stderr in ready:
                data = os.read(stderr, READ_BYTES)
                tail = (tail + data)[-STDERR_BYTES:]
                if not data:
                    poll.unregister(stderr)
            elif exited in ready:
                return True, tail.decode(errors="replace").strip().splitlines()
        return False, []
    finally:
        os.close(exited)
        process.stdin.close()


class _Input:
    """A command's standard input, which the command need not read."""

    def __init__(self, stream: IO[bytes], body: bytes) -> None:
        self.fd = stream.fileno()
        self._left = body
        os.set_blocking(self.fd, False)

    def write(self) -> bool:
        """Writes a part without waiting; true if all is written or nobody reads it any more."""
        try:
            self._left = self._left[os.write(self.fd, self._left) :]
        except BlockingIOError:
            return False
        except OSError:
            return True
        return not self._left


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kills the process group, whose number isn't reused before `wait` was called."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
