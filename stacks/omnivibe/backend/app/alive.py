"""The healthcheck: ``python3 -m app.alive NAME`` ends with 0 when that process said lately that it lives."""

import sys

from .bus import Bus, BusError

if __name__ == "__main__":
    try:
        found = Bus()("GET", f"alive:{sys.argv[1]}")
    except BusError as error:
        sys.exit(str(error))
    sys.exit(0 if found else f"{sys.argv[1]} has not said anything for a while")
