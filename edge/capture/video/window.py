"""The time span of a clip, in frame time, so that it depends on no clock."""

from __future__ import annotations

from dataclasses import dataclass, field

from edge.capture.request import Presence
from edge.config.schema import CaptureSettings
from edge.runtime.times import NS_PER_S

# Frames that come while an object is in view are not analysed yet when they are encoded.
_ANALYSIS_NS = 2 * NS_PER_S


@dataclass(slots=True)
class ClipWindow:
    """Ends with the post-roll of the clip's last trigger, or of an object that it follows.

    A trigger within the window lengthens it, and so does an object that stays in view, but not
    beyond `limit_ns`.
    """

    end_ns: int
    limit_ns: int
    _post_roll_ns: int
    _presences: list[Presence] = field(default_factory=list)

    @classmethod
    def after(cls, trigger_ns: int, first_ns: int, settings: CaptureSettings) -> ClipWindow:
        """first_ns: time of the clip's first frame, from which `max_clip_s` counts."""
        post_roll_ns = int(settings.post_roll_s * NS_PER_S)
        limit_ns = first_ns + int(settings.max_clip_s * NS_PER_S)
        return cls(trigger_ns + post_roll_ns, limit_ns, post_roll_ns)

    def __contains__(self, timestamp_ns: int) -> bool:
        if timestamp_ns <= self.end_ns:
            return True
        return timestamp_ns <= self.limit_ns and any(
            timestamp_ns <= self._end_after_ns(presence) for presence in self._presences
        )

    def lengthen(self, trigger_ns: int) -> None:
        self.end_ns = max(self.end_ns, min(trigger_ns + self._post_roll_ns, self.limit_ns))

    def follow(self, presence: Presence | None) -> None:
        """Lasts until this object is gone, if there is one."""
        if presence is not None:
            self._presences.append(presence)

    def _end_after_ns(self, presence: Presence) -> int:
        more_ns = 0 if presence.ended else _ANALYSIS_NS
        return presence.until_ns + self._post_roll_ns + more_ns
