# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Payloads of modules that are kept between runs: used for unchanged code only, and if no other user can write them."""

from __future__ import annotations

import base64
import io
import json
import os
import pathlib
import subprocess
import sys
import typing as t
import zipfile

import pytest
from ansible.executor import module_common
from ansible_collections.onebox.stack.plugins.plugin_utils import bytecode, payloads

ROOT = pathlib.Path(__file__).resolve().parents[3]
MODULES = ["ansible_collections.onebox.stack.plugins.modules.data_dirs", payloads.SETUP]
NAME = f"{MODULES[0]}-ZIP_DEFLATED-none"
OTHER = "ansible_collections.onebox.stack.plugins.modules.data_dirs_too-ZIP_DEFLATED-none"


class Place:
    """A directory with code, the directory of kept payloads, and one cache for each run."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.code = folder / "code"
        self.kept = folder / "home" / "payloads"
        (self.code / "core").mkdir(parents=True)
        (self.code / "core" / "files.py").write_text("one\n")

    def run(self, number: int) -> tuple[payloads.Payloads, pathlib.Path]:
        used = self.folder / f"run{number}"
        return payloads.Payloads(MODULES, used, self.kept, [self.code], local=True), used

    def packed(self, number: int) -> None:
        """A run in which ansible-core packs the module."""
        run, used = self.run(number)
        used.mkdir()
        for name in (NAME, OTHER):
            (used / name).write_text(f"payload {number}")
        (used / f"{NAME}.lock").write_text("")
        run.keep()

    def restored(self, number: int) -> dict[str, str]:
        run, used = self.run(number)
        run.restore()
        return {path.name: path.read_text() for path in used.iterdir()} if used.exists() else {}


@pytest.fixture
def place(tmp_path: pathlib.Path) -> Place:
    return Place(tmp_path)


def test_payload_of_unchanged_code_is_used_again(place: Place):
    assert place.restored(0) == {}
    place.packed(1)
    assert place.restored(2) == {NAME: "payload 1"}
    assert [path.stat().st_mode & 0o077 for path in (place.kept, *place.kept.rglob("*"))] == [0, 0, 0]


@pytest.mark.parametrize("change", ["text", "size_and_time_as_before", "new_file", "removed_file"])
def test_payload_of_changed_code_is_not_used(place: Place, change: str):
    file = place.code / "core" / "files.py"
    status = file.stat()
    place.packed(1)
    if change == "removed_file":
        file.unlink()
    elif change == "new_file":
        (place.code / "core" / "more.py").write_text("")
    else:
        file.write_text("one, longer\n" if change == "text" else "two\n")
    if change == "size_and_time_as_before":
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert place.restored(2) == {}


@pytest.mark.parametrize("target", ["folder", "state", "payload"])
@pytest.mark.parametrize("mode", [0o720, 0o702])
def test_payload_that_others_can_write_is_not_used(place: Place, target: str, mode: int):
    place.packed(1)
    (state,) = place.kept.iterdir()
    {"folder": place.kept, "state": state, "payload": state / NAME}[target].chmod(mode)
    assert place.restored(2) == {}


def test_link_in_place_of_the_directory_is_not_followed(place: Place):
    place.packed(1)
    place.kept.rename(place.folder / "elsewhere")
    place.kept.symlink_to(place.folder / "elsewhere")
    assert place.restored(2) == {}
    (place.folder / "elsewhere").rename(place.kept.parent / "former")
    (place.kept.parent / "target").mkdir()
    place.kept.unlink()
    place.kept.symlink_to(place.kept.parent / "target")
    place.packed(3)
    assert list((place.kept.parent / "target").rglob(NAME)) == []


def test_payloads_of_the_oldest_states_are_removed(place: Place):
    file = place.code / "core" / "files.py"
    for number in range(payloads.KEPT_STATES + 3):
        file.write_text(f"{number}\n")
        place.packed(number)
    found = sorted(path.read_text() for path in place.kept.rglob(NAME))
    assert found == [f"payload {number}" for number in range(3, payloads.KEPT_STATES + 3)]


def archive(files: t.Mapping[str, str | bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as packed:
        for name, text in files.items():
            packed.writestr(name, text)
    return content.getvalue()


def imported(folder: pathlib.Path, content: bytes) -> str:
    """What a new process prints that imports pack.one from an archive, in the way modules do."""
    (folder / "payload.zip").write_bytes(content)
    words = [sys.executable, "-c", "import sys; sys.path.insert(0, 'payload.zip'); import pack.one"]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


ONE = {
    "pack/__init__.py": "",
    "pack/one.py": "print('from', __file__)\n",
    "data.json": "{}",
}


def test_bytecode_of_an_archive_is_imported_in_place_of_its_source(tmp_path: pathlib.Path):
    content = bytecode.with_bytecode(archive(ONE))
    assert sorted(zipfile.ZipFile(io.BytesIO(content)).namelist()) == [
        "data.json",
        *("pack/__init__.py", "pack/__init__.pyc", "pack/one.py", "pack/one.pyc"),
    ]
    # A source that does not compile shows that it is not read.
    mixed = {name: text if name.endswith("c") else "(" for name, text in unpacked(content).items()}
    assert imported(tmp_path, archive(mixed)) == f"from {os.path.join('payload.zip', 'pack', 'one.pyc')}\n"


def unpacked(content: bytes) -> dict[str, t.Any]:
    packed = zipfile.ZipFile(io.BytesIO(content))
    return {name: packed.read(name) for name in packed.namelist()}


def test_bytecode_of_another_python_is_not_imported(tmp_path: pathlib.Path):
    files = unpacked(bytecode.with_bytecode(archive(ONE)))
    other = {name: b"\0\0\r\n" + data[4:] if name.endswith("c") else data for name, data in files.items()}
    assert imported(tmp_path, archive(other)) == f"from {os.path.join('payload.zip', 'pack', 'one.py')}\n"


def test_bytecode_is_added_once_and_a_file_that_does_not_compile_has_none():
    content = bytecode.with_bytecode(archive({**ONE, "pack/template.py": "{{ not python }} ("}))
    assert unpacked(bytecode.with_bytecode(content)) == unpacked(content)
    assert "pack/template.pyc" not in unpacked(content)
    with pytest.raises(ValueError, match="not a zip archive"):
        bytecode.with_bytecode(b"another form")


@pytest.mark.parametrize("local", [True, False])
def test_only_payloads_for_this_host_have_bytecode(tmp_path: pathlib.Path, local: bool):
    used = tmp_path / "used"
    used.mkdir()
    metadata = module_common.ModuleMetadataV1(serialization_profile="legacy")
    data = base64.b64encode(archive(ONE))
    module_common._CachedModule(zip_data=data, metadata=metadata, source_mapping={}).dump(str(used / NAME))
    payloads.Payloads(MODULES, used, tmp_path / "kept", [tmp_path], local=local).keep()
    (kept,) = (tmp_path / "kept").rglob(NAME)
    names = unpacked(base64.b64decode(module_common._CachedModule.load(str(kept)).zip_data))
    assert ("pack/one.pyc" in names) is local
    assert kept.stat().st_mode & 0o777 == 0o600


def test_modules_run_from_their_kept_payloads_in_the_next_run(tmp_path: pathlib.Path):
    environ = {
        **os.environ,
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_HOME": str(tmp_path / "home"),
        "ANSIBLE_REMOTE_TMP": str(tmp_path / "remote"),
        "ANSIBLE_LOCAL_TEMP": str(tmp_path / "local"),
        "ANSIBLE_DEBUG": "true",
        "PATH": f"{ROOT}/.venv/bin:{os.environ['PATH']}",
    }
    tasks = [
        {"onebox.stack.check_values": {"stack": "app"}},
        {"ansible.builtin.setup": {"gather_subset": ["!all"]}},
        {"onebox.stack.data_dirs": {"base": f"{tmp_path}/data", "directories": []}},
    ]
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}
    (tmp_path / "play.yml").write_text(json.dumps([play]))
    words = ["ansible-playbook", "-i", "localhost,", str(tmp_path / "play.yml")]
    words += ["-e", f"ansible_python_interpreter={sys.executable}"]
    runs = [
        subprocess.run(words, cwd=ROOT, env=environ, capture_output=True, text=True, check=False) for unused in (1, 2)
    ]
    assert [run.returncode for run in runs] == [0, 0], runs[-1].stdout[-3000:]
    assert [run.stdout.count("ANSIBALLZ: Creating module") for run in runs] == [2, 0], runs[-1].stdout[-3000:]
