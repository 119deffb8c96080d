# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands about timers and units that a person types, for the scheduler that runs the watch on this host."""

from __future__ import annotations

from dataclasses import dataclass

SYSTEM, USER, LAUNCHD, CRON = "system", "user", "launchd", "cron"
LABEL = "stack.onebox.watch."
MAC_LOG = "~/Library/Logs/onebox-watch.log"


@dataclass(frozen=True)
class Commands:
    """The commands of one scheduler: systemd of the host or of the user, launchd, or cron."""

    scheduler: str = SYSTEM

    @property
    def _scope(self) -> str:
        return " --user" if self.scheduler == USER else ""

    def timer_status(self, watch: str) -> str:
        """Why the timer of the watch does not run."""
        if self.scheduler == LAUNCHD:
            return f"launchctl print gui/$(id -u)/{LABEL}{watch}"
        if self.scheduler == CRON:
            return "crontab -l"
        return f"systemctl{self._scope} status onebox-watch-{watch}.timer"

    def watch_log(self, watch: str) -> str:
        """What the last runs of the watch printed."""
        if self.scheduler == LAUNCHD:
            return f"tail -n 20 {MAC_LOG}"
        if self.scheduler == CRON:
            return "tail -n 20 /var/mail/$USER"
        return f"{self.unit_log(f'onebox-watch-{watch}')} -n 20"

    def unit_log(self, unit: str) -> str:
        """The journal of a unit."""
        return f"journalctl{self._scope} -u {unit}"

    def start(self, unit: str) -> str:
        """Start a unit."""
        return f"systemctl{self._scope} start {unit}"

    def failed(self) -> str:
        """List failed units."""
        return f"systemctl{self._scope} --failed"
