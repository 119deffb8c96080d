# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each field of ``podman inspect`` in which a quadlet differs from the container of podman-compose, and the reason.

A field is a path, in which ``*`` stands for any text. The id of a container is written as ID in all values.
"""

from __future__ import annotations

RUN = "differs between two starts of the same container"
UNIT = "systemd runs the container"
REMOVED = "a quadlet creates its container at each start and removes it at each stop"
SPLIT = "a quadlet runs in the control group of its unit"
OWN_LABELS = "podman-compose describes itself. By its own label a quadlet is found to be changed"

REASONS = {
    "Created": RUN,
    "GraphDriver.Data.*": RUN,
    "NetworkSettings.*IPAddress": RUN,
    "NetworkSettings.*MacAddress": RUN,
    "NetworkSettings.*NetworkID": RUN,
    "NetworkSettings.SandboxKey": RUN,
    "State.ConmonPid": RUN,
    "State.Health.Log": RUN,
    "State.Pid": RUN,
    "State.StartedAt": RUN,
    "lockNumber": RUN,
    "Config.CreateCommand": "podman run with the words of the unit, instead of podman create",
    "Config.Annotations.io.podman.annotations.autoremove": REMOVED,
    "Config.Annotations.io.podman.annotations.cid-file": UNIT,
    "Config.Labels.PODMAN_SYSTEMD_UNIT": UNIT,
    "Config.Labels.com.docker.compose.config-hash": OWN_LABELS,
    "Config.Labels.io.podman.compose.config-hash": OWN_LABELS,
    "Config.Labels.io.podman.compose.version": OWN_LABELS,
    "Config.sdNotifyMode": "conmon or the healthcheck notifies systemd of the start",
    "Config.sdNotifySocket": UNIT,
    "HostConfig.Annotations.io.podman.annotations.autoremove": REMOVED,
    "HostConfig.Annotations.io.podman.annotations.cid-file": UNIT,
    "HostConfig.AutoRemove": REMOVED,
    "HostConfig.ContainerIDFile": UNIT,
    "HostConfig.RestartPolicy.*": "the unit has the restart policy, because Podman does not restart what it removes",
    "State.CgroupPath": SPLIT,
}
