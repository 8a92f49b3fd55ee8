"""A part of `make attack`: nothing bad from outside may end, block or fill `edge`."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.attack.__main__ import KINDS, attack
from tests.attack.kinds import Kind

SHARES = {"reloads": 0.02, "damaged commands": 0.05, "damaged videos": 0.1, "special files": 0.3}
DEFAULT_SHARE = 0.03


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name.replace(" ", "_"))
def test_everything_is_handled_well(kind: Kind) -> None:
    row = attack(kind, seed=1, share=SHARES.get(kind.name, DEFAULT_SHARE))
    if row.absent:
        pytest.skip(f"NOT RUN: {row.absent}")
    assert row.tried > 0
    assert not row.faults
