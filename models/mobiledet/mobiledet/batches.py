"""Batches of canvases and targets, made by other threads while the network trains.

The batch of a step depends on the seed and the step alone, so that a run that was killed and
resumed trains on the same batches as one that was not.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mobiledet.heads import Head
from mobiledet.looks import Samples

AHEAD = 4  # batches in memory
WORKERS = 2  # threads; OpenCV releases the GIL


@dataclass(frozen=True, slots=True)
class Batch:
    """images: (b, size, size, 3) uint8. codes: (b, n, 4), classes: (b, n) as in `Targets`."""

    images: npt.NDArray[np.uint8]
    codes: npt.NDArray[np.float32]
    classes: npt.NDArray[np.int32]


def make_batch(samples: Samples, head: Head, count: int, seed: int, step: int) -> Batch:
    """The batch of one step."""
    random = np.random.default_rng([seed, step])
    drawn = [samples.draw(random) for _ in range(count)]
    targets = []
    for sample in drawn:
        size = np.float32(sample.image.shape[0])
        targets.append(
            head.targets(sample.boxes_xyxy / size, sample.class_ids, sample.ignored_xyxy / size)
        )
    return Batch(
        np.stack([sample.image for sample in drawn]),
        np.stack([target.codes for target in targets]),
        np.stack([target.classes for target in targets]),
    )


def batches(samples: Samples, head: Head, count: int, seed: int, steps: range) -> Iterator[Batch]:
    """The batches of `steps`, in order; up to AHEAD of them are made in advance."""
    with ThreadPoolExecutor(WORKERS, thread_name_prefix="batch") as pool:
        waiting: deque[Future[Batch]] = deque()
        for step in steps:
            waiting.append(pool.submit(make_batch, samples, head, count, seed, step))
            if len(waiting) >= AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
