"""The beat: puts a job into the queue every so often."""

from __future__ import annotations

import datetime
import json
import os
import uuid

from .bus import QUEUE, Bus, BusError, Process


def main() -> None:
    process = Process("beat")
    interval = float(os.environ.get("BEAT_INTERVAL") or "60")
    bus = Bus()
    while not process.told.wait(interval):
        try:
            text = f"beat at {datetime.datetime.now(datetime.timezone.utc):%H:%M:%S}"
            bus("LPUSH", QUEUE, json.dumps({"id": uuid.uuid4().hex, "text": text}))
        except BusError as error:
            print(f"beat: {error}", flush=True)


if __name__ == "__main__":
    main()
