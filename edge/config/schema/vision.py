"""The sections of the stages from motion to tracker."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from edge.config.schema.base import (
    DEFAULT_MODEL,
    MAX_CORNERS,
    MAX_ROWS,
    MAX_S,
    AnchorSide,
    Looks,
    PathText,
    PolygonPoints,
    Seconds,
    Section,
    Share,
    about,
)


class MotionSettings(Section, frozen=True):
    """Frame differencing against a running background."""

    sensitivity: Annotated[
        float,
        Meta(ge=0.05, le=10),
        about("divides floor and noise_factor; raise it if objects are missed"),
    ] = 1.0
    floor: Annotated[
        float,
        Meta(ge=1, le=255),
        about("least change of brightness (0 to 255) that counts as motion, at sensitivity 1"),
    ] = 14.0
    noise_factor: Annotated[
        float,
        Meta(ge=0, le=50),
        about("multiple of the pixel's noise that a change must exceed, at sensitivity 1"),
    ] = 4.0
    learn_s: Annotated[
        float,
        Meta(ge=0.1, le=3600),
        about("time in which the background follows a slow change of light"),
    ] = 4.0
    absorb_s: Annotated[
        float,
        Meta(ge=0.1, le=MAX_S),
        about("time in which a change that stays becomes background"),
    ] = 60.0
    min_area: Annotated[
        Share,
        about("smallest blob (moving area), as a share of the picture; raise it against insects"),
    ] = 0.0004
    scene_change: Annotated[
        Share,
        about("share of the picture; a sudden change of more counts as light, not as motion"),
    ] = 0.5
    masks: Annotated[
        tuple[PolygonPoints, ...],
        Meta(max_length=MAX_ROWS),
        about(
            "areas where motion is ignored",
            title=f"list of polygons of 3 to {MAX_CORNERS} [x, y] with x and y from 0 to 1",
        ),
    ] = ()


class RegionSettings(Section, frozen=True):
    """Blobs (moving areas) become crops, and crops share canvases."""

    context: Annotated[
        float,
        Meta(ge=1, le=5),
        about("size of a crop as a multiple of its blob, in the direction with less room"),
    ] = 1.6
    merge_gap: Annotated[
        Share,
        about("blobs are one object if they touch when each grows by this share on every side"),
    ] = 0.1
    max_enlarge: Annotated[
        float, Meta(ge=1, le=8), about("largest factor by which a crop is enlarged for the model")
    ] = 1.5
    max_shrink: Annotated[
        float,
        Meta(ge=0.1, le=8),
        about("motion that a shared canvas would shrink by more than this gets a whole canvas"),
    ] = 1.5
    gutter_px: Annotated[
        int, Meta(ge=0, le=64), about("grey gap between the cells of a shared canvas")
    ] = 4
    pack: Annotated[bool, about("let several crops share one invocation of the model")] = True


class SchedulerSettings(Section, frozen=True):
    """The choice of regions for invocations of the model."""

    invocations_per_s: Annotated[
        float,
        Meta(gt=0, le=1000),
        about("average budget of model invocations; lower it to save CPU and heat"),
    ] = 5.0
    burst: Annotated[
        int,
        Meta(ge=1, le=100),
        about("unused invocations that may be saved for a sudden event"),
    ] = 6
    relook_s: Annotated[Seconds, about("time between two looks at a moving track")] = 0.25
    standing_relook_s: Annotated[Seconds, about("time between two looks at a stationary track")] = (
        2.0
    )
    empty_relook_s: Annotated[
        Seconds,
        about("pause at motion without an object; it begins at an eighth and grows to 16 times"),
    ] = 1.0
    sweep_s: Annotated[
        Seconds,
        about("time between two looks at the whole picture, also without motion; 0 = never"),
    ] = 60.0


class ModelSettings(Section, frozen=True):
    """The detector: any TFLite model whose layout is known (see docs/models.md)."""

    file: Annotated[
        PathText,
        about(
            "a name from `edge models list`, or the path of a .tflite file", title="name or path"
        ),
    ] = DEFAULT_MODEL
    runtime: Annotated[
        Literal["auto", "ai-edge-litert", "tflite-runtime"],
        about("auto = ai-edge-litert if installed, otherwise tflite-runtime"),
    ] = "auto"
    threads: Annotated[int, Meta(ge=1, le=16), about("CPU threads per invocation")] = 2
    min_score: Annotated[
        Share,
        about(
            "lowest score of a detection; 0 = the one that the model's file names, otherwise 0.5"
        ),
    ] = 0.0
    max_iou: Annotated[
        Share,
        about("two boxes of one class that overlap by more than this (IoU) are one object"),
    ] = 0.45
    layout: Annotated[
        str,
        Meta(pattern=r"\A[a-z0-9-]{1,32}\Z"),
        about("layout of the outputs (docs/models.md); auto = read from the file", title="name"),
    ] = "auto"
    labels_file: Annotated[
        PathText, about("text file with one label per line; empty = attached or beside the model")
    ] = ""
    input_range: Annotated[
        Literal["auto", "-1..1", "0..1", "0..255", "imagenet"],
        about("values of black and white in the input; auto = read from the file"),
    ] = "auto"
    channels: Annotated[
        Literal["auto", "rgb", "bgr"],
        about("order of colours in the input; auto = the order of the layout"),
    ] = "auto"
    input_px: Annotated[
        int,
        Meta(ge=0, le=4096),
        about("width and height of the input, for models without a fixed size; 0 = of the file"),
    ] = 0
    anchors: Annotated[
        tuple[tuple[AnchorSide, AnchorSide], ...],
        Meta(max_length=16),
        about(
            "anchors of YOLOv2 models in cells, as in the line anchors= of their .cfg file",
            title="list of pairs [width, height]",
        ),
    ] = ()


class TrackerSettings(Section, frozen=True):
    """Assignment of detections to tracks."""

    min_iou: Annotated[
        Share, about("smallest overlap (IoU) at which a detection continues a track")
    ] = 0.3
    weak_score: Annotated[
        Share,
        about("lowest score with which a detection continues a track; 0 = by the model, or 0.25"),
    ] = 0.0
    confirm_looks: Annotated[
        Looks, about("looks that must detect an object before its track is confirmed")
    ] = 2
    sure_score: Annotated[Share, about("score with which a single look confirms a track")] = 0.7
    max_misses: Annotated[
        Looks, about("looks in a row that may miss an object before its track ends")
    ] = 10
    max_unseen_s: Annotated[
        Seconds, about("a track ends when its object was not detected for longer than this")
    ] = 10.0
    stationary_speed: Annotated[
        float,
        Meta(ge=0, le=100),
        about("box heights per second below which a track is stationary"),
    ] = 0.1
