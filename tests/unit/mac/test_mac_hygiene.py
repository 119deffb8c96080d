# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clutter and host processes on real files and processes (case 25); only the output of macOS is constructed."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import subprocess
import sys
import typing as t

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core import process, ps
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.mac import clutter, hostprocs
from ansible_collections.onebox.stack.plugins.module_utils.mac.errors import MacError

APPLE = bytes.fromhex("00051607000200004d6163204f532058")


def put(root: pathlib.Path, *names: str, content: bytes = b"xyz") -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


@pytest.fixture
def project(tmp_path: pathlib.Path) -> pathlib.Path:
    root = tmp_path / "97layer OS"
    put(
        root, "a.py", "b/__pycache__/a.cpython-39.pyc", "b/__pycache__/.DS_Store", "old.pyc", ".DS_Store", "b/.DS_Store"
    )
    put(root, "._a.py", "._lonely", content=APPLE)
    put(root, "._notes", "notes", "._x", "x")
    put(root, ".git/objects/x.pyc", "venv/pyvenv.cfg", "venv/lib/__pycache__/z.pyc", "kept/k.pyc")
    put(root, "mine/__pycache__/important.txt")
    put(tmp_path / "outside", "o.pyc")
    os.symlink(tmp_path / "outside", root / "link")
    os.symlink(tmp_path / "outside/o.pyc", root / "l.pyc")
    return root


def names(found: list[clutter.Clutter], root: pathlib.Path) -> list[str]:
    return [os.path.relpath(one.path, root) for one in found]


def test_only_clutter_is_found_and_removed(project: pathlib.Path, tmp_path: pathlib.Path) -> None:
    found = clutter.find([str(project)], exclude=[str(project / "kept")])
    assert names(found, project) == [".DS_Store", "._a.py", "b/.DS_Store", "b/__pycache__", "old.pyc"]
    assert sum(one.bytes for one in found) == 3 + 16 + 3 + 6 + 3
    everything = set(tmp_path.rglob("*"))
    assert clutter.remove(found) == []
    gone = {str(path.relative_to(project)) for path in everything - set(tmp_path.rglob("*"))}
    assert gone == {*names(found, project), "b/__pycache__/.DS_Store", "b/__pycache__/a.cpython-39.pyc"}
    assert clutter.find([str(project)], exclude=[str(project / "kept")]) == []


def test_apple_double_files_on_exfat_are_always_clutter(project: pathlib.Path) -> None:
    found = clutter.find([str(project)], kinds=["apple_double"], foreign_filesystem=True)
    assert names(found, project) == ["._a.py", "._lonely"]


def test_another_file_system_is_not_entered(tmp_path: pathlib.Path) -> None:
    if os.geteuid() != 0 or subprocess.run(["unshare", "-m", "true"], check=False).returncode:
        pytest.skip("mounting needs root")
    put(tmp_path, "p/here.pyc")
    (tmp_path / "p/disk").mkdir()
    code = (
        "import sys; sys.path.insert(0, sys.argv[2]); import conftest\n"
        "from ansible_collections.onebox.stack.plugins.module_utils.mac import clutter\n"
        "print([one.path for one in clutter.find([sys.argv[1]])])"
    )
    tests = pathlib.Path(__file__).resolve().parents[2]
    script = 'mount -t tmpfs none "$1/disk" && touch "$1/disk/there.pyc" && exec "$2" -c "$3" "$1" "$4"'
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script, "sh", str(tmp_path / "p"), sys.executable, code, str(tests)],
        capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == str([str(tmp_path / "p/here.pyc")])


@pytest.mark.parametrize("path", ["/", "relative", "/nowhere/at/all"])
def test_root_directory_is_not_a_project(path: str) -> None:
    with pytest.raises(MacError, match="^paths: "):
        clutter.find([path])


def test_link_as_root_is_not_followed(project: pathlib.Path) -> None:
    with pytest.raises(MacError, match="not followed"):
        clutter.find([str(project / "link")])


def test_path_that_cannot_be_removed_is_named(tmp_path: pathlib.Path) -> None:
    put(tmp_path, "a/x.pyc")
    found = clutter.find([str(tmp_path)])
    os.unlink(found[0].path)
    os.mkdir(found[0].path)  # another file replaced it
    assert clutter.remove(found)[0].startswith(found[0].path)
    assert clutter.remove([clutter.Clutter(str(tmp_path / "gone.pyc"), "pyc", 1)]) == []


@pytest.fixture
def daemon(project: pathlib.Path) -> t.Iterator[t.Callable[..., subprocess.Popen[bytes]]]:
    began: list[subprocess.Popen[bytes]] = []

    def start(*argv: str, cwd: str = "/") -> subprocess.Popen[bytes]:
        one = subprocess.Popen([*argv], cwd=cwd, stdout=subprocess.PIPE)
        assert one.stdout is not None
        one.stdout.readline()
        began.append(one)
        return one

    yield start
    for one in began:
        one.kill()
        one.wait()
        assert one.stdout is not None
        one.stdout.close()


LOOP = "import time; print(flush=True); time.sleep(60)"


def test_host_daemons_are_found_by_directory_path_and_pattern(project: pathlib.Path, daemon: t.Any) -> None:
    put(project, "snapshot_daemon.py", content=LOOP.encode())
    by_cwd = daemon(sys.executable, "-c", LOOP, cwd=str(project))
    by_path = daemon(sys.executable, str(project / "snapshot_daemon.py"))
    shell = daemon("sh", "-c", "echo; sleep 60 & wait", cwd=str(project))
    elsewhere = daemon(sys.executable, "-c", LOOP, str(project) + "2")
    found = {one.pid: one for one in hostprocs.find([str(project)], system="linux", world=World.real())}
    assert set(found) & {by_cwd.pid, by_path.pid, shell.pid, elsewhere.pid} == {by_cwd.pid, by_path.pid}
    assert found[by_cwd.pid].reasons == ("cwd",)
    assert found[by_path.pid].reasons == ("argv",)
    everyone = {
        one.pid for one in hostprocs.find([str(project)], system="linux", world=World.real(), only_python=False)
    }
    assert shell.pid in everyone
    pattern = hostprocs.find([], [r"97layer OS2$"], system="linux", world=World.real())
    assert [one.pid for one in pattern] == [elsewhere.pid]
    kept = hostprocs.find([str(project)], system="linux", world=World.real(), keep=["snapshot_daemon"])
    assert by_path.pid not in {one.pid for one in kept}


def test_own_process_and_its_parents_do_not_count(project: pathlib.Path) -> None:
    """A child searches, with the project in its arguments and as its directory, started by a shell there."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[2]); import conftest\n"
        "from ansible_collections.onebox.stack.plugins.module_utils.core.world import World\n"
        "from ansible_collections.onebox.stack.plugins.module_utils.mac import hostprocs\n"
        "print([one.command for one in hostprocs.find([sys.argv[1]], system='linux', world=World.real())])"
    )
    tests = str(pathlib.Path(__file__).resolve().parents[2])
    done = subprocess.run(
        ["sh", "-c", '"$@"; true', "sh", sys.executable, "-c", code, str(project), tests],
        cwd=project, capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "[]"


def test_process_in_a_container_does_not_count(tmp_path: pathlib.Path) -> None:
    for pid, line in {"1": "0::/init.scope", "7": "0::/system.slice/docker-abc.scope", "8": "0::/user.slice"}.items():
        put(tmp_path, f"{pid}/cgroup", content=line.replace("docker-", "docker/").encode())
        (tmp_path / pid / "ns").mkdir()
        os.symlink("pid:[1]", tmp_path / pid / "ns/pid")
    (tmp_path / "self/ns").mkdir(parents=True)
    os.symlink("pid:[1]", tmp_path / "self/ns/pid")
    assert [hostprocs.in_container(pid, str(tmp_path)) for pid in (1, 7, 8, 99)] == [False, True, False, False]


# ps and lsof of macOS in the form of their manual pages, with the processes of the seed's report.
PS_MACOS = """\
    1     0     0 /sbin/launchd
 2960     1   501 /Library/Developer/CommandLineTools/Library/Frameworks/Python3.framework/Versions/3.9/Resources/Python.app/Contents/MacOS/Python execution/system/snapshot_daemon.py
91676     1   501 /usr/bin/python3 /Users/97layer/97layerOS/mac_realtime_receiver.py
91644     1   501 /Applications/Editor.app/Contents/MacOS/Editor /Users/97layer/97layerOS
91700   601   501 /usr/bin/python3 /usr/local/bin/gcloud compute ssh
  601     1     0 sshd: 97layer
  700   601   501 /usr/bin/python3 /Users/97layer/.ansible/tmp/AnsiballZ_host_hygiene.py
"""  # noqa: E501
LSOF_MACOS = "p2960\nfcwd\nn/Users/97layer/97layerOS\np91676\nfcwd\nn/\np91700\nfcwd\nn/Users/97layer\n"


def test_processes_of_a_mac_are_read_from_ps_and_lsof() -> None:
    calls: list[list[str]] = []

    def run(argv: t.Sequence[str], **options: t.Any) -> process.Result:
        calls.append(list(argv))
        if argv[0] == "ps":
            return process.Result(tuple(argv), 0, PS_MACOS, "", 0.0)
        assert list(argv)[:7] == ["/usr/sbin/lsof", "-a", "-d", "cwd", "-F", "pn", "-p"]
        return process.Result(tuple(argv), 1, LSOF_MACOS, "", 0.0)

    found = hostprocs.find(
        ["/Users/97layer/97layerOS"], system="darwin", world=dataclasses.replace(World.real(), run=run), me=700
    )
    assert [(one.pid, one.reasons) for one in found] == [(2960, ("cwd",)), (91676, ("argv",))]
    assert calls[1][-1] == "2960,91676,91700"
    assert len(calls) == 2


def test_other_lines_of_ps_are_skipped() -> None:
    found = ps.parse("  1 0 0 init\nnot a line\n 2 1 501 cmd  with  spaces \n\n")
    assert [(one.pid, one.command) for one in found] == [(1, "init"), (2, "cmd  with  spaces")]
    assert ps.family(2, found) == {2, 1}
    assert ps.family(5, [ps.Process(5, 5, 0, "loop")]) == {5}
