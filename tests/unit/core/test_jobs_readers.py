# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of a job, read by systemd itself and by Python's reader of property lists."""

from __future__ import annotations

import os
import pathlib
import plistlib
import re
import shutil
import subprocess
import tempfile
import typing as t

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core import jobs
from ansible_collections.onebox.stack.plugins.module_utils.core.jobs import JobError
from hypothesis import given, settings
from hypothesis import strategies as st
from unit_values import BLANKS, LINE, PATH, PROGRAM, TEXT, variables, words

SYSTEMD = next((path for path in ("/usr/lib/systemd/systemd", "/lib/systemd/systemd") if os.path.exists(path)), "")

# systemd itself


class RealSystemd:
    """What systemd reads from a unit: its test mode loads units, starts nothing and prints what it understood."""

    def __init__(self) -> None:
        # Below /tmp, because another user must reach it: systemd's test mode refuses root.
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="onebox-jobs-"))
        self.user: dict[str, t.Any] = {}
        if os.getuid() == 0:
            os.chown(self.folder, 65534, 65534)
            self.user = {"user": 65534, "group": 65534, "extra_groups": []}

    def run(self, text: str) -> subprocess.CompletedProcess[bytes]:
        (self.folder / "onebox.service").write_bytes(text.encode())
        (self.folder / "onebox.service").chmod(0o644)
        folder = str(self.folder)
        return subprocess.run(
            [SYSTEMD, "--test", "--user", "--no-pager", "--unit=onebox.service"],
            env={"HOME": folder, "XDG_RUNTIME_DIR": folder, "SYSTEMD_UNIT_PATH": folder + ":", "LC_ALL": "C.UTF-8"},
            cwd="/",
            capture_output=True,
            check=False,
            **self.user,
        )

    def load(self, text: str) -> dict[str, list[str]]:
        done = self.run(text)
        said = done.stderr.decode()
        assert done.returncode == 0, said
        assert "onebox.service:" not in said, said
        # Since version 257 an arrow is one character.
        units = re.split(r"\n\t(?:->|→) ", done.stdout.decode())
        (block,) = [one for one in units if one.startswith("Unit onebox.service:")]
        found: dict[str, list[str]] = {}
        for line in block.split("\n"):
            key, separator, value = line.lstrip("\t").partition(": ")
            if separator:
                found.setdefault(key, []).append(value)
        assert found["Unit Load State"] == ["loaded"]
        return found


@pytest.fixture(scope="module")
def systemd():
    if not SYSTEMD:
        pytest.skip("systemd is not installed, so only the documented rules were checked")
    real = RealSystemd()
    probe = real.run("[Service]\nExecStart=/bin/true\n")
    if probe.returncode:
        pytest.skip(f"systemd's test mode does not work here: {probe.stderr.decode()}")
    yield real
    shutil.rmtree(real.folder)


def printed_words(line: str) -> list[str]:
    """The words of a command line as systemd prints it: it writes some characters as octal numbers."""

    def plain(found: re.Match[str]) -> str:
        if found[1] in ("$", "`"):
            return found[1]
        return f"\\x{int(found[1], 8):02x}" if found[1].isdigit() else found[0]

    return words(re.sub(r"\\([0-7]{3}|.)", plain, line), escapes=True)


COMMANDS = st.lists(st.tuples(PROGRAM, st.lists(TEXT, max_size=5)), min_size=1, max_size=12)


@settings(max_examples=40, deadline=None)
@given(COMMANDS)
def test_systemd_reads_command_lines_unchanged(systemd, commands):
    settings_: list[jobs.Setting] = [("ExecStart", [program, *arguments]) for program, arguments in commands]
    found = systemd.load(jobs.unit({"Service": [("Type", "oneshot"), *settings_]}))
    read = [printed_words(line) for line in found["Command Line"]]
    assert [[line[0], *map(variables, line[1:])] for line in read] == [[one, *more] for one, more in commands]


@settings(max_examples=40, deadline=None)
@given(st.lists(PATH, min_size=1, max_size=6), PATH, LINE)
def test_systemd_reads_paths_and_text_unchanged(systemd, paths, directory, text):
    directory = directory.rstrip(BLANKS + "\\") + "x"
    unit = jobs.unit(
        {
            "Unit": [("Description", f"a {text} b"), ("RequiresMountsFor", paths)],
            "Service": [
                ("Type", "oneshot"),
                ("WorkingDirectory", directory),
                ("ReadWritePaths", ["-" + path for path in paths]),
                ("ExecStart", ["/bin/true"]),
            ],
        }
    )
    found = systemd.load(unit)
    simple = [simplified(path) for path in (*paths, directory)]
    assert {row[: -len(" (origin-file)")] for row in found["RequiresMountsFor"]} == set(simple)
    assert found["WorkingDirectory"] == [simple[-1]]
    assert found["ReadWritePaths"] == [" ".join("-" + simplified(path) for path in paths)]
    assert found["Description"] == ["".join(one if one.isprintable() else " " for one in f"a {text} b")]


def simplified(path: str) -> str:
    """systemd removes empty parts and dots."""
    return "/" + "/".join(part for part in path.split("/") if part not in ("", "."))


@settings(max_examples=40, deadline=None)
@given(TEXT.filter(lambda text: not re.search("[\x01-\x1f\x7f]", text)))
def test_systemd_reads_variables_unchanged(systemd, value):
    unit = jobs.unit({"Service": [("Type", "oneshot"), ("Environment", {"A": value}), ("ExecStart", ["/bin/true"])]})
    assert systemd.load(unit)["Environment"] == [f"A={value}"]


# LaunchAgents

# Without what XML cannot hold, and without a carriage return, which its readers change.
XML = TEXT.filter(lambda text: not re.search("[\x01-\x08\x0b-\x1f]", text))
LEAVES = st.one_of(XML, st.booleans(), st.integers(-(1 << 63), (1 << 64) - 1), st.floats(allow_nan=False))
TREES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(XML, inner, max_size=3))


@given(st.dictionaries(XML, TREES, max_size=4), st.booleans())
def test_property_list_is_read_back_unchanged(content, binary):
    data = jobs.plist(content, binary=binary)
    assert plistlib.loads(data) == content
    assert data.startswith(b"bplist00" if binary else b"<?xml")


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"ProgramArguments": ["/bin/x", "secret\0"]}, "ProgramArguments[1]: the character U+0000"),
        ({"ProgramArguments": ("/bin/x", "secret\r")}, "ProgramArguments[1]: the character U+000D"),
        ({"Label": "secret\ud800"}, "Label: the character U+D800"),
        ({"Label": "secret\uffff"}, "Label: the character U+FFFF"),
        ({"EnvironmentVariables": {"A": "secret\x1b"}}, "EnvironmentVariables.A: the character U+001B"),
        ({"a\x01": "x"}, "the character U+0001"),
        ({"KeepAlive": None}, "KeepAlive: NoneType cannot be written to a property list"),
        ({"Nice": 1 << 64}, "Nice: the number does not fit into 64 bits"),
        ({"Sockets": {1: "x"}}, "Sockets.1: this key is not text"),
    ],
)
def test_value_without_a_form_in_a_property_list_is_refused_with_its_key(content, says, binary):
    with pytest.raises(JobError) as caught:
        jobs.plist(content, binary=binary)
    assert says in str(caught.value)
    assert "secret" not in str(caught.value)
