# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The instance to launch, and its exact request."""

from __future__ import annotations

import base64
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.oci import freetier
from ansible_collections.onebox.stack.plugins.module_utils.oci.errors import OciError

# The tag that identifies an instance of ours, also after the loss of the state file.
NAME_TAG = "onebox-instance"
# The tag that identifies the state file of the request.
INTENT_TAG = "onebox-intent"

_KEY_TYPES = ("ssh-rsa", "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521")


@dataclass(frozen=True)
class Size:
    """OCPUs and GB of memory of a flexible shape."""

    ocpus: float
    memory_gb: float

    def __str__(self) -> str:
        return f"{self.ocpus:g} OCPU / {self.memory_gb:g} GB"


@dataclass(frozen=True)
class LaunchSpec:
    """One instance. ``sizes`` are tried in this order within each round. The first is the preferred one."""

    name: str
    compartment_id: str
    subnet_id: str
    image_id: str
    shape: str
    sizes: tuple[Size, ...]
    boot_volume_gb: int
    ssh_public_key: str
    user_data: str = ""
    assign_public_ip: bool = True
    fault_domains: tuple[str, ...] = ()
    tags: t.Mapping[str, str] | None = None
    allow_paid: bool = False

    @property
    def flexible(self) -> bool:
        """Whether the request has a size in addition to the shape."""
        return self.shape.endswith(".Flex")

    def check(self) -> None:
        """Refuse invalid options. Raises :class:`OciError` that names the option."""
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", self.name):
            raise OciError(f"name must be 1 to 63 letters, digits, dots, dashes or underscores, not {self.name!r}")
        for option, value, kinds in (
            ("compartment_id", self.compartment_id, ("compartment", "tenancy")),
            ("subnet_id", self.subnet_id, ("subnet",)),
            ("image_id", self.image_id, ("image",)),
        ):
            check_ocid(option, value, kinds)
        check_public_key("ssh_public_key", self.ssh_public_key)
        if self.boot_volume_gb < freetier.BOOT_VOLUME_MIN_GB:
            raise OciError(f"boot_volume_gb must be at least {freetier.BOOT_VOLUME_MIN_GB}, not {self.boot_volume_gb}")
        for size in self.sizes:
            if size.ocpus <= 0 or size.memory_gb <= 0:
                raise OciError(f"ocpus and memory_gb must be above 0, not {size}")
        reserved = [key for key in self.tags or {} if key in (NAME_TAG, INTENT_TAG)]
        if reserved:
            raise OciError(f"tags must not contain {reserved[0]}: the launcher identifies its instance by that tag")
        self.check_allowance(())

    def check_allowance(self, others: t.Iterable[t.Mapping[str, t.Any]], usage: freetier.Usage | None = None) -> None:
        """Refuse a paid instance, given ``others`` and the ``usage`` of the tenancy. Raises :class:`OciError`."""
        if self.allow_paid:
            return
        rows = list(others)
        for size in self.sizes:
            reasons = freetier.over_allowance(self.shape, size.ocpus, size.memory_gb, self.boot_volume_gb, rows, usage)
            if reasons:
                raise OciError(
                    f"this would not be free (Always Free as of {freetier.AS_OF}): {'; '.join(reasons)}. "
                    "Request less, or set allow_paid: true to accept the costs."
                )

    def body(self, domain: str, fault_domain: str, size: Size, intent: str) -> dict[str, t.Any]:
        """The LaunchInstance request body, with the API's own names."""
        metadata = {"ssh_authorized_keys": self.ssh_public_key.strip()}
        if self.user_data:
            metadata["user_data"] = base64.b64encode(self.user_data.encode()).decode()
        body: dict[str, t.Any] = {
            "availabilityDomain": domain,
            "compartmentId": self.compartment_id,
            "displayName": self.name,
            "shape": self.shape,
            "sourceDetails": {
                "sourceType": "image",
                "imageId": self.image_id,
                "bootVolumeSizeInGBs": self.boot_volume_gb,
            },
            "createVnicDetails": {"subnetId": self.subnet_id, "assignPublicIp": self.assign_public_ip},
            "metadata": metadata,
            "freeformTags": {**(self.tags or {}), NAME_TAG: self.name, INTENT_TAG: intent},
            # After maintenance of Oracle's host, the instance starts again by itself.
            "availabilityConfig": {"recoveryAction": "RESTORE_INSTANCE"},
            "instanceOptions": {"areLegacyImdsEndpointsDisabled": True},
        }
        if self.flexible:
            body["shapeConfig"] = {"ocpus": _number(size.ocpus), "memoryInGBs": _number(size.memory_gb)}
        if fault_domain:
            body["faultDomain"] = fault_domain
        return body


def check_ocid(option: str, value: str, kinds: t.Sequence[str]) -> None:
    """Raise :class:`OciError` unless ``value`` is the OCID of one of ``kinds``."""
    parts = value.split(".")
    wanted = " or ".join(f"ocid1.{kind}.…" for kind in kinds)
    if len(parts) < 5 or parts[0] != "ocid1":
        raise OciError(f"{option} must be an OCID ({wanted}), not {value!r}: copy it from the console")
    if parts[1] not in kinds:
        raise OciError(f"{option} is the OCID of a {parts[1]}, not of a {' or '.join(kinds)}: {value}")


def check_public_key(option: str, value: str) -> None:
    """Raise :class:`OciError` unless ``value`` is one line of an OpenSSH public key."""
    if "PRIVATE KEY" in value:
        raise OciError(f"{option} contains a private key. Set the content of the .pub file. Replace the leaked key.")
    words = value.split()
    if len(value.strip().splitlines()) != 1 or len(words) < 2 or words[0] not in _KEY_TYPES:
        raise OciError(f"{option} must be one line such as 'ssh-ed25519 AAAA… comment': the content of the .pub file")
    try:
        blob = base64.b64decode(words[1], validate=True)
    except ValueError:
        raise OciError(f"{option} is damaged: its second word is not base64. Copy the whole .pub file.") from None
    if words[0].encode() not in blob[:64]:
        raise OciError(
            f"{option} is damaged: it says {words[0]} but contains another kind of key. Copy the whole .pub file."
        )


def _number(value: float) -> float | int:
    return int(value) if float(value).is_integer() else value
