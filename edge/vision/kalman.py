"""Estimates position and size of one tracked box between detections.

A constant-velocity Kalman filter for the centre (Kalman, 1960; white noise acceleration as in
Bar-Shalom et al., "Estimation with Applications to Tracking and Navigation", 2001, 6.2), a slow
average for the size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from edge.vision.geometry import Box

# In box heights, so that near and far objects are treated alike: a person is about 1.7 m high,
# walks at 0.8 heights/s and starts or stops within a second.
POSITION_NOISE = 0.05  # standard deviation of a measured centre
ACCELERATION = 1.0  # per s², standard deviation
FIRST_SPEED = 1.0  # per s, standard deviation before the second detection
# Chosen by F1 on PETS and TUD-Campus in both directions; their effect is in
# "Tuning constants" in docs/BENCHMARKS.md.
SHIFT_GAIN = 0.3  # weight of an observed shift in the velocity
SIZE_GAIN = 0.35  # weight of a new size
MOVED_HEIGHTS = 0.5  # distance from its first place at which an object counts as moved


class AxisFilter:
    """One coordinate: position and velocity."""

    def __init__(self, position: float, scale: float) -> None:
        """scale: the box height, in the unit of the position."""
        self.position, self.velocity = position, 0.0
        self._pp, self._pv = (POSITION_NOISE * scale) ** 2, 0.0
        self._vv = (FIRST_SPEED * scale) ** 2

    def predict(self, dt_s: float, scale: float) -> None:
        """Advances by a time at the present velocity."""
        q = (ACCELERATION * scale) ** 2
        self.position += self.velocity * dt_s
        self._pp += dt_s * (2 * self._pv + dt_s * self._vv) + q * dt_s**4 / 4
        self._pv += dt_s * self._vv + q * dt_s**3 / 2
        self._vv += q * dt_s**2

    def shift(self, before: float, shift: float, dt_s: float) -> None:
        """Replaces the predicted position by `before` plus the shift that was observed."""
        self.position = before + shift
        if dt_s > 0:
            self.velocity += SHIFT_GAIN * (shift / dt_s - self.velocity)

    def correct(self, measured: float, scale: float) -> None:
        """Takes a measured position into account, by its weight against the prediction."""
        total = self._pp + (POSITION_NOISE * scale) ** 2
        gain_p, gain_v = self._pp / total, self._pv / total
        error = measured - self.position
        self.position += gain_p * error
        self.velocity += gain_v * error
        self._vv -= gain_v * self._pv
        self._pv -= gain_v * self._pp
        self._pp -= gain_p * self._pp


class BoxFilter:
    """A box over time. has_moved: whether it was ever half its height from its first place."""

    def __init__(self, box_xyxy: Box) -> None:
        x0, y0, x1, y1 = box_xyxy
        self.width, self.height = x1 - x0, y1 - y0
        self.x = AxisFilter((x0 + x1) / 2, self.height)
        self.y = AxisFilter((y0 + y1) / 2, self.height)
        self.has_moved = False
        self._first = (self.x.position, self.y.position)

    @property
    def box_xyxy(self) -> Box:
        half_w, half_h = self.width / 2, self.height / 2
        x, y = self.x.position, self.y.position
        return x - half_w, y - half_h, x + half_w, y + half_h

    @property
    def velocity_px_s(self) -> tuple[float, float]:
        return self.x.velocity, self.y.velocity

    def predict(self, dt_s: float, shift_xy: Sequence[float], max_jump_px: float) -> None:
        """Advances by a time, to the place to which flow followed the box.

        shift_xy: main pixels, NaN if it was not followed. max_jump_px: a shift that differs by more
            than this from the predicted one is ignored.
        """
        shift_x, shift_y = shift_xy
        jump_x = abs(shift_x - self.x.velocity * dt_s)
        jump_y = abs(shift_y - self.y.velocity * dt_s)
        followed = jump_x <= max_jump_px and jump_y <= max_jump_px
        for axis, shift in ((self.x, shift_x), (self.y, shift_y)):
            before = axis.position
            axis.predict(dt_s, self.height)
            if followed:
                axis.shift(before, shift, dt_s)

    def correct(self, box_xyxy: Box) -> None:
        """Corrects position and size by a detection."""
        x0, y0, x1, y1 = box_xyxy
        self.width += SIZE_GAIN * (x1 - x0 - self.width)
        self.height += SIZE_GAIN * (y1 - y0 - self.height)
        self.x.correct((x0 + x1) / 2, self.height)
        self.y.correct((y0 + y1) / 2, self.height)
        dx, dy = self.x.position - self._first[0], self.y.position - self._first[1]
        self.has_moved = self.has_moved or math.hypot(dx, dy) > MOVED_HEIGHTS * self.height
