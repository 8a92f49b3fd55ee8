"""The taxa of labels and groups."""

from __future__ import annotations

import pytest

from edge.export.taxa import LABELS, Taxon, taxon_of

FOX = Taxon(scientific_name="Vulpes vulpes", rank="species")
DEER = Taxon(scientific_name="Cervidae", rank="family")


@pytest.mark.parametrize(
    ("label", "group", "study", "expected"),
    [
        ("sheep", "animal", {}, Taxon()),
        ("roe deer", "animal", {}, Taxon()),
        ("truck", "vehicle", {}, Taxon(kind="vehicle")),
        ("person", "", {}, LABELS["person"]),
        ("sheep", "", {}, LABELS["sheep"]),  # a capture of a version without groups
        ("fox", "animal", {"fox": FOX}, FOX),
        ("sheep", "animal", {"animal": DEER}, DEER),
        ("fox", "animal", {"animal": DEER, "fox": FOX}, FOX),
        ("stone", "", {}, Taxon(kind="unknown")),
        ("log", "debris", {}, Taxon(kind="unknown")),
    ],
)
def test_a_group_has_no_species_unless_the_study_names_it(
    label: str, group: str, study: dict[str, Taxon], expected: Taxon
) -> None:
    assert taxon_of(label, study, group) == expected
