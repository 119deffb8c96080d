# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One small network: a VCN, its internet gateway, and a public subnet that accepts SSH only.

All resources are identified by their tag; resources without the tag are never changed. In the VCN's default security
list only the rules for port 22 are ours: rules for other ports are kept.
"""

from __future__ import annotations

import hashlib
import re
import typing as t
import uuid
from dataclasses import dataclass, field

from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.oci.errors import CallFailed, OciError
from ansible_collections.onebox.stack.plugins.module_utils.oci.protocol import Json
from ansible_collections.onebox.stack.plugins.module_utils.oci.retry import with_retries
from ansible_collections.onebox.stack.plugins.module_utils.oci.sdk import Session

TAG = "onebox-network"
ANYWHERE = "0.0.0.0/0"
WAIT_SECONDS = 180.0
POLL_SECONDS = 2.0
_GONE = ("TERMINATING", "TERMINATED")


@dataclass(frozen=True)
class Wanted:
    """The network. ``ssh_sources`` are the CIDR blocks that can reach port 22."""

    name: str
    compartment_id: str
    cidr: str
    subnet_cidr: str
    ssh_sources: t.Sequence[str]


@dataclass
class Result:
    """``actions`` are the changes, made or planned. The ids of planned resources are ""."""

    actions: list[str] = field(default_factory=list)
    vcn_id: str = ""
    subnet_id: str = ""


class Network:
    """Create or remove one network over a session. ``dry`` changes nothing."""

    def __init__(self, session: Session, wanted: Wanted, *, dry: bool, world: World) -> None:
        self._session = session
        self._wanted = wanted
        self._dry = dry
        self._world = world
        self._result = Result()

    def present(self) -> Result:
        """Find or create all resources. Raises :class:`OciError`."""
        wanted, result = self._wanted, self._result
        vcn = self._find_or_make("vcns", None, {"cidrBlocks": [wanted.cidr], "dnsLabel": _label(wanted.name)})
        if vcn is None:
            result.actions += ["create internetGateways", "update routeTables", "create subnets"]
            return result
        result.vcn_id = str(vcn["id"])
        gateway = self._find_or_make("internetGateways", vcn, {"isEnabled": True})
        self._route(str(vcn["defaultRouteTableId"]), gateway)
        self._security(str(vcn["defaultSecurityListId"]))
        subnet = self._find_or_make(
            "subnets",
            vcn,
            {
                "cidrBlock": wanted.subnet_cidr,
                "dnsLabel": "public",
                "prohibitPublicIpOnVnic": False,
                "routeTableId": vcn["defaultRouteTableId"],
                "securityListIds": [vcn["defaultSecurityListId"]],
            },
        )
        result.subnet_id = str(subnet["id"]) if subnet else ""
        return result

    def absent(self) -> Result:
        """Remove the resources with our tag, from the inside out. Raises :class:`OciError`."""
        for vcn in self._ours("vcns", None):
            for subnet in self._ours("subnets", vcn):
                self._delete("subnets", subnet)
            gateways = self._ours("internetGateways", vcn)
            if gateways:
                self._unroute(str(vcn["defaultRouteTableId"]), [str(row["id"]) for row in gateways])
            for gateway in gateways:
                self._delete("internetGateways", gateway)
            self._delete("vcns", vcn)
        return self._result

    # --- parts ---

    def _ours(self, kind: str, vcn: Json | None) -> list[Json]:
        query = {"compartmentId": self._wanted.compartment_id, "vcnId": vcn["id"] if vcn else None}
        rows = with_retries(lambda: self._session.pages(f"/{kind}", query=query), f"Listing {kind}", self._world)
        return [
            row
            for row in rows
            if (row.get("freeformTags") or {}).get(TAG) == self._wanted.name and row["lifecycleState"] not in _GONE
        ]

    def _find_or_make(self, kind: str, vcn: Json | None, details: Json) -> Json | None:
        found = self._ours(kind, vcn)
        if len(found) > 1:
            ids = ", ".join(str(row["id"]) for row in found)
            raise OciError(f"several {kind} carry the tag {TAG}={self._wanted.name}: {ids}. Remove all but one.")
        if found:
            return self._ready(kind, found[0])
        self._result.actions.append(f"create {kind}")
        if self._dry:
            return None
        body = {
            "compartmentId": self._wanted.compartment_id,
            "displayName": self._wanted.name,
            "freeformTags": {TAG: self._wanted.name},
            **({"vcnId": vcn["id"]} if vcn else {}),
            **details,
        }
        return self._ready(kind, self._create(kind, body))

    def _create(self, kind: str, body: Json) -> Json:
        # The same token for the same resource: a repetition after a lost answer does not create a second one.
        seed = "|".join((kind, self._wanted.name, self._wanted.compartment_id, str(body.get("vcnId"))))
        tokens = iter((hashlib.sha256(seed.encode()).hexdigest()[:48], uuid.uuid4().hex))

        def send(token: str) -> Json:
            return dict(self._session.call("POST", f"/{kind}", body=body, headers={"opc-retry-token": token}).data)

        try:
            first = next(tokens)
            return with_retries(lambda: send(first), f"Creating {kind}", self._world)
        except OciError as error:
            # It was created with this token and removed later.
            if error.answer is None or error.answer.code != "InvalidatedRetryToken":
                raise
            fresh = next(tokens)
            return with_retries(lambda: send(fresh), f"Creating {kind}", self._world)

    def _ready(self, kind: str, row: Json) -> Json:
        waited = 0.0
        while row["lifecycleState"] == "PROVISIONING":
            if waited > WAIT_SECONDS:
                raise OciError(f"{row['id']} is still PROVISIONING after {waited:.0f} s. Check it in the console.")
            self._world.sleep(POLL_SECONDS)
            waited += POLL_SECONDS
            row = self._get(kind, str(row["id"]))[0]
        return row

    def _get(self, kind: str, identity: str) -> tuple[Json, str]:
        reply = with_retries(
            lambda: self._session.call("GET", f"/{kind}/{identity}"), f"Reading {kind} {identity}", self._world
        )
        return dict(reply.data), reply.headers.get("etag", "")

    def _update(self, kind: str, identity: str, body: Json, etag: str) -> None:
        # A list is replaced as a whole. The etag makes sure that no other change is lost.
        self._result.actions.append(f"update {kind}")
        if not self._dry:
            headers = {"if-match": etag} if etag else {}
            with_retries(
                lambda: self._session.call("PUT", f"/{kind}/{identity}", body=body, headers=headers),
                f"Updating {kind} {identity}",
                self._world,
            )

    def _delete(self, kind: str, row: Json) -> None:
        self._result.actions.append(f"delete {kind}")
        if self._dry:
            return

        def work() -> None:
            try:
                self._session.call("DELETE", f"/{kind}/{row['id']}")
            except CallFailed as failed:
                if failed.answer.status != 404:
                    raise

        with_retries(work, f"Removing {kind} {row['id']} (is an instance still using it?)", self._world)

    def _route(self, identity: str, gateway: Json | None) -> None:
        table, etag = self._get("routeTables", identity)
        rules = list(table.get("routeRules") or [])
        for rule in rules:
            if rule.get("destination") != ANYWHERE:
                continue
            if gateway is None or rule.get("networkEntityId") != gateway["id"]:
                raise OciError(
                    f"the route table {identity} sends {ANYWHERE} to {rule.get('networkEntityId')}, not to the "
                    "internet gateway of this network. Remove that rule, or set your own subnet_id."
                )
            return
        target = gateway["id"] if gateway else ""
        rule = {"destination": ANYWHERE, "destinationType": "CIDR_BLOCK", "networkEntityId": target}
        self._update("routeTables", identity, {"routeRules": [*rules, rule]}, etag)

    def _unroute(self, identity: str, gateways: t.Sequence[str]) -> None:
        table, etag = self._get("routeTables", identity)
        rules = list(table.get("routeRules") or [])
        kept = [rule for rule in rules if rule.get("networkEntityId") not in gateways]
        if kept != rules:
            self._update("routeTables", identity, {"routeRules": kept}, etag)

    def _security(self, identity: str) -> None:
        row, etag = self._get("securityLists", identity)
        rules = list(row.get("ingressSecurityRules") or [])
        ssh = [rule for rule in rules if _is_ssh(rule)]
        if sorted(str(rule.get("source")) for rule in ssh) == sorted(self._wanted.ssh_sources):
            return
        ports = {"destinationPortRange": {"min": 22, "max": 22}}
        ours = [
            {"protocol": "6", "source": source, "sourceType": "CIDR_BLOCK", "isStateless": False, "tcpOptions": ports}
            for source in self._wanted.ssh_sources
        ]
        others = [rule for rule in rules if not _is_ssh(rule)]
        body = {
            "ingressSecurityRules": [*others, *ours],
            "egressSecurityRules": row.get("egressSecurityRules") or [],
        }
        self._update("securityLists", identity, body, etag)


def _is_ssh(rule: Json) -> bool:
    ports = (rule.get("tcpOptions") or {}).get("destinationPortRange") or {}
    return rule.get("protocol") == "6" and ports.get("min") == 22 and ports.get("max") == 22


def _label(name: str) -> str:
    """A DNS label of at most 15 letters and digits, beginning with a letter."""
    return ("n" + re.sub(r"[^a-z0-9]", "", name.lower()))[:15]
