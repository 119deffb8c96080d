"""The access of the application to mounts: rights, capabilities, groups, user namespaces, full and broken disks."""

from __future__ import annotations

import os
import pathlib
import typing as t

import pytest
from mounts_lab import Lab, command


def expect(row: dict[str, t.Any], verdict: str, fix: str) -> str:
    assert (row["verdict"], row["fix"]) == (verdict, fix), row
    return str(row["message"])


def test_user_who_may_not_write(lab: Lab) -> None:
    data = lab.directory("data")
    name = lab.run("-v", f"{data}:/data", "--user", "1000:1000")
    message = expect(lab.verdict(name), "not_writable", "chown")
    assert f"chown 1000:1000 {data}" in message
    assert lab.verdict(name, access="read")["verdict"] == "ok"
    assert lab.verdict(name, access="none")["verdict"] == "ok"
    os.chown(data, 1000, 1000)  # the fix, done
    expect(lab.verdict(name), "ok", "none")


def test_entrypoint_that_drops_its_rights_is_believed_and_not_its_exec(lab: Lab) -> None:
    data = lab.directory("data")
    name = lab.run("-v", f"{data}:/data", argv=("/bin/su", "app", "-c", "exec /bin/sleep 100000"))
    lab.until(lambda: lab.comm(name) == "sleep")
    lab.cli("exec", name, "/bin/touch", "/data/canary")  # a canary passes as root
    row = lab.proof(name)["containers"][0]
    expect(row["mounts"][0], "not_writable", "chown")
    assert row["user"]["uid"] == 1000


def test_application_behind_an_init_is_tried_and_not_the_init(docker_lab: Lab) -> None:
    """Docker's --init stays root while the application drops its rights."""
    data = docker_lab.directory("data")
    name = docker_lab.run("--init", "-v", f"{data}:/data", argv=("/bin/su", "app", "-c", "exec /bin/sleep 100000"))
    children = pathlib.Path(f"/proc/{docker_lab.pid(name)}/task/{docker_lab.pid(name)}/children")
    docker_lab.until(
        lambda: (
            bool(children.read_text())
            and "1000" in pathlib.Path(f"/proc/{children.read_text().strip()}/status").read_text()
        )
    )
    expect(docker_lab.verdict(name), "not_writable", "chown")


def test_root_without_capabilities_is_not_root(lab: Lab) -> None:
    data = lab.directory("data", mode=0o700, owner=1000)
    name = lab.run("-v", f"{data}:/data", "--cap-drop", "ALL")
    expect(lab.verdict(name), "not_readable", "chown")


def test_group_of_the_application_decides(lab: Lab) -> None:
    data = lab.directory("data", mode=0o2770)
    os.chown(data, 0, 4711)
    member = lab.run("-v", f"{data}:/data", "--user", "1000:1000", "--group-add", "4711")
    stranger = lab.run("-v", f"{data}:/data", "--user", "1000:1000")
    expect(lab.verdict(member), "ok", "none")
    expect(lab.verdict(stranger), "not_readable", "chown")


def test_user_namespace_is_entered(podman_lab: Lab) -> None:
    """Docker's user namespaces are a setting of the whole daemon; Podman has them for each container."""
    lab = podman_lab
    own, foreign = lab.directory("own", owner=300000), lab.directory("foreign")
    maps = ("--uidmap", "0:300000:65536", "--gidmap", "0:300000:65536")
    name = lab.run("-v", f"{own}:/data", "-v", f"{foreign}:/foreign", *maps)
    expect(lab.verdict(name), "ok", "none")
    assert "chown 300000:300000" in expect(lab.verdict(name, "/foreign"), "not_writable", "chown")
    assert lab.proof(name)["containers"][0]["user"]["own_user_namespace"]
    # The kernel's own answer to the same question, from inside.
    lab.cli("exec", name, "/bin/touch", "/data/x")
    with pytest.raises(AssertionError, match="Permission denied"):
        lab.cli("exec", name, "/bin/touch", "/foreign/x")


def test_full_disk_has_the_verdict_no_space(lab: Lab) -> None:
    data = lab.directory("data")
    lab.mount("tmpfs", data, "-o", "size=64k")
    (data / "big").write_bytes(b"\0" * 65536)
    name = lab.run("-v", f"{data}:/data")
    (data / "empty").touch()  # so touch cannot test it
    assert "df -h" in expect(lab.verdict(name), "no_space", "none")


def test_no_inodes_left(lab: Lab) -> None:
    """There is space, and still no file can be made; nor can a nameless one."""
    data = lab.directory("data")
    lab.mount("tmpfs", data, "-o", "size=1m,nr_inodes=2")
    (data / "last").touch()
    name = lab.run("-v", f"{data}:/data")
    assert "df -i" in expect(lab.verdict(name), "no_space", "none")
    (data / "last").unlink()
    expect(lab.verdict(name), "ok", "none")


def test_file_system_without_nameless_files(lab: Lab) -> None:
    """ramfs has none; a named file is made and gone again."""
    data = lab.directory("data")
    lab.mount("ramfs", data)
    name = lab.run("-v", f"{data}:/data")
    expect(lab.verdict(name), "ok", "none")
    assert os.listdir(data) == []


def test_file_system_that_became_read_only(lab: Lab) -> None:
    data = lab.directory("data")
    lab.mount("tmpfs", data)
    name = lab.run("-v", f"{data}:/data")
    expect(lab.verdict(name), "ok", "none")
    command("mount", "-o", "remount,ro", data)
    assert "dmesg" in expect(lab.verdict(name), "not_writable", "mount_disk")


def test_immutable_directory_is_not_writable(lab: Lab) -> None:
    data = lab.directory("data")
    name = lab.run("-v", f"{data}:/data")
    command("chattr", "+i", data)
    try:
        assert "chattr -i" in expect(lab.verdict(name), "not_writable", "none")
    finally:
        command("chattr", "-i", data)


def test_secret_only_root_may_read(lab: Lab) -> None:
    secret = lab.folder / "token"
    secret.write_text("s")
    secret.chmod(0o600)
    name = lab.run("-v", f"{secret}:/run/secrets/token:ro", "--user", "1000:1000")
    expect(lab.verdict(name, "/run/secrets/token"), "not_readable", "chown")
    os.chown(secret, 1000, 1000)
    secret.chmod(0o400)
    expect(lab.verdict(name, "/run/secrets/token"), "ok", "none")


def test_directory_of_the_image_bars_the_way(lab: Lab) -> None:
    name = lab.run("-v", f"{lab.directory('data', owner=1000)}:/locked/data", "--user", "1000:1000")
    assert "/locked" in expect(lab.verdict(name, "/locked/data"), "not_readable", "none")


def test_no_trace_is_left_by_the_probe(lab: Lab) -> None:
    data = lab.directory("data")
    name = lab.run("-v", f"{data}:/data")
    before = os.stat(data)
    expect(lab.verdict(name), "ok", "none")
    after = os.stat(data)
    assert (before.st_mtime_ns, before.st_ctime_ns, before.st_nlink) == (
        after.st_mtime_ns,
        after.st_ctime_ns,
        after.st_nlink,
    )
    assert os.listdir(data) == []
