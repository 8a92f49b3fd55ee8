"""Every setting as a typed struct, with its default, its range and one sentence of meaning.

This is the whole vocabulary of a configuration file: `edge.config.load` reads files into it and
prints it, and each stage is given its own section. Nothing here reads a file or a clock.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Share = Annotated[float, Meta(ge=0, le=1)]
Seconds = Annotated[float, Meta(ge=0)]
Count = Annotated[int, Meta(ge=1)]
TimeSpan = Annotated[str, Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d$")]
LOOKS_KEPT = 16  # latest looks that a track remembers: the longest `of_last` of a rule
NO_LINE = -1
GpioLine = Annotated[int, Meta(ge=NO_LINE, le=63)]
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
PolygonPoints = Annotated[tuple[tuple[Share, Share], ...], Meta(min_length=3)]


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all sections: immutable, and an unknown key is an error."""


def _about(text: str) -> Meta:
    return Meta(description=text)


class SourceSettings(Section, frozen=True):
    """Where frames come from."""

    uri: Annotated[
        str,
        _about(
            "picamera2:0, a video file, a directory of images, rtsp://…, v4l2:/dev/video0 "
            "or synthetic:SCENE"
        ),
    ] = "picamera2:0"
    fps: Annotated[float, Meta(ge=0, le=240), _about("frames per second; 0 = as the source")] = 0.0
    width_px: Annotated[int, Meta(ge=64, le=8192), _about("main picture, cameras only")] = 1280
    height_px: Annotated[int, Meta(ge=64, le=8192), _about("main picture, cameras only")] = 720
    luma_width_px: Annotated[
        int, Meta(ge=64, le=1280), _about("width of the plane that motion looks at")
    ] = 320
    upside_down: Annotated[
        bool, _about("a picamera2 camera that hangs head down: it turns its picture")
    ] = False
    focus_m: Annotated[
        float,
        Meta(ge=0),
        _about("where a picamera2 camera with a lens motor is sharp; 0 = as libcamera has it"),
    ] = 0.0
    hardware_encoder: Annotated[
        bool, _about("clips by the H.264 encoder of a Pi up to 4, if clip_height_px lets it")
    ] = True
    fast: Annotated[bool, _about("files: as fast as the pipeline can, and no frame skipped")] = (
        False
    )
    loop: Annotated[bool, _about("files: start again at the end")] = False
    retry_max_s: Annotated[
        Seconds, _about("longest pause between attempts to reopen a lost source")
    ] = 30.0


class MotionSettings(Section, frozen=True):
    """Frame differencing against a running background."""

    sensitivity: Annotated[
        float,
        Meta(gt=0, le=10),
        _about("1 = default; 2 = half the contrast is enough; scales both thresholds"),
    ] = 1.0
    floor: Annotated[
        float, Meta(ge=1, le=255), _about("least change of luma that counts, at sensitivity 1")
    ] = 14.0
    noise_factor: Annotated[
        float, Meta(ge=0, le=50), _about("and at least so many times the pixel's own noise")
    ] = 4.0
    learn_s: Annotated[
        float, Meta(gt=0), _about("time in which the background follows a slow change")
    ] = 4.0
    absorb_s: Annotated[
        float, Meta(gt=0), _about("time in which a standing change becomes background")
    ] = 60.0
    min_area: Annotated[Share, _about("smallest blob, as a share of the picture")] = 0.0004
    scene_change: Annotated[
        Share, _about("share of the picture that, changing at once, is light and not motion")
    ] = 0.5
    masks: Annotated[
        tuple[PolygonPoints, ...], _about("polygons in 0..1 in which motion is ignored")
    ] = ()


class RegionSettings(Section, frozen=True):
    """Blobs to square crops to packed canvases."""

    context: Annotated[
        float, Meta(ge=1, le=5), _about("size of a crop over that of its blob, on the tighter side")
    ] = 1.6
    merge_gap: Annotated[
        Share, _about("blobs nearer than this share of their size are parts of one object")
    ] = 0.1
    max_enlarge: Annotated[
        float, Meta(ge=1, le=8), _about("a crop is not enlarged further than this")
    ] = 1.5
    max_shrink: Annotated[
        float, Meta(ge=0.1, le=8), _about("a crop that sharing would shrink more gets a canvas")
    ] = 1.5
    gutter_px: Annotated[
        int, Meta(ge=0, le=64), _about("grey between the cells of a packed canvas")
    ] = 4
    pack: Annotated[bool, _about("several crops may share one invocation")] = True


class SchedulerSettings(Section, frozen=True):
    """Which regions are worth an invocation now."""

    invocations_per_s: Annotated[
        float, Meta(gt=0, le=1000), _about("sustained budget of model invocations")
    ] = 5.0
    burst: Annotated[
        int, Meta(ge=1, le=100), _about("invocations that may be saved up for a sudden event")
    ] = 6
    relook_s: Annotated[Seconds, _about("a moving track is looked at this often")] = 0.25
    standing_relook_s: Annotated[Seconds, _about("a standing track is looked at this often")] = 2.0
    empty_relook_s: Annotated[
        Seconds, _about("motion in which nothing was found waits this long before the next look")
    ] = 1.0
    sweep_s: Annotated[
        Seconds, _about("one look at the whole frame this often without motion; 0 = never")
    ] = 60.0


class ModelSettings(Section, frozen=True):
    """The detector: any SSD-style TFLite model."""

    file: Annotated[
        str, _about("a name from `edge models list`, or the path of a .tflite file")
    ] = "person_ssdlite_mobilenet_v2_int8"
    runtime: Annotated[
        Literal["auto", "ai-edge-litert", "tflite-runtime"],
        _about("auto = ai-edge-litert where installed, else tflite-runtime"),
    ] = "auto"
    threads: Annotated[int, Meta(ge=1, le=16), _about("CPU threads of one invocation")] = 2
    min_score: Annotated[Share, _about("a detection below this is not reported")] = 0.5
    max_iou: Annotated[Share, _about("two boxes of a class that overlap more are one")] = 0.45


class TrackerSettings(Section, frozen=True):
    """Detections to tracks."""

    min_iou: Annotated[Share, _about("least overlap of a detection with a track's prediction")] = (
        0.3
    )
    weak_score: Annotated[
        Share, _about("a detection below the model's min_score may still continue a track")
    ] = 0.25
    confirm_looks: Annotated[Count, _about("looks that must see an object before it counts")] = 2
    sure_score: Annotated[Share, _about("a look with this score suffices alone")] = 0.7
    max_misses: Annotated[Count, _about("looks that may miss an object before its track ends")] = 10
    max_unseen_s: Annotated[Seconds, _about("a track that no look has seen for this long ends")] = (
        10.0
    )
    stationary_speed: Annotated[
        float, Meta(ge=0), _about("a slower track is stationary; box heights per second")
    ] = 0.1


class Zone(Section, frozen=True):
    """A named polygon that rules refer to."""

    name: Annotated[Name, _about("what `zones` of a trigger names")]
    polygon: Annotated[PolygonPoints, _about("corners [x, y] in 0..1 of the picture")]


class TriggerRule(Section, frozen=True):
    """When a track becomes an event, and what is captured then."""

    name: Annotated[Name, _about("part of the topic and of the capture's file name")]
    labels: Annotated[tuple[str, ...], _about("labels of the model; empty = any")] = ()
    min_score: Annotated[Share, _about("least score of a look that counts")] = 0.5
    zones: Annotated[
        tuple[str, ...],
        _about("zones that the bottom centre of the box must be in; empty = anywhere"),
    ] = ()
    confirm: Annotated[Count, _about("this many of the last `of_last` looks must agree")] = 2
    of_last: Annotated[Count, _about("looks that are counted for `confirm`")] = 3
    min_height: Annotated[Share, _about("least height of the box, as a share of the picture")] = 0.0
    max_height: Annotated[Share, _about("greatest height of the box")] = 1.0
    moving_only: Annotated[bool, _about("a track must have moved")] = False
    cooldown_s: Annotated[Seconds, _about("after an event of this rule, no other for so long")] = (
        10.0
    )
    once_per_track: Annotated[bool, _about("a track triggers this rule only once")] = True
    schedule: Annotated[
        tuple[TimeSpan, ...],
        _about("local times HH:MM-HH:MM, may pass midnight; empty = always"),
    ] = ()
    actions: Annotated[tuple[Literal["still", "clip"], ...], _about("what an event captures")] = (
        "still",
        "clip",
    )
    exec: Annotated[
        tuple[str, ...],
        _about("a command and its arguments that an event runs: no shell, the event on its input"),
    ] = ()
    gpio: Annotated[GpioLine, _about("GPIO line (BCM number) that an event pulses; -1 = none")] = (
        NO_LINE
    )
    gpio_pulse_s: Annotated[float, Meta(gt=0, le=3600), _about("how long that line is high")] = 0.2


class CaptureSettings(Section, frozen=True):
    """Stills and clips on disk."""

    directory: Annotated[str, _about("captures go to <directory>/<camera>/<date>/")] = "captures"
    pre_roll_s: Annotated[float, Meta(ge=0, le=60), _about("clip: time before the trigger")] = 3.0
    post_roll_s: Annotated[float, Meta(ge=0, le=300), _about("clip: time after the trigger")] = 5.0
    max_clip_s: Annotated[
        float, Meta(gt=0, le=3600), _about("a clip that further triggers lengthen ends here")
    ] = 60.0
    clip_height_px: Annotated[
        int, Meta(ge=64, le=4320), _about("clips are encoded at most this high")
    ] = 720
    jpeg_quality: Annotated[int, Meta(ge=1, le=100), _about("of stills")] = 90
    max_bytes: Annotated[
        int, Meta(ge=0), _about("oldest captures go when all exceed this; 0 = no limit")
    ] = 8_000_000_000
    max_age_days: Annotated[
        float, Meta(ge=0), _about("captures older than this go; 0 = no limit")
    ] = 0.0
    min_free_bytes: Annotated[int, Meta(ge=0), _about("space that is left free on the disk")] = (
        500_000_000
    )


class BusSettings(Section, frozen=True):
    """ZeroMQ sockets: events go out of one, commands come into the other."""

    endpoint: Annotated[
        str,
        Meta(pattern=r"^(ipc|tcp|inproc)://.+"),
        _about("ipc://PATH, or tcp://HOST:PORT with `keys`"),
    ] = "ipc:///tmp/edge-cam0.ipc"
    control: Annotated[
        str,
        Meta(pattern=r"^(auto|none|(ipc|tcp|inproc)://.+)$"),
        _about("where commands come in; auto = beside an ipc:// endpoint with `-control`, or none"),
    ] = "auto"
    keys: Annotated[
        str, _about("folder of `edge keys`: tcp:// is encrypted, and only for allowed clients")
    ] = ""
    high_water_mark: Annotated[
        Count, _about("messages kept for a subscriber that doesn't read, before its own are lost")
    ] = 1000
    linger_ms: Annotated[
        int,
        Meta(ge=0, le=60_000),
        _about("how long an ending daemon waits for its subscribers"),
    ] = 1000
    insecure: Annotated[bool, _about("allow tcp:// without encryption and authentication")] = False
    thumbnails: Annotated[bool, _about("trigger messages carry a small JPEG of the object")] = True


class HealthSettings(Section, frozen=True):
    """What the daemon says of itself."""

    interval_s: Annotated[float, Meta(gt=0), _about("a health message this often")] = 5.0
    stall_s: Annotated[
        float,
        Meta(gt=0),
        _about("a live source without a frame for so long is reopened; a stage is called stalled"),
    ] = 5.0
    hang_s: Annotated[
        float, Meta(gt=0), _about("a stage at one piece of work for so long ends the daemon")
    ] = 30.0
    picture_s: Annotated[
        Seconds, _about("a black, blocked or blurred picture is told after so long; 0 = never")
    ] = 10.0
    frozen_s: Annotated[
        Seconds, _about("a live source is reopened after so long of one picture; 0 = never")
    ] = 20.0


class GovernorSettings(Section, frozen=True):
    """Less work when the SoC is hot or its power weak."""

    hot_c: Annotated[
        float, Meta(ge=0, le=120), _about("temperature from which less is done; 0 = never")
    ] = 75.0
    step_c: Annotated[float, Meta(gt=0, le=40), _about("and another step less after so much")] = 2.5
    hysteresis_c: Annotated[
        float, Meta(ge=0, le=40), _about("a step is taken back when it is so much cooler")
    ] = 3.0
    calm_s: Annotated[Seconds, _about("and has been for so long")] = 30.0


class HookSettings(Section, frozen=True):
    """Commands of triggers, and a GPIO line that captures."""

    exec_limit_s: Annotated[
        float, Meta(gt=0, le=3600), _about("a command that takes longer is killed")
    ] = 10.0
    exec_at_once: Annotated[int, Meta(ge=1, le=16), _about("commands that run side by side")] = 2
    exec_waiting: Annotated[
        int,
        Meta(ge=1, le=1000),
        _about("events that wait for their turn; of more they are dropped"),
    ] = 16
    input_gpio: Annotated[
        GpioLine, _about("GPIO line (BCM number) that captures when it gets active; -1 = none")
    ] = NO_LINE
    input_pull: Annotated[
        Literal["up", "down", "none"],
        _about("its resistor; up: active when connected to ground, else when high"),
    ] = "up"
    input_bounce_s: Annotated[
        float, Meta(ge=0, le=10), _about("changes of the line that are shorter don't count")
    ] = 0.01
    input_captures: Annotated[
        tuple[Literal["still", "clip"], ...], Meta(min_length=1), _about("what it captures")
    ] = ("still",)


class MqttSettings(Section, frozen=True):
    """`edge bridge mqtt`: which broker, and what it is told."""

    host: Annotated[str, _about("name or address of the broker")] = "localhost"
    port: Annotated[int, Meta(ge=0, le=65535), _about("0 = 1883, or 8883 with tls")] = 0
    tls: Annotated[bool, _about("encrypted, and the broker's certificate is checked")] = False
    ca_file: Annotated[str, _about("who signed it; empty = the system's authorities")] = ""
    cert_file: Annotated[str, _about("client certificate, where the broker asks for one")] = ""
    key_file: Annotated[str, _about("its private key")] = ""
    username: Annotated[str, _about("empty = none")] = ""
    password_file: Annotated[str, _about("a file whose first line is the password")] = ""
    prefix: Annotated[
        str, Meta(pattern=r"^[^#+$/]+(/[^#+/]+)*$"), _about("topics are <prefix>/<camera>/…")
    ] = "edge"
    discovery: Annotated[
        str, Meta(pattern=r"^[^#+]*$"), _about("Home Assistant's discovery prefix; empty = none")
    ] = "homeassistant"
    off_delay_s: Annotated[
        float, Meta(ge=1), _about("Home Assistant: a rule's sensor is off so long after a trigger")
    ] = 30.0
    spool: Annotated[
        str, _about("file of what the broker hasn't confirmed; empty = beside the captures")
    ] = ""
    spool_bytes: Annotated[
        int, Meta(ge=10_000), _about("of that file's messages; the oldest go first")
    ] = 10_000_000


class Settings(Section, frozen=True):
    """A whole configuration file."""

    camera: Annotated[Name, _about("this camera's name in topics and paths")] = "cam0"
    source: SourceSettings = SourceSettings()
    motion: MotionSettings = MotionSettings()
    regions: RegionSettings = RegionSettings()
    scheduler: SchedulerSettings = SchedulerSettings()
    model: ModelSettings = ModelSettings()
    tracker: TrackerSettings = TrackerSettings()
    zones: tuple[Zone, ...] = ()
    triggers: tuple[TriggerRule, ...] = (TriggerRule(name="person", labels=("person",)),)
    capture: CaptureSettings = CaptureSettings()
    bus: BusSettings = BusSettings()
    health: HealthSettings = HealthSettings()
    governor: GovernorSettings = GovernorSettings()
    hooks: HookSettings = HookSettings()
    mqtt: MqttSettings = MqttSettings()

    @property
    def captures_clips(self) -> bool:
        """Whether anything but a command may ask for a clip, so that video must be kept."""
        captures = [rule.actions for rule in self.triggers]
        if self.hooks.input_gpio != NO_LINE:
            captures.append(self.hooks.input_captures)
        return any("clip" in names for names in captures)
