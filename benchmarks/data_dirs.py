"""data_dirs against a loop of ansible.builtin.file, and against bare Python.

The first comparison runs two playbooks on this machine: the time of the one task, as Ansible's profile_tasks counts it,
and of the whole run with what ansible-playbook needs to start, which a playbook with other tasks pays only once. The
second runs in one process: the module's work against a loop of the same system calls.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import typing as t

import machine
import yaml

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))
importlib.import_module("conftest")  # makes the collection importable
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World  # noqa: E402
from ansible_collections.onebox.stack.plugins.module_utils.dirs.ensure import ensure  # noqa: E402
from ansible_collections.onebox.stack.plugins.module_utils.dirs.filesystem import Mounts  # noqa: E402

BENCHMARK = "200 directories against a loop of ansible.builtin.file; 1,000 against bare Python"
LOOP, BARE = 200, 1000
MODULE = """
import json, sys
sys.path.insert(0, sys.argv[1])
import conftest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.onebox.stack.plugins.modules import data_dirs
with patch_module_args(json.loads(sys.argv[2])):
    data_dirs.main()
"""


def play(playbook: pathlib.Path, paths: list[str], place: pathlib.Path) -> tuple[float, float]:
    """Seconds of the whole run and of its one task."""
    variables = place / "paths.json"
    variables.write_text(json.dumps({"paths": paths}))
    config = place / "ansible.cfg"
    config.write_text(
        f"[defaults]\ncollections_path={HERE.parent / '.collections'}\ncallbacks_enabled=ansible.posix.profile_tasks\n"
        f"interpreter_python={sys.executable}\n[connection]\npipelining=True\n"
    )
    words = [sys.executable, "-m", "ansible", "playbook", "-i", "localhost,", "-c", "local", "-e", f"@{variables}"]
    began = time.monotonic()
    done = subprocess.run(
        [*words, str(playbook)],
        env=machine.environment(ANSIBLE_CONFIG=str(config), LC_ALL="C.UTF-8"),
        capture_output=True,
        text=True,
        check=False,
    )
    whole = time.monotonic() - began
    if done.returncode != 0:
        raise SystemExit(f"{playbook.name} failed:\n{done.stdout}{done.stderr}")
    task = re.search(r"^Make the directories -+ ([0-9.]+)s$", done.stdout, re.MULTILINE)
    assert task, done.stdout
    return whole, float(task.group(1))


def against_the_loop(place: pathlib.Path) -> None:
    names = [f"stack{number // 20}/dir{number}" for number in range(LOOP)]
    one = place / "one.yml"
    entries = "{{ paths | map('community.general.dict_kv', 'path') | map('combine', {'owner': '0', 'group': '0'}) }}"
    task = {"directories": entries, "state_dir": str(place / "state")}
    one.write_text(
        yaml.safe_dump(
            [
                {
                    "name": "Directories in one call",
                    "hosts": "localhost",
                    "gather_facts": False,
                    "tasks": [{"name": "Make the directories", "onebox.stack.data_dirs": task}],
                }
            ]
        )
    )
    ours = play(one, [f"{place}/ours/{name}" for name in names], place)
    loop = play(HERE / "data_dirs_loop.yml", [f"{place}/loop/{name}" for name in names], place)
    print(
        f"{LOOP} directories: the task {loop[1] / ours[1]:.0f}x faster than a loop ({ours[1]:.2f} s, {loop[1]:.1f} s), "
        f"the whole run {loop[0] / ours[0]:.0f}x ({ours[0]:.2f} s, {loop[0]:.1f} s)"
    )


def bare(paths: list[str]) -> None:
    """Open, inspect, create, correct and close directories: the system calls of the module, and no others."""
    for path in paths:
        try:
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except FileNotFoundError:
            os.mkdir(path, 0o700)
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        found = os.fstat(fd)
        if (found.st_uid, found.st_gid) != (999, 999):
            os.fchown(fd, 999, 999)
        if found.st_mode & 0o7777 != 0o750:
            os.fchmod(fd, 0o750)
        os.fstat(fd)
        os.close(fd)


def seconds(work: t.Callable[[], object]) -> float:
    gc.collect()
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def against_bare_python(place: pathlib.Path) -> None:
    def module(base: pathlib.Path) -> None:
        entries = [{"path": f"dir{number}", "owner": "999", "group": "999"} for number in range(BARE)]
        state, mounts = str(place / "state"), Mounts(World.real())
        result = ensure(entries, base=str(base), deploy_dir="/opt/x", state_dir=state, check=False, mounts=mounts)
        assert not result["problems"]

    # An AnsibleModule with one directory, in a Python of its own: what any module costs before it does anything.
    arguments = {"directories": [{"path": str(place / "one")}], "state_dir": str(place / "state")}
    words = [sys.executable, "-c", MODULE, str(HERE.parent / "tests"), json.dumps(arguments)]
    start = statistics.median(
        seconds(lambda: subprocess.run(words, check=True, capture_output=True)) for unused in "12345"
    )

    rows: dict[str, list[tuple[float, float]]] = {"new": [], "unchanged": []}
    for turn in range(9):
        ours, theirs = place / f"ours{turn}", place / f"bare{turn}"
        ours.mkdir()
        theirs.mkdir()
        paths = [f"{theirs}/dir{number}" for number in range(BARE)]
        for what in rows:
            rows[what].append((seconds(lambda base=ours: module(base)), seconds(lambda todo=paths: bare(todo))))
        shutil.rmtree(ours)
        shutil.rmtree(theirs)
    for what, pairs in rows.items():
        mine, other = (statistics.median(column) for column in zip(*pairs, strict=True))
        whole = (start + mine) / (start + other)
        print(
            f"{BARE} {what} directories: {mine / other:.1f}x bare Python ({mine * 1e3:.1f} ms, {other * 1e3:.1f} ms),\n"
            f"{'ok:    ' if whole < 2 else 'MISSED:'} {whole:.2f}x with the {start * 1e3:.0f} ms of a module start on "
            f"both sides (to be under 2x)"
        )


def main() -> None:
    if os.geteuid() != 0:
        raise SystemExit("this benchmark gives directories to another user: run it as root")
    with tempfile.TemporaryDirectory(prefix="obx-dirs-bench-") as place:
        against_bare_python(pathlib.Path(place))
        against_the_loop(pathlib.Path(place))


if __name__ == "__main__":
    main()
