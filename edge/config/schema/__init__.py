"""Every setting as a typed struct, with its default, its range and a sentence that explains it.

The structs define all that a configuration file may hold: `edge.config.load` reads a file into
them, and each stage gets its own section. A section also checks its values for contradictions.
Nothing here reads a file or a clock.
"""

from __future__ import annotations

from typing import Annotated

from edge.config.schema.base import (
    DEFAULT_MODEL,
    LOOKS_KEPT,
    MAX_CORNERS,
    MAX_ROWS,
    MAX_STILLS,
    MAX_TOTAL_CORNERS,
    MOMENT,
    MOTION_LABEL,
    NO_LINE,
    SUN_EVENTS,
    Name,
    Problem,
    Section,
    SunEvent,
    about,
    is_marked,
    section_of_list,
)
from edge.config.schema.capture import CaptureSettings, UploadSettings
from edge.config.schema.counting import Line
from edge.config.schema.health import GovernorSettings, HealthSettings
from edge.config.schema.notify import Notify
from edge.config.schema.privacy import PrivacySettings
from edge.config.schema.reach import BusSettings, HookSettings, MqttSettings
from edge.config.schema.rules import Mute, TriggerRule, Zone
from edge.config.schema.site import SiteSettings
from edge.config.schema.source import SourceSettings
from edge.config.schema.timelapse import Timelapse
from edge.config.schema.vision import (
    ModelSettings,
    MotionSettings,
    RegionSettings,
    SchedulerSettings,
    TrackerSettings,
)

__all__ = [
    "DEFAULT_MODEL",
    "LOOKS_KEPT",
    "MAX_CORNERS",
    "MAX_ROWS",
    "MAX_STILLS",
    "MAX_TOTAL_CORNERS",
    "MOMENT",
    "MOTION_LABEL",
    "NO_LINE",
    "SUN_EVENTS",
    "BusSettings",
    "CaptureSettings",
    "GovernorSettings",
    "HealthSettings",
    "HookSettings",
    "Line",
    "ModelSettings",
    "MotionSettings",
    "MqttSettings",
    "Mute",
    "Notify",
    "PrivacySettings",
    "Problem",
    "RegionSettings",
    "SchedulerSettings",
    "Section",
    "Settings",
    "SiteSettings",
    "SourceSettings",
    "SunEvent",
    "Timelapse",
    "TrackerSettings",
    "TriggerRule",
    "UploadSettings",
    "Zone",
    "is_marked",
    "section_of_list",
]


class Settings(Section, frozen=True):
    """A whole configuration file."""

    camera: Annotated[Name, about("name of this camera in topics and paths")] = "cam0"
    source: SourceSettings = SourceSettings()
    motion: MotionSettings = MotionSettings()
    regions: RegionSettings = RegionSettings()
    scheduler: SchedulerSettings = SchedulerSettings()
    model: ModelSettings = ModelSettings()
    tracker: TrackerSettings = TrackerSettings()
    zones: tuple[Zone, ...] = ()
    triggers: tuple[TriggerRule, ...] = (TriggerRule(name="person", labels=("person",)),)
    mutes: tuple[Mute, ...] = ()
    lines: tuple[Line, ...] = ()
    timelapse: tuple[Timelapse, ...] = ()
    privacy: PrivacySettings = PrivacySettings()
    site: SiteSettings = SiteSettings()
    capture: CaptureSettings = CaptureSettings()
    bus: BusSettings = BusSettings()
    health: HealthSettings = HealthSettings()
    governor: GovernorSettings = GovernorSettings()
    hooks: HookSettings = HookSettings()
    mqtt: MqttSettings = MqttSettings()
    notify: tuple[Notify, ...] = ()
    upload: UploadSettings = UploadSettings()

    @property
    def captures_clips(self) -> bool:
        """Whether anything may ask for a clip, so that video must be kept."""
        captures = [rule.actions for rule in self.triggers]
        captures += [series.actions for series in self.timelapse]
        if self.hooks.input_gpio != NO_LINE:
            captures.append(self.hooks.input_captures)
        return any("clip" in names for names in captures)
