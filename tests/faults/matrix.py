"""`make fault`: injects each fault several times, at random moments, into a real daemon.

    python -m tests.faults.matrix [--times 20] [--jobs 4] [--only NAME …]

Prints a table in Markdown; the exit code is 1 if any row differs from its expectation.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from edge.client import Subscriber
from edge.config.schema import ModelSettings
from edge.vision.detector.catalogue import find_model
from tests.faults.disk import small_disk
from tests.faults.host import CONFIG, Host

NOTICE_S = 12.0
RECOVER_S = 40.0
CROWD = 50  # subscribers
SUBSCRIBER = """
import sys, time
from edge.client import Subscriber
with Subscriber(sys.argv[1], topics=[""]) as subscriber:
    while True:
        subscriber.receive(1)
"""
Inject = Callable[[Host], None]


@dataclass(frozen=True)
class Case:
    """One fault and its expected consequence.

    expected: `exit` if the process must end; otherwise texts, separated by |, one of which `health`
        must report; empty if the daemon must continue without a report.
    """

    name: str
    inject: Inject
    expected: str = ""
    disk: str = ""
    config: str = CONFIG


@dataclass
class Row:
    """The results of one case."""

    name: str
    times: int = 0
    noticed: int = 0
    recovered: int = 0
    restarts: int = 0
    slowest_s: float = 0.0
    missing: int = 0
    dropped: int = 0
    captures: int = 0
    damaged: int = 0
    temporary: int = 0
    growth_mb: float | None = None
    failures: list[str] = field(default_factory=list)


def injected(fault: str) -> Inject:
    return lambda host: host.inject(fault)


def for_a_second(fault: str) -> Inject:
    def inject(host: Host) -> None:
        host.inject(fault)
        time.sleep(1)

    return inject


def in_a_clip(number: signal.Signals) -> Inject:
    """Sends a signal at a random moment while a clip is being written."""

    def inject(host: Host) -> None:
        deadline_s = time.monotonic() + 15
        while not host.temporary_files() and time.monotonic() < deadline_s:
            time.sleep(0.01)
        time.sleep(random.uniform(0, 0.5))
        start_s = time.monotonic()
        process = host.process
        process.send_signal(number)
        process.wait(10)
        assert time.monotonic() - start_s < 5, f"{number.name} took {time.monotonic() - start_s} s"

    return inject


def model_gone(host: Host) -> None:
    """Removes the model file while it is in use, for a reload and, at random, for a start."""
    model = host.folder / "model.tflite"
    hidden = model.rename(host.folder / "hidden")
    try:
        text = host.config.read_text()
        host.config.write_text(text.replace("[model]", "[model]\nmax_iou = 0.5"))
        host.kill(signal.SIGHUP)
        assert host.wait_for(lambda h: any("old configuration stays" in p for p in h.problems))
        host.config.write_text(text)
        if random.random() < 0.5:
            exits = len(host.exit_codes)
            host.kill()
            assert host.wait_for_exits(exits + 2)
    finally:
        hidden.rename(model)


def crowd(host: Host) -> None:
    """Fifty subscribers connect, some receive a message, all disconnect."""

    def visit() -> None:
        with Subscriber(f"ipc://{host.folder}/e.ipc", topics=[""]) as subscriber:
            subscriber.receive(random.uniform(0, 0.3))

    visitors = [threading.Thread(target=visit) for _ in range(CROWD)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join()


def stopped_subscriber(host: Host) -> None:
    """A subscriber connects, is stopped for two seconds, and is killed."""
    command = [sys.executable, "-c", SUBSCRIBER, f"ipc://{host.folder}/e.ipc"]
    process = subprocess.Popen(command)
    time.sleep(1)
    process.send_signal(signal.SIGSTOP)
    time.sleep(2)
    process.kill()
    process.wait()


def reload(host: Host) -> None:
    text = host.config.read_text()
    number = random.randint(10, 99)
    line = next(line for line in text.splitlines() if line.startswith("cooldown_s"))
    host.config.write_text(text.replace(line, f"cooldown_s = 0.5{number}"))
    host.kill(signal.SIGHUP)


def restart_by_reload(host: Host) -> None:
    """Changes the frame rate, for which another daemon is made within the process."""
    assert host.newest is not None
    before = host.newest.header.boot_id
    text = host.config.read_text()
    change = ("fps=25", "fps=24") if "fps=25" in text else ("fps=24", "fps=25")
    host.config.write_text(text.replace(*change))
    host.kill(signal.SIGHUP)
    assert host.wait_for(lambda health: health.header.boot_id != before, RECOVER_S)


CONFIG_WITH_MODEL = CONFIG + '[model]\nfile = "{folder}/model.tflite"\n'
CASES = [
    Case("source hangs in a read", injected("source-hang"), "source"),
    Case("source hangs for good", injected("source-hang-hard"), "exit"),
    Case("source is lost", injected("source-lost"), "the camera is gone"),
    Case("source raises", injected("source-exception"), "exit"),
    Case("frame damaged", injected("frame-damaged"), "damaged frame"),
    Case("frames of random bytes, 1 s", for_a_second("frame-garbage 1")),
    Case("picture frozen", injected("frozen"), "frozen"),
    Case("picture black", injected("black"), "black"),
    Case("model file gone", model_gone, "old configuration stays", config=CONFIG_WITH_MODEL),
    Case("invocation raises", injected("invoke-exception"), "exit"),
    Case("invocation hangs", injected("invoke-hang"), "inference"),
    Case("disk hangs", injected("write-hang"), "writer"),
    Case("publisher hangs", injected("publish-hang"), "exit"),
    # The disk itself fails here, in `small_disk`: no part of the daemon needs a fault.
    Case("disk full", injected("recover"), "disk is full|no room", disk="disk-full"),
    Case("disk read-only", injected("recover"), "read-only", disk="disk-read-only"),
    Case("subscriber stopped", stopped_subscriber),
    Case("50 subscribers come and go", crowd),
    Case("wall clock a day ahead, 1 s", for_a_second("clock-forward 1")),
    Case("wall clock a day back, 1 s", for_a_second("clock-back 1")),
    Case("SIGTERM in a clip", in_a_clip(signal.SIGTERM), "exit"),
    Case("SIGKILL in a clip", in_a_clip(signal.SIGKILL), "exit"),
    Case("reload", reload),
    Case("reload with a restart", restart_by_reload),
    Case("hot", injected("hot"), "work is reduced"),
]


def run_case(case: Case, times: int) -> Row | None:
    """Injects one fault several times; None where this machine does not permit it."""
    row = Row(case.name)
    with tempfile.TemporaryDirectory(prefix="edge-fault-") as name:
        folder = Path(name)
        shutil.copy(find_model(ModelSettings().file), folder / "model.tflite")
        with small_disk(folder) if case.disk else no_disk() as disk:
            if case.disk and disk is None:
                return None
            host = Host(folder, case.config)
            try:
                assert host.works(RECOVER_S), "the daemon did not start"
                for _ in range(times):
                    time.sleep(random.uniform(0.5, 4))
                    _inject_once(case, host, row, disk)
                _finish(host, row)
            except AssertionError as error:
                row.failures.append(str(error))
            finally:
                host.abandon()
    return row


def _inject_once(case: Case, host: Host, row: Row, disk: object) -> None:
    row.times += 1
    host.reported.clear()
    exits, start_s = len(host.exit_codes), time.monotonic()
    failing = disk.failing(case.disk) if case.disk else no_disk()  # type: ignore[attr-defined]
    with failing:
        case.inject(host)
        row.noticed += _noticed(case, host, exits)
    host.inject("recover")
    if host.works(RECOVER_S):
        row.recovered += 1
        row.slowest_s = max(row.slowest_s, time.monotonic() - start_s)
    else:
        row.failures.append(f"the daemon did not recover within {RECOVER_S:.0f} s")


def _noticed(case: Case, host: Host, exits: int) -> bool:
    if not case.expected:
        return True
    deadline_s = time.monotonic() + NOTICE_S
    while time.monotonic() < deadline_s:
        ended = len(host.exit_codes) > exits
        texts = set(host.reported)
        reported = any(part in text for text in texts for part in case.expected.split("|"))
        if ended if case.expected == "exit" else reported:
            return True
        time.sleep(0.02)
    return False


def _finish(host: Host, row: Row) -> None:
    """Stops the daemon cleanly and records the final state."""
    row.restarts = host.starts - 1
    row.growth_mb = host.growth_mb()
    code = host.stop()
    row.missing, row.dropped = host.missing, host.dropped_messages
    row.captures = host.captures
    row.damaged, row.temporary = len(host.damaged_files()), len(host.temporary_files())
    for has_failed, failure in (
        (code != 0, f"exit code {code} of a clean stop"),
        (row.missing != row.dropped, "missing messages that are not counted as dropped"),
        (row.damaged > 0, "damaged files"),
        (row.temporary > 0, "temporary files after a clean stop"),
        (row.noticed != row.times, "a fault was not noticed"),
        ((row.growth_mb or 0) > 5, "memory grew by more than 5 MB"),
        (host.captures == 0, "there were no captures"),
    ):
        if has_failed:
            row.failures.append(failure)


@contextmanager
def no_disk() -> Iterator[None]:
    yield None


def table(rows: list[Row]) -> str:
    head = (
        "| fault | injected | noticed | works again | slowest s | restarts | captures | "
        "messages missed / counted as dropped | damaged files | memory growth MB |"
    )
    lines = [head, "|" + " --- |" * 10]
    for row in rows:
        growth = "–" if row.growth_mb is None else f"{row.growth_mb:+.1f}"
        cells = (row.name, row.times, row.noticed, row.recovered, f"{row.slowest_s:.1f}",
                 row.restarts, row.captures, f"{row.missing} / {row.dropped}", row.damaged,
                 growth)  # fmt: skip
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=4)
    parser.add_argument("--only", nargs="*", default=[])
    options = parser.parse_args()
    cases = [c for c in CASES if not options.only or any(o in c.name for o in options.only)]
    rows: list[Row] = []
    with ThreadPoolExecutor(options.jobs) as pool:
        for case, row in zip(
            cases, pool.map(lambda c: run_case(c, options.times), cases), strict=True
        ):
            if row is None:
                print(f"NO ROOT: {case.name} was not run", file=sys.stderr)
                continue
            rows.append(row)
            print(row.name, "; ".join(row.failures) or "passed", file=sys.stderr, flush=True)
    print(table(rows))
    sys.exit(any(row.failures for row in rows))


if __name__ == "__main__":
    main()
