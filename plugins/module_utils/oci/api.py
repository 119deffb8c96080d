# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The calls of Oracle's API that this collection uses, over one session. Items keep the API's own names."""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.oci import freetier, tenancy
from ansible_collections.onebox.stack.plugins.module_utils.oci.errors import CallFailed
from ansible_collections.onebox.stack.plugins.module_utils.oci.protocol import Json
from ansible_collections.onebox.stack.plugins.module_utils.oci.sdk import Session

# Oracle keeps the last megabyte of a console.
CONSOLE_BYTES = 1048576


class Api:
    """A ``cloud.Cloud`` for one compartment, and the reads that the preflight adds."""

    def __init__(self, session: Session, compartment_id: str) -> None:
        self._session = session
        self.compartment = compartment_id
        self._captures: dict[str, str] = {}

    # --- for the launcher ---

    def domains(self) -> list[str]:
        rows = self._session.pages(
            "/availabilityDomains", query={"compartmentId": self.compartment}, service="identity"
        )
        return sorted(str(row["name"]) for row in rows)

    def launch(self, body: Json, token: str) -> Json:
        return dict(self._session.call("POST", "/instances", body=body, headers={"opc-retry-token": token}).data)

    def instances(self) -> list[Json]:
        return self.instances_in(self.compartment)

    def instance(self, identity: str) -> Json:
        reply = self._session.call("GET", f"/instances/{identity}")
        return {**reply.data, "etag": reply.headers.get("etag", "")}

    def failures(self, identity: str) -> list[str]:
        query = {"compartmentId": self.compartment, "resourceId": identity}
        texts = []
        for request in self._session.pages("/workRequests", query=query):
            if request.get("status") == "FAILED":
                rows = self._session.pages(f"/workRequests/{request['id']}/errors", query={})
                texts += [str(row.get("message") or row.get("code")) for row in rows]
        return texts

    def addresses(self, identity: str) -> tuple[str, str] | None:
        query = {"compartmentId": self.compartment, "instanceId": identity}
        for attachment in self._session.pages("/vnicAttachments", query=query):
            if attachment.get("lifecycleState") != "ATTACHED":
                continue
            vnic = self._session.call("GET", f"/vnics/{attachment['vnicId']}").data
            if vnic.get("isPrimary"):
                return str(vnic.get("publicIp") or ""), str(vnic.get("privateIp") or "")
        return None

    def boot_volumes(self, domain: str, identity: str) -> list[str]:
        query = {"availabilityDomain": domain, "compartmentId": self.compartment, "instanceId": identity}
        return [str(row["bootVolumeId"]) for row in self._session.pages("/bootVolumeAttachments", query=query)]

    def terminate(self, identity: str, etag: str = "") -> None:
        headers = {"if-match": etag} if etag else {}
        self._session.call("DELETE", f"/instances/{identity}", query={"preserveBootVolume": False}, headers=headers)

    def delete_boot_volume(self, identity: str) -> None:
        self._session.call("DELETE", f"/bootVolumes/{identity}")

    def usage(self, shape: str, domains: t.Sequence[str]) -> freetier.Usage:
        return tenancy.usage(self, shape, domains, volumes=True)

    def console(self, identity: str) -> str | None:
        """The output of an instance's serial console, None while it is being captured.

        Oracle keeps captures until they are deleted. This one is deleted as soon as it has been read.
        """
        if identity not in self._captures:
            row = self._session.call("POST", "/instanceConsoleHistories", body={"instanceId": identity}).data
            self._captures[identity] = str(row["id"])
        path = f"/instanceConsoleHistories/{self._captures[identity]}"
        status = self._session.call("GET", path).data.get("lifecycleState")
        if status in ("REQUESTED", "GETTING-HISTORY"):
            return None
        del self._captures[identity]
        if status != "SUCCEEDED":
            return None
        shown = self._session.call("GET", f"{path}/data", query={"length": CONSOLE_BYTES}, text=True).data
        self._session.call("DELETE", path)
        return bytes(shown or b"").decode("utf-8", "replace")

    # --- usage of the tenancy ---

    def compartments(self) -> list[str]:
        """OCIDs of the tenancy and of every active compartment in it that the user can see."""
        root = self._session.tenancy_id
        if not root:
            return [self.compartment]
        query = {"compartmentId": root, "compartmentIdInSubtree": True, "accessLevel": "ACCESSIBLE"}
        rows = self._session.pages("/compartments", query=query, service="identity")
        active = [str(row["id"]) for row in rows if row.get("lifecycleState") == "ACTIVE"]
        return list(dict.fromkeys([root, self.compartment, *active]))

    def instances_in(self, compartment: str) -> list[Json]:
        """Every instance of a compartment."""
        return self._session.pages("/instances", query={"compartmentId": compartment, "limit": 100})

    def volumes_in(self, compartment: str, domain: str) -> list[Json]:
        """Every boot volume and block volume of a compartment in an availability domain."""
        query = {"availabilityDomain": domain, "compartmentId": compartment}
        return [*self._session.pages("/bootVolumes", query=query), *self._session.pages("/volumes", query=query)]

    # --- for the preflight only ---

    def shapes(self, domain: str) -> list[str]:
        """Names of the shapes an availability domain has."""
        query = {"compartmentId": self.compartment, "availabilityDomain": domain}
        return sorted({str(row["shape"]) for row in self._session.pages("/shapes", query=query)})

    def subnet(self, identity: str) -> Json:
        return dict(self._session.call("GET", f"/subnets/{identity}").data)

    def image(self, identity: str) -> Json:
        return dict(self._session.call("GET", f"/images/{identity}").data)

    def images(self, system: str, version: str, shape: str) -> list[Json]:
        """Available images for a shape, newest first."""
        query = {
            "compartmentId": self._session.tenancy_id or self.compartment,
            "operatingSystem": system or None,
            "operatingSystemVersion": version or None,
            "shape": shape,
            "lifecycleState": "AVAILABLE",
            "sortBy": "TIMECREATED",
            "sortOrder": "DESC",
        }
        return self._session.pages("/images", query=query)

    def home_region(self) -> str:
        """Name of the tenancy's home region, "" when it cannot be read."""
        if not self._session.tenancy_id:
            return ""
        path = f"/tenancies/{self._session.tenancy_id}/regionSubscriptions"
        rows = self._session.pages(path, query={}, service="identity")
        return next((str(row["regionName"]) for row in rows if row.get("isHomeRegion")), "")

    def server_date(self) -> str:
        """The server's clock: the ``Date`` header of any answer, also of a refusal."""
        try:
            query = {"compartmentId": self.compartment}
            return self._session.call("GET", "/availabilityDomains", query=query, service="identity").headers.get(
                "date", ""
            )
        except CallFailed as failed:
            if not failed.answer.date:
                raise
            return failed.answer.date

    def available(self, limit: str, domain: str) -> dict[str, t.Any]:
        """``used`` and ``available`` of a compute limit in an availability domain."""
        path = f"/services/compute/limits/{limit}/resourceAvailability"
        query = {"compartmentId": self._session.tenancy_id or self.compartment, "availabilityDomain": domain}
        row = self._session.call("GET", path, query=query, service="limits").data
        return {"used": row.get("used"), "available": row.get("available")}
