"""The published figures of the MobileNet v1 family, typed a second time. No TensorFlow."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

from mobiledet.zoo import PUBLISHED

# research/slim/nets/mobilenet_v1.md of the repository tensorflow/models, weights of 2017_06_14:
# alpha, px, million MACs, million parameters, top-1, top-5.
TABLE = """
1.0  224 569 4.24 70.7 89.5
1.0  192 418 4.24 69.3 88.9
1.0  160 291 4.24 67.2 87.5
1.0  128 186 4.24 64.1 85.3
0.75 224 317 2.59 68.4 88.2
0.75 192 233 2.59 67.4 87.3
0.75 160 162 2.59 65.2 86.1
0.75 128 104 2.59 61.8 83.6
0.50 224 150 1.34 64.0 85.4
0.50 192 110 1.34 62.1 84.0
0.50 160  77 1.34 59.9 82.5
0.50 128  49 1.34 56.2 79.6
0.25 224  41 0.47 50.6 75.0
0.25 192  34 0.47 49.0 73.6
0.25 160  21 0.47 46.0 70.7
0.25 128  14 0.47 41.3 66.2
"""


def test_every_published_figure():
    published = [tuple(map(float, line.split())) for line in TABLE.split("\n") if line]
    assert [dataclasses.astuple(row) for row in PUBLISHED] == published


def test_accuracy_falls_with_resolution_and_with_width():
    by_alpha = [PUBLISHED[start : start + 4] for start in range(0, 16, 4)]
    by_size = [PUBLISHED[start::4] for start in range(4)]
    for rows in (*by_alpha, *by_size):
        for better, worse in pairwise(rows):
            assert better.top1 > worse.top1
            assert better.top5 > worse.top5
