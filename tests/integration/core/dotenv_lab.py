# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real readers of dotenv files, for many files in one process, and the files."""

from __future__ import annotations

import json
import pathlib
import subprocess
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core import dotenv
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from onebox_testbed import compose, podman
from onebox_testbed.base import CACHE

ENVIRON = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8", "OUTSIDE": "from outside"}
NOT_SET = "(not set)"
# Debian's podman-compose reads with python-dotenv 1.0.1.
PYTHON_DOTENV = {"podman-compose": "", "podman-compose of Debian": "1.0.1"}
DOCKER_COMPOSE = {"docker compose 2.26": "trixie", "docker compose 2.40": "sid"}
READERS = [*DOCKER_COMPOSE, *PYTHON_DOTENV]
T = t.TypeVar("T")

_READ_ALL = """
import json, podman_compose, sys
from dotenv.version import __version__
values = [podman_compose.dotenv_to_dict(path) for path in sys.argv[1:]]
print(json.dumps({"version": __version__, "values": values}))
"""


class Refused(Exception):
    """The tool refuses a file."""


class DockerCompose:
    """docker compose, which reads each file as the environment file of a part that a compose file includes."""

    dialect = dotenv.DOCKER_COMPOSE

    def __init__(self, name: str) -> None:
        self.plugin = str(compose.plugin(DOCKER_COMPOSE[name]))

    def config(self, folder: pathlib.Path) -> dict[str, t.Any]:
        """The services of ``compose.yml``. Raises :class:`Refused`."""
        argv = [self.plugin, "--project-directory", str(folder), "-f", str(folder / "compose.yml")]
        done = subprocess.run(
            [*argv, "config", "--format", "json"], env=ENVIRON, capture_output=True, text=True, check=False, cwd=folder
        )
        if done.returncode != 0:
            raise Refused(done.stderr)
        return json.loads(done.stdout)["services"]

    def read(self, folder: pathlib.Path, texts: t.Sequence[str], names: t.Sequence[str]) -> list[dict[str, str]]:
        """The variables ``names`` of each text. Raises :class:`Refused` when one is refused."""
        parts = []
        for number, text in enumerate(texts):
            (folder / f"{number}.env").write_text(text, encoding="utf-8", newline="")
            service = {"image": "x", "environment": {name: f"${{{name}-{NOT_SET}}}" for name in names}}
            (folder / f"{number}.yml").write_text(json.dumps({"services": {f"s{number}": service}}))
            parts.append({"path": f"{number}.yml", "env_file": f"{number}.env"})
        (folder / "compose.yml").write_text(json.dumps({"include": parts}))
        services = self.config(folder)
        return [environment_of(services[f"s{number}"]) for number in range(len(texts))]


class PodmanCompose:
    """podman-compose, through its own function that reads the files, in its own Python."""

    def __init__(self, name: str) -> None:
        version = PYTHON_DOTENV[name]
        if version:
            requirement = f"{podman.PODMAN_COMPOSE} python-dotenv=={version}"
            program = podman.compose(requirement, CACHE / f"podman-compose-dotenv-{version}")
        else:
            program = podman.compose()
        self.python = str(program.with_name("python"))
        self.dialect = dotenv.Dialect.podman_compose(self._run([])["version"])
        assert self.dialect.python_dotenv[:2] == ((1, 0) if version else (1, 2))

    def _run(self, paths: t.Sequence[str]) -> dict[str, t.Any]:
        done = subprocess.run(
            [self.python, "-c", _READ_ALL, *paths], env=ENVIRON, capture_output=True, text=True, check=True
        )
        return json.loads(done.stdout)

    def read(self, folder: pathlib.Path, texts: t.Sequence[str], names: t.Sequence[str]) -> list[dict[str, str]]:
        """The variables ``names`` of each text."""
        for number, text in enumerate(texts):
            (folder / f"{number}.env").write_text(text, encoding="utf-8", newline="")
        found = self._run([str(folder / f"{number}.env") for number in range(len(texts))])["values"]
        return [{name: NOT_SET if values.get(name) is None else values[name] for name in names} for values in found]


def environment_of(service: t.Mapping[str, t.Any]) -> dict[str, str]:
    """The environment of a service in docker compose's model."""
    return {name: str(value).replace("$$", "$") for name, value in service["environment"].items()}


def reader_of(name: str) -> DockerCompose | PodmanCompose:
    """One of :data:`READERS`."""
    return DockerCompose(name) if name in DOCKER_COMPOSE else PodmanCompose(name)


def examples(strategy: st.SearchStrategy[T], count: int) -> list[T]:
    """``count`` examples, the same ones in every run. They are tried together, so none is simplified when it fails."""
    found: list[T] = []

    @settings(max_examples=count, derandomize=True, database=None, deadline=None, phases=[Phase.generate])
    @given(strategy)
    def collect(example: T) -> None:
        found.append(example)

    collect()
    return found


# --- values ---

_ODD = [*"'\"\\${}# \n\t\raB=nt`:-0", "한", "\u2028", "\x85", "\ufeff", "${", "\\n", " #"]
VALUES = st.lists(st.sampled_from(_ODD), max_size=8).map("".join) | st.text(st.characters(codec="utf-8"), max_size=20)

# --- files as people write them ---

NAMES = ["A", "B", "C", "DB_HOST", "lower_1"]
_NAME = st.sampled_from(NAMES)
_BLANK = st.sampled_from(["", "", "", " ", "  ", "\t"])
_REFERENCE = st.sampled_from(
    ["$A", "${B}", "${C:-x y}", "${C-}", "${DB_HOST:-$A}", "${A:+on}", "$$", "$$A", "$OUTSIDE", "${OUTSIDE}", "\\$A"]
    + ["${OUTSIDE:?needed}", "$", "100$", "$1", "${B:-{}}", "\\${A}"]
)
_WORD = st.text(st.sampled_from("abcXYZ019 ./:@%+,=-_~!?()[]{}|;&*<>`\\é한"), max_size=10)
_BITS = st.lists(_WORD | _REFERENCE | st.sampled_from(["'", '"', "#", " #", "\t#", "\\n", "\\\\", "\\t"]), max_size=5)
_PLAIN = _BITS.map("".join)
_SINGLE = st.lists(_WORD | _REFERENCE | st.sampled_from(["\\'", '"', " # ", "\\\\", "\n", "\n# x\n"]), max_size=5).map(
    lambda bits: f"'{''.join(bits)}'"
)
_DOUBLE = st.lists(
    _WORD
    | _REFERENCE
    | st.sampled_from(['\\"', "'", " # ", "\\\\", "\\n", "\\r", "\\t", "\\a", "\\0101", "\\x41", "\n"]),
    max_size=5,
).map(lambda bits: f'"{"".join(bits)}"')
_COMMENT = st.sampled_from(["", "", "", " # note", "  #note", "\t# note", "#note", " # it's", ' # "note"', "  "])
_SEPARATOR = st.sampled_from(["=", "=", "=", "=", "=", ":"])
_EXPORT = st.sampled_from(["", "", "", "export ", "export\t"])
_INDENT = st.sampled_from(["", "", "", "  ", "\t"])
WITH_REFERENCES = st.lists(
    _REFERENCE | st.sampled_from(["x", " ", "-", "}", "{", "\\", "${A", "${B-${A}}", "${B:-${NO-n}y}z", "${NO:-$$}"]),
    min_size=1,
    max_size=6,
).flatmap(lambda bits: st.sampled_from([f'"{"".join(bits)}"', "".join(bits).strip(), f"'{''.join(bits)}'"]))
_VALUE = st.one_of(_PLAIN, _SINGLE, _DOUBLE, st.just(""))
_ASSIGNMENT = st.tuples(_INDENT, _EXPORT, _NAME, _BLANK, _SEPARATOR, _BLANK, _VALUE, _COMMENT).map("".join)
_OTHER = st.one_of(
    st.sampled_from(
        ["", "", "   ", "# comment", "  # A=1", "#!/bin/sh", "A", "export B", "NOWHERE", "C=$OUTSIDE", "x.y-z=1"]
    ),
    st.sampled_from(["set -a", "A='open", 'B="open', "=x", "1A=x", "if true", "'A'=x", "A='x'y", 'A="x" y', "export"]),
)
_LINE = st.one_of(*[_ASSIGNMENT] * 9, *[_OTHER] * 3)


@st.composite
def _files(draw: st.DrawFn) -> str:
    text = "\n".join(draw(st.lists(_LINE, min_size=1, max_size=7))) + draw(st.sampled_from(["", "\n", "\n", "\n\n"]))
    mark = draw(st.sampled_from(["", "", "", "", "\ufeff"]))
    return mark + (text.replace("\n", "\r\n") if draw(st.sampled_from([False, False, True])) else text)


FILES = _files()
