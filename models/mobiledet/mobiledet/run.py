"""The folder of one training run.

`run.json` holds the design and the training's settings, `checkpoint.npz` weights and optimizer, and
`history.csv` the losses. Each is written whole or not at all.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Meta

from edge.errors import PermanentError
from mobiledet.dataset import Dataset, read_dataset, thinned
from mobiledet.design import Design
from mobiledet.files import write_file

SETTINGS, CHECKPOINT, HISTORY = "run.json", "checkpoint.npz", "history.csv"
# `--from` for the shipped model of COCO's classes, and that model's name
COCO, COCO_MODEL = "coco_v3", "coco_ssdlite_mobilenet_v3_large_int8"
Arrays = list[npt.NDArray[np.float32]]


class RunError(PermanentError):
    """A run that can't be read or continued. The message begins with its folder or file."""


class Training(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The settings of a training.

    learning_rate: the highest; it rises over `learning_rate.WARM_UP` steps and falls to 0 as a
        cosine.
    start: of the weights: COCO, the folder of a run, or "" for random ones.
    freeze_steps: first steps, in which only the heads are trained. thawed_rate: the highest
        learning rate after them.
    pictures: number of pictures to train on, evenly chosen; 0 for all.
    """

    dataset: str
    split: str
    steps: Annotated[int, Meta(ge=1)]
    batch: Annotated[int, Meta(ge=1)] = 32
    seed: int = 0
    learning_rate: Annotated[float, Meta(gt=0)] = 2e-3
    loss: Literal["hard-negative", "focal"] = "hard-negative"
    start: str = ""
    freeze_steps: Annotated[int, Meta(ge=0)] = 0
    thawed_rate: Annotated[float, Meta(gt=0)] = 2e-3
    pictures: Annotated[int, Meta(ge=0)] = 0


class Run(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The content of `run.json`."""

    design: Design
    training: Training


def training_pictures(training: Training) -> Dataset:
    """The pictures that a training learns from. Raises DatasetError."""
    dataset = read_dataset(Path(training.dataset), training.split)
    return thinned(dataset, training.pictures) if training.pictures else dataset


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state after `step` steps, which took `cpu_s` seconds of CPU time."""

    step: int
    cpu_s: float
    weights: Arrays
    optimizer: Arrays


@dataclass(frozen=True, slots=True)
class Loss:
    """A line of the history. location, classification: mean losses since the line before."""

    step: int
    location: float
    classification: float
    cpu_s: float


def create(folder: Path, run: Run) -> None:
    """Writes `run.json`. Raises RunError if there is a run already, FileError if writing fails."""
    if (folder / SETTINGS).exists():
        raise RunError(
            f"{folder}: there is a run already; continue it with --resume, or choose another --out"
        )
    write_file(folder / SETTINGS, msgspec.json.format(msgspec.json.encode(run)))


def load(folder: Path) -> Run:
    """Reads `run.json`. Raises RunError."""
    path = folder / SETTINGS
    try:
        return msgspec.json.decode(path.read_bytes(), type=Run)
    except OSError as error:
        raise RunError(f"{folder}: not a run of edge-train fit ({error.strerror})") from error
    except msgspec.MsgspecError as error:
        raise RunError(f"{path}: {error}") from error


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    buffer = io.BytesIO()
    named = {f"w{i:04d}": array for i, array in enumerate(checkpoint.weights)}
    named |= {f"o{i:04d}": array for i, array in enumerate(checkpoint.optimizer)}
    progress = np.array([checkpoint.step, checkpoint.cpu_s], np.float64)
    np.savez(buffer, allow_pickle=False, progress=progress, **named)
    write_file(folder / CHECKPOINT, buffer.getvalue())


def load_checkpoint(folder: Path) -> Checkpoint:
    """The last checkpoint. Raises RunError if there is none yet, or if it is damaged."""
    path = folder / CHECKPOINT
    try:
        with np.load(path, allow_pickle=False) as arrays:
            step, cpu_s = arrays["progress"].tolist()
            names = sorted(arrays.files)
            weights = [arrays[name] for name in names if name.startswith("w")]
            optimizer = [arrays[name] for name in names if name.startswith("o")]
    except FileNotFoundError as error:
        raise RunError(
            f"{folder}: no checkpoint yet; train with edge-train fit --out {folder} --resume"
        ) from error
    except (OSError, ValueError, KeyError) as error:
        raise RunError(f"{path}: damaged: {error}") from error
    return Checkpoint(int(step), cpu_s, weights, optimizer)


def write_history(folder: Path, lines: list[Loss]) -> None:
    """Replaces `history.csv`. Raises FileError."""
    rows = ["step,location,classification,cpu_s"]
    rows += [f"{x.step},{x.location:.4f},{x.classification:.4f},{x.cpu_s:.1f}" for x in lines]
    write_file(folder / HISTORY, "".join(f"{row}\n" for row in rows).encode())


def read_history(folder: Path, until_step: int) -> list[Loss]:
    """The lines up to a checkpoint's step; later steps are trained again."""
    path = folder / HISTORY
    if not path.is_file():
        return []
    lines = []
    for row in path.read_text().splitlines()[1:]:
        step, location, classification, cpu_s = row.split(",")
        lines.append(Loss(int(step), float(location), float(classification), float(cpu_s)))
    return [line for line in lines if line.step <= until_step]
