"""Starts `edge-train` as a process of its own."""

from __future__ import annotations

import subprocess
import sys
from typing import Any


def edge_train(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "mobiledet.cli", *map(str, arguments)]


def completed(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        edge_train(*arguments), check=False, capture_output=True, text=True, timeout=900
    )


def is_whole_in_xnnpack(interpreter: Any) -> bool:
    """Whether a file with prepared tensors is all int8 and in one partition of the delegate."""
    types = {tensor["dtype"].__name__ for tensor in interpreter.get_tensor_details()}
    delegated = [o for o in interpreter._get_ops_details() if o["op_name"] == "DELEGATE"]
    if types != {"int8", "int32"} or len(delegated) != 1:
        return False
    ends = (
        (interpreter.get_input_details(), "inputs"),
        (interpreter.get_output_details(), "outputs"),
    )
    return all(
        {x["index"] for x in details} <= set(delegated[0][kind].tolist()) for details, kind in ends
    )
