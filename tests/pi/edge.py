"""The command `edge`, on a machine with the fittings instead of a camera.

EDGE_TEST_FPS: frames a second of the virtual camera.
"""

import os

from edge.cli import main
from tests.pi.fittings import Shutter, fit

if __name__ == "__main__":
    fit()
    Shutter(float(os.environ.get("EDGE_TEST_FPS", "10")))
    main()
