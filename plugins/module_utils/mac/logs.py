# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rotate the logs of a stack with an agent and a plain script.

Containers keep their logs open, so a log is copied and emptied, not moved. While the machine runs, this happens inside
the machine: the guest's kernel caches the length of a file. If the Mac emptied the file, a container would continue to
write behind a hole of zeros.
"""

from __future__ import annotations

import shlex
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.mac.bringback import PATH


@dataclass(frozen=True)
class Logs:
    """The logs to rotate.

    Attributes:
        machine: name of the Podman machine.
        provider: its provider.
        directories: directories of ``*.log`` files, with the same paths in the guest.
        max_bytes: size above which a log is rotated.
        keep: number of compressed logs to keep.
        podman: the podman client.
    """

    machine: str
    provider: str
    directories: tuple[str, ...]
    max_bytes: int = 10 << 20
    keep: int = 5
    podman: str = "podman"


_SCRIPT = """\
#!/bin/sh
# Written by onebox.stack: rotates the logs of the stack. Changes here are overwritten.
set -u
PATH=@PATH@:${PATH:-}
export PATH CONTAINERS_MACHINE_PROVIDER=@PROVIDER@
if [ -z "${TMPDIR:-}" ] && [ -x /usr/bin/getconf ]; then
  TMPDIR=$(/usr/bin/getconf DARWIN_USER_TEMP_DIR 2>/dev/null) && export TMPDIR
fi
state=$(@PODMAN@ machine inspect --format '{{.State}}' @MACHINE@ 2>/dev/null)
if [ "${1:-}" != here ] && [ "$state" = running ]; then
  exec @PODMAN@ machine ssh @MACHINE@ sh -s here <"$0"
fi
limit=@LIMIT@
keep=@KEEP@

rotate() {
  if [ ! -f "$1" ] || [ -h "$1" ] || [ "$(wc -c <"$1")" -le "$limit" ]; then
    return 0
  fi
  # Complete first: with a full disk, neither the log nor an earlier copy can be lost.
  if ! gzip -c "$1" >"$1.new.gz"; then
    rm -f "$1.new.gz"
    echo "$1 cannot be rotated" >&2
    return 1
  fi
  number=$keep
  while [ "$number" -gt 1 ]; do
    before=$((number - 1))
    if [ -f "$1.$before.gz" ]; then
      mv -f "$1.$before.gz" "$1.$number.gz"
    fi
    number=$before
  done
  mv -f "$1.new.gz" "$1.1.gz"
  : >"$1"
}

failed=0
for folder in @FOLDERS@; do
  for file in "$folder"/*.log; do
    rotate "$file" || failed=1
  done
done
exit $failed
"""


def script(logs: Logs) -> str:
    """The script, with every value quoted for the shell."""
    text = _SCRIPT
    for key, value in {
        "PATH": shlex.quote(PATH),
        "PROVIDER": shlex.quote(logs.provider),
        "PODMAN": shlex.quote(logs.podman),
        "MACHINE": shlex.quote(logs.machine),
        "LIMIT": str(logs.max_bytes),
        "KEEP": str(logs.keep),
        "FOLDERS": " ".join(shlex.quote(folder) for folder in logs.directories),
    }.items():
        text = text.replace(f"@{key}@", value)
    return text


def definition(script_path: str, log_path: str, minutes: int) -> dict[str, t.Any]:
    """The agent, which runs every ``minutes``. launchd makes up for runs that a sleeping Mac missed."""
    return {
        "ProgramArguments": ["/bin/sh", script_path],
        "StartInterval": minutes * 60,
        "ProcessType": "Background",
        "StandardOutPath": log_path,
        "StandardErrorPath": log_path,
    }
