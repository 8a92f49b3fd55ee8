"""Backbones: MobileNet v1, MobileNet v3 (`backbone_v3`) and, for comparison, fire modules.

MobileNet v1 (Howard et al., 2017) has two multipliers: width (alpha) and resolution. The fire
modules are those of SqueezeNet 1.1 (Iandola et al., 2016) and two more, as in SqueezeDet (Wu et
al., 2017), to reach stride 32.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mobiledet.backbone_v3 import mobilenet_v3_large, mobilenet_v3_small
from mobiledet.blocks import Blocks, Tensor
from mobiledet.tensorflow import tf

RESOLUTIONS_PX = (224, 192, 160, 128)
CLASSES = 1000  # of ImageNet

# Filters and stride of each depthwise-separable block, after a first convolution of 32, stride 2.
SEPARABLE = (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2),
    (512, 1), (512, 1), (512, 1), (512, 1), (512, 1), (1024, 2), (1024, 1),
)  # fmt: skip
STRIDE_16 = 11  # number of the last block of that stride

# Squeeze and expand filters; "pool" halves.
FIRES: tuple[tuple[int, int] | str, ...] = (
    "pool", (16, 64), (16, 64), "pool", (32, 128), (32, 128), "pool",
    (48, 192), (48, 192), (64, 256), (64, 256), "pool", (96, 384), (96, 384),
)  # fmt: skip
FIRE_STRIDE_16 = 11

Backbone = Callable[[Blocks, Tensor, float], tuple[Tensor, Tensor]]


def filters(count: int, alpha: float) -> int:
    """A layer's filters at a width multiplier: at least 8, as in the published models."""
    return max(8, int(count * alpha))


def separable(blocks: Blocks, x: Tensor, count: int, name: str, stride: int = 1) -> Tensor:
    """The depthwise-separable convolution: 3x3 of each channel, then 1x1 across channels."""
    x = blocks.depthwise(x, f"{name}.depthwise", stride=stride)
    return blocks.conv(x, count, f"{name}.pointwise")


def mobilenet_v1(blocks: Blocks, image: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """The features at strides 16 and 32."""
    x = blocks.conv(image, filters(32, alpha), "conv0", kernel=3, stride=2)
    stride_16 = x
    for number, (count, stride) in enumerate(SEPARABLE, 1):
        x = separable(blocks, x, filters(count, alpha), f"block{number}", stride)
        if number == STRIDE_16:
            stride_16 = x
    return stride_16, x


def fire(blocks: Blocks, image: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """The features at strides 16 and 32."""
    x = blocks.conv(image, filters(64, alpha), "conv0", kernel=3, stride=2)
    stride_16 = x
    for number, module in enumerate(FIRES, 1):
        if isinstance(module, str):
            x = tf().keras.layers.MaxPool2D(3, 2, padding="same", name=f"pool{number}")(x)
        else:
            x = _fire_module(blocks, x, module, alpha, f"fire{number}")
        if number == FIRE_STRIDE_16:
            stride_16 = x
    return stride_16, x


def _fire_module(
    blocks: Blocks, x: Tensor, sizes: tuple[int, int], alpha: float, name: str
) -> Tensor:
    squeeze, expand = (filters(size, alpha) for size in sizes)
    x = blocks.conv(x, squeeze, f"{name}.squeeze")
    narrow = blocks.conv(x, expand, f"{name}.expand1x1")
    wide = blocks.conv(x, expand, f"{name}.expand3x3", kernel=3)
    return tf().keras.layers.Concatenate(name=f"{name}.both")([narrow, wide])


BACKBONES: dict[str, Backbone] = {
    "mobilenet_v1": mobilenet_v1,
    "mobilenet_v3_large": mobilenet_v3_large,
    "mobilenet_v3_small": mobilenet_v3_small,
    "fire": fire,
}


def classifier(blocks: Blocks, alpha: float, size_px: int, classes: int = CLASSES) -> Any:
    """The whole published network with its classifier: a Keras model with random weights."""
    layers = tf().keras.layers
    image = blocks.image(size_px)
    _, x = mobilenet_v1(blocks, image, alpha)
    x = layers.GlobalAveragePooling2D(keepdims=True, name="mean")(x)
    x = blocks.linear(x, classes, "logits", kernel=1, bias=0.0)
    return tf().keras.Model(image, layers.Flatten(name="flat")(x), name="mobilenet_v1")
