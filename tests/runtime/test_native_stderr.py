"""Lines of native libraries, withheld in a real process with a real file descriptor 2."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import os, threading
from edge.runtime.native_stderr import without_lines
os.write(2, b"before\\n")
try:
    with without_lines(b"INFO: ", b"NOTE"):
        os.write(2, b"NOTES: 2\\nINFO: Created a delegate\\n")
        other = threading.Thread(target=os.write, args=(2, b"of another thread\\n"))
        other.start(); other.join()
        os.write(2, b"INFO without a colon\\nERROR: no memory\\nhalf a line")
        raise ValueError
except ValueError:
    os.write(2, b", its end\\n")
os.write(2, b"INFO: after it\\n")
"""


def test_only_the_named_lines_are_dropped_and_the_order_is_kept() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, timeout=30)
    assert done.returncode == 0
    assert done.stderr.decode().splitlines() == [
        "before", "of another thread", "INFO without a colon", "ERROR: no memory",
        "half a line, its end", "INFO: after it",
    ]  # fmt: skip


def test_a_closed_standard_error_is_no_failure() -> None:
    script = (
        "import os\nfrom edge.runtime.native_stderr import without_lines\nos.close(2)\n"
        "with without_lines(b'INFO: '): print('run')\n"
        "os.fstat(2)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, timeout=30)
    assert (done.returncode, done.stdout) == (1, b"run\n")  # descriptor 2 is still closed
