"""Draws scenes with exact ground truth, to test the effects of light, noise and wind on motion.

`synthetic:SCENE[?key=value&…]`, with keys `fps`, `duration` (seconds, 0 = endless), `width`,
`height`, `seed`, `objects` and `visitors` (0: nobody appears in a scene with visits).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import parse_qsl

import cv2
import numpy as np
import numpy.typing as npt

from edge.config.schema import SourceSettings
from edge.errors import SourceError
from edge.runtime.times import NS_PER_S
from edge.sources.pace import Pace
from edge.sources.scenes.crossing import Crosser, crossers, traffic
from edge.sources.scenes.figures import CLOTHES, SHARE_OF_HEIGHT, walk
from edge.sources.scenes.nuisances import nuisance
from edge.sources.views import luma_of, luma_size
from edge.vision.geometry import Boxes
from edge.vision.picture import Picture, PixelFormat, Plane
from edge.vision.types import Frame, SourceInfo

SCENES = {
    "still": "nothing happens",
    "walk": "textured objects walk through",
    "people": "drawn people walk through, which the default model detects",
    "crossing": "drawn deer and cars cross, different ones each time",
    "visits": "one drawn person after another appears and disappears 2 s later",
    "noise": "a still scene from a noisy sensor",
    "drift": "light that slowly fades and comes back",
    "step": "light that is switched on and off",
    "flicker": "lamps that beat with the frame rate",
    "shake": "a camera that the wind shakes",
    "infrared": "an IR filter that switches: colours go and the picture brightens",
    "cloud": "a soft shadow that passes",
    "traffic": "drawn cars pass, and a drawn person appears now and then",
    "snow": "large flakes fall, and a drawn person appears now and then",
    "headlights": "a pool of light sweeps by, and a drawn person appears now and then",
    "shadow": "a small shadow passes, and a drawn person appears now and then",
    "busy": "objects, noise and fading light together",
}
VISITED = ("visits", "traffic", "snow", "headlights", "shadow")
QUIET_S = 1.0  # without objects at the start, while the background is learnt
VISIT_S, VISITS_EVERY_S = 2.0, 4.0
NOISE_TILES = 8
SWITCH_S = 5.0  # light and filter change this often
DRIFT_PERIOD_S = 60.0

Planes = tuple[Plane, Plane, Plane]
Truth = tuple[npt.NDArray[np.int64], Boxes]


@dataclass(frozen=True, slots=True)
class SceneOptions:
    """The keys that a URI may set."""

    fps: float = 25.0
    duration: float = 30.0
    width: int = 640
    height: int = 480
    seed: int = 0
    objects: int = 3
    visitors: int = 1


class SyntheticScene:
    """Renders a frame from its index alone, the same for the same seed."""

    def __init__(self, scene: str, options: SceneOptions) -> None:
        self._scene = scene
        self._options = options
        random = np.random.default_rng(options.seed)
        width, height = options.width, options.height
        self._ground = _texture(random, height, width, 40, (70, 150))
        if scene == "crossing":  # leaves and gravel, as in real pictures
            fine = _texture(random, height, width, 4, (0, 90)).astype(np.int16) - 45
            self._ground = np.clip(self._ground + fine, 0, 255).astype(np.uint8)
        self._walkers = _walkers(scene, random, options)
        self.labels = tuple(walker.label for walker in self._walkers)  # by the ids of `truth`
        sigma = {"still": 1.0, "noise": 6.0, "busy": 4.0}.get(scene, 2.0)
        noise = random.normal(0, sigma, (NOISE_TILES, height, width))
        self._noise = np.round(noise).astype(np.int16)
        self._shifts = random.integers(-2, 3, (64, 2))
        self._nuisance = nuisance(scene, random)
        calm = (124, 132) if scene in ("people", *VISITED) else (110, 146)
        self._chroma = [_texture(random, height // 2, width // 2, 30, calm) for _ in "uv"]
        x = np.linspace(-1, 1, width, dtype=np.float32)
        self._shadow_x = x[None, :]

    def render(self, index: int) -> Picture:
        """The picture of a frame, as I420."""
        time_s = index / self._options.fps
        luma = self._ground.copy()
        chroma = self._chroma
        if any(isinstance(walker, _Person | Crosser) for walker in self._walkers):
            chroma = [plane.copy() for plane in chroma]
        for walker in self._walkers:
            walker.draw((luma, chroma[0], chroma[1]), time_s)
        if self._nuisance is not None:
            luma = self._nuisance(luma, time_s)
        lit = self._lit(luma, time_s)
        tile = self._noise[index * 5 % NOISE_TILES]
        luma = np.clip(lit + np.roll(tile, index * 37 % 64, axis=1), 0, 255).astype(np.uint8)
        if self._scene == "shake" and time_s > QUIET_S:
            luma = np.roll(luma, tuple(self._shifts[index % len(self._shifts)]), (0, 1))
        grey = self._scene == "infrared" and self._is_switched(time_s)
        chroma = [np.full_like(plane, 128) if grey else plane for plane in chroma]
        return Picture(PixelFormat.I420, (luma, *chroma))

    def truth(self, index: int) -> Truth:
        """Ids (n,) int64 and boxes (n, 4) float32 of the objects, in pixels, cut at the edges."""
        time_s = index / self._options.fps
        width, height = self._options.width, self._options.height
        ids, boxes = [], []
        for number, walker in enumerate(self._walkers):
            x0, y0, x1, y1 = walker.box_xyxy(time_s)
            box = (max(x0, 0), max(y0, 0), min(x1, width), min(y1, height))
            if box[0] < box[2] and box[1] < box[3]:
                ids.append(number)
                boxes.append(box)
        return np.array(ids, np.int64), np.array(boxes, np.float32).reshape(-1, 4)

    def _is_switched(self, time_s: float) -> bool:
        return bool(int(time_s / SWITCH_S) % 2)

    def _lit(self, luma: Plane, time_s: float) -> npt.NDArray[np.int16]:
        match self._scene:
            case "drift" | "busy":
                gain = 0.85 + 0.15 * math.cos(2 * math.pi * time_s / DRIFT_PERIOD_S)
            case "step" | "infrared":
                gain = 1.35 if self._is_switched(time_s) else 1.0
            case "flicker":
                gain = 1 + 0.04 * math.sin(2 * math.pi * 3.1 * time_s)
            case "cloud":
                centre = (time_s / 10 % 1) * 6 - 3
                shade = 1 - 0.3 * np.exp(-((self._shadow_x - centre) ** 2) / 0.8)
                return np.asarray(luma * shade, np.int16)
            case _:
                return luma.astype(np.int16)
        return np.asarray(cv2.convertScaleAbs(luma, alpha=gain), np.int16)


class _Walker:
    """A textured figure that crosses the picture repeatedly."""

    label = "object"

    def __init__(self, random: np.random.Generator, options: SceneOptions) -> None:
        self.height = int(options.height * random.uniform(0.18, 0.3))
        self.width = max(4, self.height * 2 // 5)
        self._y = int(random.uniform(0.35, 0.95) * (options.height - self.height))
        self._speed = random.uniform(0.1, 0.2) * options.width * random.choice((-1, 1))
        self._delay_s = QUIET_S + random.uniform(0, 4)
        self._path = options.width + 2 * self.width
        self._sprite = _texture(random, self.height, self.width, 6, (5, 255))

    def box_xyxy(self, time_s: float) -> tuple[int, int, int, int]:
        """Pixels, also beyond the picture's edges."""
        walked = max(0.0, time_s - self._delay_s) * self._speed % self._path
        x = round(walked) - self.width
        return x, self._y, x + self.width, self._y + self.height

    def draw(self, planes: Planes, time_s: float) -> None:
        luma = planes[0]
        x0, y0, x1, y1 = self.box_xyxy(time_s)
        left, right = max(x0, 0), min(x1, luma.shape[1])
        if left < right:
            luma[y0:y1, left:right] = self._sprite[:, left - x0 : right - x0]


class _Person:
    """A drawn person who walks through repeatedly or, with `visits`, appears and disappears."""

    label = "person"

    def __init__(self, random: np.random.Generator, options: SceneOptions, visits: bool) -> None:
        self.height = int(options.height * random.uniform(0.14, 0.16)) // 4 * 4
        self.width = int(self.height * SHARE_OF_HEIGHT)
        self._y = int(random.uniform(0.3, 0.9) * (options.height - self.height)) // 2 * 2
        self._speed = 0.6 * self.height
        self._delay_s = QUIET_S + (0 if visits else random.uniform(0, 6))
        self._path = options.width + 2 * self.width
        self._starts = random.integers(self.width, options.width - 3 * self.width, 64)
        self._visits = visits
        self._stride = walk(self.height, CLOTHES[int(random.integers(len(CLOTHES)))])

    def box_xyxy(self, time_s: float) -> tuple[int, int, int, int]:
        """Pixels of the figure, which fills about the middle half of its sprite."""
        x = self._x(time_s) + self.width // 4
        return x, self._y, x + self.width // 2, self._y + self.height

    def draw(self, planes: Planes, time_s: float) -> None:
        phase = int(time_s * 8) % len(self._stride)  # one stride a second
        self._stride[phase].draw(planes, self._x(time_s), self._y)

    def _x(self, time_s: float) -> int:
        """The sprite's left edge; even, as the chroma planes have half as many columns."""
        elapsed_s = time_s - self._delay_s
        if not self._visits:
            walked = max(0.0, elapsed_s) * self._speed % self._path
            return int(walked - self.width) // 2 * 2
        visit, since_s = divmod(elapsed_s, VISITS_EVERY_S)
        if elapsed_s < 0 or since_s >= VISIT_S:
            return -2 * self.width
        start = int(self._starts[int(visit) % len(self._starts)])
        return int(start + since_s * self._speed) // 2 * 2


def _walkers(
    scene: str, random: np.random.Generator, options: SceneOptions
) -> Sequence[_Walker | _Person | Crosser]:
    match scene:
        case "crossing":
            return crossers(random, (options.width, options.height), options.objects, QUIET_S)
        case "walk" | "busy":
            return [_Walker(random, options) for _ in range(options.objects)]
        case "people":
            return [_Person(random, options, visits=False) for _ in range(options.objects)]
        case _ if scene in VISITED:
            size = (options.width, options.height)
            visitors = [_Person(random, options, visits=True) for _ in range(options.visitors)]
            cars = traffic(random, size, options.objects, QUIET_S) if scene == "traffic" else []
            return [*visitors, *cars]
        case _:
            return []


class SyntheticSource:
    """Plays a scene like a file."""

    def __init__(self, settings: SourceSettings) -> None:
        """Raises SourceError for an unknown scene or option."""
        self._settings = settings
        self._name, self._options = _parsed(settings.uri)
        self._pace = Pace(fast=settings.fast)
        self._index = 0
        self.scene = SyntheticScene(self._name, self._options)

    def open(self) -> SourceInfo:
        self._index = 0
        self._pace.start()
        options = self._options
        count = round(options.duration * options.fps) or None
        size = (options.width, options.height)
        name = self._settings.name
        luma = luma_size(*size, self._settings.luma_width_px)
        return SourceInfo(name, size, luma, options.fps, live=False, frame_count=count)

    def read(self) -> Frame | None:
        """The next frame, when it is due."""
        options = self._options
        over = options.duration and self._index >= round(options.duration * options.fps)
        if self._pace.stopped or (over and not self._settings.loop):
            return None
        index, self._index = self._index, self._index + 1
        picture = self.scene.render(index)
        timestamp_ns, wall_ns = self._pace.wait(round(index * NS_PER_S / options.fps))
        luma = luma_of(picture, self._settings.luma_width_px)
        return Frame(index, timestamp_ns, wall_ns, luma, picture)

    def close(self) -> None:
        self._pace.stop()


def _parsed(uri: str) -> tuple[str, SceneOptions]:
    name, _, query = uri.removeprefix("synthetic:").partition("?")
    if name not in SCENES:
        known = "; ".join(f"{scene}: {about}" for scene, about in SCENES.items())
        raise SourceError(f"source {uri}: there is no scene {name!r}. Scenes are {known}")
    kinds: dict[str, Callable[[str], Any]] = {
        field.name: int if isinstance(field.default, int) else float
        for field in fields(SceneOptions)
    }
    values = {}
    for key, text in parse_qsl(query, keep_blank_values=True):
        if key not in kinds:
            raise SourceError(f"source {uri}: unknown option {key!r}; known are {', '.join(kinds)}")
        try:
            values[key] = kinds[key](text)
        except ValueError as error:
            raise SourceError(f"source {uri}: {key}={text} is not a number") from error
    options = SceneOptions(**values)
    sides = (options.width, options.height)
    if options.fps <= 0 or any(side % 2 or not 64 <= side <= 4096 for side in sides):
        raise SourceError(f"source {uri}: fps must be above 0, sides even and from 64 to 4096")
    return name, options


def _texture(
    random: np.random.Generator, height: int, width: int, cell: int, levels: tuple[int, int]
) -> Plane:
    """Smooth random patches of about `cell` pixels."""
    size = (max(2, height // cell), max(2, width // cell))
    coarse = random.uniform(*levels, size).astype(np.float32)
    fine = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(fine, 0, 255).astype(np.uint8)
