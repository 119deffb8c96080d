# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The schemas of the Kubernetes API, from a package of the Python registry."""

from __future__ import annotations

import functools
import json
import shutil
import sys
import typing as t
import zipfile

from onebox_testbed.base import CACHE, run, step

PACKAGE = "kubernetes-validate==1.37.0"
RELEASE = "v1.37.0"
_FOLDER = f"kubernetes_validate/kubernetes-json-schema/{RELEASE}-local-strict"


def _wheel() -> zipfile.ZipFile:
    place = CACHE / "kubernetes-schemas"
    if not list(place.glob("*.whl")):
        scratch = place.with_name(place.name + ".part")
        shutil.rmtree(scratch, ignore_errors=True)
        pip = [shutil.which("pip")] if shutil.which("pip") else [sys.executable, "-m", "pip"]
        with step(f"downloading {PACKAGE}"):
            run([*map(str, pip), "download", "-q", "--no-deps", "--dest", str(scratch), PACKAGE])
        shutil.rmtree(place, ignore_errors=True)
        scratch.rename(place)
    return zipfile.ZipFile(next(iter(place.glob("*.whl"))))


@functools.cache
def definitions() -> dict[str, t.Any]:
    """All types of the API, by name such as ``io.k8s.api.core.v1.Container``. Unknown fields are errors."""
    with _wheel() as wheel:
        return json.loads(wheel.read(f"{_FOLDER}/_definitions.json"))["$defs"]
