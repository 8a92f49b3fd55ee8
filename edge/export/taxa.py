"""The biological taxa of a model's labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from edge.config.schema import MOTION_LABEL

Kind = Literal["animal", "human", "vehicle", "blank", "unknown", "unclassified"]
Rank = Literal[
    "kingdom", "phylum", "class", "order", "family", "genus", "species", "subspecies"
]  # fmt: skip


class Taxon(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A species or a wider group. kind: the observationType of Camtrap DP."""

    kind: Kind = "animal"
    scientific_name: str | None = None
    rank: Rank | None = None


def _animal(name: str, rank: Rank) -> Taxon:
    return Taxon(scientific_name=name, rank=rank)


HUMAN = Taxon(kind="human", scientific_name="Homo sapiens", rank="species")
UNKNOWN = Taxon(kind="unknown")
UNCLASSIFIED = Taxon(kind="unclassified")  # no model and no person has named it
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
    MOTION_LABEL: UNCLASSIFIED,
    **dict.fromkeys(
        ("bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "vehicle"),
        Taxon(kind="vehicle"),
    ),
}


GROUPS: Mapping[str, Taxon] = {"animal": Taxon(), "vehicle": Taxon(kind="vehicle")}


def taxon_of(label: str, of_study: Mapping[str, Taxon], group: str = "") -> Taxon:
    """The study's taxon of a label or group, otherwise that of the group, otherwise of the label.

    An animal without a taxon of the study has no species: a model of ten animals gives each of
    them one of its ten names. Captures of older versions have no group, but keep the species.
    """
    study = of_study.get(label) or of_study.get(group)
    return study or GROUPS.get(group) or LABELS.get(label, UNKNOWN)
