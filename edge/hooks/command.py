"""Commands that events run: no shell, bounded in time and in number."""

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

from edge.config.schema import HookSettings
from edge.errors import ConfigError

KEPT_BYTES = 2048  # of what a command writes on standard error
KILLED_S = 1.0  # for killed commands to be gone

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Job:
    rule: str
    argv: tuple[str, ...]
    body: bytes


class CommandRunner:
    """Runs at most `exec_at_once` commands; `exec_waiting` more wait, and the newest go and count.

    A command is the leader of a process group, and what it left running ends with it. One that
    fails, or exceeds `exec_limit_s` and is killed, is one sentence to `on_error`.
    """

    def __init__(self, settings: HookSettings, on_error: Callable[[str], None]) -> None:
        self._settings = settings
        self._on_error = on_error
        self._jobs: deque[_Job] = deque()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._stopping = False
        self._changed = threading.Condition()
        self._threads = [
            threading.Thread(target=self._run, name=f"exec-{number}", daemon=True)
            for number in range(settings.exec_at_once)
        ]
        self.dropped = 0

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def submit(self, rule: str, argv: tuple[str, ...], body: bytes) -> bool:
        """Never blocks. False where too many wait, and this one was dropped.

        body: for its standard input; less than a pipe holds, which is 64 KiB.
        """
        with self._changed:
            if self._stopping or len(self._jobs) >= self._settings.exec_waiting:
                self.dropped += 1
                return False
            self._jobs.append(_Job(rule, argv, body))
            self._changed.notify()
            return True

    def stop(self, timeout_s: float) -> None:
        """Drops what waits, gives what runs this long, and kills it then."""
        deadline_s = time.monotonic() + timeout_s
        with self._changed:
            self._stopping = True
            self.dropped += len(self._jobs)
            self._jobs.clear()
            self._changed.notify_all()
        started = [thread for thread in self._threads if thread.ident is not None]
        for thread in started:
            thread.join(max(0.0, deadline_s - time.monotonic()))
        with self._changed:
            for process in self._running:
                _kill(process)
        for thread in started:
            thread.join(KILLED_S)

    def _run(self) -> None:
        while (job := self._take()) is not None:
            try:
                self._execute(job)
            except OSError as error:
                self._on_error(f"rule {job.rule}: can't run {job.argv[0]}: {error.strerror}")

    def _take(self) -> _Job | None:
        with self._changed:
            self._changed.wait_for(lambda: self._jobs or self._stopping)
            return self._jobs.popleft() if self._jobs else None

    def _execute(self, job: _Job) -> None:
        """Raises OSError where it can't be started."""
        limit_s = self._settings.exec_limit_s
        process = subprocess.Popen(  # noqa: S603 - what the configuration asks for
            job.argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        with self._changed:
            self._running.add(process)
        try:
            ended, said = _watched(process, job.body, limit_s)
        finally:
            with self._changed:
                self._running.discard(process)
                _kill(process)
            process.wait()
            assert process.stderr is not None
            process.stderr.close()
        if not ended:
            self._on_error(f"rule {job.rule}: {job.argv[0]} was ended after {limit_s:g} s")
        elif process.returncode:
            last = f": {said[-1]}" if said else ""
            self._on_error(f"rule {job.rule}: {job.argv[0]} ended with {process.returncode}{last}")
        else:
            log.debug("rule %s: %s is done", job.rule, job.argv[0])


def check_program(rule: str, argv: tuple[str, ...]) -> None:
    """Raises ConfigError where there is no such program."""
    if shutil.which(argv[0]) is None:
        raise ConfigError(
            f"the rule {rule}: there is no program {argv[0]!r} to exec; give its path, as "
            "the first of a list of texts"
        )


def _watched(
    process: subprocess.Popen[bytes], body: bytes, limit_s: float
) -> tuple[bool, list[str]]:
    """Whether it ended by itself in time, and the last lines of its standard error."""
    assert process.stdin is not None
    assert process.stderr is not None
    deadline_s = time.monotonic() + limit_s
    with suppress(BrokenPipeError), process.stdin:  # it need not read its input
        process.stdin.write(body)
    stderr, tail = process.stderr.fileno(), b""
    exited = os.pidfd_open(process.pid)
    try:
        poll = select.poll()
        poll.register(stderr, select.POLLIN)
        poll.register(exited, select.POLLIN)
        while (left_s := deadline_s - time.monotonic()) > 0:
            ready = dict(poll.poll(left_s * 1000))
            if stderr in ready:
                data = os.read(stderr, 65536)
                tail = (tail + data)[-KEPT_BYTES:]
                if not data:
                    poll.unregister(stderr)
            elif exited in ready:
                return True, tail.decode(errors="replace").strip().splitlines()
        return False, []
    finally:
        os.close(exited)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """The whole group. Its number isn't given to others before `wait` was called."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
