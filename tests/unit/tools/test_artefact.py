# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The published file holds the collection and nothing else that lies in a clone."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys
import tarfile

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tools"))

import artefact  # noqa: E402

SECRET = "gkS9-planted-secret"
# Where users of a clone keep secrets and addresses.
PLANTED = [
    ".env",
    ".vault-pass",
    ".vault_pass.txt",
    "vault-password",
    "ansible.log",
    "secrets.yml",
    "group_vars/all.yml",
    "host_vars/oci-vm.yml",
    "inventories/group_vars/coinpilot.yml",
    "inventories/group_vars/all/vault.yml",
    "inventories/host_vars/oci-vm/vault.yml",
    "inventories/oci-vm.captured.yml",
    "playbooks/.env",
    "playbooks/group_vars/all.yml",
    "playbooks/host_vars/oci-vm.yml",
    "playbooks/oci-vm.captured.yml",
    "playbooks/vault.yml",
    "stacks/coinpilot/.env",
    "stacks/coinpilot/app/.env",
    "roles/compose_stack/.env",
    "roles/compose_stack/defaults/vault.yml",
    "roles/compose_stack/files/id_ed25519",
    "roles/compose_stack/vars/vault.yml",
    "plugins/modules/.env",
    "tests/output/junit.xml",
    ".cache/setup/token",
    ".ansible/tmp/token",
    ".oci/config",
]
# Other files that do not belong to the collection.
FOREIGN = ["playbooks/production.yml", "playbooks/files/dump.tar.gz", "plugins/modules/notes.txt", "docs/notes.txt"]


def checkout(folder: pathlib.Path) -> pathlib.Path:
    """A copy of the files of this checkout that Git tracks, without Git."""
    for name in artefact.tracked(ROOT):
        source = ROOT / name
        if name and source.is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, folder / name)
    return folder


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The collection, built in a checkout that is full of secrets."""
    root = checkout(tmp_path_factory.mktemp("clone"))
    for name in PLANTED + FOREIGN:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(SECRET)
    return artefact.build(root, tmp_path_factory.mktemp("out"))


def test_build_in_a_used_clone_packs_no_secret(built: pathlib.Path) -> None:
    with tarfile.open(built) as archive:
        files = {member.name: archive.extractfile(member) for member in archive if member.isfile()}
        holding = [name for name, stream in files.items() if stream and SECRET.encode() in stream.read()]
    assert holding == []


def test_build_packs_the_collection_and_no_more(built: pathlib.Path) -> None:
    ours = {"docs", "meta", "playbooks", "plugins", "roles"}
    expected = {name for name in artefact.tracked(ROOT) if name.partition("/")[0] in ours and (ROOT / name).is_file()}
    expected |= {"CHANGELOG.md", "LICENSE", "README.md", "requirements.txt", "requirements-oci.txt"}
    expected |= {"changelogs/changelog.yaml", "changelogs/config.yaml"}
    assert artefact.packed(built) == expected


def test_build_with_an_untracked_file_of_the_collection_is_refused(tmp_path: pathlib.Path) -> None:
    root = checkout(tmp_path / "clone")
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    subprocess.run(["git", "-C", str(root), "add", "--all", "--force"], check=True)
    (root / "roles/compose_stack/tasks/mine.yml").write_text("---\n")
    with pytest.raises(artefact.ArtefactError, match=r"roles/compose_stack/tasks/mine\.yml"):
        artefact.build(root, tmp_path)
    assert not list(tmp_path.glob("*.tar.gz"))


@pytest.mark.parametrize("name", PLANTED)
def test_gitignore_covers_planted_secrets(name: str) -> None:
    found = subprocess.run(["git", "-C", str(ROOT), "check-ignore", "-q", "--no-index", name], check=False)
    assert found.returncode == 0, f".gitignore does not cover {name}"


def test_dependencies_are_the_collections_that_are_used() -> None:
    """Each dependency in galaxy.yml is used by what is shipped, and everything used is a dependency."""
    declared = set(yaml.safe_load((ROOT / "galaxy.yml").read_text())["dependencies"])
    shipped = "".join(path.read_text() for folder in ("roles", "playbooks") for path in (ROOT / folder).rglob("*.yml"))
    known = {"ansible.posix", "community.docker", "community.general", "containers.podman"}
    assert declared == {name for name in known if f"{name}." in shipped}


def test_execution_environment_names_files_that_exist() -> None:
    needs = yaml.safe_load((ROOT / "meta/execution-environment.yml").read_text())["dependencies"]
    assert all(os.path.getsize(ROOT / path) for path in needs.values())
