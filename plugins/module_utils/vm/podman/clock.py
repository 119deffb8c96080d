# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check and set the guest's clock, which stops while a laptop sleeps. A wrong clock breaks TLS and tokens."""

from __future__ import annotations

from ansible_collections.onebox.stack.plugins.module_utils.vm.podman.client import Podman
from ansible_collections.onebox.stack.plugins.module_utils.vm.podman.model import Machine

# With a larger difference, certificates and tokens begin to be refused.
DRIFT_SECONDS = 30.0


def is_off(machine: Machine | None) -> bool:
    """Whether the guest's clock is too far from the host's."""
    return machine is not None and machine.clock_drift is not None and abs(machine.clock_drift) > DRIFT_SECONDS


def warning(machine: Machine) -> str:
    return (
        f"the clock of {machine.name} is {machine.clock_drift:+.0f} s off (it stops while a laptop sleeps), which "
        "breaks TLS and tokens. Set it with mend_clock: true, or: "
        f"{' '.join(['podman', *words(machine, '$(date +%s)')])}"
    )


def words(machine: Machine, epoch: str) -> tuple[str, ...]:
    """The command that sets the clock. The guest's own time service continues and corrects the remaining difference."""
    return ("machine", "ssh", machine.name, f"sudo date --utc --set @{epoch}")


def adjust(podman: Podman, machine: Machine, now: float) -> None:
    """Set the guest's clock to the host's time.

    Raises:
        MachineError: the guest refused.
        process.CommandTimeout: it did not answer.
    """
    podman.change(machine.provider, words(machine, f"{now:.0f}"))
