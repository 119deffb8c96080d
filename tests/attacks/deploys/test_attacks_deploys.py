# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attacks on a deploy by the role, with a real engine: data next to the stack, private files, links, two operators."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import pytest
from role_box import Box

# As the user of a container: swaps a directory for a link to the victim and back, as fast as it can.
SWAPPER = """
import itertools, os, sys
os.chdir(sys.argv[1])
os.setgroups([]); os.setgid(1000); os.setuid(1000)
print("swapping", flush=True)
for number in itertools.count():
    try:
        os.rename("sub", "aside")
        os.symlink(sys.argv[2], "sub")
        os.unlink("sub")
        os.rename("aside", "sub")
    except OSError:
        try:
            os.rename("aside", "sub")
        except OSError:
            pass
"""


@pytest.fixture
def box(make_lab):
    lab = make_lab("docker+2.40")
    lab.services["web"] = lab.service(environment={"LEVEL": "${LEVEL}"}, volumes=["./conf:/conf:ro"])
    (lab.folder / "conf").write_text("one\n")
    lab.write()
    with tempfile.TemporaryDirectory(prefix="obx-attack-") as home:
        pathlib.Path(home).chmod(0o755)
        yield Box(lab, pathlib.Path(home))


def listing(*folders: pathlib.Path) -> dict[str, tuple]:
    """Every name below the folders with its mode, owner and digest. Lock files say who held them last."""
    found = {}
    for folder in folders:
        for path in [folder, *sorted(folder.rglob("*"))] if folder.exists() else []:
            status = path.lstat()
            digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() and path.name != "lock" else ""
            found[str(path)] = (status.st_mode, status.st_uid, digest)
    return found


def test_data_next_to_an_adopted_stack_survives(box: Box, tally):
    tried = lost = 0
    data = box.deployed / "data" / "deep" / "precious"
    data.parent.mkdir(parents=True)
    data.write_text("ten years of photographs")
    (box.deployed / "local-notes.txt").write_text("notes")
    (box.deployed / "compose.yml").write_bytes((box.lab.folder / "compose.yml").read_bytes())

    def refused() -> None:
        box.lab.services["web"]["environment"]["BAD"] = "${NOBODY:?}"
        box.lab.write()
        box.run(expect=2)
        box.lab.services["web"]["environment"].pop("BAD")
        box.lab.write()

    def failing() -> None:
        box.lab.services["web"]["command"] = ["sh", "-c", "exit 3"]
        box.lab.write()
        box.variables["compose_stack_wait_timeout"] = 5
        box.run(expect=2)
        box.lab.services["web"] = box.lab.service(environment={"LEVEL": "${LEVEL}"}, volumes=["./conf:/conf:ro"])
        box.lab.write()

    def removed() -> None:
        box.variables["compose_stack_state"] = "absent"
        box.run()

    for step in (refused, box.run, failing, lambda: box.run("--check"), removed):
        step()
        tried += 1
        lost += not (data.exists() and (box.deployed / "local-notes.txt").exists())
    tally("a role run beside data in the deploy directory: data lost", tried, lost)


def test_refused_role_run_leaves_no_new_byte(box: Box, tmp_path: pathlib.Path, tally):
    box.run()
    # The stack's folder on the controller is in tmp_path, too.
    host = tmp_path / "host"
    for name in ("secrets", "app", "data"):
        (host / name).mkdir(parents=True)
    (host / "app" / "file").write_text("x")
    secret = {"path": str(host / "secrets" / "password"), "value": "canary-2d91"}
    box.variables["compose_stack_secrets"] = [secret]
    box.variables["compose_stack_content"] = [{"src": f"{host}/app/", "dest": str(host / "data")}]
    box.lab.variables["LEVEL"] = "debug"
    (box.lab.folder / "conf").write_text("two\n")
    spoils = {
        "unset variable": lambda: box.lab.services["web"]["environment"].update(BAD="${NOBODY:?}"),
        "no such source": lambda: box.lab.services["web"].update(volumes=["/nowhere/data:/data"]),
        "public port": lambda: box.lab.services["web"].update(ports=["18080:80"]),
        "required variable": lambda: box.variables.update(compose_stack_required_env=["OTHER"]),
        "link out": lambda: (box.lab.folder / "link").symlink_to("/etc/passwd"),
        "bad YAML": lambda: (box.lab.folder / "compose.yml").write_text("{"),
    }
    places = (box.deployed, pathlib.Path(box.variables["compose_stack_state_dir"]), host, box.temporary)
    before, changed = listing(*places), []
    for name, spoil in spoils.items():
        kept = (dict(box.variables), dict(box.lab.services["web"]), dict(box.lab.services["web"]["environment"]))
        spoil()
        if name != "bad YAML":
            box.lab.write()
        said = box.run(expect=2)
        assert "canary-2d91" not in said
        after = listing(*places)
        if after != before:
            changed.append((name, sorted(set(before.items()) ^ set(after.items()))))
        box.variables, box.lab.services["web"] = kept[0], {**kept[1], "environment": kept[2]}
        (box.lab.folder / "link").unlink(missing_ok=True)
        box.lab.write()
    print(changed)
    tally("refused role runs: something new on the host", len(spoils), len(changed))


def test_private_files_are_not_readable_by_others(box: Box, tally):
    names = ("secrets/db.txt", "app.env", "tls/key.pem")
    for name in names:
        path = box.lab.folder / name
        path.parent.mkdir(exist_ok=True, mode=0o700)
        path.write_text("secret")
        path.chmod(0o600)
    box.run()
    opened = [name for name in names if (box.deployed / name).stat().st_mode & 0o077]
    tally("private files of a source: readable by others on the host", len(names), len(opened))
    assert (box.deployed / "conf").stat().st_mode & 0o777 == 0o644


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, which the attack is against")
def test_content_stays_in_its_directory_while_a_user_swaps_it(box: Box, tmp_path: pathlib.Path, tally, how_many):
    home = box.deployed.parent
    data, victim, source = home / "data", home / "victim", tmp_path / "content"
    (data / "sub").mkdir(parents=True)
    victim.mkdir()
    (source / "sub").mkdir(parents=True)
    for path in (data, data / "sub"):
        os.chown(path, 1000, 1000)
    box.variables["compose_stack_content"] = [{"src": f"{source}/", "dest": str(data)}]
    swapper = subprocess.Popen(
        [sys.executable, "-c", SWAPPER, str(data), str(victim)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert swapper.stdout is not None
    assert swapper.stdout.readline() == b"swapping\n"
    tried, outside = how_many(5, 40), 0
    try:
        for number in range(tried):
            for name in range(50):
                (source / "sub" / f"{name}").write_text(f"{number}")
            # A refusal is right when the directory is a link at that moment.
            with contextlib.suppress(AssertionError):
                box.run()
            outside += bool(list(victim.iterdir()))
        assert swapper.poll() is None
    finally:
        swapper.kill()
        swapper.wait()
    tally("role runs with content beside a swapping user: files outside", tried, outside)


def test_two_role_runs_at_once_end_with_a_healthy_service(box: Box, tmp_path: pathlib.Path, tally, how_many):
    box.run()
    tried, wrong = how_many(3, 20), 0
    for number in range(tried):
        runs = []
        for operator in ("a", "b"):
            home = tmp_path / f"{number}-{operator}"
            home.mkdir()
            other = Box(box.lab, home)
            other.deployed = box.deployed
            source = home / "source"
            shutil.copytree(box.lab.folder, source)
            (source / "conf").write_text(f"{number}{operator}\n")
            other.variables = {**box.variables, "compose_stack_source": str(source)}
            child = os.fork()
            if child == 0:
                status = 1
                try:
                    other.run("-e", f'{{"compose_stack_env": {{"LEVEL": "{number}{operator}", "DATA": "/"}}}}')
                    status = 0
                finally:
                    os._exit(status)
            runs.append(child)
        for child in runs:
            os.waitpid(child, 0)
        containers = box.lab.containers().get("web", [])
        level = next((word[6:] for row in containers for word in row.env if word.startswith("LEVEL=")), "")
        conf = (box.deployed / "conf").read_text().strip()
        wrong += not (len(containers) == 1 and containers[0].running and conf == level)
    tally("two role runs on one stack at once: no healthy service, or a mixture", tried, wrong)
