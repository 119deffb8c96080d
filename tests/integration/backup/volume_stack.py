# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stack with a volume, as compose creates it, in any engine."""

from __future__ import annotations

import json
import pathlib
import secrets
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup import configuration
from ansible_collections.onebox.stack.plugins.module_utils.backup import context as contexts
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World

# Names, owners and modes that break copies: other users' private files, links, hard links, odd names.
FILL = """
set -e; cd /data
echo one > a; echo two > 'b c'; mkdir sub; echo deep > sub/x
chmod 0600 a; chown 999:998 a; chown -R 1000:1000 sub; chmod 0700 sub
ln -s a link; ln a hard; echo x > -dash
"""
LIST = "cd /data; find . | sort; stat -c '%n %u %g %a %h' a 'b c' sub sub/x; cat a 'b c' sub/x"


class VolumeStack:
    """One container and its volume ``data``, labelled as a compose project."""

    def __init__(
        self, run: t.Callable[..., t.Any], engine: str, image: str, base: pathlib.Path, name: str = ""
    ) -> None:
        self.run = run
        self.engine = engine
        self.image = image
        self.base = base
        self.name = name or f"obx-volume-{secrets.token_hex(3)}"
        self.volume = f"{self.name}_data"
        self.app = f"{self.name}-app"

    def labels(self, key: str = "data", project: str = "") -> list[str]:
        project = project or self.name
        words = ["--label", f"com.docker.compose.project={project}"]
        if self.engine == "podman":
            return [*words, "--label", f"io.podman.compose.project={project}"]
        return [*words, "--label", f"com.docker.compose.volume={key}"]

    def start(self, fill: bool = True) -> None:
        self.run("volume", "create", *self.labels(), self.volume)
        self.up()
        if fill:
            self.run("exec", self.app, "sh", "-c", FILL)

    def up(self) -> None:
        words = ["--label", f"com.docker.compose.project={self.name}", "--label", "com.docker.compose.service=app"]
        words += ["--network", "none", "-v", f"{self.volume}:/data"]
        self.run("run", "-d", "--name", self.app, *words, self.image, "sleep", "100000")

    def down(self) -> None:
        self.run("rm", "-f", "-v", self.app, check=False)
        self.run("volume", "rm", "-f", self.volume, check=False)

    def content(self) -> str:
        return str(self.run("exec", self.app, "sh", "-c", LIST).stdout)

    def declared(self, **more: t.Any) -> dict[str, t.Any]:
        return {
            "stack": self.name,
            "state_dir": str(self.base / "state"),
            "repository": {"engine": "files", "path": str(self.base / "repo")},
            "container_engine": self.engine,
            "reserve_mib": 1,
            "timeout": 60,
            "sources": [{"name": "data", "kind": "volume", "volume": "data"}],
            **more,
        }

    def context(self, **more: t.Any) -> contexts.Context:
        config = self.base / "config.json"
        config.write_text(json.dumps(self.declared(**more)), encoding="utf-8")
        return contexts.make(configuration.read(str(config)), World.real())
