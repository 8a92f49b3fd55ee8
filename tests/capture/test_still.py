from __future__ import annotations

import subprocess
import sys

import cv2
import numpy as np
import pytest

from edge.capture.still import encode_jpeg
from tests.support.captures import picture


@pytest.mark.parametrize("form", ["I420", "NV12", "RGB", "BGR"])
def test_a_still_shows_the_picture(form: str) -> None:
    original = picture(1234, form=form)
    back = cv2.imdecode(np.frombuffer(encode_jpeg(original, 95), np.uint8), cv2.IMREAD_COLOR)
    assert back.shape == (240, 320, 3)
    assert np.abs(back.astype(int) - original.bgr()).mean() < 3


def test_a_lower_quality_makes_a_smaller_file() -> None:
    sizes = [len(encode_jpeg(picture(1), quality)) for quality in (20, 60, 95)]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[2] / 2


def test_a_daemon_needs_no_pillow_before_its_first_still() -> None:
    script = "import sys, edge.daemon.assemble, edge.capture.still; sys.exit('PIL' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], timeout=60).returncode == 0
