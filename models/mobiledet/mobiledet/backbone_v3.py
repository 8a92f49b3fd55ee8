"""MobileNet v3 (Howard et al., 2019), large and small, as its authors use it for detection.

The layers after stride 16 have half of the classifier's filters, and the features of stride 16 are
the expansion in the first block of stride 32.
"""

from __future__ import annotations

from typing import NamedTuple

from mobiledet.blocks import Activation, Blocks, Tensor

DIVISOR = 8  # of each layer's filters
FIRST = 16  # filters of the first convolution
SQUEEZE = 4  # ratio of the channels to those in the middle of squeeze-excite
NAME = "block{}"  # of a block, from 1


class Block(NamedTuple):
    """A row of the paper's tables: an inverted residual (Sandler et al., 2018).

    expanded: filters of its depthwise convolution. excite: whether squeeze-excite follows that.
    """

    kernel: int
    expanded: int
    filters: int
    excite: bool
    activation: Activation
    stride: int


LARGE = (
    Block(3, 16, 16, False, "relu", 1),
    Block(3, 64, 24, False, "relu", 2),
    Block(3, 72, 24, False, "relu", 1),
    Block(5, 72, 40, True, "relu", 2),
    Block(5, 120, 40, True, "relu", 1),
    Block(5, 120, 40, True, "relu", 1),
    Block(3, 240, 80, False, "hard_swish", 2),
    Block(3, 200, 80, False, "hard_swish", 1),
    Block(3, 184, 80, False, "hard_swish", 1),
    Block(3, 184, 80, False, "hard_swish", 1),
    Block(3, 480, 112, True, "hard_swish", 1),
    Block(3, 672, 112, True, "hard_swish", 1),
    Block(5, 672, 80, True, "hard_swish", 2),
    Block(5, 480, 80, True, "hard_swish", 1),
    Block(5, 480, 80, True, "hard_swish", 1),
)
SMALL = (
    Block(3, 16, 16, True, "relu", 2),
    Block(3, 72, 24, False, "relu", 2),
    Block(3, 88, 24, False, "relu", 1),
    Block(5, 96, 40, True, "hard_swish", 2),
    Block(5, 240, 40, True, "hard_swish", 1),
    Block(5, 240, 40, True, "hard_swish", 1),
    Block(5, 120, 48, True, "hard_swish", 1),
    Block(5, 144, 48, True, "hard_swish", 1),
    Block(5, 288, 48, True, "hard_swish", 2),
    Block(5, 288, 48, True, "hard_swish", 1),
    Block(5, 288, 48, True, "hard_swish", 1),
)
LARGE_LAST, SMALL_LAST = 480, 288  # filters of the last convolution


def mobilenet_v3_large(blocks: Blocks, image: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """The features at strides 16 and 32."""
    return _features(blocks, image, LARGE, LARGE_LAST, alpha)


def mobilenet_v3_small(blocks: Blocks, image: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """The features at strides 16 and 32."""
    return _features(blocks, image, SMALL, SMALL_LAST, alpha)


def divisible(count: float) -> int:
    """The multiple of `DIVISOR` next to a count: at least one, and at least 90 % of the count."""
    rounded = max(DIVISOR, int(count + DIVISOR / 2) // DIVISOR * DIVISOR)
    return rounded + DIVISOR if rounded < 0.9 * count else rounded


def _features(
    blocks: Blocks, image: Tensor, rows: tuple[Block, ...], last: int, alpha: float
) -> tuple[Tensor, Tensor]:
    x = blocks.conv(
        image, divisible(FIRST * alpha), "conv0", kernel=3, stride=2, activation="hard_swish"
    )
    to_stride_32 = max(number for number, row in enumerate(rows) if row.stride == 2)
    stride_16 = x
    for number, row in enumerate(rows):
        name = NAME.format(number + 1)
        expanded = _expanded(blocks, x, row, alpha, name)
        if number == to_stride_32:
            stride_16 = expanded
        x = _rest(blocks, x, expanded, row, alpha, name)
    x = blocks.conv(x, divisible(last * alpha), "last", activation="hard_swish")
    return stride_16, x


def _expanded(blocks: Blocks, x: Tensor, row: Block, alpha: float, name: str) -> Tensor:
    if row.expanded == row.filters:  # the first block has no expansion
        return x
    count = divisible(row.expanded * alpha)
    return blocks.conv(x, count, f"{name}.expand", activation=row.activation)


def _rest(
    blocks: Blocks, x: Tensor, expanded: Tensor, row: Block, alpha: float, name: str
) -> Tensor:
    """The block after its expansion; it ends with the sum where input and output have one shape."""
    y = blocks.depthwise(
        expanded,
        f"{name}.depthwise",
        kernel=row.kernel,
        stride=row.stride,
        activation=row.activation,
    )
    if row.excite:
        y = blocks.squeeze_excite(y, divisible(y.shape[-1] / SQUEEZE), f"{name}.excite")
    y = blocks.conv(y, divisible(row.filters * alpha), f"{name}.project", activation="none")
    return blocks.add(x, y, f"{name}.sum") if x.shape[1:] == y.shape[1:] else y
