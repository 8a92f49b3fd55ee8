"""Writes the boxes of OpenCV's people detector, as an example of another program for the bench.

    python -m scripts.hog_detections VIDEO OUT.txt
    edge bench accuracy --video VIDEO --ground-truth GT.txt --detections OUT.txt

The detector finds people of 96 px and more (Dalal and Triggs, "Histograms of Oriented Gradients for
Human Detection", 2005, with the weights that OpenCV contains). Each line is a box in the format of
MOTChallenge: frame (from 1), id (-1), left, top, width, height, score.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

# The detector's window has a margin: a person fills this share of it.
PERSON_WIDTH, PERSON_HEIGHT = 0.5, 0.8
MIN_SCORE = 0.3  # margin of the support vector machine
MAX_IOU = 0.4


def main(video: Path, out: Path) -> None:
    reader = cv2.VideoCapture(str(video))
    lines = []
    number = 0
    while (read := reader.read())[0]:
        number += 1
        for (left, top, width, height), score in people(np.asarray(read[1], np.uint8)):
            lines.append(f"{number},-1,{left:.1f},{top:.1f},{width:.1f},{height:.1f},{score:.3f}\n")
    out.write_text("".join(lines))
    print(f"{out}: {len(lines)} boxes in {number} frames")


def people(picture: npt.NDArray[np.uint8]) -> Iterator[tuple[list[float], float]]:
    """Left, top, width, height in pixels of the picture, and score, after NMS."""
    hog = cv2.HOGDescriptor()
    hog.setSVMDetector(np.array(cv2.HOGDescriptor.getDefaultPeopleDetector()))
    found, weights = hog.detectMultiScale(picture, winStride=(8, 8), scale=1.1, groupThreshold=0)
    boxes: list[list[float]] = []
    scores: list[float] = []
    for (left, top, width, height), score in zip(found, np.ravel(weights), strict=True):
        inner = width * PERSON_WIDTH, height * PERSON_HEIGHT
        x, y = left + (width - inner[0]) / 2, top + (height - inner[1]) / 2
        boxes.append([float(side) for side in (x, y, *inner)])
        scores.append(float(score))
    for index in np.ravel(cv2.dnn.NMSBoxes(boxes, scores, MIN_SCORE, MAX_IOU)):
        yield boxes[index], scores[index]


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
