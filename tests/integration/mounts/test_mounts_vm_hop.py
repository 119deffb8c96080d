"""The proof through a virtual machine, with the real script and real containers; only the ssh in between is left out.

This host plays the guest, so a tmpfs plays the share: no Linux test host has a virtiofs of a Mac.
"""

from __future__ import annotations

import dataclasses
import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core import process
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.mounts.vm.prover import Prover
from ansible_collections.onebox.stack.plugins.module_utils.vm.shares import Machine
from mounts_lab import Lab, command


def without_ssh(argv: t.Sequence[str], **options: t.Any) -> process.Result:
    if list(argv[:3]) == ["podman", "machine", "ssh"]:
        return process.run(["sh", "-c", argv[4]], timeout=options["timeout"])
    if list(argv[:2]) == ["podman", "machine"]:
        raise process.CommandError("no machine here", process.Result(tuple(argv), 125, "", "", 0.0))
    return process.run(argv, **options)


def proven(lab: Lab, name: str, **options: t.Any) -> dict[str, dict[str, t.Any]]:
    world = dataclasses.replace(World.real(), run=without_ssh)
    through = Prover(Machine.of("podman", environ=world.environ), world, share_types=("tmpfs",))
    (report,) = lab.proof(name, through=through, **options)["containers"]
    return {row["destination"]: row for row in report["mounts"]}


def test_share_ghost_and_stale(lab: Lab) -> None:
    share = lab.directory("share")
    lab.mount("tmpfs", share)
    data, odd, ghost = lab.directory("share/data"), lab.directory("share/it's a\nname"), lab.directory("ghost")
    (share / "app.conf").write_text("x")
    name = lab.run(
        *("-v", f"{data}:/data", "-v", f"{ghost}:/ghost", "-v", f"{share}/app.conf:/app.conf"),
        # No file is created for it alone, but the file for /data changes its directory's time.
        *("-v", f"{data}:/ro:ro"),
        *("--mount", f'type=bind,"source={odd}",target=/odd'),
        *("-v", f"{lab.volume()}:/vol"),
    )
    rows = proven(lab, name)
    found = {place: (row["verdict"], row["proof"]) for place, row in rows.items()}
    assert found == {
        "/data": ("ok", "canary"),
        "/ro": ("ok", "canary"),
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
    assert proven(lab, name)["/data"]["verdict"] == "unmounted_inside"
    lab.restart(name)
    lab.inside(name, "mount", "-t", "tmpfs", "none", "/data")
    assert proven(lab, name)["/data"]["verdict"] == "shadowed"


def test_rights_of_the_application_are_tried_in_the_guest(lab: Lab) -> None:
    share = lab.directory("share")
    lab.mount("tmpfs", share)
    places = [share / name for name in ("own", "foreign", "closed")]
    for place, owner, mode in zip(places, (1000, 0, 0), (0o755, 0o755, 0o700), strict=True):
        place.mkdir()
        place.chmod(mode)
        os.chown(place, owner, owner)
    (share / "secret").write_text("x")
    (share / "secret").chmod(0o600)
    binds = [word for place in places for word in ("-v", f"{place}:/{place.name}")]
    name = lab.run(*binds, "-v", f"{share}/secret:/secret:ro", "--user", "1000:1000")
    found = {place: (row["verdict"], row["fix"]) for place, row in proven(lab, name).items()}
    assert found == {
        "/own": ("ok", "none"),
        "/foreign": ("not_writable", "edit_compose"),
        "/closed": ("not_readable", "edit_compose"),
        "/secret": ("not_readable", "edit_compose"),
    }
    assert proven(lab, name, access="read")["/foreign"]["verdict"] == "ok"
    assert [os.listdir(place) for place in places] == [[], [], []]


def test_root_without_capabilities_and_groups_are_what_the_guest_tries_with(lab: Lab) -> None:
    share = lab.directory("share")
    lab.mount("tmpfs", share)
    (share / "app").mkdir()
    os.chown(share / "app", 1000, 4711)
    (share / "app").chmod(0o2770)
    options = {
        ("--cap-drop", "ALL"): "not_readable",
        ("--user", "4242:4242", "--group-add", "4711"): "ok",
        ("--user", "4242:4242"): "not_readable",
    }
    for words, verdict in options.items():
        name = lab.run("-v", f"{share}/app:/data", *words)
        assert proven(lab, name)["/data"]["verdict"] == verdict, words


def test_user_namespace_is_entered_in_the_guest(podman_lab: Lab) -> None:
    share = podman_lab.directory("share")
    podman_lab.mount("tmpfs", share)
    for name, owner in (("own", 300000), ("foreign", 0)):
        (share / name).mkdir()
        os.chown(share / name, owner, owner)
    maps = ("--uidmap", "0:300000:65536", "--gidmap", "0:300000:65536")
    name = podman_lab.run("-v", f"{share}/own:/data", "-v", f"{share}/foreign:/foreign", *maps)
    rows = proven(podman_lab, name)
    assert (rows["/data"]["verdict"], rows["/foreign"]["verdict"]) == ("ok", "not_writable"), rows
    assert "keep-id" in rows["/foreign"]["message"]


def test_full_and_read_only_share(lab: Lab) -> None:
    share = lab.directory("share")
    lab.mount("tmpfs", share, "-o", "size=64k")
    (share / "big").write_bytes(b"\0" * 65536)
    name = lab.run("-v", f"{share}:/data")
    assert proven(lab, name)["/data"]["verdict"] == "no_space"
    (share / "big").unlink()
    command("mount", "-o", "remount,ro", share)
    row = proven(lab, name)["/data"]
    assert (row["verdict"], row["fix"]) in (("not_writable", "mount_disk"), ("unverifiable", "none")), row


def test_links_of_the_image_are_followed_inside_and_never_out_of_it(lab: Lab) -> None:
    """/link leads to /real in the image. A link to the source's path in the guest must not look like the source."""
    share = lab.directory("share")
    lab.mount("tmpfs", share)
    (share / "data").mkdir()
    for place in ("/link/data", "/deep/link/data", "/deep/../deep/link/data"):
        name = lab.run("-v", f"{share}/data:{place}")
        assert [row["verdict"] for row in proven(lab, name).values()] == ["ok"], place
    other = lab.run("-v", f"{share}/data:/data")
    lab.inside(other, "umount", "/data")
    lab.inside(other, "rm", "-rf", "/data")
    for target in (f"{share}/data", f"/proc/1/root{share}/data", f"/../../..{share}/data"):
        lab.inside(other, "ln", "-sfn", target, "/data")
        assert proven(lab, other)["/data"]["verdict"] == "unmounted_inside", target
    assert os.listdir(share / "data") == []


def test_another_source_than_the_one_expected(lab: Lab) -> None:
    share = lab.directory("share")
    lab.mount("tmpfs", share)
    for one in ("a/data", "b/data"):
        (share / one).mkdir(parents=True)
    name = lab.run("-v", f"{share}/a/data:/data")
    for wanted, verdict in (("a/data", "ok"), ("b/data", "wrong_source")):
        expected = [{"container": name, "source": f"{share}/{wanted}", "destination": "/data"}]
        assert proven(lab, name, expected=expected)["/data"]["verdict"] == verdict


def test_stopped_container_is_not_queried(lab: Lab) -> None:
    name = lab.create("-v", f"{lab.directory('data')}:/data")
    assert proven(lab, name)["/data"]["verdict"] == "not_running"
