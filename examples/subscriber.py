"""Prints each trigger and saves its picture.

python subscriber.py [ENDPOINT] [FOLDER]
"""

import sys
from contextlib import suppress
from pathlib import Path

from edge.client import Subscriber

endpoint = sys.argv[1] if len(sys.argv) > 1 else "ipc:///tmp/edge-cam0.ipc"
folder = Path(sys.argv[2] if len(sys.argv) > 2 else ".")

with suppress(KeyboardInterrupt), Subscriber(endpoint, topics=["trigger."]) as subscriber:
    for event in subscriber:
        trigger = event.message
        if event.jpeg:
            (folder / f"{trigger.event_id}.jpg").write_bytes(event.jpeg)
        print(f"{trigger.rule}: {trigger.label} {trigger.score:.2f}", flush=True)
