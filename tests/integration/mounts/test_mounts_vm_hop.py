"""The proof through a virtual machine, with the real script and real containers; only the ssh in between is left out.

This host plays the guest, so a tmpfs plays the share: no Linux test host has a virtiofs of a Mac.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils import process
from ansible_collections.onebox.stack.plugins.module_utils.mounts.vm import Prover
from ansible_collections.onebox.stack.plugins.module_utils.mounts.vm_machines import Machine
from mounts_lab import Lab


def without_ssh(argv: t.Sequence[str], **options: t.Any) -> process.Result:
    if list(argv[:3]) == ["podman", "machine", "ssh"]:
        return process.run(["sh", "-c", argv[4]], timeout=options["timeout"])
    if list(argv[:2]) == ["podman", "machine"]:
        raise process.CommandError("no machine here", process.Result(tuple(argv), 125, "", "", 0.0))
    return process.run(argv, **options)


def proven(lab: Lab, name: str, **options: t.Any) -> dict[str, dict[str, t.Any]]:
    through = Prover(Machine.of("podman"), without_ssh, share_types=("tmpfs",))
    (report,) = lab.proof(name, through=through, **options)["containers"]
    return {row["destination"]: row for row in report["mounts"]}


def test_share_ghost_and_stale(lab: Lab) -> None:
    share = lab.directory("share")
    lab.mount("tmpfs", share)
    data, odd, ghost = lab.directory("share/data"), lab.directory("share/it's a\nname"), lab.directory("ghost")
    (share / "app.conf").write_text("x")
    name = lab.run(
        *("-v", f"{data}:/data", "-v", f"{ghost}:/ghost", "-v", f"{share}/app.conf:/app.conf"),
        *("--mount", f'type=bind,"source={odd}",target=/odd'),
        *("-v", f"{lab.volume()}:/vol"),
    )
    rows = proven(lab, name)
    found = {place: (row["verdict"], row["proof"]) for place, row in rows.items()}
    assert found == {
        "/data": ("ok", "canary"),
        "/odd": ("ok", "canary"),
        "/app.conf": ("ok", "fstype"),
        "/ghost": ("vm_not_shared", "fstype"),
        "/vol": ("ok", "inode"),
    }, rows
    assert rows["/ghost"]["fix"] == "share_with_vm"
    assert os.listdir(data) == os.listdir(odd) == []
    data.rename(share / "old")
    lab.directory("share/data")
    assert proven(lab, name)["/data"]["verdict"] == "stale_renamed"
    lab.restart(name)
    assert proven(lab, name)["/data"]["verdict"] == "ok"
    lab.inside(name, "umount", "/data")
    assert proven(lab, name)["/data"]["verdict"] == "unverifiable"


def test_container_that_does_not_run_is_not_asked_for(lab: Lab) -> None:
    name = lab.create("-v", f"{lab.directory('data')}:/data")
    assert proven(lab, name)["/data"]["verdict"] == "not_running"
