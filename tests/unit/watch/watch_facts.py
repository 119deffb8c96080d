# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts of a host on which all is as promised, and runs of the judges over them in simulated time."""

from __future__ import annotations

import copy
import datetime
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.watch import config as configs
from ansible_collections.onebox.stack.plugins.module_utils.watch import run
from ansible_collections.onebox.stack.plugins.module_utils.watch.judge import settle
from ansible_collections.onebox.stack.plugins.module_utils.watch.judge.verdicts import Verdicts

NOW = 1795950000.0  # 2026-11-29
STEP = 300.0
HOUR, DAY = 3600.0, 86400.0
GIB = float(1 << 30)
Facts = t.Dict[str, t.Any]  # noqa: UP006 (evaluated at import, where type checkers for 3.9 want typing)

CONFIG: dict[str, t.Any] = {
    "version": 1,
    "name": "demo",
    "state_dir": "/var/lib/onebox-watch/demo",
    "stacks": [
        {
            "name": "shop",
            "engine": "docker",
            "plan": ["/usr/local/bin/onebox-plan", "/etc/onebox/watch/shop.plan.json"],
            "backup": "/etc/onebox/backup/shop.json",
            "restart": {"services": ["web"], "after": 600, "most": 2},
        }
    ],
    "paths": ["/", "/srv"],
    "endpoints": [{"url": "https://shop.example.com/"}],
    "launches": ["/root/.local/state/onebox/oci/vm.json"],
}


def container(service: str, **changes: t.Any) -> Facts:
    """A running, healthy container."""
    return {
        "id": f"id-{service}",
        "name": f"shop-{service}-1",
        "service": service,
        "status": "running",
        "health": "healthy",
        "health_output": "",
        "restarts": 0,
        "policy": "unless-stopped",
        "exit_code": 0,
        "oom": False,
        "oom_kills": 0,
        "started": NOW - DAY,
        "finished": 0.0,
        "created": NOW - DAY,
        "image": "docker.io/library/python:3.11-slim",
        "image_created": NOW - 20 * DAY,
        "ports": ["127.0.0.1:8080->80"],
        "log": {"driver": "json-file", "path": f"/logs/{service}.log", "bounded": True, "size": 1000},
        **changes,
    }


def mount(service: str, destination: str, verdict: str = "ok", **changes: t.Any) -> Facts:
    """A row of the mount proof."""
    return {
        "service": service,
        "container": f"shop-{service}-1",
        "type": "bind",
        "source": f"/srv/shop{destination}",
        "destination": destination,
        "verdict": verdict,
        "fix": "none",
        "message": "",
        **changes,
    }


def place(service: str, path: str, lies: str = "volume", verdict: str = "persistent", **changes: t.Any) -> Facts:
    """A row of the data map."""
    lost = verdict.startswith("lost")
    return {
        "service": service,
        "container": f"shop-{service}-1",
        "path": path,
        "lies": lies,
        "verdict": verdict,
        "source": "" if lies == "memory" else f"/srv/shop{path}",
        "volume": {"volume": "shop_data", "anonymous": "f" * 64}.get(lies, ""),
        "destination": "" if lies in ("layer", "memory") else path,
        "database": "",
        "evidence": ["open_file"],
        "files": 12 if lost else None,
        "at_risk": lost,
        "fails": False,
        "message": f"shop-{service}-1 keeps data in {path}" if lost else "",
        **changes,
    }


def _backup(now: float) -> Facts:
    """The state of backups that all succeeded."""
    good = [{"at": now - 2 * DAY, "ok": True, "seq": 11}]
    return {
        "max_age_hours": 26,
        "last_run": {"at": now - 3 * HOUR, "error": ""},
        "seq": 12,
        "committed": now - 3 * HOUR,
        "check_error": "",
        "offsite_check_error": "",
        "offsite": {"lag": 0, "error": "", "at": now - 3 * HOUR},
        "rehearsals": {
            "local": {"last": {"at": now - 2 * DAY, "ok": True, "error": ""}, "runs": good},
            "offsite": {"last": {"at": now - 2 * DAY, "ok": True, "error": ""}, "runs": good},
        },
    }


def healthy(now: float = NOW) -> Facts:
    """The facts of a host without any fault."""
    disk = {"device": 1, "total": 100 * GIB, "free": 60 * GIB, "inodes": 1000000, "inodes_free": 900000}
    return {
        "uptime": 40 * DAY + now - NOW,
        "disks": [{"path": "/", **disk}, {"path": "/srv", **disk, "device": 2}],
        "clock": {"synchronised": True},
        "units": {"failed": [], "stopped": [], "seen": 8},
        "launches": [
            {
                "path": "/root/.local/state/onebox/oci/vm.json",
                "name": "vm",
                "attempts": 7,
                "created": now - DAY,
                "updated": now - 60,
                "not_before": now + 60,
                "why": "",
                "ended": "",
                "instance": "ocid1",
                "running": True,
                "captured": True,
                "last_error": {},
            }
        ],
        "stacks": {
            "shop": {
                "live": {
                    "engine": {"name": "docker", "version": "28.5.1"},
                    "deploying": "",
                    "containers": [
                        container("db"),
                        container("migrate", status="exited", health="", policy="no"),
                        container("web"),
                    ],
                },
                "promise": {
                    "services": {
                        "db": {"count": 1, "one_shot": False},
                        "migrate": {"count": 1, "one_shot": True},
                        "web": {"count": 1, "one_shot": False},
                    }
                },
                "mounts": {"rows": [mount("db", "/data"), mount("web", "/app")], "seconds": 0.1},
                "plan": {"rows": [], "problems": [], "last_good": {"number": 3}},
                "backup": _backup(now),
                "history": [],
            }
        },
        "endpoints": [
            {
                "url": "https://shop.example.com/",
                "days": 14,
                "status": 200,
                "why": "",
                "expires": now + 60 * DAY,
                "certificate_error": "",
            }
        ],
        "cut_short": [],
    }


class Watch:
    """Runs of the judges, five minutes apart.

    Attributes:
        document: the document of the last run.
    """

    def __init__(self, declared: t.Mapping[str, t.Any] | None = None, now: float = NOW) -> None:
        self.config = configs.parse(copy.deepcopy(dict(declared or CONFIG)))
        self.now = now
        self.notes: Facts = {"at": now - STEP, "uptime": 40 * DAY + now - NOW - STEP}
        self.document: Facts = {}
        self.outcome = settle.Outcome()

    def run(self, facts: Facts, step: float = STEP) -> settle.Outcome:
        """One run over ``facts``; then time passes."""
        verdicts = Verdicts(self.now, self.config.name, self.notes)
        computed = run.judge(self.config, facts, verdicts)
        self.outcome = settle.settle(verdicts, self.config.acknowledge)
        self.notes.update(at=self.now, uptime=facts["uptime"])
        self.document = run.document(self.config, facts, computed, self.outcome, self.notes, run.NOTHING, 0.1)
        self.now += step
        return self.outcome

    def day(self) -> datetime.datetime:
        return datetime.datetime.fromtimestamp(self.now, datetime.timezone.utc)


def live(facts: Facts) -> Facts:
    """What the engine said of the stack."""
    return t.cast(Facts, facts["stacks"]["shop"]["live"])


def one(facts: Facts, service: str) -> Facts:
    """A container by its service."""
    return next(each for each in live(facts)["containers"] if each["service"] == service)
