"""Every setting as a typed struct, with its default, its range and a sentence that explains it.

The structs define all that a configuration file may hold: `edge.config.load` reads a file into
them, and each stage gets its own section. A section also checks its values for contradictions.
Nothing here reads a file or a clock.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal, get_args, get_origin

import msgspec
from msgspec import Meta

from edge.config.masking import masked
from edge.messages import CaptureKind

DEFAULT_MODEL: Final = "person_ssdlite_mobilenet_v2_int8"
LOOKS_KEPT: Final = 16  # of a track: the longest `of_last`; 4 s at the default relook_s
NO_LINE: Final = -1  # a GPIO line that is not used

# Bounds that no real camera reaches. They keep memory and time per frame small for any file.
MAX_S: Final = 7 * 86_400  # a week
MAX_LOOKS: Final = 1000
MAX_BYTES: Final = 10**15  # more than any disk holds
MAX_ROWS: Final = 32  # zones, masks, rules, and zones of a rule
MAX_CORNERS: Final = 100  # of one polygon
MAX_TOTAL_CORNERS: Final = 1000  # of all zones, and of all masks
MAX_PIXELS: Final = 20_000_000  # of a camera's picture, whose source has 8 buffers: 240 MB
MIN_FPS: Final = 0.01  # one frame in 100 s

Share = Annotated[float, Meta(ge=0, le=1)]
Seconds = Annotated[float, Meta(ge=0, le=MAX_S)]
Looks = Annotated[int, Meta(ge=1, le=MAX_LOOKS)]
Bytes = Annotated[int, Meta(ge=0, le=MAX_BYTES)]
TimeSpan = Annotated[
    str, Meta(pattern=r"\A([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9]\Z")
]
AnchorSide = Annotated[float, Meta(gt=0, le=100)]
GpioLine = Annotated[int, Meta(ge=NO_LINE, le=63)]
Name = Annotated[
    str, Meta(pattern=r"\A[A-Za-z0-9_-]{1,64}\Z", title="name of letters, digits, _ and -")
]
# A path of this machine: `edge.config.load` replaces a leading ~ by the home folder.
PathText = Annotated[str, Meta(title="path", extra={"path": True})]
PolygonPoints = Annotated[
    tuple[tuple[Share, Share], ...], Meta(min_length=3, max_length=MAX_CORNERS)
]

Problem = tuple[str, str]  # key within the section, and one sentence


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all sections: immutable, and an unknown key is an error."""

    def problems(self) -> Iterator[Problem]:
        """Yields values that are valid one by one and contradict each other."""
        yield from ()


def section_of_list(kind: Any) -> type[Section] | None:
    """The section that a type lists, for instance Zone for `tuple[Zone, ...]`; otherwise None."""
    arguments = get_args(kind)
    if get_origin(kind) is tuple and isinstance(arguments[0], type):
        return arguments[0] if issubclass(arguments[0], Section) else None
    return None


def _about(text: str, title: str | None = None) -> Meta:
    """text: the description of a key. title: its type in words, if the type alone is too vague."""
    return Meta(description=text, title=title)


class SourceSettings(Section, frozen=True):
    """The source of the frames."""

    uri: Annotated[
        str,
        _about("camera, address, video file or folder of pictures, as docs/sources.md lists them"),
    ] = "picamera2:0"
    fps: Annotated[
        float, Meta(ge=0, le=240), _about("frames per second; 0 = the rate of the source")
    ] = 0.0
    width_px: Annotated[int, Meta(ge=64, le=8192), _about("width of the picture; cameras only")] = (
        1280
    )
    height_px: Annotated[
        int, Meta(ge=64, le=8192), _about("height of the picture; cameras only")
    ] = 720
    luma_width_px: Annotated[
        int,
        Meta(ge=64, le=1280),
        _about("width of the luma plane for motion detection; raise it for distant objects"),
    ] = 320
    upside_down: Annotated[
        bool, _about("rotate the picture by 180° (picamera2 camera mounted upside down)")
    ] = False
    focus_m: Annotated[
        float,
        Meta(ge=0, le=1000),
        _about("focus distance, for picamera2 cameras with a lens motor; 0 = libcamera decides"),
    ] = 0.0
    hardware_encoder: Annotated[
        bool,
        _about(
            "encode clips with the H.264 encoder of a Pi 4 or older, for pictures up to "
            "clip_height_px high"
        ),
    ] = True
    fast: Annotated[
        bool, _about("files: process every frame, as fast as possible, instead of in real time")
    ] = False
    loop: Annotated[bool, _about("files: start again at the end")] = False
    retry_max_s: Annotated[
        Seconds,
        _about(
            "longest pause between attempts to open a live source that can't be reached, at the "
            "start and later"
        ),
    ] = 30.0
    snapshot_every_s: Annotated[
        float,
        Meta(ge=0, le=3600),
        _about(
            "period at which a picture is fetched from a web address; 0 = the address gives video"
        ),
    ] = 0.0

    @property
    def name(self) -> str:
        """The address without credentials: the one form of it that is shown, logged or sent."""
        return masked(self.uri)

    @property
    def snapshot_pause_s(self) -> float:
        """The time between two pictures of a web address; 0 for video."""
        if not self.snapshot_every_s:
            return 0.0
        return max(self.snapshot_every_s, 1 / self.fps if self.fps else 0.0)

    def problems(self) -> Iterator[Problem]:
        if 0 < self.fps < MIN_FPS:
            yield "fps", f"{self.fps:g} is too slow; choose 0 or a rate from {MIN_FPS:g} up"
        if self.width_px * self.height_px > MAX_PIXELS:
            yield (
                "width_px",
                f"{self.width_px} x {self.height_px} is more than {MAX_PIXELS:_} pixels, which "
                "need too much memory; lower it or height_px",
            )


class MotionSettings(Section, frozen=True):
    """Frame differencing against a running background."""

    sensitivity: Annotated[
        float,
        Meta(ge=0.05, le=10),
        _about("divides floor and noise_factor; raise it if objects are missed"),
    ] = 1.0
    floor: Annotated[
        float,
        Meta(ge=1, le=255),
        _about("least change of brightness (0 to 255) that counts as motion, at sensitivity 1"),
    ] = 14.0
    noise_factor: Annotated[
        float,
        Meta(ge=0, le=50),
        _about("multiple of the pixel's noise that a change must exceed, at sensitivity 1"),
    ] = 4.0
    learn_s: Annotated[
        float,
        Meta(ge=0.1, le=3600),
        _about("time in which the background follows a slow change of light"),
    ] = 4.0
    absorb_s: Annotated[
        float,
        Meta(ge=0.1, le=MAX_S),
        _about("time in which a change that stays becomes background"),
    ] = 60.0
    min_area: Annotated[
        Share,
        _about("smallest blob (moving area), as a share of the picture; raise it against insects"),
    ] = 0.0004
    scene_change: Annotated[
        Share,
        _about("share of the picture; a sudden change of more counts as light, not as motion"),
    ] = 0.5
    masks: Annotated[
        tuple[PolygonPoints, ...],
        Meta(max_length=MAX_ROWS),
        _about(
            "areas where motion is ignored",
            title=f"list of polygons of 3 to {MAX_CORNERS} [x, y] with x and y from 0 to 1",
        ),
    ] = ()


class RegionSettings(Section, frozen=True):
    """Blobs (moving areas) become crops, and crops share canvases."""

    context: Annotated[
        float,
        Meta(ge=1, le=5),
        _about("size of a crop as a multiple of its blob, in the direction with less room"),
    ] = 1.6
    merge_gap: Annotated[
        Share,
        _about("blobs are one object if they touch when each grows by this share on every side"),
    ] = 0.1
    max_enlarge: Annotated[
        float, Meta(ge=1, le=8), _about("largest factor by which a crop is enlarged for the model")
    ] = 1.5
    max_shrink: Annotated[
        float,
        Meta(ge=0.1, le=8),
        _about("a crop that a shared canvas would shrink by more than this gets a whole canvas"),
    ] = 1.5
    gutter_px: Annotated[
        int, Meta(ge=0, le=64), _about("grey gap between the cells of a shared canvas")
    ] = 4
    pack: Annotated[bool, _about("let several crops share one invocation of the model")] = True


class SchedulerSettings(Section, frozen=True):
    """The choice of regions for invocations of the model."""

    invocations_per_s: Annotated[
        float,
        Meta(gt=0, le=1000),
        _about("average budget of model invocations; lower it to save CPU and heat"),
    ] = 5.0
    burst: Annotated[
        int,
        Meta(ge=1, le=100),
        _about("unused invocations that may be saved for a sudden event"),
    ] = 6
    relook_s: Annotated[Seconds, _about("time between two looks at a moving track")] = 0.25
    standing_relook_s: Annotated[
        Seconds, _about("time between two looks at a stationary track")
    ] = 2.0
    empty_relook_s: Annotated[
        Seconds,
        _about("pause at motion without an object; it begins at an eighth and grows to 16 times"),
    ] = 1.0
    sweep_s: Annotated[
        Seconds,
        _about("time between two looks at the whole picture, also without motion; 0 = never"),
    ] = 60.0


class ModelSettings(Section, frozen=True):
    """The detector: any TFLite model whose layout is known (see docs/models.md)."""

    file: Annotated[
        PathText,
        _about(
            "a name from `edge models list`, or the path of a .tflite file", title="name or path"
        ),
    ] = DEFAULT_MODEL
    runtime: Annotated[
        Literal["auto", "ai-edge-litert", "tflite-runtime"],
        _about("auto = ai-edge-litert if installed, otherwise tflite-runtime"),
    ] = "auto"
    threads: Annotated[int, Meta(ge=1, le=16), _about("CPU threads per invocation")] = 2
    min_score: Annotated[
        Share,
        _about(
            "lowest score of a detection; 0 = the one that the model's file names, otherwise 0.5"
        ),
    ] = 0.0
    max_iou: Annotated[
        Share,
        _about("two boxes of one class that overlap by more than this (IoU) are one object"),
    ] = 0.45
    layout: Annotated[
        str,
        Meta(pattern=r"\A[a-z0-9-]{1,32}\Z"),
        _about("layout of the outputs (docs/models.md); auto = read from the file", title="name"),
    ] = "auto"
    labels_file: Annotated[
        PathText, _about("text file with one label per line; empty = attached or beside the model")
    ] = ""
    input_range: Annotated[
        Literal["auto", "-1..1", "0..1", "0..255", "imagenet"],
        _about("values of black and white in the input; auto = read from the file"),
    ] = "auto"
    channels: Annotated[
        Literal["auto", "rgb", "bgr"],
        _about("order of colours in the input; auto = the order of the layout"),
    ] = "auto"
    input_px: Annotated[
        int,
        Meta(ge=0, le=4096),
        _about("width and height of the input, for models without a fixed size; 0 = of the file"),
    ] = 0
    anchors: Annotated[
        tuple[tuple[AnchorSide, AnchorSide], ...],
        Meta(max_length=16),
        _about(
            "anchors of YOLOv2 models in cells, as in the line anchors= of their .cfg file",
            title="list of pairs [width, height]",
        ),
    ] = ()


class TrackerSettings(Section, frozen=True):
    """Assignment of detections to tracks."""

    min_iou: Annotated[
        Share, _about("smallest overlap (IoU) at which a detection continues a track")
    ] = 0.3
    weak_score: Annotated[
        Share,
        _about("a detection between this score and the model's min_score may continue a track"),
    ] = 0.25
    confirm_looks: Annotated[
        Looks, _about("looks that must detect an object before its track is confirmed")
    ] = 2
    sure_score: Annotated[Share, _about("score with which a single look confirms a track")] = 0.7
    max_misses: Annotated[
        Looks, _about("looks in a row that may miss an object before its track ends")
    ] = 10
    max_unseen_s: Annotated[
        Seconds, _about("a track ends when its object was not detected for longer than this")
    ] = 10.0
    stationary_speed: Annotated[
        float,
        Meta(ge=0, le=100),
        _about("box heights per second below which a track is stationary"),
    ] = 0.1


class Zone(Section, frozen=True):
    """A named polygon that rules refer to."""

    name: Annotated[Name, _about("name to use in `zones` of a trigger")]
    polygon: Annotated[
        PolygonPoints,
        _about(
            "corners as shares of the picture, x to the right and y down",
            title=f"polygon of 3 to {MAX_CORNERS} [x, y] with x and y from 0 to 1",
        ),
    ]


class TriggerRule(Section, frozen=True):
    """The conditions for an event, and its captures and other actions."""

    name: Annotated[Name, _about("name of the rule in topics and file names")]
    labels: Annotated[
        tuple[str, ...],
        Meta(max_length=1000),
        _about("labels of the model, or groups of them such as animal and vehicle; empty = any"),
    ] = ()
    min_score: Annotated[Share, _about("lowest score of a look that counts")] = 0.5
    zones: Annotated[
        tuple[str, ...],
        Meta(max_length=MAX_ROWS),
        _about("zones in which the bottom centre of the box must be; empty = anywhere"),
    ] = ()
    confirm: Annotated[
        int,
        Meta(ge=1, le=LOOKS_KEPT),
        _about("how many of the last `of_last` looks must meet the rule"),
    ] = 2
    of_last: Annotated[
        int, Meta(ge=1, le=LOOKS_KEPT), _about("number of latest looks considered for `confirm`")
    ] = 3
    min_height: Annotated[
        Share, _about("smallest height of the box, as a share of the picture")
    ] = 0.0
    max_height: Annotated[Share, _about("largest height of the box, as a share of the picture")] = (
        1.0
    )
    moving_only: Annotated[bool, _about("ignore tracks that have not moved yet")] = False
    cooldown_s: Annotated[Seconds, _about("minimum time between two events of this rule")] = 10.0
    once_per_track: Annotated[bool, _about("a track triggers this rule only once")] = True
    schedule: Annotated[
        tuple[TimeSpan, ...],
        Meta(max_length=100),
        _about(
            "local times at which the rule is active, also across midnight; empty = always",
            title="list of HH:MM-HH:MM",
        ),
    ] = ()
    actions: Annotated[
        tuple[CaptureKind, ...], Meta(max_length=2), _about("captures that an event makes")
    ] = ("still", "clip")
    exec: Annotated[
        tuple[str, ...],
        Meta(max_length=100),
        _about("program and arguments to run on an event, without a shell; the event is its input"),
    ] = ()
    gpio: Annotated[GpioLine, _about("GPIO line (BCM number) that an event pulses; -1 = none")] = (
        NO_LINE
    )
    gpio_pulse_s: Annotated[
        float, Meta(gt=0, le=3600), _about("time for which the line is high")
    ] = 0.2

    def problems(self) -> Iterator[Problem]:
        if self.confirm > self.of_last:
            yield (
                "confirm",
                f"{self.confirm} exceeds of_last = {self.of_last}; lower it or raise of_last",
            )
        if self.min_height > self.max_height:
            yield (
                "min_height",
                f"{self.min_height:g} exceeds max_height = {self.max_height:g}, so no object fits; "
                "lower it or raise max_height",
            )


class CaptureSettings(Section, frozen=True):
    """Stills and clips on disk."""

    directory: Annotated[
        PathText, _about("folder for captures; they go to its subfolders CAMERA/DATE")
    ] = "captures"
    pre_roll_s: Annotated[
        float, Meta(ge=0, le=60), _about("length of a clip before the trigger")
    ] = 3.0
    post_roll_s: Annotated[
        float, Meta(ge=0, le=300), _about("length of a clip after its last trigger")
    ] = 5.0
    max_clip_s: Annotated[
        float, Meta(gt=0, le=3600), _about("longest clip, even if further triggers extend it")
    ] = 60.0
    pre_roll_bytes: Annotated[
        Bytes,
        _about(
            "memory for the pictures before a trigger; 0 = a fifth of the machine's, 168 MB at most"
        ),
    ] = 0
    clip_height_px: Annotated[
        int, Meta(ge=64, le=4320), _about("largest height of clips; a higher picture is shrunk")
    ] = 720
    jpeg_quality: Annotated[int, Meta(ge=1, le=100), _about("JPEG quality of stills")] = 90
    max_bytes: Annotated[
        Bytes,
        _about("delete the oldest captures when all together exceed this; 0 = no limit"),
    ] = 8_000_000_000
    max_age_days: Annotated[
        float, Meta(ge=0, le=36_500), _about("delete captures older than this; 0 = no limit")
    ] = 0.0
    min_free_bytes: Annotated[
        Bytes, _about("delete the oldest captures to keep this much of the disk free")
    ] = 500_000_000
    keep_until_uploaded: Annotated[
        bool,
        _about(
            "delete captures by age only after `edge upload`, and uploaded ones first for space"
        ),
    ] = False

    def problems(self) -> Iterator[Problem]:
        rolls_s = self.pre_roll_s + self.post_roll_s
        if rolls_s > self.max_clip_s:
            yield (
                "max_clip_s",
                f"{self.max_clip_s:g} s is shorter than pre_roll_s and post_roll_s together "
                f"({rolls_s:g} s); raise it or lower them",
            )


class BusSettings(Section, frozen=True):
    """ZeroMQ sockets: one publishes messages, the other receives commands."""

    endpoint: Annotated[
        str,
        Meta(pattern=r"\A(ipc|tcp|inproc)://.+\Z"),
        _about(
            "address that publishes messages; tcp://HOST:PORT needs `keys`",
            title="ipc://PATH or tcp://HOST:PORT",
        ),
    ] = "ipc:///tmp/edge-cam0.ipc"
    control: Annotated[
        str,
        Meta(pattern=r"\A(auto|none|(ipc|tcp|inproc)://.+)\Z"),
        _about(
            "address that receives commands; auto = `-control` after an ipc:// endpoint, "
            "otherwise none",
            title="auto, none, ipc://PATH or tcp://HOST:PORT",
        ),
    ] = "auto"
    keys: Annotated[
        PathText,
        _about("folder made by `edge keys`; encrypts tcp:// and admits known clients only"),
    ] = ""
    high_water_mark: Annotated[
        int,
        Meta(ge=1, le=100_000),
        _about("messages queued for a slow subscriber; later ones are lost"),
    ] = 1000
    linger_ms: Annotated[
        int,
        Meta(ge=0, le=60_000),
        _about("longest wait for subscribers when the daemon ends"),
    ] = 1000
    insecure: Annotated[bool, _about("allow tcp:// without encryption and authentication")] = False
    thumbnails: Annotated[bool, _about("send a small JPEG of the object with trigger messages")] = (
        True
    )

    def problems(self) -> Iterator[Problem]:
        for key, address in (("endpoint", self.endpoint), ("control", self.control)):
            if address.startswith("tcp://") and not self.keys and not self.insecure:
                yield (
                    key,
                    "TCP is open to everybody who can reach it; set bus.keys (see `edge keys`), "
                    "or bus.insecure = true to allow this",
                )
        if self.keys and self.insecure:
            yield "insecure", "it contradicts bus.keys; remove one of them"
        if self.control == self.endpoint:
            yield "control", "it equals bus.endpoint; choose another address for commands"


class HealthSettings(Section, frozen=True):
    """Health messages, and how long a fault may last."""

    interval_s: Annotated[
        float, Meta(ge=0.1, le=3600), _about("time between two health messages")
    ] = 5.0
    stall_s: Annotated[
        float,
        Meta(ge=0.1, le=3600),
        _about("longest pause; after it a source is reopened, and a stalled stage is reported"),
    ] = 5.0
    hang_s: Annotated[
        float,
        Meta(ge=0.1, le=86_400),
        _about("end the daemon when a stage makes no progress for this long"),
    ] = 30.0
    picture_s: Annotated[
        Seconds,
        _about("report a picture that is black, blocked or blurred for this long; 0 = never"),
    ] = 10.0
    frozen_s: Annotated[
        Seconds,
        _about("reopen a live source whose picture stays identical for this long; 0 = never"),
    ] = 20.0


class GovernorSettings(Section, frozen=True):
    """Less work, step by step, when the SoC is hot or its power supply is weak."""

    hot_c: Annotated[
        float,
        Meta(ge=0, le=120),
        _about("SoC temperature at which the daemon begins to reduce its work; 0 = never"),
    ] = 75.0
    step_c: Annotated[
        float,
        Meta(ge=0.1, le=40),
        _about("further rise of temperature that reduces the work again"),
    ] = 2.5
    hysteresis_c: Annotated[
        float,
        Meta(ge=0, le=40),
        _about("how far below its threshold the SoC must cool before a reduction is undone"),
    ] = 3.0
    calm_s: Annotated[
        Seconds, _about("how long the SoC must stay that cool before a reduction is undone")
    ] = 30.0


class HookSettings(Section, frozen=True):
    """Programs that triggers run, and a GPIO line that captures."""

    exec_limit_s: Annotated[
        float, Meta(gt=0, le=3600), _about("kill a program that runs longer than this")
    ] = 10.0
    exec_at_once: Annotated[
        int, Meta(ge=1, le=16), _about("programs that may run at the same time")
    ] = 2
    exec_waiting: Annotated[
        int,
        Meta(ge=1, le=1000),
        _about("events that may wait while other programs run; more are dropped"),
    ] = 16
    input_gpio: Annotated[
        GpioLine, _about("GPIO line (BCM number) that captures when active; -1 = none")
    ] = NO_LINE
    input_pull: Annotated[
        Literal["up", "down", "none"],
        _about("pull resistor of the line; up = active when grounded, otherwise when high"),
    ] = "up"
    input_bounce_s: Annotated[
        float, Meta(ge=0, le=10), _about("ignore changes of the line that are shorter than this")
    ] = 0.01
    input_captures: Annotated[
        tuple[CaptureKind, ...],
        Meta(min_length=1, max_length=2),
        _about("captures that the line makes"),
    ] = ("still",)


class MqttSettings(Section, frozen=True):
    """`edge bridge mqtt`: the broker and the messages for it."""

    host: Annotated[str, _about("name or address of the broker")] = "localhost"
    port: Annotated[
        int, Meta(ge=0, le=65535), _about("port of the broker; 0 = 1883, or 8883 with tls")
    ] = 0
    tls: Annotated[bool, _about("encrypt, and check the broker's certificate")] = False
    ca_file: Annotated[
        PathText, _about("certificate that signed the broker's; empty = the system's authorities")
    ] = ""
    cert_file: Annotated[PathText, _about("client certificate, if the broker asks for one")] = ""
    key_file: Annotated[PathText, _about("private key of the client certificate")] = ""
    username: Annotated[str, _about("user name at the broker; empty = none")] = ""
    password_file: Annotated[PathText, _about("file whose first line is the password")] = ""
    prefix: Annotated[
        str,
        Meta(pattern=r"\A[^#+$/]+(/[^#+/]+)*\Z"),
        _about("topics begin with PREFIX/CAMERA/", title="topic without #, + or a leading $ or /"),
    ] = "edge"
    discovery: Annotated[
        str,
        Meta(pattern=r"\A[^#+]*\Z"),
        _about("discovery prefix of Home Assistant; empty = none", title="topic without # or +"),
    ] = "homeassistant"
    off_delay_s: Annotated[
        float,
        Meta(ge=1, le=MAX_S),
        _about("Home Assistant: time after a trigger until the rule's sensor turns off"),
    ] = 30.0
    spool: Annotated[
        PathText,
        _about("file for messages not yet confirmed by the broker; empty = beside the captures"),
    ] = ""
    spool_bytes: Annotated[
        int,
        Meta(ge=10_000, le=10**10),
        _about("largest total size of these messages; the oldest are dropped"),
    ] = 10_000_000

    def problems(self) -> Iterator[Problem]:
        requirements = (
            ("password_file", self.password_file, "username", self.username),
            ("ca_file", self.ca_file, "tls = true", self.tls),
            ("cert_file", self.cert_file, "tls = true", self.tls),
            ("key_file", self.key_file, "cert_file", self.cert_file),
        )
        for key, value, required, present in requirements:
            if value and not present:
                yield key, f"it has no effect without {required}; add that, or remove this key"


class UploadSettings(Section, frozen=True):
    """Where `edge upload` copies captures. The password is in the configuration of rclone."""

    remote: Annotated[
        str,
        Meta(pattern=r"\A(|/[^\n]*|[A-Za-z0-9_.][A-Za-z0-9_.+@ -]*:[^\n]*)\Z"),
        _about(
            "place for captures, as rclone names it, such as nas:captures; empty = none",
            title="REMOTE:PATH as in `rclone listremotes`, or /PATH",
        ),
    ] = ""


class Settings(Section, frozen=True):
    """A whole configuration file."""

    camera: Annotated[Name, _about("name of this camera in topics and paths")] = "cam0"
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
    upload: UploadSettings = UploadSettings()

    @property
    def captures_clips(self) -> bool:
        """Whether a trigger or the GPIO line may ask for a clip, so that video must be kept."""
        captures = [rule.actions for rule in self.triggers]
        if self.hooks.input_gpio != NO_LINE:
            captures.append(self.hooks.input_captures)
        return any("clip" in names for names in captures)
