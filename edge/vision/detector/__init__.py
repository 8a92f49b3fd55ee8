"""The detector: any SSD-style TFLite model, from canvas to boxes."""

from edge.vision.detector.detector import Detector
from edge.vision.detector.model_file import ModelFile, read_model

__all__ = ["Detector", "ModelFile", "read_model"]
