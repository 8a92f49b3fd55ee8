"""Writes a picture into the model's input: size, order of axes, channels, range of values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from edge.errors import ModelError
from edge.vision.detector.graph import Tensor
from edge.vision.detector.metadata import Normalization

Canvas = npt.NDArray[np.uint8]
Table = npt.NDArray[Any]
Axes = Literal["NHWC", "NCHW", "HWC", "HW", "NHW"]
RGB = 3
# Share of a range by which calibration may miss it; other ranges are much further away.
SAME_RANGE = 0.15
SAME_STEP = 0.02  # share by which a step of the input may differ from a level of the picture
LEVELS = 256
MAX_SIDE_PX = 4096
QUESTION = (
    "the file doesn't tell the range of its input: set model.input_range to the one it was "
    "trained with: -1..1 (MobileNet), 0..1 (YOLO), 0..255 (EfficientDet) or imagenet"
)


@dataclass(frozen=True, slots=True)
class Range:
    """Real values of the darkest and the brightest level, one for each channel or for all."""

    name: str
    low: tuple[float, ...]
    high: tuple[float, ...]


_MEAN, _STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)  # of ImageNet, R G B
RANGES = {
    one.name: one
    for one in (
        Range("-1..1", (-1.0,), (1.0,)),
        Range("0..1", (0.0,), (1.0,)),
        Range("0..255", (0.0,), (255.0,)),
        Range(
            "imagenet",
            tuple(-mean / std for mean, std in zip(_MEAN, _STD, strict=True)),
            tuple((255 - mean) / std for mean, std in zip(_MEAN, _STD, strict=True)),
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Geometry:
    """axes of the tensor, and the picture's (width, height) and channels."""

    axes: Axes
    size: tuple[int, int]
    channels: int

    def shape(self) -> tuple[int, ...]:
        """The tensor's shape for one picture."""
        width, height = self.size
        sides = {"N": 1, "H": height, "W": width, "C": self.channels}
        return tuple(sides[axis] for axis in self.axes)


@dataclass(frozen=True, slots=True)
class InputPlan:
    """How a picture is written.

    source: where the range is known from, for `edge models info`. bgr: whether blue comes first.
    kind: the type of the tensor. table: the input value of each level (`input_table`).
    """

    geometry: Geometry
    range: Range
    source: str
    bgr: bool
    kind: str
    table: Table


def geometry_of(tensor: Tensor, input_px: int) -> Geometry:
    """The axes of an input. input_px: side for a model whose size is free; 0 if there is none.

    Raises ModelError with the end of a sentence.
    """
    sides = [
        -1 if free == -1 and (side <= 1 or input_px) else side
        for side, free in zip(tensor.shape, tensor.signature, strict=True)
    ]
    axes = _axes(sides)
    if axes is None:
        shown = "x".join(map(str, tensor.shape))
        raise ModelError(f"its input has the shape {shown}, not that of one picture")
    by_axis = dict(zip(axes, sides, strict=True))
    if by_axis["H"] == -1 or by_axis["W"] == -1:
        if not input_px:
            raise ModelError("its input has no fixed size: set model.input_px, for instance to 320")
        by_axis |= {"H": input_px, "W": input_px}
    width, height = by_axis["W"], by_axis["H"]
    if not (8 <= width <= MAX_SIDE_PX and 8 <= height <= MAX_SIDE_PX):
        raise ModelError(f"its input is {width}x{height} px; 8 to {MAX_SIDE_PX} are possible")
    return Geometry(axes, (width, height), by_axis.get("C", 1))


def _axes(sides: list[int]) -> Axes | None:
    match sides:
        case [_, _, _, 1 | 3]:
            return "NHWC"
        case [_, 1 | 3, _, _]:
            return "NCHW"
        case [_, _, 1 | 3]:
            return "HWC"
        case [1 | -1, _, _]:
            return "NHW"
        case [_, _]:
            return "HW"
    return None


def range_of(
    tensor: Tensor,
    *,
    chosen: str,
    normalization: Normalization | None,
    convention: str | None,
) -> tuple[Range, str]:
    """The range of an input, and where it is known from.

    chosen: the setting, `auto` for none. convention: of the layout, or None. The quantization of
    the input is believed before metadata, as it was measured when the model was converted.
    Raises ModelError with a question if nothing tells.
    """
    if chosen != "auto":
        return RANGES[chosen], "model.input_range"
    stated = _normalized(normalization) if normalization else None
    span = tensor.real_range
    if span is None:
        if tensor.kind == "uint8":
            return RANGES["0..255"], "bytes without a scale"
        if stated:
            return stated, "NormalizationOptions"
        if convention:
            return RANGES[convention], "the convention of this layout"
        raise ModelError(QUESTION)
    usual = [RANGES[convention]] if convention else []
    for candidate in (*([stated] if stated else []), *usual, *RANGES.values()):
        if _agrees(candidate, span):
            return candidate, "the scale of the input"
    low, high = span
    raise ModelError(f"its input holds {low:.3g} to {high:.3g}, and {QUESTION}")


def contradiction(
    tensor: Tensor, used: Range, source: str, normalization: Normalization | None
) -> str | None:
    """A sentence if what the file states, or what was set, doesn't fit the input's own scale."""
    span = tensor.real_range
    if span is not None and not _agrees(used, span):
        return (
            f"{source} says that its input is {used.name}, but it holds {span[0]:.3g} to "
            f"{span[1]:.3g}: check with edge models info --try that it finds objects"
        )
    stated = _normalized(normalization) if normalization else None
    if stated is not None and stated.name != used.name:
        return (
            f"NormalizationOptions say that its input is {stated.name}, but {used.name} from "
            f"{source} is used: check with edge models info --try that it finds objects"
        )
    return None


def _normalized(values: Normalization) -> Range:
    mean, std = np.broadcast_arrays(np.array(values.mean), np.array(values.std))
    low, high = tuple((-mean / std).tolist()), tuple(((255 - mean) / std).tolist())
    for known in RANGES.values():
        if np.allclose(known.low, low, atol=0.02) and np.allclose(known.high, high, rtol=0.01):
            return known
    return Range(f"{min(low):.3g}..{max(high):.3g}", low, high)


def _agrees(candidate: Range, span: tuple[float, float]) -> bool:
    low, high = min(candidate.low), max(candidate.high)
    allowed = SAME_RANGE * (high - low)
    return abs(low - span[0]) <= allowed and abs(high - span[1]) <= allowed


def input_table(tensor: Tensor, values: Range, channels: int) -> Table:
    """The input value of each level: (256, channels) float32, or uint8 with the bits of an int8.

    Where a step of the input is a level of the picture, all 256 levels stay apart: half a step of
    rounding would merge pairs of them. Raises ModelError for an input that isn't of a known type.
    """
    low = np.broadcast_to(np.array(values.low, np.float64), channels)
    high = np.broadcast_to(np.array(values.high, np.float64), channels)
    real = low + np.arange(LEVELS)[:, None] / (LEVELS - 1) * (high - low)
    if tensor.kind == "float32":
        return np.ascontiguousarray(real, np.float32)
    if tensor.kind not in ("int8", "uint8"):
        raise ModelError(f"its input is {tensor.kind}, not int8, uint8 or float32")
    limits = np.iinfo(tensor.kind)
    steps = np.arange(LEVELS)[:, None] + np.full((1, channels), limits.min)
    if tensor.scale:
        exact = real / tensor.scale + tensor.zero_point
        slope = (exact[-1] - exact[0]) / (LEVELS - 1)
        if (np.abs(slope - 1) > SAME_STEP).any() or (np.abs(exact - steps) > 4).any():
            steps = np.clip(np.floor(exact + 0.5), limits.min, limits.max)
    return np.ascontiguousarray(steps.astype(tensor.kind).view(np.uint8))


def writer(plan: InputPlan, tensor: Callable[[], npt.NDArray[Any]]) -> Callable[[Canvas], None]:
    """Copies (h, w, 3) RGB uint8 into the interpreter's memory, converted in the same pass.

    tensor: gives a view of the input, which must not be kept.
    """
    geometry, table = plan.geometry, plan.table
    place = _place(geometry)
    quantized = table.dtype == np.uint8
    flip = quantized and _all_are(table, np.arange(LEVELS, dtype=np.uint8) ^ 0x80)
    copy = quantized and _all_are(table, np.arange(LEVELS, dtype=np.uint8))

    rows = table[:, 0] if _all_are(table, table[:, 0]) else table.reshape(1, LEVELS, -1)

    def write(canvas: Canvas) -> None:
        picture = _channels(canvas, geometry.channels, plan.bgr)
        out = place(tensor()).view(table.dtype)
        if flip:
            np.bitwise_xor(picture, 0x80, out=out)
        elif copy:
            np.copyto(out, picture)
        elif out.flags.c_contiguous:
            cv2.LUT(picture, rows, out)
        else:
            np.copyto(out, cv2.LUT(picture, rows))

    return write


def _place(geometry: Geometry) -> Callable[[npt.NDArray[Any]], npt.NDArray[Any]]:
    """From the tensor to a view of shape (h, w, channels), or (h, w) of one channel."""

    def place(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        picture = values[0] if geometry.axes.startswith("N") else values
        if geometry.axes == "NCHW":
            picture = picture.transpose(1, 2, 0)
        return picture[..., 0] if geometry.channels == 1 and picture.ndim == 3 else picture

    return place


def _channels(canvas: Canvas, channels: int, bgr: bool) -> Canvas:
    if channels == RGB:
        return canvas[..., ::-1] if bgr else canvas
    return np.asarray(cv2.cvtColor(canvas, cv2.COLOR_RGB2GRAY), np.uint8)


def _all_are(table: Table, column: npt.NDArray[Any]) -> bool:
    return bool((table == column[:, None]).all())
