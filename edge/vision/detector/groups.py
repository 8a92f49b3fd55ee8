"""Groups of labels: names that rules can use where a label can be used.

A deer that a model calls sheep, then bear, is an animal all the time.
"""

from __future__ import annotations

from collections.abc import Mapping

# Labels of COCO, Open Images, MegaDetector and other common models. A model's own `groups.json`
# replaces this table.
KNOWN: Mapping[str, tuple[str, ...]] = {
    "animal": (
        "animal", "badger", "bear", "bird", "boar", "bobcat", "brown bear", "cat", "cattle",
        "chicken", "coyote", "cow", "deer", "dog", "duck", "eagle", "elephant", "elk", "fox",
        "giraffe", "goat", "goose", "hare", "hedgehog", "horse", "jaguar", "kangaroo", "leopard",
        "lion", "lynx", "monkey", "moose", "otter", "owl", "pig", "polar bear", "rabbit",
        "raccoon", "rat", "rhinoceros", "sheep", "skunk", "squirrel", "tiger", "turkey",
        "wild boar", "wild cat", "wolf", "zebra",
    ),
    "vehicle": (
        "airplane", "aeroplane", "bicycle", "boat", "bus", "car", "land vehicle", "motorbike",
        "motorcycle", "tractor", "train", "truck", "van", "vehicle",
    ),
}  # fmt: skip


def groups_of(
    labels: tuple[str, ...], attached: Mapping[str, tuple[str, ...]] | None = None
) -> tuple[str, ...]:
    """The group of each label, by class id; empty for a label without one.

    attached: groups with their labels, from the model's file; None uses `KNOWN`.
    """
    known = KNOWN if attached is None else attached
    group_of = {label.lower(): group for group, members in known.items() for label in members}
    return tuple(group_of.get(label.lower(), "") for label in labels)
