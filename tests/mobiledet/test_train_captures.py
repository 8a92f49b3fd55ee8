"""Captures become a dataset, false alarms among them pictures without an object. No TensorFlow."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from edge.capture.sidecar import EventEntry, FileEntry, Sidecar, SiteEntry, TrackEntry
from edge.capture.stored.marks import Mark
from edge.cli import commands as edge
from mobiledet.cli import commands as edge_train
from mobiledet.dataset import read_dataset
from mobiledet.looks import Samples

WIDTH, HEIGHT = 160, 120
BOX = (40.0, 30.0, 80.0, 90.0)
RED, BLUE = (0, 0, 255), (255, 0, 0)  # BGR


def still(root: Path, name: str, colour: tuple[int, int, int]) -> Path:
    """A still of one colour with its sidecar, whose path is returned."""
    folder = root / "cam0" / "2026-11-29"
    folder.mkdir(parents=True, exist_ok=True)
    data = cv2.imencode(".jpg", np.full((HEIGHT, WIDTH, 3), colour, np.uint8))[1].tobytes()
    (folder / f"{name}.jpg").write_bytes(data)
    x0, y0, x1, y1 = BOX
    share = (x0 / WIDTH, y0 / HEIGHT, x1 / WIDTH, y1 / HEIGHT)
    track = TrackEntry(id=1, label="person", group="", score=0.8, box_xyxy=share, box_xyxy_px=BOX)
    time = "2026-11-29T12:00:00.000+00:00"
    event = EventEntry(event_id=name, rule="visitor", time=time, latency_ms=80.0, track=track)
    file = FileEntry(name=f"{name}.jpg", kind="still", bytes=len(data), width=WIDTH,
                     height=HEIGHT, time=time)  # fmt: skip
    sidecar = folder / f"{name}.json"
    Sidecar(camera="cam0", model="ssd", events=[event], files=[file], site=SiteEntry()).write(
        sidecar
    )
    return sidecar


@pytest.fixture
def stills(tmp_path: Path) -> Path:
    """The export of a person on red and of a false alarm on blue."""
    still(tmp_path, "visitor", RED)
    Mark.FALSE_ALARM.set(tmp_path, still(tmp_path, "poster", BLUE), on=True)
    out = tmp_path / "stills.json"
    done = CliRunner().invoke(edge, ["export", "coco", str(out), "--captures", str(tmp_path)])
    assert done.exit_code == 0, done.output
    return out


def test_check_counts_the_false_alarm(stills: Path) -> None:
    done = CliRunner().invoke(edge_train, ["check", str(stills)])
    assert done.exit_code == 0, done.output
    assert done.output == (
        f"{stills}: 2 pictures, 1 objects, 0 ignored\n"
        "  person: 1\n  pictures without an object: 1\n"
    )


def test_training_draws_the_false_alarm_without_an_object(stills: Path) -> None:
    samples = Samples(read_dataset(stills), 96)
    draws = [samples.draw(np.random.default_rng(seed)) for seed in range(150)]
    blue = [s for s in draws if (s.image[..., 2].astype(int) - s.image[..., 0] > 100).mean() > 0.3]
    # A fifth of the draws take any picture, and half of the pictures is the false alarm.
    assert 4 <= len(blue) <= 30
    assert all(len(s.boxes_xyxy) == len(s.ignored_xyxy) == 0 for s in blue)
    assert sum(len(s.boxes_xyxy) > 0 for s in draws) > 75
