"""Pastes a cut-out on a scene: another size and pose, the scene's light, soft edges, a shadow."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edge.vision.geometry import Box
from mobiledet.compose.cutouts import Cutout

Image = npt.NDArray[np.uint8]
Plane = npt.NDArray[np.float32]
Random = np.random.Generator

# All chosen by eye on PETS 2009 and TUD-Campus. Largest changes of a cut-out, either way:
ROTATION_DEG, STRETCH, GAIN, CHANNEL_GAIN = 8.0, 0.12, 0.15, 0.05
# How far light and colour move towards those of the place, as shares of the difference.
LIGHT_SHARES, COLOUR_SHARES = (0.2, 0.7), (0.0, 0.4)
CONTRASTS = (0.6, 1.4)  # limits of the change of contrast
EDGE_PX = (0.4, 1.1)  # standard deviation of the blur of an edge
SHADOW_SHARE, SHADOW_DEPTHS = 0.6, (0.1, 0.45)  # share of objects; how much darker
SHADOW_HEIGHTS, SHADOW_SHEARS = (0.12, 0.35), (-0.6, 0.6)  # as shares of the object's height
MOVING_SHARE, MOVING = 0.3, (0.02, 0.08)  # share of objects; blur as a share of the width
MIN_AREA_PX = 30  # of an object: light is not measured on fewer pixels


@dataclass(frozen=True, slots=True)
class Piece:
    """A cut-out in the size and pose in which it is pasted.

    bgr: (h, w, 3) float32 levels. alpha: (h, w) float32 in 0..1. Its borders are transparent.
    """

    bgr: Plane
    alpha: Plane

    def box_xyxy(self) -> Box:
        """The box of the pixels that are more object than background, within the piece."""
        rows, columns = (np.flatnonzero((self.alpha >= 0.5).any(axis=axis)) for axis in (1, 0))
        return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def posed(cutout: Cutout, side_px: float, random: Random) -> Piece:
    """The cut-out mirrored, stretched and turned at random; its longer side is about `side_px`."""
    height, width = cutout.alpha.shape
    scale = side_px / max(height, width)
    stretch = np.exp(random.uniform(-STRETCH, STRETCH))
    size = max(2, round(width * scale * stretch)), max(2, round(height * scale / stretch))
    alpha = cutout.alpha.astype(np.float32)[..., None] / 255
    layers = np.dstack([cutout.bgr.astype(np.float32) * alpha, alpha])  # premultiplied
    if random.random() < 0.5:
        layers = np.ascontiguousarray(layers[:, ::-1])
    shrinks = size[0] < width and size[1] < height
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    resized = np.asarray(cv2.resize(layers, size, interpolation=interpolation), np.float32)
    return _piece(_turned(resized, random.uniform(-ROTATION_DEG, ROTATION_DEG)))


def _turned(layers: Plane, degrees: float) -> Plane:
    """Turned about its middle, in a picture that is large enough, with a margin of 4 pixels."""
    height, width = layers.shape[:2]
    sine, cosine = abs(np.sin(np.radians(degrees))), abs(np.cos(np.radians(degrees)))
    size = round(width * cosine + height * sine) + 8, round(height * cosine + width * sine) + 8
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    shift = np.array([[0, 0, (size[0] - width) / 2], [0, 0, (size[1] - height) / 2]])
    turned = cv2.warpAffine(layers, matrix + shift, size, flags=cv2.INTER_LINEAR)
    return np.asarray(turned, np.float32)


def _piece(layers: Plane) -> Piece:
    alpha = layers[..., 3].clip(0, 1)
    colour = layers[..., :3] / np.maximum(layers[..., 3:], 1e-3)
    return Piece(np.asarray(colour.clip(0, 255), np.float32), np.asarray(alpha, np.float32))


def lit(piece: Piece, place: Image, random: Random) -> Piece:
    """The piece in the light of its place, (h, w, 3) uint8 BGR of the scene.

    Mean and contrast of lightness, and the mean colour, move a part of the way to those of the
    place (Reinhard et al., "Color Transfer between Images", 2001).
    """
    inside = piece.alpha >= 0.5
    if np.count_nonzero(inside) < MIN_AREA_PX:
        return piece
    own = cv2.cvtColor(piece.bgr * np.float32(1 / 255), cv2.COLOR_BGR2LAB)
    there = cv2.cvtColor(place.astype(np.float32) * np.float32(1 / 255), cv2.COLOR_BGR2LAB)
    mean, deviation = own[inside].mean(axis=0), own[inside].std(axis=0)
    target, spread = there.mean(axis=(0, 1)), there.std(axis=(0, 1))
    light, colour = random.uniform(*LIGHT_SHARES), random.uniform(*COLOUR_SHARES)
    contrast = (spread[0] / max(deviation[0], 1e-3)) ** light
    factors = np.array([np.clip(contrast, *CONTRASTS), 1, 1], np.float32)
    moved = mean + (target - mean) * np.array([light, colour, colour], np.float32)
    changed = cv2.cvtColor(((own - mean) * factors + moved).astype(np.float32), cv2.COLOR_LAB2BGR)
    gains = random.uniform(1 - CHANNEL_GAIN, 1 + CHANNEL_GAIN, 3) * random.uniform(
        1 - GAIN, 1 + GAIN
    )
    levels = (changed * 255 * gains).clip(0, 255)
    return Piece(np.asarray(levels, np.float32), piece.alpha)


def softened(piece: Piece, random: Random) -> Piece:
    """The piece with edges as a lens makes them, and sometimes blurred by its motion."""
    layers = np.dstack([piece.bgr * piece.alpha[..., None], piece.alpha])
    if random.random() < MOVING_SHARE:
        length = round(random.uniform(*MOVING) * piece.alpha.shape[1]) | 1
        layers = cv2.blur(layers, (min(length, 15), 1), borderType=cv2.BORDER_CONSTANT)
    sigma = random.uniform(*EDGE_PX)
    layers[..., 3] = cv2.GaussianBlur(layers[..., 3], (0, 0), sigma)
    layers[..., :3] = cv2.GaussianBlur(layers[..., :3], (0, 0), sigma)
    return _piece(np.asarray(layers, np.float32))


def shaded(scene: Plane, piece: Piece, corner: tuple[int, int], random: Random) -> None:
    """Darkens the scene, (h, w, 3) float32, where a flat shadow of the piece falls, or leaves it.

    corner: of the piece in the scene, x and y. The shadow begins at the object's lowest pixel.
    """
    if random.random() >= SHADOW_SHARE:
        return
    depth, shear = random.uniform(*SHADOW_DEPTHS), random.uniform(*SHADOW_SHEARS)
    flat = random.uniform(*SHADOW_HEIGHTS)
    foot = piece.box_xyxy()[3]
    # Piece to scene: heights above the foot shrink to `flat`, and lean by `shear`.
    matrix = np.array(
        [[1, -shear, corner[0] + shear * foot], [0, flat, corner[1] + foot * (1 - flat)]]
    )
    size = scene.shape[1], scene.shape[0]
    sharp = cv2.warpAffine(piece.alpha, matrix, size, flags=cv2.INTER_LINEAR)
    soft = cv2.GaussianBlur(sharp, (0, 0), max(1.0, 0.02 * max(piece.alpha.shape)))
    scene *= np.asarray(1 - depth * soft, np.float32)[..., None]


def blended(scene: Plane, piece: Piece, corner: tuple[int, int]) -> None:
    """Puts the piece on the scene, (h, w, 3) float32, with its corner at x, y."""
    x, y = corner
    height, width = piece.alpha.shape
    left, top = max(0, -x), max(0, -y)
    right, bottom = min(width, scene.shape[1] - x), min(height, scene.shape[0] - y)
    part = slice(top, bottom), slice(left, right)
    alpha = piece.alpha[part][..., None]
    there = scene[y + top : y + bottom, x + left : x + right]
    there += (piece.bgr[part] - there) * alpha
