# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The faults that the watch is shown: name, kind of finding, a part of the command, and the change of the facts."""

from __future__ import annotations

import typing as t

from watch_facts import DAY, GIB, NOW, STEP, Facts, container, live, mount, one, place

Change = t.Callable[[Facts, float], t.Any]
Pick = t.Callable[[Facts], Facts]


class Fault(t.NamedTuple):
    """A fault: its name, the code, a part of the command, and how it changes the facts of a run at a time."""

    name: str
    code: str
    fix: str
    change: Change


def stack(facts: Facts) -> Facts:
    return t.cast(Facts, facts["stacks"]["shop"])


def _put(pick: Pick) -> t.Callable[..., Change]:
    """A change of some keys of a part of the facts. A function among the values gets the time."""

    def change(**values: t.Any) -> Change:
        def apply(facts: Facts, now: float) -> None:
            pick(facts).update({key: value(now) if callable(value) else value for key, value in values.items()})

        return apply

    return change


HOST = _put(lambda facts: facts)
STACK = _put(stack)
LIVE = _put(live)
WEB = _put(lambda facts: one(facts, "web"))
MIGRATE = _put(lambda facts: one(facts, "migrate"))
LOG = _put(lambda facts: t.cast(Facts, one(facts, "web")["log"]))
BACKUP = _put(lambda facts: t.cast(Facts, stack(facts)["backup"]))
LAST_RUN = _put(lambda facts: t.cast(Facts, stack(facts)["backup"]["last_run"]))
REHEARSALS = _put(lambda facts: t.cast(Facts, stack(facts)["backup"]["rehearsals"]))
ROOT_DISK = _put(lambda facts: t.cast(Facts, facts["disks"][0]))
DISK = _put(lambda facts: t.cast(Facts, facts["disks"][1]))
URL = _put(lambda facts: t.cast(Facts, facts["endpoints"][0]))
LAUNCH = _put(lambda facts: t.cast(Facts, facts["launches"][0]))
UNITS = _put(lambda facts: t.cast(Facts, facts["units"]))


def _silent(error: str, hung: bool = False) -> Change:
    return STACK(live={"error": error, "hung": hung}, mounts=None, plan=None)


def _plan(action: str, reason: str, key: str = "") -> Change:
    diff = {key: {"before": "a", "after": "b"}} if key else {}
    row = {"service": "web", "action": action, "reasons": [reason], "diff": diff}
    return STACK(plan={"rows": [row], "problems": []})


def _mount(verdict: str, fix: str) -> Change:
    row = mount("db", "/data2", verdict, fix=fix, message=f"/srv/shop/data is {verdict}. Fix it")
    return STACK(mounts={"rows": [row]})


def _restarts(facts: Facts, now: float) -> None:
    one(facts, "web").update(restarts=max(0, int((now - NOW) / STEP + 100)))


def _places(*rows: Facts) -> Change:
    return STACK(mounts={"rows": [mount("db", "/data")], "places": list(rows)})


def _by_hand(facts: Facts, now: float) -> None:
    live(facts)["containers"].append(container("debug"))


def _clock_set(facts: Facts, now: float) -> None:
    facts["uptime"] += 7200.0 if now > NOW else 0.0


REFUSED = {"code": "public_port", "where": "web", "message": "port 8080 is public"}
TAKEN = {
    "code": "name_taken",
    "where": "service web",
    "message": "shop-web-1 is in use. Rename it with `docker rename shop-web-1 shop-web-1-old`, or remove it",
}
NOT_BACK = {
    "last": {"at": NOW, "ok": False, "error": "set 12 (local) differs after its restore"},
    "runs": [{"at": NOW, "ok": True}],
}
OLD = {"last": {}, "runs": [{"at": NOW - 20 * DAY, "ok": True}]}
NEVER = {"last": {}, "runs": []}
UNIT = "onebox-backup-shop-backup"
HANGS = {"path": "/srv", "error": "no answer within 4 s", "hung": True}

FAULTS = [
    Fault("engine killed", "engine_no_answer", "systemctl status docker", _silent("no docker answers")),
    Fault("engine hangs", "stack_no_data", "systemctl status docker", _silent("no answer within 15 s", True)),
    Fault("all containers removed", "stack_absent", "ansible-playbook site.yml -l demo", LIVE(containers=[])),
    Fault("a service without a container", "service_missing", "site.yml", lambda f, n: live(f)["containers"].pop()),
    Fault(
        "one of two containers gone",
        "service_missing",
        "site.yml",
        lambda f, n: stack(f)["promise"]["services"]["web"].update(count=2),
    ),
    Fault("container made by hand", "drift_undeclared", "docker rm -f shop-debug-1", _by_hand),
    Fault(
        "database in a volume without a name",
        "data_at_risk",
        "docker stop shop-db-1 && docker cp -a shop-db-1:/var/lib/postgresql/data/. DIRECTORY/",
        _places(place("db", "/var/lib/postgresql/data", "anonymous", "lost_at_down", fails=True)),
    ),
    Fault(
        "uploads in the container itself",
        "data_at_risk",
        "docker cp -a shop-web-1:/app/uploads/. DIRECTORY/",
        _places(place("web", "/app/uploads", "layer", "lost_at_recreate")),
    ),
    Fault(
        "promise damaged",
        "promise_no_data",
        "rm /var/lib/onebox/shop/promised.json",
        STACK(promise={"error": "cannot be read", "damaged": "/var/lib/onebox/shop/promised.json"}),
    ),
    Fault("unhealthy", "unhealthy", "docker logs --tail 50 shop-web-1", WEB(health="unhealthy")),
    Fault(
        "unhealthy every other run",
        "unhealthy",
        "docker logs",
        WEB(health=lambda n: "unhealthy" if (n - NOW) % (2 * STEP) == 0 else "healthy"),
    ),
    Fault("crash loop, restarting", "crash_loop", "docker logs", WEB(status="restarting", exit_code=1)),
    Fault("crash loop between the runs", "crash_loop", "docker logs", _restarts),
    Fault(
        "ended once, restarted by the engine", "unexpected_exit", "docker logs", WEB(restarts=lambda n: int(n > NOW))
    ),
    Fault(
        "exited with 1", "service_exited", "docker logs", WEB(status="exited", exit_code=1, finished=lambda n: n - 60)
    ),
    Fault(
        "exited with 0, not a one-shot",
        "service_exited",
        "docker logs",
        WEB(status="exited", finished=lambda n: n - 60),
    ),
    Fault("one-shot failed", "service_exited", "docker logs", MIGRATE(exit_code=3)),
    Fault("paused", "service_paused", "docker unpause shop-web-1", WEB(status="paused")),
    Fault(
        "killed for lack of memory",
        "oom_killed",
        "docker stats",
        WEB(status="exited", exit_code=137, oom=True, finished=lambda n: n - 5),
    ),
    Fault("a child killed for lack of memory", "oom_killed", "mem_limit", WEB(oom_kills=lambda n: int(n > NOW))),
    Fault("deploy holds the lock for hours", "deploy_stuck", "ps aux", LIVE(deploying="2026-11-28T00:00:00Z")),
    Fault("source directory replaced", "mount_broken", "docker restart shop-db-1", _mount("stale_deleted", "restart")),
    Fault("disk not mounted", "mount_broken", "mount -a", _mount("host_mount_changed", "mount_disk")),
    Fault("container without its bind", "mount_broken", "site.yml", _mount("missing", "recreate")),
    Fault("data owned by another user", "mount_broken", "ls -ldn /srv/shop/data2", _mount("not_writable", "chown")),
    Fault("mount that cannot be proven", "mount_unverifiable", "verify.yml", _mount("unverifiable", "none")),
    Fault("mount hangs", "mounts_no_data", "dmesg", STACK(mounts={"error": "no answer within 20 s", "hung": True})),
    Fault(
        "env file edited by hand", "drift", "plan.yml -l demo", _plan("recreate", "env_changed", "environment.LEVEL")
    ),
    Fault("image replaced under its tag", "drift", "plan.yml", _plan("recreate", "image_changed")),
    Fault("plan refused", "plan_refused", "plan.yml", STACK(plan={"rows": [], "problems": [REFUSED]})),
    Fault(
        "name of a service taken by hand",
        "plan_refused",
        "docker rename shop-web-1 shop-web-1-old",
        STACK(plan={"rows": [], "problems": [TAKEN]}),
    ),
    Fault("compose tool removed", "plan_no_data", "plan.yml", STACK(plan={"error": "no compose tool was found"})),
    Fault(
        "backup failed",
        "backup_failed",
        "--config /etc/onebox/backup/shop.json backup",
        LAST_RUN(error="db: pg_dump failed"),
    ),
    Fault("backup timer dead for days", "backup_old", "onebox-backup", BACKUP(committed=lambda n: n - 3 * DAY)),
    Fault("never backed up", "backup_no_data", "onebox-backup", BACKUP(committed=0.0, last_run={})),
    Fault(
        "backup declaration gone", "backup_no_data", "status", STACK(backup={"error": "there is no backup declaration"})
    ),
    Fault("backup from the future", "backup_no_data", "onebox-backup", BACKUP(committed=lambda n: n + DAY)),
    Fault("repository damaged", "backup_damaged", "check", BACKUP(check_error="pack 3f is damaged")),
    Fault("off-site repository damaged", "backup_damaged", "check", BACKUP(offsite_check_error="missing blob")),
    Fault(
        "off-site copy never worked",
        "offsite_no_data",
        "onebox-backup",
        BACKUP(offsite={"lag": 124, "error": "no route to host", "at": NOW}),
    ),
    Fault(
        "off-site never checked",
        "offsite_no_data",
        "onebox-backup",
        BACKUP(offsite={"lag": None, "error": "", "at": NOW}),
    ),
    Fault(
        "off-site copy old",
        "offsite_old",
        "onebox-backup",
        BACKUP(offsite={"lag": 0, "error": "", "at": NOW - 4 * DAY}),
    ),
    Fault("rehearsal failed", "rehearsal_failed", "rehearse", REHEARSALS(local=NOT_BACK)),
    Fault("off-site rehearsal failed", "rehearsal_failed", "rehearse --offsite", REHEARSALS(offsite=NOT_BACK)),
    Fault("rehearsal old", "rehearsal_old", "rehearse", REHEARSALS(local=OLD)),
    Fault("never rehearsed", "rehearsal_no_data", "rehearse", REHEARSALS(local=NEVER)),
    Fault("disk full", "disk_full", "du -xh --max-depth=2 /srv", DISK(free=2 * GIB)),
    Fault("disk fills within hours", "disk_fills", "du -xh", ROOT_DISK(free=lambda n: 60 * GIB - (n - NOW) * 2e6)),
    Fault("inodes used up", "inodes_full", "du --inodes", DISK(inodes_free=10)),
    Fault(
        "inodes run out within hours",
        "inodes_fill",
        "du --inodes",
        ROOT_DISK(inodes_free=lambda n: 900000 - (n - NOW) * 30),
    ),
    Fault(
        "network share hangs", "disk_no_data", "findmnt --target /srv", lambda f, n: f["disks"].__setitem__(1, HANGS)
    ),
    Fault("log without a limit", "log_unbounded", "max-size", LOG(bounded=False)),
    Fault("log grows by gigabytes a day", "log_grows", "ls -l /logs/web.log", LOG(size=lambda n: (n - NOW) * 40000)),
    Fault("certificate ends in a week", "certificate_expires", "curl -vI", URL(expires=lambda n: n + 7 * DAY)),
    Fault("certificate ended", "certificate_expires", "curl -vI", URL(expires=lambda n: n - DAY)),
    Fault(
        "certificate of another host",
        "certificate_invalid",
        "curl -vI",
        URL(certificate_error="hostname mismatch", status=0),
    ),
    Fault("endpoint answers 502", "endpoint_fails", "curl -vI", URL(status=502)),
    Fault("endpoint refuses", "endpoint_fails", "curl -vI", URL(status=0, why="Connection refused")),
    Fault("clock not synchronised", "clock_unsynchronised", "timedatectl", HOST(clock={"synchronised": False})),
    Fault("clock set by two hours", "clock_jumped", "timedatectl", _clock_set),
    Fault("clock cannot be read", "clock_no_data", "timedatectl", HOST(clock={"error": "adjtimex: denied"})),
    Fault("image older than half a year", "image_old", "docker pull", WEB(image_created=lambda n: n - 300 * DAY)),
    Fault("unit failed", "unit_failed", f"journalctl -u {UNIT}.service", UNITS(failed=[f"{UNIT}.service"])),
    Fault("timer stopped", "timer_stopped", "systemctl start", UNITS(stopped=[f"{UNIT}.timer"])),
    Fault(
        "systemd does not answer",
        "units_no_data",
        "systemctl --failed",
        HOST(units={"error": "did not finish in 10 s"}),
    ),
    Fault(
        "launch ended without an instance",
        "launch_ended",
        "launch.yml -l demo",
        LAUNCH(captured=False, ended="LimitExceeded"),
    ),
    Fault(
        "launch timer dead",
        "launch_stalled",
        "launch.yml",
        LAUNCH(captured=False, updated=NOW - 9000, not_before=NOW - 9000),
    ),
    Fault("launch state damaged", "launch_no_data", "launch.yml", LAUNCH(error="is not JSON")),
    Fault("checks cut short", "watch_cut_short", "dmesg", HOST(cut_short=["mounts shop"])),
]
