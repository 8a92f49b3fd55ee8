"""A reload of zones, masks, rules and numbers keeps tracks, cooldowns, counters and boot id."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from edge.config.load import load
from edge.config.schema import Settings, TriggerRule
from edge.daemon.assemble import assemble
from edge.daemon.daemon import Daemon
from edge.daemon.live import LIVE, can_be_live, changed
from edge.daemon.service import ReloadError, Service
from edge.errors import ConfigError
from edge.messages import AnyMessage, Track, Trigger
from edge.runtime import notify
from edge.runtime.notify import ServiceManager
from edge.runtime.times import NS_PER_S
from edge.vision.triggers import Triggers
from edge.vision.types import Frame, Look, TrackState
from edge.vision.types import Track as SeenTrack
from tests.support import tflite
from tests.support.captures import picture

WHOLE = [[0, 0], [1, 0], [1, 1], [0, 1]]
ALMOST = [[0, 0], [1, 0], [1, 1], [0, 1], [0, 0.5]]
CORNER = [[0, 0], [0.01, 0], [0.01, 0.01]]


def settings_in(folder: Path, **changes: object) -> Settings:
    values: dict[str, object] = {
        "source.uri": "synthetic:people?duration=8&fps=10", "source.fast": True,
        "capture.directory": str(folder), "capture.min_free_bytes": 0,
        "bus.endpoint": f"ipc://{folder}/e.ipc", "bus.linger_ms": 0,
        "zones": [{"name": "z", "polygon": WHOLE}],
        "triggers": [rule_of("a")],
    }  # fmt: skip
    return load(None, values | {key.replace("__", "."): value for key, value in changes.items()})


def rule_of(name: str, **values: object) -> dict[str, object]:
    return {
        "name": name, "zones": ["z"], "cooldown_s": 2, "once_per_track": False, "actions": [],
    } | values  # fmt: skip


class Run:
    """The messages of a service that reloads at its first trigger. to: the new settings."""

    def __init__(self, before: Settings, to: Settings | None = None) -> None:
        self.messages: list[AnyMessage] = []
        self.daemons: list[Daemon] = []
        self._to = to
        self._service = Service(before, lambda: to or before, self._receive, self.daemons.append)
        self.last = self._service.run()

    def _receive(self, message: AnyMessage) -> None:
        """Runs in the analysis thread for a trigger, so that the next frame is the first."""
        self.messages.append(message)
        if isinstance(message, Trigger) and len(self.triggers) == 1 and self._to is not None:
            assert "the new configuration is in use" in self._service.reload()

    @property
    def triggers(self) -> list[Trigger]:
        return [message for message in self.messages if isinstance(message, Trigger)]

    def times_s(self, name: str) -> list[float]:
        """Times of a rule's triggers, from the first trigger of all."""
        first_ns = self.triggers[0].header.timestamp_ns
        return [
            round((m.header.timestamp_ns - first_ns) / 1e9, 2)
            for m in self.triggers if m.rule == name
        ]  # fmt: skip


def test_a_moved_corner_changes_no_trigger_no_track_and_no_sequence(tmp_path: Path) -> None:
    before = settings_in(tmp_path)
    moved = settings_in(tmp_path, zones=[{"name": "z", "polygon": ALMOST}])
    plain, reloaded = Run(before), Run(before, moved)
    assert len(reloaded.daemons) == 1
    assert reloaded.last.settings == moved
    assert reloaded.times_s("a") == plain.times_s("a")
    assert len(reloaded.triggers) == 2
    assert len({message.header.boot_id for message in reloaded.messages}) == 1
    sequences = sorted(message.header.sequence for message in reloaded.messages)
    assert sequences == list(range(1, len(sequences) + 1))
    tracks = [
        [(m.change, m.track_id) for m in run.messages if isinstance(m, Track)]
        for run in (plain, reloaded)
    ]
    assert tracks[0] == tracks[1]
    assert reloaded.last.progress.frames == plain.last.progress.frames


def test_a_zone_moved_away_a_shorter_cooldown_and_a_new_rule_count_at_once(
    tmp_path: Path,
) -> None:
    before = settings_in(tmp_path)
    away = Run(before, settings_in(tmp_path, zones=[{"name": "z", "polygon": CORNER}]))
    assert away.times_s("a") == [0.0]
    rules = [rule_of("a", cooldown_s=1), rule_of("b", zones=[], cooldown_s=100)]
    both = Run(before, settings_in(tmp_path, triggers=rules))
    assert 1.0 <= both.times_s("a")[1] < 2.0
    assert len(both.times_s("b")) == 1
    assert both.times_s("b")[0] < 1.0


LIVE_CHANGES: dict[str, dict[str, object]] = {
    "motion": {"motion.masks": [WHOLE]},
    "regions": {"regions.pack": False},
    "scheduler": {"scheduler.burst": 1},
    "tracker": {"tracker.max_misses": 1},
    "zones": {"zones": [{"name": "z", "polygon": CORNER}]},
    "triggers": {"triggers": []},
    "lines": {"lines": [{"name": "l", "points": [[0.5, 0], [0.5, 1]]}]},
    "mutes": {"mutes": [{"box": [0, 0, 1, 1]}]},
    "governor": {"governor.hot_c": 50},
    "mqtt": {"mqtt.port": 1884},
    "notify": {"notify": [{"name": "phone", "url": "ntfy://garden"}]},
    "upload": {"upload.remote": "place:captures"},
}
RESTARTS: dict[str, dict[str, object]] = {
    "source": {"source.fps": 5},
    "model": {"model.min_score": 0.6},
    "capture": {"capture.pre_roll_s": 1},
    "site": {"site.name": "Pond"},
    "privacy": {"privacy.masks": [CORNER]},
    "timelapse": {"timelapse": [{"name": "daily"}]},
    "bus": {"bus.thumbnails": False},
    "health": {"health.interval_s": 1},
    "hooks": {"hooks.exec_at_once": 1},
    "camera": {"camera": "other"},
    "the first clip": {"triggers": [rule_of("a", actions=["clip"])]},
    "the first program": {"triggers": [rule_of("a", exec=["true"])]},
    "another line": {"triggers": [rule_of("a", gpio=4)]},
}


@pytest.mark.parametrize("section", LIVE)
def test_each_live_section_is_taken_up_between_two_frames(section: str, tmp_path: Path) -> None:
    before, after = settings_in(tmp_path), settings_in(tmp_path, **LIVE_CHANGES[section])
    assert changed(before, after) == [section]
    assert can_be_live(before, after)
    daemon: Any = assemble(before)
    daemon.apply(after)
    assert daemon.settings is after
    analysis = daemon._parts.analysis
    daemon._parts.acquisition.info = info = daemon._parts.acquisition._source.open()
    pipeline = analysis._build(info)
    daemon.apply(after)  # now a pipeline of these settings is tried first
    analysis._take_up(pipeline)
    assert pipeline.settings is after
    daemon._parts.acquisition._source.close()


def test_every_section_is_either_live_or_a_restart(tmp_path: Path) -> None:
    before = settings_in(tmp_path)
    for name, change in RESTARTS.items():
        assert not can_be_live(before, settings_in(tmp_path, **change)), name
    sections = {field.name for field in msgspec.structs.fields(Settings)}
    assert set(LIVE_CHANGES) | set(RESTARTS) >= sections
    assert set(LIVE) == set(LIVE_CHANGES)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"triggers": [rule_of("a", labels=["persn"])]}, "did you mean person?"),
        ({"triggers": [rule_of("a", exec=["no-such-program"])]}, "not a program on this machine"),
    ],
)
def test_a_live_change_that_does_not_work_changes_nothing(
    change: dict[str, object], sentence: str, tmp_path: Path
) -> None:
    before = settings_in(tmp_path, triggers=[rule_of("a", exec=["true"])])
    service = Service(before, lambda: settings_in(tmp_path, **change))
    with pytest.raises(ConfigError, match=sentence.replace("?", r"\?")):
        service.reload()
    assert service._daemon.settings is before
    assert sentence in service._daemon.problems.current()[0]


def test_a_rule_for_a_group_is_taken_up_while_the_daemon_runs(tmp_path: Path) -> None:
    model = tmp_path / "m.tflite"
    tflite.saved(model, tflite.constant_model([np.zeros((1, 300, 6), np.float32)]), ["sheep"])
    by_label, by_group = (
        settings_in(
            tmp_path, **{"model.file": str(model), "triggers": [rule_of("a", labels=[name])]}
        )
        for name in ("sheep", "animal")
    )
    daemon = assemble(by_label)
    daemon.apply(by_group)
    assert daemon.settings is by_group


@pytest.mark.parametrize("error", [OverflowError, MemoryError, RecursionError, KeyError, OSError])
@pytest.mark.parametrize("place", ["load", "apply", "assemble"])
def test_whatever_a_reload_raises_the_service_is_ready_again(
    error: type[Exception], place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> Any:
        raise error("broken")

    change: dict[str, object] = {"source.fps": 5} if place == "assemble" else {"motion.floor": 20}
    before = settings_in(tmp_path)
    loads: Callable[[], Settings] = lambda: settings_in(tmp_path, **change)  # noqa: E731
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(tmp_path / "notify"))
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    service = Service(before, fail if place == "load" else loads)
    if place == "apply":
        monkeypatch.setattr(service._daemon, "apply", fail)
    elif place == "assemble":
        monkeypatch.setattr("edge.daemon.service.assemble", fail)
    service.reload_on_signal()  # raises nothing
    with pytest.raises(ReloadError, match=error.__name__):
        service.reload()
    received = [manager.recv(4096).decode().partition("\n")[0] for _ in range(4)]
    assert received == ["RELOADING=1", "READY=1"] * 2
    assert service._daemon.settings is before
    assert "the old configuration stays" in service._daemon.problems.current()[0]
    manager.close()


def test_a_reload_that_waits_for_a_camera_ends_for_the_service_manager(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    monkeypatch.setattr(notify, "notify", lambda *lines: sent.append(lines[0]) or True)
    now_ns = [0]
    monkeypatch.setattr("edge.runtime.notify.time.monotonic_ns", lambda: now_ns[0])
    manager = notify.ServiceManager()
    manager.reloading()
    manager.status("opening")
    now_ns[0] = notify.RELOAD_NS + 1
    manager.status("opening")
    manager.status("opening")
    assert sent == ["RELOADING=1", "STATUS=opening", "READY=1", "STATUS=opening"]


def test_a_cooldown_outlives_a_pipeline_but_not_another_source_of_time() -> None:
    last_events_ns: dict[str, int] = {}
    rules = [TriggerRule(name="a", cooldown_s=10.0, confirm=1)]
    tiny = picture(0, 64, 48)

    def fires(at_s: float) -> bool:
        now_ns = round(at_s * NS_PER_S)
        look = Look(0, now_ns, (10, 10, 20, 40), 0.9, "person")
        track = SeenTrack(
            1, "person", 0.9, look.box_xyxy, (0, 0), TrackState.MOVING, 0, now_ns, looks=(look,)
        )
        triggers = Triggers(rules, [], (64, 48), last_events_ns)  # as after a restart
        return bool(triggers((track,), Frame(0, now_ns, 0, tiny.luma(), tiny)))

    assert fires(100.0)
    assert not fires(109.9)
    assert fires(110.0)
    assert fires(5.0)  # the new source's time began again
    Triggers([TriggerRule(name="other")], [], (64, 48), last_events_ns)
    assert last_events_ns == {}


def test_settings_may_be_replaced_from_another_thread_at_any_time(tmp_path: Path) -> None:
    daemon = assemble(settings_in(tmp_path))
    done = threading.Event()

    def change() -> None:
        number = 0
        while not done.is_set():
            number += 1
            time.sleep(0.01)
            daemon.apply(settings_in(tmp_path, motion__floor=10 + number % 5))

    changing = threading.Thread(target=change)
    changing.start()
    daemon.run(ServiceManager())
    done.set()
    changing.join()
    assert daemon.progress.frames == 80
