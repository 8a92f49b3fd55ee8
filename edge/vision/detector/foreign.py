"""Names files that are no TFLite detector, and the way from them to one."""

from __future__ import annotations

from edge.vision.detector.graph import Graph

POSTPROCESS = "TFLite_Detection_PostProcess"
ULTRALYTICS = "export it on a PC: yolo export model=FILE format=tflite"
FROM_ONNX = "convert it on a PC: onnx2tf -i FILE"
FROM_KERAS = "convert it with tf.lite.TFLiteConverter"

# First bytes, or the end of the name, and a sentence.
MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"version https://git-lfs", "a git LFS pointer, not the model: run git lfs pull in its clone"),
    (b"\x89HDF", f"a Keras model in HDF5: {FROM_KERAS}"),
    (b"\x01HEF", "a model for a Hailo accelerator: export the original model as TFLite instead"),
    (b"\x80\x02", f"a PyTorch model: {ULTRALYTICS}"),
    (b"RKNN", "a model for a Rockchip NPU: export the original model as TFLite instead"),
    (b"7767517", "an ncnn model: export the original model as TFLite instead"),
    (b"<!", "a web page, not a model: the download failed, download it again"),
    (b"<html", "a web page, not a model: the download failed, download it again"),
    (b"\x1f\x8b", "a gzip archive: unpack it and name the .tflite file in it"),
)
SUFFIXES: tuple[tuple[str, str], ...] = (
    (".pt", f"a PyTorch model: {ULTRALYTICS}"),
    (".pth", f"a PyTorch model: {ULTRALYTICS}"),
    (".torchscript", f"a TorchScript model: {ULTRALYTICS}"),
    (".onnx", f"an ONNX model: {FROM_ONNX}"),
    (".hef", "a model for a Hailo accelerator: export the original model as TFLite instead"),
    (".rknn", "a model for a Rockchip NPU: export the original model as TFLite instead"),
    (".pb", f"a TensorFlow graph: {FROM_KERAS}"),
    (".h5", f"a Keras model in HDF5: {FROM_KERAS}"),
    (".keras", f"a Keras model: {FROM_KERAS}"),
    (".engine", "a TensorRT engine: export the original model as TFLite instead"),
    (".xml", "an OpenVINO model: export the original model as TFLite instead"),
    (".bin", "weights without a graph: export the original model as TFLite instead"),
    (".param", "an ncnn model: export the original model as TFLite instead"),
    (".mlmodel", "a Core ML model: export the original model as TFLite instead"),
    (".eim", "an Edge Impulse program: download the TFLite file from the project's dashboard"),
    (".task", "a MediaPipe bundle: name a .tflite detector instead"),
    (".zip", "a ZIP archive: unpack it and name the .tflite file in it"),
)


def kind_of(name: str, data: bytes) -> str:
    """The kind of a file that is not a TFLite model, as the end of a sentence."""
    found = next((text for magic, text in MAGIC if data.startswith(magic)), None)
    if found is None and data.startswith(b"PK\x03\x04") and b"data.pkl" in data[:512]:
        found = f"a PyTorch model: {ULTRALYTICS}"
    if found is None and data[:1] == b"\x08" and any(w in data[:80] for w in (b"pytorch", b"onnx")):
        found = f"an ONNX model: {FROM_ONNX}"
    if found is None:
        found = next((text for end, text in SUFFIXES if name.lower().endswith(end)), None)
    if found is None:
        return f"not a TFLite model (it has {len(data)} bytes)"
    return f"not a TFLite model but {found.replace('FILE', name)}"


def obstacle(graph: Graph) -> str | None:
    """Why a TFLite graph can't be run here as a detector, before it is tried; otherwise None."""
    customs = {one.custom for one in graph.operators if one.custom}
    if "edgetpu-custom-op" in customs:
        return (
            "compiled for a Coral Edge TPU, which this program doesn't use: take the file that was "
            "compiled, usually the same name without _edgetpu"
        )
    if flex := sorted(name for name in customs if name.startswith("Flex")):
        return (
            f"it needs TensorFlow's own operators ({', '.join(flex[:3])}): export it again with "
            "TFLITE_BUILTINS only, without SELECT_TF_OPS"
        )
    if unknown := sorted(customs - {POSTPROCESS}):
        return f"it needs custom operators that the runtime doesn't have: {', '.join(unknown[:3])}"
    if len(graph.inputs) != 1:
        return f"it has {len(graph.inputs)} inputs; a detector has one, the picture"
    if POSTPROCESS not in customs and all(len(_sides(one.shape)) <= 1 for one in graph.outputs):
        return (
            "it is a classifier, which names a picture and finds no boxes: use a detector, for "
            "instance one from edge models list"
        )
    return None


def _sides(shape: tuple[int, ...]) -> list[int]:
    """The sides of a shape after the batch that are more than 1."""
    return [side for side in shape[1:] if side != 1]
