"""The heads that can be trained: SSD, a grid with objectness, and one without anchors."""

from __future__ import annotations

from mobiledet.design import Design
from mobiledet.heads.anchor_free import AnchorFree
from mobiledet.heads.base import Head
from mobiledet.heads.grid import Grid
from mobiledet.heads.ssd import Ssd
from mobiledet.loss import Kind

__all__ = ["Head", "head_of"]


def head_of(design: Design, loss: Kind = "hard-negative") -> Head:
    """The head of a design. loss: of the SSD head's classes; the others have one of their own."""
    if design.head == "grid":
        return Grid(design)
    if design.head == "anchor_free":
        return AnchorFree(design)
    return Ssd(design, loss)
