"""The time span of a clip, in frame time, so that it depends on no clock."""

from __future__ import annotations

from dataclasses import dataclass

from edge.config.schema import CaptureSettings
from edge.runtime.times import NS_PER_S


@dataclass(slots=True)
class ClipWindow:
    """Ends with the post-roll of the clip's last trigger.

    A trigger within the window lengthens it, but not beyond `limit_ns`.
    """

    end_ns: int
    limit_ns: int
    _post_roll_ns: int

    @classmethod
    def after(cls, trigger_ns: int, first_ns: int, settings: CaptureSettings) -> ClipWindow:
        """first_ns: time of the clip's first frame, from which `max_clip_s` counts."""
        post_roll_ns = int(settings.post_roll_s * NS_PER_S)
        limit_ns = first_ns + int(settings.max_clip_s * NS_PER_S)
        return cls(trigger_ns + post_roll_ns, limit_ns, post_roll_ns)

    def __contains__(self, timestamp_ns: int) -> bool:
        return timestamp_ns <= self.end_ns

    def lengthen(self, trigger_ns: int) -> None:
        self.end_ns = max(self.end_ns, min(trigger_ns + self._post_roll_ns, self.limit_ns))
