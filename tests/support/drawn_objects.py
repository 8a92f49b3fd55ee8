"""A small dataset of drawn shapes on noise, which a network learns quickly."""

from __future__ import annotations

from pathlib import Path

import cv2
import msgspec
import numpy as np

from mobiledet.dataset.coco import Annotation, Category, Coco, Image

LABELS = ("disc", "bar", "ring", "wedge")
WIDTH, HEIGHT = 200, 150


def draw(image: np.ndarray, label: str, x: int, y: int, side: int) -> tuple[int, int, int, int]:
    """Draws a shape with its corner at x, y; returns left, top, width, height."""
    half, centre = side // 2, (x + side // 2, y + side // 2)
    if label == "disc":
        cv2.circle(image, centre, half, (40, 40, 220), -1)
    elif label == "ring":
        cv2.circle(image, centre, half - 3, (230, 230, 230), 6)
    elif label == "bar":
        cv2.rectangle(
            image, (x + side // 4, y), (x + side - side // 4, y + side), (40, 200, 40), -1
        )
        return x + side // 4, y, side - 2 * (side // 4), side
    else:
        corners = np.array([[x, y + side], [x + side, y + side], [x + half, y]], np.int32)
        cv2.fillPoly(image, [corners], (220, 120, 30))
    return x, y, side, side


def background(random: np.random.Generator) -> np.ndarray:
    """(HEIGHT, WIDTH, 3) BGR uint8."""
    coarse = random.integers(60, 160, (8, 10, 3), np.uint8)
    smooth = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC).astype(np.int16)
    noise = random.integers(-12, 13, (HEIGHT, WIDTH, 3), np.int16)
    return np.clip(smooth + noise, 0, 255).astype(np.uint8)


def make(folder: Path, count: int = 80, held_out: int = 24) -> Path:
    """Writes `count` pictures of two shapes each; the last `held_out` are the split val."""
    (folder / "images").mkdir(parents=True)
    random = np.random.default_rng(5)
    coco = Coco([], [], [Category(i, label) for i, label in enumerate(LABELS, 1)])
    for number in range(1, count + 1):
        image = background(random)
        split = "val" if number > count - held_out else "train"
        for column in range(2):
            class_id = int(random.integers(len(LABELS)))
            side = int(random.integers(36, 60))
            x = column * 100 + int(random.integers(0, 100 - side))
            y = int(random.integers(0, HEIGHT - side))
            bbox = draw(image, LABELS[class_id], x, y, side)
            coco.annotations.append(
                Annotation(len(coco.annotations) + 1, number, class_id + 1, bbox)
            )
        name = f"images/{number:03d}.png"
        cv2.imwrite(str(folder / name), image)
        coco.images.append(Image(number, name, WIDTH, HEIGHT, split=split))
    (folder / "dataset.json").write_bytes(msgspec.json.encode(coco))
    return folder
