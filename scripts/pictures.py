"""Makes docs/view.jpg and docs/capture.jpg: a real page and a real capture of a real photograph.

Call: python -m scripts.pictures. It needs chromium and Debian's gcompris-qt-data, whose photograph
of a polar bear is by Arturo de Frias Marques (CC BY-SA 4.0). A camera would have seen the snow
before: the bear is cut out, and slides over the filled hole to its own place.
"""

from __future__ import annotations

import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt

from edge.config.starter import MANY_CLASSES
from tests.support.browser import browser
from tests.support.photographs import animals
from tests.support.viewing import until, viewed

DOCS = Path(__file__).resolve().parent.parent / "docs"
FPS, EMPTY, WALK, REST = 5, 15, 30, 300  # frames a second, and frames of each part
SIZE = (1024, 768)
AROUND = (235, 225, 640, 365)  # the bear in the photograph: left, top, width, height
Image = npt.NDArray[np.uint8]
CONFIGURATION = f"""\
camera = "tundra"

[source]
uri = "tundra.mp4"

[model]
file = "{MANY_CLASSES}"

[motion]
masks = [[[0.0, 0.0], [0.24, 0.0], [0.2, 0.14], [0.0, 0.2]]]

[[zones]]
name = "snow"
polygon = [[0.03, 0.5], [0.97, 0.55], [0.97, 0.96], [0.03, 0.96]]

[[triggers]]
name = "animals"
labels = ["animal"]
zones = ["snow"]

[capture]
min_free_bytes = 0
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_footage(folder / "tundra.mp4", animals()["polar_bear"][: SIZE[1]])
        with viewed(folder, text=CONFIGURATION) as viewing, browser(folder) as page:
            page.size(1180, 1200)
            page.open(f"http://127.0.0.1:{viewing.port}/")
            captures = folder / "captures" / "tundra"
            until(lambda: list(captures.rglob("*.jpg")))
            time.sleep(WALK / FPS)  # the bear comes to rest
            page.until("document.querySelector('#captures img')?.naturalWidth > 0")
            page.run("scrollTo(0, 0)")
            page.screenshot(folder / "view.png")
            save(cv2.imread(str(folder / "view.png")), DOCS / "view.jpg", 74)
            before = set(captures.rglob("*.jpg"))
            viewing.json("POST", "/api/capture", {})
            until(lambda: set(captures.rglob("*.jpg")) - before)
            still = (set(captures.rglob("*.jpg")) - before).pop()
            save(cv2.resize(cv2.imread(str(still)), (768, 576)), DOCS / "capture.jpg", 82)


def write_footage(path: Path, photograph: Image) -> None:
    """Empty snow, then the bear moves in from the left and rests."""
    animal, scene = cut_out(photograph)
    grains = np.random.default_rng(1).integers(-2, 3, (8, SIZE[1], SIZE[0], 3), np.int16)
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("libx264", rate=Fraction(FPS), options={"preset": "ultrafast"})
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        for index in range(EMPTY + WALK + REST):
            away = max(0, EMPTY + WALK - index) * SIZE[0] // WALK
            image = scene if away >= SIZE[0] else placed(photograph, animal, scene, away)
            grained = np.clip(image + grains[index % len(grains)], 0, 255).astype(np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(grained, format="rgb24")))
        out.mux(stream.encode())


def cut_out(photograph: Image) -> tuple[npt.NDArray[np.bool_], Image]:
    """The pixels of the animal, and the photograph with the hole filled."""
    cells = np.zeros(photograph.shape[:2], np.uint8)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(photograph.copy(), cells, AROUND, *models, 6, cv2.GC_INIT_WITH_RECT)
    animal = (cells == cv2.GC_FGD) | (cells == cv2.GC_PR_FGD)
    hole = cv2.dilate(animal.astype(np.uint8), np.ones((25, 25)))
    quarter = SIZE[0] // 4, SIZE[1] // 4
    filled = cv2.inpaint(
        cv2.resize(photograph, quarter),
        cv2.resize(hole, quarter, interpolation=cv2.INTER_NEAREST), 9, cv2.INPAINT_TELEA,
    )  # fmt: skip
    scene = np.where(hole[..., None] > 0, cv2.resize(filled, SIZE), photograph)
    return animal, scene.astype(np.uint8)


def placed(photograph: Image, animal: npt.NDArray[np.bool_], scene: Image, away: int) -> Image:
    """The animal `away` pixels to the left of its place; at its place, the photograph itself."""
    if away == 0:
        return photograph
    shown = scene.copy()
    seen = animal[:, away:]
    shown[:, : SIZE[0] - away][seen] = photograph[:, away:][seen]
    return shown


def save(image: Any, path: Path, quality: int) -> None:
    cv2.imwrite(str(path), image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
