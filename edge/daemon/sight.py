"""The live view's message: the pipeline's view of one frame."""

from __future__ import annotations

import cv2

from edge import messages
from edge.daemon.pictures import Size, jpeg
from edge.daemon.publish import Classes, objects, pixel_box, regions
from edge.runtime.times import NS_PER_S
from edge.vision.pipeline import Analysis


def sight(analysis: Analysis, classes: Classes, size: Size) -> messages.Sight:
    """The message about a frame. size: (width, height) of the main picture.

    Call it before the pipeline gets the next frame: mask and canvas are views of its buffers.
    """
    return messages.Sight(
        width=size[0],
        height=size[1],
        blobs_px=tuple(map(pixel_box, analysis.motion.blobs_xyxy.tolist())),
        motion_png=cv2.imencode(".png", analysis.motion.mask)[1].tobytes(),
        changed=round(analysis.motion.changed, 5),
        scene_change=analysis.motion.scene_change,
        regions_px=regions(analysis),
        detections=objects(analysis, classes, size),
        tracks=tuple(
            messages.SeenTrack(
                track_id=track.id,
                label=track.label,
                group=track.group,
                score=round(track.score, 4),
                state=track.state.value,
                box_px=pixel_box(track.box_xyxy),
            )
            for track in analysis.tracks
        ),
        canvas=_canvas(analysis),
    )


def _canvas(analysis: Analysis) -> messages.Canvas | None:
    view = analysis.canvas
    if view is None:
        return None
    height, width = view.pixels.shape[:2]
    return messages.Canvas(
        age_s=round((analysis.frame.timestamp_ns - view.timestamp_ns) / NS_PER_S, 3),
        width=width,
        height=height,
        cells=tuple(
            messages.Cell(crop_px=pixel_box(cell.crop_xyxy), cell_px=pixel_box(cell.cell_xyxy))
            for cell in view.layout.cells
        ),
        jpeg=jpeg(view.pixels),
    )
