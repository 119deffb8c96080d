# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide whether an instance is that of this launch, and whether it ever ran.

A tag is not a proof: every user of the compartment can write it. An instance is accepted as ours only if it was
launched with our SSH key alone, our image and our user data, because all of these are readable in the instance itself.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.oci import freetier, protocol
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch.backoff import LAUNCH_SECONDS
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch.spec import INTENT_TAG, LaunchSpec
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch.state import Known, Pending
from ansible_collections.onebox.stack.plugins.module_utils.oci.protocol import Json

# The states before the first boot. Every other state of an instance that exists means that it runs or once ran.
_BEFORE_FIRST_BOOT = ("PROVISIONING", "STARTING")


@dataclass(frozen=True)
class Identity:
    """The inputs of a launch: fingerprints of the SSH keys, OCID of the image, user data as base64."""

    keys: frozenset[str]
    image: str
    user_data: str


def of_row(row: Json) -> Identity:
    """The identity of an instance or of a launch request, both in the API's own names."""
    metadata = _mapping(row.get("metadata"))
    source = _mapping(row.get("sourceDetails"))
    lines = str(metadata.get("ssh_authorized_keys") or "").splitlines()
    keys = frozenset(fingerprint(line) for line in lines if line.strip())
    image = str(source.get("imageId") or row.get("imageId") or "")
    return Identity(keys, image, str(metadata.get("user_data") or ""))


def expected(spec: LaunchSpec, pending: Pending | None) -> list[Identity]:
    """The identities of our own requests: the current spec, and the open request."""
    found = [of_row(spec.body("", "", spec.sizes[0], ""))]
    if pending is not None:
        found.append(of_row(pending.body))
    return found


def difference(row: Json, wanted: t.Sequence[Identity]) -> str:
    """The reason why ``row`` was not launched by us, as the end of a sentence, "" if it was."""
    found = of_row(row)
    if found in wanted:
        return ""
    want = wanted[0]
    if found.keys != want.keys:
        shown = ", ".join(sorted(found.keys)) or "no key"
        return f"it was launched with another SSH key ({shown}, yours is {', '.join(sorted(want.keys))})"
    if found.image != want.image:
        return f"it was launched from another image ({found.image or 'not shown'}, yours is {want.image})"
    return "it was launched with other user data (user_data)"


def fingerprint(line: str) -> str:
    """``SHA256:…`` of one line of an authorized_keys file, as ssh-keygen -l prints it. Options change the key."""
    words = line.split()
    if len(words) >= 2 and words[0].startswith(("ssh-", "ecdsa-", "sk-")):
        try:
            digest = hashlib.sha256(base64.b64decode(words[1], validate=True)).digest()
        except (ValueError, binascii.Error):
            return f"unreadable:{' '.join(words)[:80]}"
        return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"
    return f"unreadable:{' '.join(words)[:80]}"


def has_intent(row: Json, intent: str) -> bool:
    """Whether the instance has the tag of the state file with this ``intent``."""
    return bool(intent) and _mapping(row.get("freeformTags")).get(INTENT_TAG) == intent


def pending_intent(pending: Pending) -> str:
    """The intent of the open request."""
    return str(_mapping(pending.body.get("freeformTags")).get(INTENT_TAG) or "")


def exists(row: Json) -> bool:
    """Whether the instance is neither terminated nor about to be."""
    return row.get("lifecycleState") not in freetier.GONE


def runs_or_ran(row: Json) -> bool:
    """Whether the instance exists and is past its first boot, as far as its state shows."""
    return exists(row) and row.get("lifecycleState") not in _BEFORE_FIRST_BOOT


def never_ran(row: Json, known: Known, now: float) -> bool:
    """Whether it is certain that an instance of ours never ran, so that it can be terminated.

    STARTING is also the state of an instance that reboots: it counts only shortly after the launch.
    """
    if known.running or row.get("lifecycleState") not in _BEFORE_FIRST_BOOT:
        return False
    return row.get("lifecycleState") == "PROVISIONING" or 0 <= now - known.since <= LAUNCH_SECONDS


def first_choice(rows: t.Sequence[Json]) -> Json:
    """The instance of several that stays: running ones first, then the lowest OCID."""
    return min(rows, key=lambda row: (not runs_or_ran(row), str(row["id"])))


def is_tagged(row: Json, name: str) -> bool:
    """Whether the instance has the tag of ``name``."""
    return protocol.is_ours(row, name)


def _mapping(value: t.Any) -> dict[str, t.Any]:
    return value if isinstance(value, dict) else {}
