# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The healthcheck of the three services: exit 0 while /healthz on the given port says 200. Starts quickly."""

import http.client
import sys


def main() -> None:
    connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=4)
    try:
        connection.request("GET", "/healthz")
        answer = connection.getresponse()
        said = answer.read().decode(errors="replace").strip()
    except OSError as error:
        sys.exit(f"nothing answers on port {sys.argv[1]}: {error}")
    # What it said is kept by the engine, and shown when the service is unhealthy.
    sys.exit(0 if answer.status == 200 else said or f"HTTP {answer.status}")


if __name__ == "__main__":
    main()
