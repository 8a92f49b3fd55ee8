"""Two subscriptions at the same time with asyncio.

python subscriber_asyncio.py [ENDPOINT]
"""

import asyncio
import sys
from contextlib import suppress

from edge.client import Subscriber

endpoint = sys.argv[1] if len(sys.argv) > 1 else "ipc:///tmp/edge-cam0.ipc"


async def triggers() -> None:
    with Subscriber(endpoint, topics=["trigger."]) as subscriber:
        async for event in subscriber:
            print(f"trigger {event.message.rule}: {event.message.label}", flush=True)


async def health() -> None:
    with Subscriber(endpoint, topics=["health."]) as subscriber:
        async for event in subscriber:
            print(f"health {event.message.state}, {event.message.fps:.1f} fps", flush=True)


async def main() -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(triggers())
        tasks.create_task(health())


with suppress(KeyboardInterrupt):
    asyncio.run(main())
