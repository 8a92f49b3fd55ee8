"""Attacks by files: each file is given to the command or the part that reads such files."""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from edge.config.explain import commented
from edge.config.schema import ModelSettings
from edge.vision.detector.catalogue import find_model
from tests.attack.kinds import Attempts
from tests.attack.mutate import NUMBERS, mutated, mutated_text
from tests.attack.victim import Victim

HUGE_BYTES = 1 << 40  # a sparse file that no program may read whole
CONFIG_LIMIT_S = 2.0  # a second, and another one for a machine that is busy
RULE = '[[triggers]]\nname = "person"\nlabels = ["person"]\n'


@contextmanager
def victim_in(folder: Path) -> Iterator[Victim]:
    victim = Victim(folder)
    try:
        yield victim
    finally:
        victim.close()


def models(folder: Path, rng: random.Random, count: int) -> Attempts:
    """Damaged model files, and archives of labels behind a model."""
    whole = find_model(ModelSettings().file).read_bytes()
    archive = whole.rfind(b"PK\x03\x04")
    with victim_in(folder) as victim:
        for _ in range(count):
            if archive > 0 and rng.random() < 0.4:
                data = whole[:archive] + mutated(whole[archive:], rng)
            elif rng.random() < 0.2:
                data = (
                    mutated(whole[:4096], rng) + whole[4096:]
                )  # the tables lie there or at the end
            else:
                data = mutated(whole, rng)
            path = folder / "model.tflite"
            path.write_bytes(data)
            yield victim.run("models", "info", str(path)).fault()


def configurations(folder: Path, rng: random.Random, count: int) -> Attempts:
    """Damaged and extreme configurations."""
    whole = (commented().replace("\n# ", "\n").encode(), RULE.encode())
    lines = [line for line in commented().splitlines() if "=" in line]
    path = folder / "edge.toml"
    with victim_in(folder) as victim:
        for _ in range(count):
            if rng.random() < 0.5:
                path.write_bytes(mutated_text(rng.choice(whole), rng))
            else:
                path.write_text(_with_extreme(rng.choice(lines), rng))
            outcome = victim.run("check-config", str(path))
            slow = f"{outcome.elapsed_s:.1f} s" if outcome.elapsed_s > CONFIG_LIMIT_S else None
            yield outcome.fault() or slow


def _with_extreme(line: str, rng: random.Random) -> str:
    """A configuration in which one key, commented out in `line`, has an extreme value."""
    text = commented()
    key = line.lstrip("# ").partition("=")[0].strip()
    values = [number.decode() for number in NUMBERS] + ['"\\u0000"', '"x\\n"', "[]", "{}", '""']
    return text.replace(line, f"{key} = {rng.choice(values)}") + RULE


def sidecars(folder: Path, rng: random.Random, count: int) -> Attempts:
    """Damaged sidecars beside whole ones: read by exports, by the page and by retention."""
    with victim_in(folder) as victim:
        for number in range(count):
            captures = folder / "captures"
            shutil.rmtree(captures, ignore_errors=True)
            day = captures / "cam0" / "2026-01-01"
            day.mkdir(parents=True)
            _capture(day, "120000.000_person_1")
            damaged = _capture(day, "120100.000_person_2")
            damaged.write_bytes(mutated_text(damaged.read_bytes(), rng))
            form, out = rng.choice(
                (("csv", "out.csv"), ("coco", "coco"), ("camtrap-dp", "package"))
            )
            target = folder / f"{number}-{out}"
            arguments = ["export", form, str(target), "--set", f"capture.directory={captures}"]
            fault = victim.run(*arguments).fault() or victim.run("@list", str(captures)).fault()
            if fault is None and any(_secret(path) for path in target.parent.rglob("passwd")):
                fault = "a file from outside the captures was exported"
            _remove(target)
            yield fault


def _capture(day: Path, stem: str) -> Path:
    """Writes a still with its sidecar; returns the sidecar."""
    cv2.imwrite(str(day / f"{stem}.jpg"), np.full((48, 64, 3), 90, np.uint8))
    clock = f"2026-01-01T{stem[:2]}:{stem[2:4]}:{stem[4:10]}+00:00"
    track = {"id": 1, "label": "person", "score": 0.9, "box_xyxy_px": [1, 2, 30, 40],
             "box_xyxy": [0.1, 0.1, 0.5, 0.9]}  # fmt: skip
    sidecar = {
        "written_by": "edge-trigger", "schema_version": 1, "camera": "cam0", "model": "person",
        "events": [{"event_id": stem, "rule": "person", "time": clock, "latency_ms": 40.0,
                    "track": track}],
        "files": [{"name": f"{stem}.jpg", "kind": "still", "bytes": 900, "width": 64, "height": 48,
                   "time": clock}],
    }  # fmt: skip
    path = day / f"{stem}.json"
    path.write_text(json.dumps(sidecar, indent=2))
    return path


def _secret(path: Path) -> bool:
    return path.is_file() and b"root:" in path.read_bytes()


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def videos(folder: Path, rng: random.Random, count: int) -> Attempts:
    """Damaged recordings, played by `edge replay`."""
    codecs = {"a.mp4": "libx264", "a.ts": "libx264", "a.avi": "mpeg4", "a.mkv": "mjpeg"}
    whole = [_video(folder / name, codec) for name, codec in codecs.items()]
    with victim_in(folder) as victim:
        for _ in range(count):
            source = rng.choice(whole)
            path = folder / f"damaged{source.suffix}"
            path.write_bytes(mutated(source.read_bytes(), rng))
            yield victim.run("replay", str(path), limit_s=60).fault()
            shutil.rmtree(folder / "replay-out", ignore_errors=True)


def _video(path: Path, codec: str) -> Path:
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream(codec, rate=Fraction(10))
        stream.width, stream.height = 160, 120
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for number in range(20):
            image = np.full((120, 160, 3), 90, np.uint8)
            image[40:80, 4 * number : 4 * number + 30] = 200
            out.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        out.mux(stream.encode())
    return path


def folders(folder: Path, rng: random.Random, count: int) -> Attempts:
    """Folders of pictures with things among them that are no pictures."""
    with victim_in(folder) as victim:
        for number in range(count):
            series = folder / f"series{number}"
            series.mkdir()
            for index in range(6):
                image = np.full((120, 160, 3), 60 + 20 * index, np.uint8)
                cv2.imwrite(str(series / f"shot{index}.jpg"), image)
            for index in range(rng.randint(1, 4)):
                _put_odd(series / f"odd{index}.jpg", series / "shot1.jpg", rng)
            yield victim.run("replay", str(series), limit_s=60).fault()
            shutil.rmtree(folder / "replay-out", ignore_errors=True)


def _put_odd(path: Path, picture: Path, rng: random.Random) -> None:
    """Something under a picture's name that is not a whole picture of the others' size."""
    odd: list[Callable[[], object]] = [
        lambda: path.write_bytes(mutated(picture.read_bytes(), rng)),
        lambda: path.write_bytes(b""),
        lambda: path.write_text("no picture"),
        lambda: cv2.imwrite(str(path), np.zeros((rng.randint(1, 300), 1, 3), np.uint8)),
        *(lambda make=make: make(path) for make in SPECIAL.values()),
    ]  # fmt: skip
    rng.choice(odd)()


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(os.path.relpath(path))  # a short name: the whole one may be too long for a socket


def _sparse(path: Path) -> None:
    with path.open("wb") as stream:
        stream.truncate(HUGE_BYTES)


def _device(path: Path) -> None:
    try:
        os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 5))  # /dev/zero: it never ends
    except PermissionError:  # not root
        path.symlink_to("/dev/zero")


SPECIAL: dict[str, Callable[[Path], object]] = {
    "fifo": os.mkfifo,
    "folder": Path.mkdir,
    "socket": _socket,
    "device": _device,
    "dangling link": lambda path: path.symlink_to("nowhere"),
    "link to itself": lambda path: path.symlink_to(path.name),
    "1 TB": _sparse,
}


def special_files(folder: Path, rng: random.Random, count: int) -> Attempts:
    """Fifos, devices, folders, sockets, links and huge files in the place of each kind of file."""
    places: dict[str, Callable[[Path], list[str]]] = {
        "edge.toml": lambda path: ["check-config", str(path)],
        "model.tflite": lambda path: ["models", "info", str(path)],
        "a.mp4": lambda path: ["replay", str(path)],
        "captures/cam0/2026-01-01/120000.000_person_1.json": lambda path: [
            "export", "csv", str(folder / "out.csv"), "--set",
            f"capture.directory={path.parents[2]}"],
        "captures/cam0/2026-01-01/120000.000_person_2.jpg": lambda path: [
            "@list", str(path.parents[2])],
        "captures/cam0/2026-01-01/.120000.000_person_2.jpg.edge-part": lambda path: [
            "@list", str(path.parents[2])],
        "client.key_secret": lambda path: [
            "ctl", "status", "--timeout", "1", "--set", "bus.endpoint=tcp://127.0.0.1:9",
            "--set", f"bus.keys={path.parent}"],
    }  # fmt: skip
    every = [(special, place) for special in SPECIAL for place in places]
    with victim_in(folder) as victim:
        for special, place in rng.sample(every, min(count, len(every))):
            path = folder / place
            path.parent.mkdir(parents=True, exist_ok=True)
            SPECIAL[special](path)
            fault = victim.run(*places[place](path)).fault()
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            else:
                path.unlink(missing_ok=True)  # the start removes unfinished files
            (folder / "out.csv").unlink(missing_ok=True)
            yield f"{special} as {path.name}: {fault}" if fault else None
