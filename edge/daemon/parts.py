"""The parts of one daemon, as `edge.daemon.assemble` wires them."""

from __future__ import annotations

from dataclasses import dataclass

from edge.bus.control import ControlServer
from edge.bus.publisher import Publisher
from edge.capture.recorder import Recorder
from edge.config.schema import Settings
from edge.daemon.acquisition import Acquisition
from edge.daemon.analysis import AnalysisThread
from edge.daemon.commands import Remote
from edge.daemon.problems import Problems
from edge.daemon.progress import Progress
from edge.hooks.hooks import Hooks
from edge.vision.places import Places


@dataclass(slots=True)
class Parts:
    """All parts that are started and stopped, and their shared state.

    settings: the present ones, which a reload replaces; read them again at each use.
    model: the model's name. places: those that trigger again and again.
    """

    settings: Settings
    model: str
    progress: Progress
    problems: Problems
    acquisition: Acquisition
    analysis: AnalysisThread
    recorder: Recorder
    publisher: Publisher
    control: ControlServer
    hooks: Hooks
    remote: Remote
    places: Places

    @property
    def dropped(self) -> dict[str, int]:
        """Number of items that each queue has dropped since the start."""
        recorder = self.recorder.stats()
        return {
            "frames": self.acquisition.frames_dropped,
            "frames_governed": self.acquisition.frames_governed,
            "messages": self.publisher.dropped,
            "clip_frames": recorder["frames_dropped"],
            "captures": recorder["triggers_dropped"],
            "commands": self.hooks.dropped,
        }

    def raise_errors(self) -> None:
        """Raises the error that ended a part, if one has ended: the daemon can't continue."""
        threads = (self.acquisition.thread, self.analysis.thread)
        for part in (*threads, self.publisher, self.control, self.recorder, self.hooks):
            if part.error is not None:
                raise part.error
