"""Mobile-Det: a head on a small backbone, with depthwise-separable extra layers and predictors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mobiledet.backbone import BACKBONES, filters, separable
from mobiledet.blocks import Blocks, FloatBlocks, Tensor
from mobiledet.design import Design
from mobiledet.heads import head_of
from mobiledet.run import load_checkpoint
from mobiledet.tensorflow import tf

# For the maps after the backbone's, at alpha 1, as in TensorFlow's SSD on MobileNet v1.
EXTRA_FILTERS = (512, 256, 256, 128)
PRIOR_LOGIT = -4.6  # log(0.01 / 0.99): nearly all anchors are background (Lin et al., 2017)


def float_network(design: Design) -> Any:
    """The network that is trained, with random weights."""
    return build(design, FloatBlocks(normalized=design.normalization == "batch"))


def trained_network(folder: Path, design: Design) -> Any:
    """The network with the weights of a run's last checkpoint. Raises RunError."""
    model = float_network(design)
    model.set_weights(load_checkpoint(folder).weights)
    return model


def build(design: Design, blocks: Blocks) -> Any:
    """A Keras model: (b, size, size, 3) in -1..1 -> the head's outputs, (b, n, width) each."""
    layers = tf().keras.layers
    head = head_of(design)
    image = blocks.image(design.size_px)
    maps = [*BACKBONES[design.backbone](blocks, image, design.alpha)]
    for number in range(len(design.map_sizes) - len(maps)):
        maps.append(_halved(blocks, maps[-1], design, number))
    parts: dict[str, list[Tensor]] = {kind: [] for kind in head.widths}
    for number, (features, count) in enumerate(zip(maps, head.per_cell, strict=False)):
        for kind, width in head.widths.items():
            bias = 0.0 if kind == "codes" else PRIOR_LOGIT
            x = _predicted(blocks, features, count * width, bias, design, f"{kind}{number}")
            x = layers.Reshape((-1, width), name=f"{kind}{number}.rows")(x)
            parts[kind].append(x)
    outputs = [
        # float32, even if the layers before it calculate in 16 bits
        layers.Concatenate(axis=1, name=kind, dtype="float32")(tensors)
        for kind, tensors in parts.items()
    ]
    return tf().keras.Model(image, outputs, name="mobiledet")


def for_daemon(model: Any, design: Design, blocks: Blocks) -> Any:
    """The model with the two outputs that the daemon reads: codes, and logits or scores.

    blocks: those of the model. Only a head with objectness and classes gets layers, without
    weights to train: its score is the product of both.
    """
    if not design.has_objectness:
        return model
    layers = tf().keras.layers
    codes, *logits = model.outputs
    shares = [layers.Activation("sigmoid", dtype="float32")(x) for x in logits]
    scores = blocks.share(layers.Multiply(name="product", dtype="float32")(shares), "scores")
    return tf().keras.Model(model.input, [codes, scores], name="mobiledet")


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
