# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guest's clock stands still while a laptop sleeps; then TLS and tokens fail, far from the cause."""

from __future__ import annotations

from ansible_collections.onebox.stack.plugins.module_utils.vm.podman.client import Podman
from ansible_collections.onebox.stack.plugins.module_utils.vm.podman.model import Machine

# Beyond this, certificates and tokens begin to be refused.
DRIFT_SECONDS = 30.0


def is_off(machine: Machine | None) -> bool:
    """Whether the guest's clock is too far from the host's."""
    return machine is not None and machine.clock_drift is not None and abs(machine.clock_drift) > DRIFT_SECONDS


def warning(machine: Machine) -> str:
    return (
        f"the clock of {machine.name} is {machine.clock_drift:+.0f} s off (laptops lose it in sleep), which breaks "
        f"TLS and tokens; set it with mend_clock: true, or: {' '.join(['podman', *words(machine, '$(date +%s)')])}"
    )


def words(machine: Machine, epoch: str) -> tuple[str, ...]:
    """The command that sets it. The guest's own time service stays; it only corrects what is left, slowly."""
    return ("machine", "ssh", machine.name, f"sudo date --utc --set @{epoch}")


def mend(podman: Podman, machine: Machine, now: float) -> None:
    """Give the guest the host's time.

    Raises:
        MachineError: the guest refused.
        process.CommandTimeout: it did not answer.
    """
    podman.change(machine.provider, words(machine, f"{now:.0f}"))
