"""Masks that would hide less than they seem to are refused."""

from __future__ import annotations

import pytest

from edge.config.load import loads
from edge.errors import ConfigError

CROSS = "its edges cross, so that parts of it would not be masked; draw two masks"
FLAT = "it has no area; move its corners apart"


@pytest.mark.parametrize(
    ("mask", "problem"),
    [
        ([[0, 0], [1, 1], [1, 0], [0, 1]], CROSS),
        ([[0.5, 0], [0.8, 1], [0, 0.4], [1, 0.4], [0.2, 1]], CROSS),  # a star, empty in the middle
        ([[0, 0], [1, 1], [0.5, 0.5]], FLAT),
        ([[0.5, 0.5]] * 4, FLAT),
    ],
)
def test_a_mask_that_hides_less_than_it_seems_to_is_refused(
    mask: list[list[float]], problem: str
) -> None:
    good = [[0, 0], [1, 0], [1, 1]]
    with pytest.raises(ConfigError) as caught:
        loads(f"[privacy]\nmasks = [{good}, {mask}]")
    (sentence,) = caught.value.problems
    assert sentence.endswith(f"privacy.masks[1]: {problem}")


@pytest.mark.parametrize(
    "mask",
    [
        [[0, 0], [1, 0], [1, 1], [0, 1]],
        [[0, 0], [1, 0], [1, 1], [0.5, 0.2], [0, 1]],  # not convex
        [[0, 0], [0.5, 0], [0.5, 0], [1, 0], [1, 1]],  # a corner twice, and one on an edge
        [[0, 0], [0.5, 0.5], [1, 0], [1, 1], [0.5, 0.5], [0, 1]],  # touches itself
    ],
)
def test_other_masks_are_accepted(mask: list[list[float]]) -> None:
    assert loads(f"[privacy]\nmasks = [{mask}]").privacy.masks == (tuple(map(tuple, mask)),)
