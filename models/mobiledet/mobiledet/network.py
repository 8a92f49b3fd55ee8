"""Mobile-Det: SSD on a small backbone, with depthwise-separable extra layers and predictors."""

from __future__ import annotations

from typing import Any

from mobiledet.anchors import per_cell
from mobiledet.backbone import BACKBONES, filters, separable
from mobiledet.blocks import Blocks, FloatBlocks, Tensor
from mobiledet.design import Design
from mobiledet.tensorflow import tf

# For the maps after the backbone's, at alpha 1, as in TensorFlow's SSD on MobileNet v1.
EXTRA_FILTERS = (512, 256, 256, 128)
PRIOR_LOGIT = -4.6  # log(0.01 / 0.99): nearly all anchors are background (Lin et al., 2017)


def float_network(design: Design) -> Any:
    """The network that is trained, with random weights."""
    return build(design, FloatBlocks(normalized=design.normalization == "batch"))


def build(design: Design, blocks: Blocks) -> Any:
    """A Keras model: (b, size, size, 3) in -1..1 -> codes (b, n, 4), logits (b, n, columns)."""
    layers = tf().keras.layers
    image = blocks.image(design.size_px)
    maps = [*BACKBONES[design.backbone](blocks, image, design.alpha)]
    for number in range(len(design.map_sizes) - len(maps)):
        maps.append(_halved(blocks, maps[-1], design, number))
    parts: dict[str, list[Tensor]] = {"codes": [], "logits": []}
    for number, features in enumerate(maps):
        for kind, width, bias in (("codes", 4, 0.0), ("logits", design.columns, PRIOR_LOGIT)):
            x = _predicted(
                blocks, features, per_cell(design, number) * width, bias, design, f"{kind}{number}"
            )
            x = layers.Reshape((-1, width), name=f"{kind}{number}.rows")(x)
            parts[kind].append(x)
    outputs = [
        # float32, even if the layers before it calculate in 16 bits
        layers.Concatenate(axis=1, name=kind, dtype="float32")(tensors)
        for kind, tensors in parts.items()
    ]
    return tf().keras.Model(image, outputs, name="mobiledet")


def _halved(blocks: Blocks, x: Tensor, design: Design, number: int) -> Tensor:
    """The next feature map, with half the side."""
    count = filters(EXTRA_FILTERS[min(number, len(EXTRA_FILTERS) - 1)], design.alpha)
    x = blocks.conv(x, max(8, count // 2), f"extra{number}.narrow")
    if design.extra == "depthwise":
        return separable(blocks, x, count, f"extra{number}", stride=2)
    return blocks.conv(x, count, f"extra{number}", kernel=3, stride=2)


def _predicted(
    blocks: Blocks, x: Tensor, count: int, bias: float, design: Design, name: str
) -> Tensor:
    if design.extra == "depthwise":
        x = blocks.depthwise(x, f"{name}.depthwise")
        return blocks.linear(x, count, name, kernel=1, bias=bias)
    return blocks.linear(x, count, name, kernel=3, bias=bias)
