"""Access to a virtual machine: share tables from captured files, commands, and verdicts on the output of a guest.

What the guest prints is made here after a real Podman machine (5.4.2, virtiofs below the user's home, the rest on its
own ext4 disk); the script itself runs for real in tests/integration/mounts/test_mounts_vm_hop.py.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import shlex
import typing as t

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core import process
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import parse_inspect
from ansible_collections.onebox.stack.plugins.module_utils.mounts.expected import declare
from ansible_collections.onebox.stack.plugins.module_utils.mounts.prove import Job
from ansible_collections.onebox.stack.plugins.module_utils.mounts.vm import prover as vm
from ansible_collections.onebox.stack.plugins.module_utils.mounts.vm.guest_script import Question, parse, row_of, script
from ansible_collections.onebox.stack.plugins.module_utils.vm import shares as vm_machines

FIXTURES = pathlib.Path(__file__).parent / "fixtures"
GUEST = """\
21 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
40 21 0:46 / {share} rw,relatime shared:30 - virtiofs 11097e922458af2301e715a19faffb85954d rw
"""
STAT = "{device} {inode} 41ed 1001 1001 2 4096 1795246083"


def outside(run: process.Runner) -> World:
    return dataclasses.replace(World.real(), run=run, home="/home/mac")


def test_podman_machine_shares_are_read_from_its_configuration() -> None:
    config = (FIXTURES / "podman-machine-5.4.2.json").read_text()
    assert vm_machines.podman_shares(config) == [("/home/mac", "/home/mac")]


def test_shares_of_a_machine_are_found_by_its_inspection(tmp_path: pathlib.Path) -> None:
    (tmp_path / "97layerOS.json").write_text((FIXTURES / "podman-machine-5.4.2.json").read_text())
    told = (FIXTURES / "podman-machine-5.4.2-inspect.json").read_text()
    told = told.replace("/home/mac/.config/containers/podman/machine/qemu", str(tmp_path))

    def run(argv: t.Sequence[str], **options: t.Any) -> process.Result:
        assert list(argv) == ["podman", "machine", "inspect", "97layerOS"]
        return process.Result(tuple(argv), 0, told, "", 0.1)

    machine = vm_machines.Machine.of("podman", "97layerOS", environ={})
    assert vm_machines.shares(machine, outside(run), 5) == [("/home/mac", "/home/mac")]
    assert vm_machines.shares(vm_machines.Machine.of("podman", "other", environ={}), outside(broken), 5) is None


def broken(argv: t.Sequence[str], **options: t.Any) -> process.Result:
    raise process.CommandError("failed", process.Result(tuple(argv), 125, "", "Error: VM does not exist", 0.1))


@pytest.mark.parametrize(
    ("config", "found"),
    [
        ("cpu: 2\nmounts: []\nenv: {}\n", ["/Users/u"]),
        ("mounts:\n  - location: ~\n    writable: true\n  - location: /Volumes/Data\n", ["/Users/u", "/Volumes/Data"]),
        ('mounts:\n- location: "/Volumes/My Disk"\n  writable: true\nenv: {}\n', ["/Volumes/My Disk"]),
        ("", ["/Users/u"]),
    ],
)
def test_colima_shares_are_read(config: str, found: list[str]) -> None:
    assert [host for host, _guest in vm_machines.colima_shares(config, "/Users/u")] == found


def test_docker_desktop_shares() -> None:
    assert ("/Volumes", "/Volumes") in vm_machines.docker_desktop_shares("{}")
    assert vm_machines.docker_desktop_shares('{"FilesharingDirectories": ["/Users"]}') == [("/Users", "/Users")]


def test_paths_of_the_guest_are_led_back_to_the_host() -> None:
    shared = [("/Users", "/Users"), ("/data", "/mnt/data")]
    assert vm_machines.host_path("/mnt/data/x", shared) == "/data/x"
    assert vm_machines.host_path("/mnt/database", shared) == "/mnt/database"
    assert vm_machines.host_path("/host_mnt/Users/u/x", shared) == "/Users/u/x"
    assert vm_machines.host_path("/elsewhere", None) == "/elsewhere"


def test_commands_into_each_kind_of_machine() -> None:
    def command(kind: str, name: str = "") -> list[str]:
        return vm_machines.Machine.of(kind, name, environ={}).command("echo 'a b'")

    assert command("podman", "97layerOS") == ["podman", "machine", "ssh", "97layerOS", "echo 'a b'"]
    assert command("podman")[3] == "podman-machine-default"
    assert command("colima") == ["colima", "ssh", "--profile", "default", "--", "sh", "-c", "echo 'a b'"]
    assert command("docker_desktop")[-3:] == ["sh", "-c", "echo 'a b'"]


def test_machine_that_does_not_answer_is_an_error_that_says_how_to_start_it() -> None:
    with pytest.raises(vm_machines.MachineError, match=r"VM does not exist.*podman machine start 97layerOS"):
        vm_machines.Machine.of("podman", "97layerOS", environ={}).ask("x", outside(broken), 5)


def test_space_is_refused_by_colima_and_fine_with_podman() -> None:
    path = "/Volumes/Extreme SSD/app"
    assert "space" in vm_machines.Machine.of("colima", environ={}).how_to_share(path)
    assert "'/Volumes/Extreme SSD/app'" in vm_machines.Machine.of("podman", environ={}).how_to_share(path)


def test_script_quotes_every_name() -> None:
    text = script([Question(7, "/a b/$(reboot)", "/it's", "")])
    (body,) = shlex.split(text.partition("$sudo sh -c ")[2])  # one word for the outer shell
    assert "inspect 0 7 '/a b/$(reboot)' '/it'\"'\"'s' '' ''" in body
    assert body.endswith("table self\ntable 7")


def test_foreign_lines_in_the_output_are_skipped() -> None:
    report = parse(
        "Welcome!\nmount 0\nguest \nreal /x\x01\ntoken guest\nwarning: no\ntable self\n" + GUEST + "end self\n"
    )
    assert report.seen[0].guest is None
    assert report.seen[0].real == "/x"
    assert report.seen[0].token == {"guest"}
    row = row_of(report.tables["self"], "/home/mac/deep/er")
    assert row is not None
    assert row.point == "/"


class Guest:
    """A machine whose guest has one share, and a container in it with one mount at /data. It replaces ssh."""

    def __init__(self, source: pathlib.Path, share: pathlib.Path, **changes: t.Any) -> None:
        self.source, self.share = source, share
        self.changes = changes
        self.files: list[str] = []

    def __call__(self, argv: t.Sequence[str], **options: t.Any) -> process.Result:
        if argv[0] == "mount":
            text = f"/dev/disk3s5 on / (apfs, local)\n/dev/disk4s1 on {self.source.parent} (exfat, local, nodev)\n"
            return process.Result(tuple(argv), 0, text, "", 0.1)
        if argv[2] != "ssh":
            return broken(argv)
        self.files = os.listdir(self.source) if self.source.is_dir() else []
        return process.Result(tuple(argv), 0, self.answer(), "", 0.1)

    def answer(self) -> str:
        device = 46 if str(self.source).startswith(str(self.share)) else 65025
        node = STAT.format(device=device, inode=77)
        lines = ["root", "mount 0", f"guest {node}", f"real {self.source}\x01"]
        lines.append(f"inside {STAT.format(device=device, inode=self.changes.get('inode', 77))}")
        lines += ["place /data", "row 90", self.changes.get("said", "user 1001 1001 own\ntry done")]
        lines += [f"token {place}" for place in self.changes.get("token", ("guest", "inside"))]
        inner = str(self.source)[len(str(self.share)) :] if device == 46 else str(self.source)
        kind, number = ("virtiofs", "0:46") if device == 46 else ("ext4", "254:1")
        deleted = self.changes.get("deleted", "")
        lines += ["table self", GUEST.format(share=self.share).rstrip(), "end self", "table 874"]
        lines += [f"90 80 {number} {inner}{deleted} /data rw,relatime - {kind} x rw", "end 874"]
        return "\n".join(lines) + "\n"


def judged(guest: Guest, access: str = "write") -> dict[str, t.Any]:
    mounts = [{"Type": "bind", "Source": str(guest.source), "Destination": "/data", "RW": True}]
    state = {"Status": "running", "Pid": 874}
    container = parse_inspect({"Id": "c" * 64, "Name": "/web", "State": state, "Mounts": mounts})
    declared, _absent = declare("podman", container, [])
    world = dataclasses.replace(World.real(), run=guest, home="/home/mac", random=lambda: 0.5)
    prover = vm.Prover(vm_machines.Machine.of("podman", "97layerOS", environ={}), world)
    (answer,) = prover.prove([Job(container, declared, access)])
    (row,) = answer["rows"]
    return row


@pytest.fixture
def home(tmp_path: pathlib.Path) -> pathlib.Path:
    (tmp_path / "home" / "app").mkdir(parents=True)
    return tmp_path / "home"


def test_shared_directory_is_proven_by_a_fresh_file_that_is_gone_afterwards(home: pathlib.Path) -> None:
    guest = Guest(home / "app", home)
    row = judged(guest)
    assert (row["verdict"], row["proof"]) == ("ok", "canary")
    assert guest.files == [".onebox-probe-800000000000"]
    assert os.listdir(home / "app") == []
    assert "exFAT" in row["message"]  # the limits of the disk are reported


def test_directory_on_the_guests_own_disk_is_a_ghost(tmp_path: pathlib.Path, home: pathlib.Path) -> None:
    (tmp_path / "Volumes").mkdir()
    row = judged(Guest(tmp_path / "Volumes", home))
    assert (row["verdict"], row["fix"]) == ("vm_not_shared", "share_with_vm")
    assert "ext4" in row["message"]
    assert f"--volume {tmp_path}/Volumes" in row["message"]


def test_disk_that_is_not_plugged_in(home: pathlib.Path) -> None:
    row = judged(Guest(pathlib.Path("/Volumes/obx-mounts-none"), home))
    assert (row["verdict"], row["fix"]) == ("vm_not_shared", "mount_disk")
    assert "check its disk" in row["message"]


@pytest.mark.parametrize("token", [(), ("guest",)])
def test_file_that_does_not_arrive(home: pathlib.Path, token: tuple[str, ...]) -> None:
    row = judged(Guest(home / "app", home, token=token))
    assert (row["verdict"], row["fix"]) == ("vm_not_shared", "share_with_vm")


def test_container_with_the_previous_directory(home: pathlib.Path) -> None:
    row = judged(Guest(home / "app", home, inode=78, deleted="//deleted"))
    assert (row["verdict"], row["fix"]) == ("stale_deleted", "restart")


def test_without_writing_the_times_must_agree_and_else_nothing_is_proven(home: pathlib.Path) -> None:
    guest = Guest(home / "app", home)
    assert judged(guest, access="read")["verdict"] == "unverifiable"
    os.utime(home / "app", (1795246083, 1795246083))
    assert judged(guest, access="read")["verdict"] == "ok"
    assert guest.files == []


def test_guest_without_an_answer(home: pathlib.Path) -> None:
    class Silent(Guest):
        def answer(self) -> str:
            return "sudo: a password is required\n"

    row = judged(Silent(home / "app", home))
    assert row["verdict"] in ("vm_not_shared", "unverifiable")
    assert row["verdict"] != "ok"


@pytest.mark.parametrize(
    ("said", "verdict", "fix", "words"),
    [
        ("user 1001 1001 own\ntry done", "ok", "none", "through the Podman machine"),
        ("", "unverifiable", "none", "could not be tried"),
        ("user 1001 1001", "unverifiable", "none", "could not be tried"),
        ("user 0 0\ntry self setpriv: not found", "unverifiable", "none", "setpriv: not found"),
        ("user 100998 1 own\ntry write sh: 1: x: Permission denied", "not_writable", "edit_compose", "keep-id"),
        ("user 4242 4242\ntry write sh: ./x: Permission denied", "not_writable", "edit_compose", '"1001:1001"'),
        ("user 4242 4242\ntry read Permission denied", "not_readable", "edit_compose", "may not read"),
        ("user 0 0\ntry write head: write error: No space left on device", "no_space", "none", "df -h"),
        ("user 0 0\ntry write sh: can't create ./x: Read-only file system", "not_writable", "restart", "read-only"),
        ("user 0 0\ntry write sh: ./x: Transport endpoint is not connected", "not_writable", "none", "dmesg"),
    ],
)  # fmt: skip
def test_access_of_the_application_in_the_guest(
    home: pathlib.Path, said: str, verdict: str, fix: str, words: str
) -> None:
    """Messages as dash, bash and busybox write them."""
    row = judged(Guest(home / "app", home, said=said))
    assert (row["verdict"], row["fix"]) == (verdict, fix), row
    assert words in row["message"]
    assert row["access"]["declared"] == "rw"


def test_without_access_nothing_is_tried(home: pathlib.Path) -> None:
    os.utime(home / "app", (1795246083, 1795246083))
    assert judged(Guest(home / "app", home, said=""), access="none")["verdict"] == "ok"


def test_many_long_names_need_several_scripts() -> None:
    def declared(length: int) -> t.Any:
        mounts = [{"Type": "bind", "Source": "/s" * length, "Destination": "/data", "RW": True}]
        container = parse_inspect({"Id": "c", "Name": "/web", "State": {}, "Mounts": mounts})
        return declare("podman", container, [])[0][0]

    assert vm._fitting([declared(1)] * 50) == 50
    assert vm._fitting([declared(2000)] * 50) == 3
    assert vm._fitting([declared(200_000)] * 2) == 1


def test_file_system_of_a_path_is_that_of_the_nearest_mount() -> None:
    disks = [("/", "apfs"), ("/Volumes/Disk", "exfat"), ("/Volumes/Disk 2", "apfs"), ("/Volumes/Disk", "hfs")]
    assert vm.fstype_of("/Volumes/Disk/app", disks) == "hfs"
    assert vm.fstype_of("/Volumes/Disk 2", disks) == "apfs"
    assert vm.fstype_of("/Users/u", disks) == "apfs"
    assert vm.fstype_of("/Users/u", []) == ""
