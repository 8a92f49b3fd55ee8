"""What a model's label is to a biologist."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

Kind = Literal["animal", "human", "vehicle", "blank", "unknown", "unclassified"]
Rank = Literal[
    "kingdom", "phylum", "class", "order", "family", "genus", "species", "subspecies"
]  # fmt: skip


class Taxon(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """kind: Camtrap DP's observationType. A label need not be as narrow as a species."""

    kind: Kind = "animal"
    scientific_name: str | None = None
    rank: Rank | None = None


def _animal(name: str, rank: Rank) -> Taxon:
    return Taxon(scientific_name=name, rank=rank)


HUMAN = Taxon(kind="human", scientific_name="Homo sapiens", rank="species")
UNKNOWN = Taxon(kind="unknown")
LABELS: Mapping[str, Taxon] = {
    "person": HUMAN,
    "bird": _animal("Aves", "class"),
    "cat": _animal("Felis catus", "species"),
    "dog": _animal("Canis lupus familiaris", "subspecies"),
    "horse": _animal("Equus caballus", "species"),
    "sheep": _animal("Ovis aries", "species"),
    "cow": _animal("Bos taurus", "species"),
    "elephant": _animal("Elephantidae", "family"),
    "bear": _animal("Ursidae", "family"),
    "zebra": _animal("Equus", "genus"),
    "giraffe": _animal("Giraffa", "genus"),
    "animal": Taxon(),
    **dict.fromkeys(
        ("bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "vehicle"),
        Taxon(kind="vehicle"),
    ),
}


def taxon_of(label: str, own: Mapping[str, Taxon]) -> Taxon:
    """`own` goes before COCO's names; a label that neither knows is unknown."""
    return own.get(label) or LABELS.get(label, UNKNOWN)
