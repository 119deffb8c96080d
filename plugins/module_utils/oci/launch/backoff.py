# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting times in seconds. ``random`` returns numbers from 0 up to 1.

Oracle does not publish a safe number of requests. Users were throttled at one request a minute, and accounts were
restricted at 45 seconds and at 10 minutes. The authors of the better known launchers use at least five minutes. So
there is at most one round over the availability domains in five minutes, with its requests spread evenly: Oracle seems
to count requests in quick succession, and benchmarks/oci_policies.py shows that those are refused.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.oci.errors import OciError

HARD_FLOOR = 300.0
# A limit answer that lasts this long is accepted: false ones were seen for a little over an hour.
LIMIT_BELIEVED_SECONDS = 6 * 3600.0
LIMIT_REPLAYS = 4
# A domain without the shape is tried again after a day.
SKIP_SECONDS = 24 * 3600.0
# New resources are known everywhere after about four minutes (the Terraform provider waits that long).
SETTLING_SECONDS = 240.0
# A longer Retry-After than a day is ignored.
RETRY_AFTER_MAX = 24 * 3600.0
# An instance that neither runs nor fails for this long was never assigned to a host.
LAUNCH_SECONDS = 1200.0
BUSY_MAX = 10

Random = t.Callable[[], float]


@dataclass(frozen=True)
class Policy:
    """The waiting times of one launcher. The options of the same names describe them.

    Args:
        private: the endpoint is a private or test one; only there may ``interval_floor`` be below 300.
    """

    capacity_interval: float = 300.0
    throttle_base: float = 900.0
    throttle_max: float = 3600.0
    jitter_max: float = 120.0
    interval_floor: float = HARD_FLOOR
    private: bool = False

    def __post_init__(self) -> None:
        for option in ("capacity_interval", "throttle_base", "throttle_max", "jitter_max", "interval_floor"):
            if not 0 <= getattr(self, option) <= 7 * 86400:
                raise OciError(f"{option} must be between 0 and 604800 seconds, not {getattr(self, option):g}")
        if self.interval_floor < HARD_FLOOR and not self.private:
            raise OciError(
                f"interval_floor must be at least {HARD_FLOOR:g} seconds, not {self.interval_floor:g}: Oracle "
                "throttles and restricts accounts with more frequent requests. Only with endpoint can it be lower."
            )
        if self.throttle_max < self.throttle_base:
            raise OciError(
                f"throttle_max ({self.throttle_max:g}) is below throttle_base ({self.throttle_base:g}). Increase it."
            )

    def capacity_wait(self, requests: int, random: Random) -> float:
        """Time from one request to the next without capacity, in a round of ``requests``.

        No region has more than three domains; what makes a round longer, a ladder of sizes, makes it last longer.
        """
        whole = max(self.capacity_interval, self.interval_floor)
        return max((whole + self._jitter(whole, random)) / requests, self.interval_floor / 3)

    def throttle_wait(self, level: int, retry_after: float | None, random: Random) -> float:
        """Time after the ``level``-th 429 in a row (0 is the first): doubled each time, at least ``Retry-After``."""
        doubled = min(self.throttle_max, self.throttle_base * 2 ** min(level, 20))
        wanted = min(retry_after or 0.0, RETRY_AFTER_MAX)
        whole = max(doubled, wanted, self.interval_floor)
        return whole + self._jitter(whole, random)

    def _jitter(self, wait: float, random: Random) -> float:
        """A random extension, to avoid the full minute of cron jobs: at most a tenth of the wait."""
        return min(self.jitter_max, wait / 10) * random()

    def network_wait(self, failures: int) -> float:
        """Time after the ``failures``-th transport failure in a row (1 is the first), which did not reach Oracle."""
        return min(self.poll * 2 ** min(failures, 20), max(self.capacity_interval, self.poll))

    def replay_interval(self, replays: int) -> float:
        """Time between two sends of a request with unknown outcome: the floor, doubled up to the normal interval."""
        return min(self.interval_floor * 2 ** min(replays, 20), max(self.capacity_interval, self.interval_floor))

    @property
    def settle(self) -> float:
        """Time for which the instance list is watched after an unknown outcome, before the request is sent again."""
        return self.interval_floor / 2

    @property
    def poll(self) -> float:
        """Time between two reads of an instance that starts or ends: 10 seconds at the default floor."""
        return min(10.0, max(0.5, self.interval_floor / 30))
