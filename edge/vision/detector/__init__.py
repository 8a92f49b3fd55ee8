"""The detector: any TFLite model with a known layout, from canvas to boxes."""

from edge.vision.detector.detector import Detector
from edge.vision.detector.model import Model, read_model

__all__ = ["Detector", "Model", "read_model"]
