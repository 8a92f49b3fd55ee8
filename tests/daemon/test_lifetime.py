"""Parts of a daemon end with their last user, without the garbage collector."""

from __future__ import annotations

import gc
import sys
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.config.load import load
from edge.config.schema import Settings
from edge.daemon.assemble import assemble
from edge.daemon.daemon import Daemon
from edge.daemon.service import Service
from edge.errors import SourceError
from edge.runtime.notify import ServiceManager
from edge.runtime.service_thread import ServiceThread
from edge.runtime.weak import weakly, without_frames
from edge.runtime.worker import Worker
from tests.faults.reloads import measure


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def settings_in(folder: Path, **changes: object) -> Settings:
    values: dict[str, object] = {
        "source.uri": "synthetic:walk?duration=1&width=320&height=240", "source.fast": True,
        "capture.directory": str(folder), "capture.min_free_bytes": 0,
        "bus.endpoint": f"ipc://{folder}/e.ipc", "bus.linger_ms": 0,
        "triggers": [{"name": "a", "exec": ["true"]}],
    }  # fmt: skip
    return load(None, values | {key.replace("__", "."): value for key, value in changes.items()})


def references(daemon: Daemon) -> dict[str, weakref.ref[Any]]:
    """Weak references to all parts that hold memory, threads or sockets."""
    parts: Any = daemon._parts
    detector: Any = parts.analysis._build.args[1]._detector
    owners = {
        "daemon": daemon,
        "supervisor": daemon._supervisor,
        "source": parts.acquisition._source,
        "detector": detector,
        "interpreter": detector._interpreter,
        "writer": parts.recorder._writer,
        "cutter": parts.recorder._feed._cutter,
        "outbox": parts.publisher._outbox,
    }
    names = ("acquisition", "analysis", "recorder", "publisher", "control", "hooks", "remote")
    owners |= {name: getattr(parts, name) for name in names}
    return {name: weakref.ref(owner) for name, owner in owners.items()}


def alive(held: dict[str, weakref.ref[Any]]) -> list[str]:
    return [name for name, reference in held.items() if reference() is not None]


@pytest.mark.parametrize("runs", [True, False])
def test_a_daemon_is_gone_with_its_last_user(
    runs: bool, tmp_path: Path, no_collector: None
) -> None:
    daemon = assemble(settings_in(tmp_path))
    held = references(daemon)
    if runs:
        daemon.run(ServiceManager())
        assert daemon.progress.frames == 25
    del daemon
    assert alive(held) == []


def test_a_daemon_with_a_live_source_is_gone_too(tmp_path: Path, no_collector: None) -> None:
    daemon = assemble(settings_in(tmp_path, source__uri="http://127.0.0.1:9/v.mjpeg"))
    held = references(daemon)
    threading.Timer(0.3, daemon.stop).start()
    daemon.run(ServiceManager())  # waits for the source, which refuses
    del daemon
    assert alive(held) == []


def test_a_daemon_that_failed_is_gone_too(tmp_path: Path, no_collector: None) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video" * 100)
    daemon = assemble(settings_in(tmp_path, source__uri=str(tmp_path / "broken.mp4")))
    held = references(daemon)
    try:
        daemon.run(ServiceManager())
    except SourceError as error:
        without_frames(error)
    del daemon
    assert alive(held) == []


def test_a_service_keeps_only_its_present_daemon(tmp_path: Path, no_collector: None) -> None:
    files = iter([settings_in(tmp_path, source__fps=20 + n % 2) for n in range(1, 4)])
    held: list[dict[str, weakref.ref[Any]]] = []

    def reload(daemon: Daemon) -> None:
        held.append(references(daemon))
        if len(held) < 4:
            assert "starts again" in service.reload()

    service = Service(settings_in(tmp_path, source__fps=20), lambda: next(files), None, reload)
    service.run()
    assert [bool(alive(one)) for one in held] == [False, False, False, True]


def test_threads_that_never_start_hold_nothing(no_collector: None) -> None:
    class Owner:
        def __init__(self) -> None:
            self.thread = ServiceThread("owned", self._run, self._run)

        def _run(self) -> None:
            raise SourceError("the camera is gone")

    for starts in (False, True):
        owner = Owner()
        if starts:
            owner.thread.start()
            owner.thread.join(5)
            assert isinstance(owner.thread.error, SourceError)
        gone = weakref.ref(owner)
        del owner
        assert gone() is None
    worker = weakref.ref(Worker("idle", 1))
    assert worker() is None


def test_a_weak_method_works_while_its_object_lives() -> None:
    event = threading.Event()
    call = weakly(event.set)
    call()
    assert event.is_set()
    del event
    with pytest.raises(ReferenceError, match="the object of this method is gone"):
        call()
    assert weakly(len)("ab") == 2


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(("kind", "count"), [("live", 10), ("restart", 4)])
def test_reloads_keep_no_memory(kind: str, count: int, tmp_path: Path) -> None:
    """`python -m tests.faults.reloads` does 500; here each daemon that is kept would cost 17 MB."""
    growth = measure(tmp_path, kind, count, warm_up=3)
    assert growth.grown_bytes < 10e6, growth
    assert len(growth.boot_ids) == (1 if kind == "live" else count)
