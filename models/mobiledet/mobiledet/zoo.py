"""The sixteen published members of the MobileNet v1 family, counted and measured here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache

import numpy as np

from edge.errors import PermanentError
from mobiledet.backbone import RESOLUTIONS_PX, classifier
from mobiledet.blocks import FloatBlocks
from mobiledet.cost import macs_by_layer, parameters
from mobiledet.latency import latency_ms
from mobiledet.quantize import to_int8

# Only at this width, the published rows leave the first convolution out.
WITHOUT_FIRST_CONV = 0.75
# The only published figure that does not follow the square of the resolution.
PUBLISHED_IN_ERROR = (0.25, 192)


@dataclass(frozen=True, slots=True)
class Published:
    """A row of the table published with the weights of June 2017; accuracy on ImageNet, percent.

    Later weights of the family have other accuracies.
    """

    alpha: float
    size_px: int
    mega_macs: int
    mega_parameters: float
    top1: float
    top5: float


def _published() -> tuple[Published, ...]:
    table = {  # alpha: parameters, then MACs, top-1 and top-5 for 224, 192, 160 and 128 px
        1.0: (4.24, (569, 418, 291, 186), (70.7, 69.3, 67.2, 64.1), (89.5, 88.9, 87.5, 85.3)),
        0.75: (2.59, (317, 233, 162, 104), (68.4, 67.4, 65.2, 61.8), (88.2, 87.3, 86.1, 83.6)),
        0.5: (1.34, (150, 110, 77, 49), (64.0, 62.1, 59.9, 56.2), (85.4, 84.0, 82.5, 79.6)),
        0.25: (0.47, (41, 34, 21, 14), (50.6, 49.0, 46.0, 41.3), (75.0, 73.6, 70.7, 66.2)),
    }
    return tuple(
        Published(alpha, size, macs[i], weights, top1[i], top5[i])
        for alpha, (weights, macs, top1, top5) in table.items()
        for i, size in enumerate(RESOLUTIONS_PX)
    )


PUBLISHED = _published()


@dataclass(frozen=True, slots=True)
class Counted:
    """Counts on the built graph. comparable_macs: counted as in the published row."""

    macs: int
    comparable_macs: int
    parameters: int


@dataclass(frozen=True, slots=True)
class Measured:
    """The size of the int8 file and its median latency on this machine, with one thread."""

    size_bytes: int
    latency_ms: float


@dataclass(frozen=True, slots=True)
class Row:
    """One member of the family. measured: None if it was only counted."""

    published: Published
    counted: Counted
    measured: Measured | None


@cache
def counted(row: Published) -> Counted:
    """Builds the network and counts its MACs and parameters."""
    model = classifier(FloatBlocks(), row.alpha, row.size_px)
    macs = macs_by_layer(model)
    total = sum(macs.values())
    left_out = macs["conv0"] if row.alpha == WITHOUT_FIRST_CONV else 0
    return Counted(total, total - left_out, parameters(model))


def measured(row: Published) -> Measured:
    """Builds, quantizes and times the network. Random weights take as long as trained ones."""
    model = classifier(FloatBlocks(), row.alpha, row.size_px)
    random = np.random.default_rng(0)
    noise = random.integers(0, 256, (2, row.size_px, row.size_px, 3), np.uint8)
    flatbuffer = to_int8(model, list(noise))
    return Measured(len(flatbuffer), latency_ms(flatbuffer))


def rows(*, measure: bool, done: Callable[[int], None]) -> Iterable[Row]:
    """All sixteen, one after the other. done: called with the number of finished ones."""
    for number, row in enumerate(PUBLISHED, 1):
        yield Row(row, counted(row), measured(row) if measure else None)
        done(number)


def choose(max_latency_ms: float, max_size_bytes: float) -> Row:
    """The member with the best published top-1 that fits, measured on this machine.

    Raises PermanentError with the figures of the smallest one if none fits.
    """
    figures = None
    for row in sorted(PUBLISHED, key=lambda row: -row.top1):
        count = counted(row)
        if count.parameters > max_size_bytes:  # at a byte each it can't fit
            continue
        figures = measured(row)
        if figures.size_bytes <= max_size_bytes and figures.latency_ms <= max_latency_ms:
            return Row(row, count, figures)
    least = figures or measured(PUBLISHED[-1])  # the last one measured is the smallest
    raise PermanentError(
        f"none of the family fits {max_latency_ms:g} ms and {max_size_bytes / 1e6:g} MB: "
        f"the smallest takes {least.latency_ms:.1f} ms and {least.size_bytes / 1e6:.2f} MB here"
    )
