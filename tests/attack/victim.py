"""Runs `edge` commands on bad input in a process of their own, which may die or hang.

The process runs one command after another, as a start for each would take most of the time.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import select
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent.parent
LIMIT_S = 20.0
EXPECTED_CODES = (0, 1, 2)
RENEW_AFTER = 200  # commands, so that a leak of one does not slow the others


@dataclass(frozen=True)
class Outcome:
    """code: exit code of the command; None if the process died or hung. text: all its output."""

    code: int | None
    text: str
    elapsed_s: float
    stdout: str = ""
    stderr: str = ""

    def fault(self) -> str | None:
        """A sentence about what was handled badly; None if the command behaved."""
        last = self.text.strip().splitlines()[-1:] or [""]
        if self.code is None:
            return self.text
        if self.code not in EXPECTED_CODES:
            return f"exit code {self.code}: {last[0][:300]}"
        if "Traceback (most recent call last)" in self.text:
            return f"a traceback: {last[0][:300]}"
        if self.code and not self.text.strip():
            return f"exit code {self.code} without a sentence"
        if any((ord(c) < 32 and c not in "\n\t\r") or 127 <= ord(c) < 160 for c in self.text):
            return f"control characters in the output: {self.text[:200]!r}"
        return None


class Victim:
    """A process that runs commands; started again after it died or hung."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None
        self._runs = 0

    def run(self, *arguments: str, limit_s: float = LIMIT_S, folder: Path | None = None) -> Outcome:
        """Runs `edge` with the arguments, in the folder of the process or in another one."""
        process = self._running()
        start_s = time.monotonic()
        assert process.stdin is not None
        process.stdin.write(json.dumps([str(folder or self._folder), *arguments]) + "\n")
        process.stdin.flush()
        reply = _line(process, limit_s)
        elapsed_s = time.monotonic() - start_s
        if reply is None:
            process.kill()
            code = process.wait()
            self._process = None
            hung = elapsed_s >= limit_s
            text = f"no end after {limit_s:.0f} s" if hung else f"the process died with {code}"
            return Outcome(None, text, elapsed_s)
        code, stdout, stderr = json.loads(reply)
        return Outcome(code, stdout + stderr, elapsed_s, stdout, stderr)

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _running(self) -> subprocess.Popen[str]:
        self._runs += 1
        if self._runs % RENEW_AFTER == 0:
            self.close()
        if self._process is None:
            environment = {**os.environ, "PYTHONPATH": str(ROOT), "EDGE_DEBUG": ""}
            environment.pop("EDGE_CONFIG", None)
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.attack.victim"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                text=True, cwd=self._folder, env=environment,
            )  # fmt: skip
        return self._process


def _line(process: subprocess.Popen[str], limit_s: float) -> str | None:
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], limit_s)
    return (process.stdout.readline() or None) if ready else None


def _list(directory: Path) -> None:
    """Reads captures as retention does at each start, and as the page does."""
    from edge.capture.stored.storage import StorageGuard
    from edge.config.schema import CaptureSettings
    from edge.web.captures import Captures

    StorageGuard(CaptureSettings(directory=str(directory), min_free_bytes=0)).scan()
    print(len(Captures(directory, "cam0").newest(100)))


def _serve(requests: IO[str], replies: IO[str]) -> None:
    from edge.cli import main

    for line in requests:
        output, errors = io.StringIO(), io.StringIO()
        folder, *arguments = json.loads(line)
        os.chdir(folder)
        sys.argv = ["edge", *arguments]
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
            try:
                if sys.argv[1] == "@list":
                    _list(Path(sys.argv[2]))
                else:
                    main()
                code: object = 0
            except SystemExit as end:
                code = end.code or 0
            except BaseException as error:
                code = 70
                print(f"{type(error).__name__}: {error}", file=sys.stderr)
        shown = [text.getvalue()[-20_000:] for text in (output, errors)]
        replies.write(json.dumps([code, *shown]) + "\n")
        replies.flush()


if __name__ == "__main__":
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # so that a library that writes to the standard output can't disturb the answers
    _serve(sys.stdin, answers)
