"""A masked place is black in all that leaves a daemon; persons are blurred in its stills."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import av
import cv2
import msgspec
import numpy as np
import pytest

from edge.client import CommandError, Control, Event, NoAnswerError, Subscriber
from edge.config.load import load
from edge.config.schema import Settings
from edge.daemon.service import Service
from edge.messages import Capture, Trigger
from edge.sources.scenes.synthetic import SceneOptions, SyntheticScene
from edge.tools.replay import replay
from tests.support.films import encode

FPS, FRAMES = 10, 32
SCENE = "synthetic:visits?fps=10&duration=0"
# Below the feet of the drawn persons, who stand from row 144 to row 216 of 480.
FROM = 224
MASK = [[0.0, FROM / 480], [1.0, FROM / 480], [1.0, 1.0], [0.0, 1.0]]
MARGIN = 16  # rows in which a lossy format blurs the edge of the mask
DARK = 12  # of 255, after lossy compression; the scene has 70 and more


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The drawn visitors as H.264 that could be copied into clips, and as Motion JPEG."""
    folder = tmp_path_factory.mktemp("films")
    scene = SyntheticScene("visits", SceneOptions(fps=FPS))
    images = [scene.render(index).rgb() for index in range(FRAMES)]
    encode(folder / "film.mp4", images, preset="ultrafast")
    encode(folder / "film.avi", images, "mjpeg", "yuvj420p", qmin="1", qmax="2")
    return folder


def settings_in(folder: Path, source: str, **changes: object) -> Settings:
    values: dict[str, object] = {
        "source.uri": source, "source.fast": True, "source.loop": True,
        "capture.directory": str(folder / "captures"), "capture.min_free_bytes": 0,
        "capture.pre_roll_s": 0.5, "capture.post_roll_s": 0.3,
        "bus.endpoint": f"ipc://{folder}/e.ipc", "bus.control": f"ipc://{folder}/c.ipc",
        "triggers": [{"name": "visitor", "labels": ["person"], "cooldown_s": 0.0}],
    }  # fmt: skip
    return load(None, values | {key.replace("__", "."): value for key, value in changes.items()})


@contextmanager
def running(settings: Settings, to: Settings | None = None) -> Iterator[tuple[Control, Subscriber]]:
    """A service in a thread, with its clients. to: the settings after a reload."""
    service = Service(settings, lambda: to or settings)
    thread = threading.Thread(target=service.run)
    with (
        Subscriber(settings.bus.endpoint) as subscriber,
        Control(settings.bus.control, timeout_s=1.0) as control,
    ):
        thread.start()
        try:
            yield control, subscriber
        finally:
            service.stop()
            thread.join(20)
    assert not thread.is_alive()


def received(subscriber: Subscriber, kinds: set[str]) -> dict[str, Event]:
    """The next event of each kind: trigger, still and clip."""
    events: dict[str, Event] = {}
    while not kinds <= set(events):
        event = subscriber.receive(30)
        assert event is not None, events
        message = event.message
        if isinstance(message, Trigger):
            events.setdefault("trigger", event)
        elif isinstance(message, Capture):
            assert not message.failure
            events.setdefault(message.capture, event)
    return events


def picture(jpeg: bytes) -> np.ndarray:
    return np.asarray(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR))


def path_of(event: Event) -> Path:
    assert isinstance(event.message, Capture)
    return Path(event.message.path)


def clip_frames(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]


def is_masked(image: np.ndarray) -> bool:
    """Whether the masked place is black; the rest must not be."""
    first = image.shape[0] * FROM // 480
    assert image[: first - MARGIN].mean() > 50
    return bool(image[first + MARGIN * image.shape[0] // 480 :].max() < DARK)


@pytest.mark.parametrize("name", ["film.mp4", "film.avi", "scene"])
def test_nothing_that_leaves_a_daemon_shows_the_masked_place(
    name: str, films: Path, tmp_path: Path
) -> None:
    source = SCENE if name == "scene" else str(films / name)
    with running(settings_in(tmp_path, source, privacy__masks=[MASK])) as (control, subscriber):
        events = received(subscriber, {"trigger", "still", "clip"})
        reply, jpeg = control.snapshot(320, sight=True)
    assert is_masked(picture(jpeg))
    still = picture(path_of(events["still"]).read_bytes())
    assert is_masked(still)
    frames = clip_frames(path_of(events["clip"]))
    assert len(frames) >= 5
    assert all(map(is_masked, frames))
    _assert_thumbnail_is_masked(events["trigger"])
    assert reply.sight is not None
    assert not cv2.imdecode(np.frombuffer(reply.sight.motion_png, np.uint8), 0)[FROM // 2 :].any()
    assert reply.sight.canvas is not None


def _assert_thumbnail_is_masked(event: Event) -> None:
    """It shows the object with three tenths of its height above and below, also of the mask."""
    assert isinstance(event.message, Trigger)
    assert event.jpeg is not None
    image = picture(event.jpeg)
    assert image[-6:].max() < 60  # a few rows, beside an edge
    assert image[-3:].mean() < DARK
    assert image[: len(image) // 2].mean() > 50


@pytest.fixture(scope="module")
def plain(films: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Event]:
    """The events of a daemon that hides nothing."""
    settings = settings_in(tmp_path_factory.mktemp("plain"), str(films / "film.mp4"))
    with running(settings) as (_, subscriber):
        return received(subscriber, {"trigger", "still", "clip"})


def test_without_masks_the_place_is_seen(plain: dict[str, Event]) -> None:
    """The counterpart, without which the tests above would prove little."""
    assert not is_masked(picture(path_of(plain["still"]).read_bytes()))
    assert not any(map(is_masked, clip_frames(path_of(plain["clip"]))))
    assert plain["trigger"].jpeg is not None
    assert picture(plain["trigger"].jpeg)[-3:].mean() > 50


def test_after_a_reload_no_picture_shows_a_new_mask(films: Path, tmp_path: Path) -> None:
    before = settings_in(tmp_path, str(films / "film.mp4"))
    after = settings_in(tmp_path, str(films / "film.mp4"), privacy__masks=[MASK])
    with running(before, after) as (control, subscriber):
        received(subscriber, {"trigger"})
        assert not is_masked(picture(control.snapshot(320)[1]))
        assert "changed: privacy; the daemon starts again" in control.reload().text
        assert all(map(is_masked, snapshots_after_reload(control)))
        boot_id = control.status().boot_id
        while (event := subscriber.receive(30)) is not None:
            if event.message.header.boot_id == boot_id and isinstance(event.message, Trigger):
                break
        assert event is not None
        _assert_thumbnail_is_masked(event)
        clip = received(subscriber, {"clip"})["clip"]
    assert clip.message.header.boot_id == boot_id
    assert all(map(is_masked, clip_frames(path_of(clip))))


def snapshots_after_reload(control: Control) -> list[np.ndarray]:
    """The old daemon refuses, then nothing answers for a moment."""
    snapshots: list[np.ndarray] = []
    while len(snapshots) < 3:
        with suppress(CommandError, NoAnswerError):
            snapshots.append(picture(control.snapshot(320)[1]))
    return snapshots


def test_a_new_mask_stays_when_the_rest_of_the_configuration_does_not_work(
    films: Path, tmp_path: Path
) -> None:
    source = str(films / "film.mp4")
    absent = f"ipc://{tmp_path}/absent/c.ipc"
    after = settings_in(tmp_path, source, privacy__masks=[MASK], bus__control=absent)
    with running(settings_in(tmp_path, source), after) as (control, _):
        assert not is_masked(picture(control.snapshot(320)[1]))
        control.reload()
        assert all(map(is_masked, snapshots_after_reload(control)))
        health = control.status().health
    assert health is None or any("does not work" in problem for problem in health.problems)


def test_a_replay_shows_no_masked_place(films: Path, tmp_path: Path) -> None:
    settings = settings_in(tmp_path, str(films / "film.mp4"), privacy__masks=[MASK])
    settings = msgspec.structs.replace(
        settings, source=msgspec.structs.replace(settings.source, loop=False)
    )
    summary = replay(settings, tmp_path / "out.mp4", tmp_path / "out.html", lambda *_: None)
    frames = [frame[: -MARGIN * 2] for frame in clip_frames(tmp_path / "out.mp4")]  # without text
    assert len(frames) == FRAMES
    # Regions are drawn in as lines.
    assert all(np.percentile(frame[FROM + MARGIN :], 90) < DARK for frame in frames)
    assert all(frame[:FROM].mean() > 50 for frame in frames)
    assert summary.events
    assert picture(summary.events[0].still)[-3:].mean() < DARK


def test_persons_are_blurred_in_stills_and_thumbnails(
    films: Path, tmp_path: Path, plain: dict[str, Event]
) -> None:
    settings = settings_in(tmp_path, str(films / "film.mp4"), privacy__blur=["person"])
    with running(settings) as (_, subscriber):
        blurred = received(subscriber, {"trigger", "still"})
    person, rest, thumbnail = map(detail, views_of(plain))
    blurred_person, blurred_rest, blurred_thumbnail = map(detail, views_of(blurred))
    assert blurred_person < 0.6 * person
    assert blurred_rest > 0.7 * rest
    assert blurred_thumbnail < 0.6 * thumbnail


def views_of(events: dict[str, Event]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The person in the still, a part of the still without one, and the person's thumbnail."""
    trigger, jpeg = events["trigger"].message, events["trigger"].jpeg
    assert isinstance(trigger, Trigger)
    assert jpeg is not None
    x0, y0, x1, y1 = map(int, trigger.box_px)
    still = picture(path_of(events["still"]).read_bytes())
    return still[y0:y1, x0:x1], still[300:], picture(jpeg)[25:-25, 6:-6]


def detail(image: np.ndarray) -> float:
    """Share of pixels that differ from those beside and below them.

    Edges of cells of one colour differ in one direction only, wherever the grid lies.
    """
    grey = image.astype(int).mean(axis=2)
    across, down = np.abs(np.diff(grey[:-1], axis=1)), np.abs(np.diff(grey[:, :-1], axis=0))
    return float((np.minimum(across, down) > 3).mean())
