"""The network side of Oracle's cloud, in memory: VCNs, gateways, route tables, security lists, subnets."""

from __future__ import annotations

import itertools
import typing as t

from oci_world import Json, Refused

# What each kind hangs on, and what it must be created with.
KINDS: dict[str, tuple[str, ...]] = {
    "vcns": ("compartmentId",),
    "internetGateways": ("compartmentId", "vcnId", "isEnabled"),
    "routeTables": ("compartmentId", "vcnId", "routeRules"),
    "securityLists": ("compartmentId", "vcnId", "ingressSecurityRules", "egressSecurityRules"),
    "subnets": ("compartmentId", "vcnId", "cidrBlock"),
}


class Networks:
    """Rows by kind and id. A VCN comes with a default route table and a default security list, as Oracle makes them."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Json]] = {kind: {} for kind in KINDS}
        self.changes: list[str] = []
        self._numbers = itertools.count(1)

    def listed(self, kind: str, query: t.Mapping[str, str]) -> list[Json]:
        wanted = {key: query[key] for key in ("compartmentId", "vcnId") if key in query}
        return [row for row in self.rows[kind].values() if all(row.get(key) == wanted[key] for key in wanted)]

    def get(self, kind: str, identity: str) -> Json:
        if identity not in self.rows[kind]:
            raise Refused("404-auth")
        return self.rows[kind][identity]

    def create(self, kind: str, body: Json) -> Json:
        if any(key not in body for key in KINDS[kind]):
            raise Refused("400-parse")
        row = self._add(kind, body)
        if kind == "vcns":
            below = {"compartmentId": body["compartmentId"], "vcnId": row["id"]}
            routes = self._add("routeTables", {**below, "routeRules": []})
            security = self._add(
                "securityLists",
                {
                    **below,
                    "ingressSecurityRules": [
                        {
                            "protocol": "6",
                            "source": "0.0.0.0/0",
                            "tcpOptions": {"destinationPortRange": {"min": 22, "max": 22}},
                        },
                        {"protocol": "1", "source": "0.0.0.0/0", "icmpOptions": {"type": 3, "code": 4}},
                        {"protocol": "1", "source": "10.0.0.0/16", "icmpOptions": {"type": 3}},
                    ],
                    "egressSecurityRules": [{"protocol": "all", "destination": "0.0.0.0/0"}],
                },
            )
            row.update(defaultRouteTableId=routes["id"], defaultSecurityListId=security["id"])
        return row

    def update(self, kind: str, identity: str, body: Json, etag: str) -> Json:
        row = self.get(kind, identity)
        if etag and etag != self.etag(row):
            raise Refused("409-state")
        row.update(body)
        row["_version"] += 1
        self.changes.append(f"update {kind}")
        return row

    def delete(self, kind: str, identity: str) -> None:
        row = self.get(kind, identity)
        if kind == "vcns":
            defaults = (row["defaultRouteTableId"], row["defaultSecurityListId"])
            if any(
                other.get("vcnId") == identity and other["id"] not in defaults
                for rows in self.rows.values()
                for other in rows.values()
            ):
                raise Refused("409-state")
            del self.rows["routeTables"][defaults[0]], self.rows["securityLists"][defaults[1]]
        if kind == "internetGateways" and any(
            rule.get("networkEntityId") == identity
            for table in self.rows["routeTables"].values()
            for rule in table["routeRules"]
        ):
            raise Refused("409-state")
        del self.rows[kind][identity]
        self.changes.append(f"delete {kind}")

    @staticmethod
    def etag(row: Json) -> str:
        return f"etag-{row['_version']}"

    def _add(self, kind: str, body: Json) -> Json:
        identity = f"ocid1.{kind[:-1].lower()}.oc1.ap-chuncheon-1.n{next(self._numbers):04d}"
        row = {**body, "id": identity, "lifecycleState": "AVAILABLE", "_version": 1}
        self.rows[kind][identity] = row
        self.changes.append(f"create {kind}")
        return row
