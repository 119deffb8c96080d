# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Substitutes for the public images of the stacks, as one archive that a host's engine loads under their public names.

They are built under names of the testbed's own: an engine that somebody uses for other things keeps its images. Each
has the label ``onebox.standin``, which says what it is; the report of a run shows it.
"""

from __future__ import annotations

import concurrent.futures
import hashlib
import io
import json
import pathlib
import tarfile

from onebox_testbed import images
from onebox_testbed.base import ROOT, TestbedError, step
from onebox_testbed.docker import docker

RECIPES = ROOT / "tests" / "testbed" / "standins"
BASE = "debian12"
BUILDS = 2  # at the same time
# Folder of the recipe, and the name compose files know it by.
PUBLIC = {
    "postgres": "postgres:15",
    "redis": "redis:7",
    "prometheus": "prom/prometheus:v2.53.0",
    "grafana": "grafana/grafana:11.6.1",
    "n8n": "n8nio/n8n:1.123.26",
    "python": "python:3.11-slim-bookworm",
}


def _tag(name: str) -> str:
    return f"onebox-testbed/standin-{name}:latest"


def _recipe(name: str) -> str:
    """Changes with every part of the substitute image."""
    total = hashlib.sha256(images.IMAGES[BASE].recipe.encode())
    for place in sorted((RECIPES / name).iterdir()):
        if place.is_file():
            total.update(place.name.encode() + b"\0" + place.read_bytes())
    return total.hexdigest()[:12]


def ensure(socket: str, name: str) -> str:
    """Make sure the engine at ``socket`` has a substitute image; returns the testbed's name of it."""
    tag, recipe = _tag(name), _recipe(name)
    form = f'{{{{index .Config.Labels "{images.RECIPE_LABEL}"}}}}'
    try:
        if docker(socket, "image", "inspect", "-f", form, tag) == recipe:
            return tag
    except TestbedError:
        pass  # it is not there yet
    base = images.ensure(socket, BASE)
    with step(f"building a stand-in for {PUBLIC[name]}"):
        argv = ["build", "-q", "--force-rm", "--build-arg", f"BASE={base}", "-t", tag]
        docker(socket, *argv, "--label", f"{images.RECIPE_LABEL}={recipe}", str(RECIPES / name))
    return tag


def archive(socket: str) -> pathlib.Path:
    """All substitute images as one file for ``docker load``, under their public names."""
    images.ensure(socket, BASE)
    with concurrent.futures.ThreadPoolExecutor(BUILDS) as pool:
        tags = dict(zip(pool.map(lambda name: ensure(socket, name), PUBLIC), PUBLIC.values(), strict=True))
    total = hashlib.sha256(json.dumps(PUBLIC).encode())
    total.update(docker(socket, "image", "inspect", "-f", "{{.Id}}", *tags).encode())
    target = images.TARBALLS / f"standins-{total.hexdigest()[:12]}.tar"
    if not target.exists():
        images.TARBALLS.mkdir(parents=True, exist_ok=True)
        saved, part = target.with_suffix(".saved"), target.with_suffix(".part")
        with step("saving the stand-ins"):
            docker(socket, "save", "-o", str(saved), *tags)
            _renamed(saved, part, tags)
        saved.unlink()
        for old in images.TARBALLS.glob("standins-*.tar"):
            old.unlink()
        part.rename(target)
    return target


def _renamed(source: pathlib.Path, target: pathlib.Path, names: dict[str, str]) -> None:
    """Copy an archive of images with other names in its table of contents."""
    with tarfile.open(source) as old, tarfile.open(target, "w") as new:
        for member in old:
            content = old.extractfile(member)
            if member.name in ("repositories", "index.json", "oci-layout"):
                continue  # the same table again, for other readers
            if member.name == "manifest.json" and content is not None:
                rows = json.load(content)
                for row in rows:
                    row["RepoTags"] = [names[tag] for tag in row["RepoTags"]]
                text = json.dumps(rows).encode()
                member.size, content = len(text), io.BytesIO(text)
            new.addfile(member, content)
