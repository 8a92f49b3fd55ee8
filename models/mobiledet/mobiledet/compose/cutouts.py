"""Cuts the object out of a photograph: by its alpha channel, by its plain background, by GrabCut.

A photograph shows one object, whole, that does not reach the border on all sides.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from mobiledet.dataset.base import DatasetError

Image = npt.NDArray[np.uint8]
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
ALPHA, PLAIN, GRABCUT = "alpha channel", "plain background", "GrabCut"

WORKING_PX = 400  # longer side of a cut-out; no object is pasted larger than about that
OPAQUE = 128  # of 255, from which on a pixel belongs to the object
BORDER_SHARE = 0.03  # of the shorter side: the frame that shows background
PLAIN_LEVELS = 9.0  # mean distance in Lab of a plain background's border from its median
RECT_MARGIN = 0.04  # of a side: GrabCut takes what lies outside this margin as background
GRABCUT_ROUNDS = 6
# A mask outside this range of the picture's area is no object, or the whole picture.
MIN_AREA, MAX_AREA = 0.02, 0.85
KERNEL_SHARE = 0.012  # of the longer side: specks and threads up to this size are removed


@dataclass(frozen=True, slots=True)
class Cutout:
    """An object without its background.

    bgr: (h, w, 3) uint8. alpha: (h, w) uint8, which touches all four borders. method: how it was
    cut; one of ALPHA, PLAIN, GRABCUT.
    """

    path: Path
    bgr: Image
    alpha: Image
    method: str


def photographs(folder: Path) -> list[Path]:
    """The pictures of a folder, not of its subfolders, by name. Raises DatasetError if none."""
    found = sorted(p for p in folder.glob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not found:
        raise DatasetError(f"{folder}: no pictures ({', '.join(s[1:] for s in SUFFIXES)})")
    return found


def cut_all(paths: Iterable[Path]) -> tuple[list[Cutout], list[Path]]:
    """The cut-outs, and the photographs in which no object was found. Raises DatasetError."""
    cutouts, failed = [], []
    for path in paths:
        cutout = cut(path)
        if cutout is None:
            failed.append(path)
        else:
            cutouts.append(cutout)
    return cutouts, failed


def cut(path: Path) -> Cutout | None:
    """The object of one photograph; None if none is found. Raises DatasetError if it is damaged."""
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if image is None or image.ndim not in (2, 3) or image.dtype != np.uint8:
        raise DatasetError(f"{path}: not a readable picture of 8 bits")
    if image.ndim == 2 or image.shape[2] == 1:
        image = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
    small = _reduced(np.asarray(image, np.uint8))
    bgr = np.ascontiguousarray(small[..., :3])
    if small.shape[2] == 4 and small[..., 3].min() < OPAQUE:
        return _trimmed(path, bgr, small[..., 3], ALPHA)
    method, mask = PLAIN, plain_background(bgr)
    if mask is None:
        method, mask = GRABCUT, grabcut(bgr)
    mask = _cleaned(mask)
    if not MIN_AREA <= np.count_nonzero(mask) / mask.size <= MAX_AREA:
        return None
    return _trimmed(path, bgr, mask, method)


def plain_background(bgr: Image) -> Image | None:
    """(h, w) uint8 0 or 255: the pixels unlike the border; None if the border is not plain."""
    lab = np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2LAB), np.float32)
    width = max(1, round(BORDER_SHARE * min(bgr.shape[:2])))
    inner = np.zeros(bgr.shape[:2], np.bool_)
    inner[width:-width, width:-width] = True
    border = lab[~inner]
    distance = np.linalg.norm(lab - np.median(border, axis=0), axis=2)
    if distance[~inner].mean() > PLAIN_LEVELS:
        return None
    levels = np.clip(distance, 0, 255).astype(np.uint8)
    _, mask = cv2.threshold(levels, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    return np.asarray(mask, np.uint8)


def grabcut(bgr: Image) -> Image:
    """(h, w) uint8 0 or 255, by GrabCut from a rectangle (Rother et al., 2004)."""
    height, width = bgr.shape[:2]
    x, y = max(1, round(width * RECT_MARGIN)), max(1, round(height * RECT_MARGIN))
    mask = np.zeros((height, width), np.uint8)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)  # GrabCut begins with random clusters
    cv2.grabCut(bgr, mask, (x, y, width - 2 * x, height - 2 * y), *models, GRABCUT_ROUNDS,
                cv2.GC_INIT_WITH_RECT)  # fmt: skip
    inside = (mask == cv2.GC_FGD) | (mask == cv2.GC_PR_FGD)
    return np.asarray(inside * 255, np.uint8)


def _reduced(image: Image) -> Image:
    height, width = image.shape[:2]
    scale = WORKING_PX / max(height, width)
    if scale >= 1:
        return image
    size = max(1, round(width * scale)), max(1, round(height * scale))
    if image.shape[2] == 4:  # colours of transparent pixels must not shine through
        alpha = image[..., 3:].astype(np.float32) / 255
        premultiplied = np.dstack([image[..., :3] * alpha, alpha])
        reduced = cv2.resize(premultiplied, size, interpolation=cv2.INTER_AREA)
        colour = reduced[..., :3] / np.maximum(reduced[..., 3:], 1e-6)
        levels = np.dstack([colour, reduced[..., 3] * 255]).clip(0, 255).round()
        return np.asarray(levels, np.uint8)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _cleaned(mask: Image) -> Image:
    """The largest connected part, without specks, threads and holes."""
    side = max(3, round(KERNEL_SHARE * max(mask.shape)) | 1)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    opened = cv2.morphologyEx(mask, cv2.MORPH_OPEN, kernel)
    closed = cv2.morphologyEx(opened, cv2.MORPH_CLOSE, kernel)
    count, parts, stats, _ = cv2.connectedComponentsWithStats(closed)
    if count < 2:
        return np.zeros_like(mask)
    largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    part = np.asarray(parts == largest, np.uint8)
    outlines, _ = cv2.findContours(part, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = np.zeros_like(mask)
    cv2.drawContours(filled, outlines, -1, (255,), cv2.FILLED)
    return filled


def _trimmed(path: Path, bgr: Image, alpha: Image, method: str) -> Cutout | None:
    """The part of the picture that holds the object; None if there is none."""
    rows, columns = (np.flatnonzero((alpha >= OPAQUE).any(axis=axis)) for axis in (1, 0))
    if len(rows) == 0:
        return None
    part = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    return Cutout(path, bgr[part].copy(), alpha[part].copy(), method)
