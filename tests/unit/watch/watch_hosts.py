# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documents of several hosts for the page: one as promised, one with faults, one hostile, one silent."""

from __future__ import annotations

import copy

from watch_facts import CONFIG, DAY, GIB, HOUR, NOW, STEP, Facts, Watch, container, healthy, live, mount, one, place
from watch_fault_table import FAULTS

HOSTILE = "<img src=x onerror=alert(1)>\"'&</style></script><script>alert(2)</script>\u202e\x00"
LOST_AT_DOWN = (
    "PostgreSQL in shop-db-1 keeps its data in /var/lib/postgresql/data, in a volume without a name (9 files, 48 MB)."
    " `down` leaves it behind, and the next `up` starts without it."
)
LOST_IN_LAYER = "shop-web-1 keeps data in /app/exports, in the container itself, on no mount (12 files, 3 MB)."
_SHOWN = (
    *("unhealthy", "crash loop between the runs", "source directory replaced", "mount that cannot be proven"),
    *("env file edited by hand", "rehearsal failed", "disk fills within hours", "log without a limit"),
    *("certificate ends in a week", "unit failed"),
)


def _places(at_risk: bool) -> list[Facts]:
    """The data map: all is kept, or one database and some uploads are not."""
    found = [
        place("db", "/var/lib/postgresql/data", "bind", database="postgresql", evidence=["data_directory", "mount"]),
        place("web", "/uploads", "volume", volume="shop_uploads", evidence=["mount", "open_file"]),
        place("worker", "/uploads", "volume", volume="shop_uploads", evidence=["mount", "open_file"]),
        place("web", "/etc/shop/config.yml", "bind", evidence=["mount"]),
    ]
    if at_risk:
        lost = {"database": "postgresql", "fails": True, "message": LOST_AT_DOWN}
        found[0] = place("db", "/var/lib/postgresql/data", "anonymous", "lost_at_down", **lost)
        found.append(place("web", "/app/exports", "layer", "lost_at_recreate", message=LOST_IN_LAYER))
    return found


def document(name: str, faults: tuple[str, ...] = (), runs: int = 40) -> Facts:
    """The document of a host after some runs."""
    watch = Watch({**copy.deepcopy(CONFIG), "name": name}, NOW - runs * STEP)
    picked = [fault for fault in FAULTS if fault.name in faults]
    watch.notes["disks"] = {
        path: [[NOW - hours * HOUR, (40 - hours / 20) * GIB, 1e5] for hours in range(150, 3, -1)]
        for path in ("/", "/srv")
    }
    watch.notes["launches"] = {
        CONFIG["launches"][0]: [[NOW - (200 - number) * 900, number + number // 7] for number in range(200)]
    }
    for _run in range(runs):
        facts = healthy(watch.now)
        facts["launches"][0]["attempts"] = 230
        for fault in picked:
            fault.change(facts, watch.now)
        stack = facts["stacks"]["shop"]
        stack["history"] = [
            {
                "at": f"2026-11-{day:02d}T10:00:00Z",
                "user": "ada",
                "state": "present",
                "plan": {"web": ["recreate", "image_changed"]},
                "ok": day != 20,
                "rolled_back": day == 20,
                "message": "web did not become healthy within 120 s" if day == 20 else "",
            }
            for day in (6, 13, 20, 27)
        ]
        if stack["mounts"] and "rows" in stack["mounts"]:
            more = [
                mount("web", "/uploads", source="shop_uploads", type="volume"),
                mount("worker", "/uploads", source="shop_uploads", type="volume"),
                mount("db", "/var/lib/postgresql/data", **({"type": "volume", "source": "f" * 64} if faults else {})),
                mount("web", "/etc/shop/config.yml"),
            ]
            stack["mounts"] = {"rows": [*stack["mounts"]["rows"], *more], "places": _places(bool(faults))}
        if live(facts).get("containers"):
            live(facts)["containers"].append(container("worker", ports=[]))
            services = stack["promise"].get("services")
            if services is not None:
                services["worker"] = {"count": 1, "one_shot": False}
        watch.run(facts)
    found = watch.document
    backup = found["stacks"][0]["backup"]
    found["stacks"][0]["runs"] = [[NOW - day * DAY, day not in (9, 17), day] for day in range(33) if day != 12]
    for number in range(1, 5):
        for where in ("local",):
            row = {"at": NOW - (7 * number - 2) * DAY, "ok": number != 3, "seq": number}
            backup["rehearsals"][where]["runs"] = [*backup["rehearsals"][where]["runs"], row]
    return found


def hosts() -> dict[str, Facts]:
    """Five hosts."""
    return {
        "demo": document("demo"),
        "oci-vm": document("oci-vm", _SHOWN),
        "macbook": document("macbook", ("image older than half a year", "backup timer dead for days")),
        "observer-vm": {"error": "Failed to connect to the host via ssh: Connection timed out"},
        "omnivibe-mac": document("omnivibe-mac", ("engine killed", "network share hangs")),
    }


LONG = "inventory-synchronisation-and-reporting-worker-for-the-northern-warehouses"


def crowded() -> dict[str, Facts]:
    """Five hosts as a page must bear them: 40 services, long names, nothing but a finding, no answer."""
    many = document("oci-vm", _SHOWN)
    (one_stack,) = many["stacks"]
    containers = one_stack["live"]["containers"]
    names = [f"{LONG}-{number}" if number % 8 == 0 else f"service-{number}" for number in range(40 - len(containers))]
    containers += [container(name, ports=["127.0.0.1:65535->65535", "[::1]:65535->65535"]) for name in names]
    path = f"/srv/{LONG}/{LONG}"
    one_stack["mounts"]["rows"] += [mount(name, f"/var/lib/{name}", source=f"{path}/{name}") for name in names]
    one_stack["mounts"]["places"].append(
        place(names[0], f"/var/lib/{LONG}", "bind", database="postgresql", source=path)
    )
    one_stack["name"] = LONG
    many["disks"].append({"path": path, "error": "no answer within 4 s"})
    many["endpoints"].append({**many["endpoints"][0], "url": f"https://{LONG}.example.com/{LONG}?***"})
    lone = document("bare", ("disk full",))
    lone.update(stacks=[], disks=[], launches=[], endpoints=[], units={}, clock={"synchronised": None})
    lone["findings"] = [row for row in lone["findings"] if row["code"] == "disk_full"]
    return {
        "demo": document("demo"),
        f"{LONG}.internal.example.com": many,
        "macbook": document("macbook", ("image older than half a year", "backup timer dead for days")),
        "observer-vm": {"error": "Failed to connect to the host via ssh: Connection timed out"},
        "bare": lone,
    }


def hostile() -> Facts:
    """A document in which every text is hostile."""
    found = document("x", _SHOWN)
    one_stack = found["stacks"][0]
    one_stack["live"]["containers"].append(container(HOSTILE, status="exited", exit_code=1))

    def spoil(value: object, key: str = "") -> object:
        if isinstance(value, dict):
            return {name: spoil(inner, name) for name, inner in value.items()}
        if isinstance(value, list):
            return [spoil(inner) for inner in value]
        keep = key in ("severity", "code", "status", "health", "verdict", "type", "acknowledged", "taken")
        return value if keep or not isinstance(value, str) else HOSTILE + value

    return {**spoil(found), "host": HOSTILE}  # type: ignore[dict-item]


__all__ = ["HOSTILE", "crowded", "document", "hostile", "hosts", "one"]
