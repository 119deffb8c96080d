# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The style check: each rule finds its violation and names file, line, word and replacement."""

from __future__ import annotations

import pathlib
import subprocess
import sys
import types
import typing as t

import pytest

TOOLS = pathlib.Path(__file__).resolve().parents[3] / "tools"


@pytest.fixture(scope="module")
def style() -> t.Iterator[types.ModuleType]:
    """tools/check_style.py as a module."""
    sys.path.insert(0, str(TOOLS))
    import check_style

    yield check_style
    sys.path.remove(str(TOOLS))


def found(style: types.ModuleType, path: str, text: str) -> list[str]:
    return [str(finding) for finding in style.check_file(path, text)]


@pytest.mark.parametrize(
    ("path", "text", "line"),
    [
        ("docs/a.md", "Fine.\n\nStart it anew.", "docs/a.md:3: anew: say again"),
        ("docs/a.md", "The service gets well.", "docs/a.md:1: well: say healthy, unhealthy"),
        ("docs/a.md", "This is no failure.", "docs/a.md:1: is no: say negate the verb: is not, does not"),
        ("docs/a.md", "The way\nit goes on.", "docs/a.md:2: goes on: say continue"),
        ("plugins/a.py", "# nobody reads\n", "plugins/a.py:1: nobody: say no user, no process, or the verb with not"),
        ("plugins/a.py", 'X = "the user is told"\n', "plugins/a.py:1: told: say report, notify"),
        ("plugins/a.py", 'X = f"{1} is told"\n', "plugins/a.py:1: told: say report, notify"),
        (
            "plugins/a.py",
            'def f():\n    """One.\n\n    The twin."""\n',
            "plugins/a.py:4: twin: say look-alike directory",
        ),
        ("tests/a.py", "def f():\n    x = 1  # beside it\n", "tests/a.py:2: beside: say next to"),
        (
            "roles/a/defaults/main.yml",
            "a: 1  # frozen hours\n",
            "roles/a/defaults/main.yml:1: frozen hours: say change freeze",
        ),
        ("roles/a/templates/a.j2", "# the lab\n", "roles/a/templates/a.j2:1: lab: say throwaway server"),
        ("roles/backups/a.yml", "# the declaration\n", "roles/backups/a.yml:1: declaration: say backup configuration"),
        (
            "plugins/modules/a.py",
            'RETURN = """\naside:\n  description: moved aside\n"""\n',
            "plugins/modules/a.py:3: aside: say saved copy",
        ),
    ],
)
def test_refused_word_names_place_and_replacement(style: types.ModuleType, path: str, text: str, line: str) -> None:
    assert line in found(style, path, text)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("docs/a.md", "Use `ask` and [this](tell.md).\n\n```\nasked\n```\n\n    told\n\nDirectories as well."),
        ("docs/a.md", "There is no proof. It is no longer there."),
        ("plugins/a.py", 'X = "told"\nY = {"ask": 1}\nasked = 2\n'),
        ("plugins/modules/a.py", 'RETURN = """\naside:\n  description: The paths.\n"""\n'),
        ("tests/a.py", 'assert "is told" in output\n'),
        ("roles/a/vars/main.yml", "ask: \"{{ 'ask' if told else '' }}\"\n"),
        ("roles/compose_stack/a.yml", "# the declaration of a mount\n"),
    ],
)
def test_word_in_code_is_accepted(style: types.ModuleType, path: str, text: str) -> None:
    assert found(style, path, text) == []


def test_escape_with_reason_keeps_word(style: types.ModuleType) -> None:
    assert found(style, "plugins/a.py", "# the hunt  style: keep hunt: name of a file on disk\n") == []
    assert found(style, "docs/a.md", "The hunt. <!-- style: keep hunt: name of a file on disk -->\n") == []


def test_escape_for_another_word_keeps_the_finding(style: types.ModuleType) -> None:
    assert "plugins/a.py:1: hunt: say launch loop" in found(
        style, "plugins/a.py", "# the hunt  style: keep lab: a name\n"
    )


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("# the hunt  style: keep hunt:\n", ["a.py:1: an escape without a reason: say `style: keep WORD: REASON`"]),
        (
            "# a loop  style: keep hunt: name of a file\n",
            ["a.py:1: an escape for 'hunt', which is not refused: say nothing: remove it"],
        ),
    ],
)
def test_escape_without_reason_or_use_is_reported(style: types.ModuleType, text: str, lines: list[str]) -> None:
    assert found(style, "a.py", text) == lines


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("Have the image", "2: 'have' in a task name: say install, create, enable, ensure"),
        ("Frobnicate the image", "2: 'frobnicate' in a task name: say an imperative verb first, or add it to VERBS"),
        ("Start it", "2: 'it' in a task name: say the noun it refers to"),
        ("Start " + "x" * 55, "2: 'Start " + "x" * 55 + "' has 61 characters: say it in 60"),
    ],
)
@pytest.mark.parametrize("path", ["roles/a/tasks/main.yml", "site.yml", "molecule/a/converge.yml", "playbooks/a.yml"])
def test_task_name_is_checked(style: types.ModuleType, path: str, name: str, line: str) -> None:
    text = f"- block:\n    - name: {name}\n      a.b.c:\n        name: it\n"
    assert [one.startswith(f"{path}:{line}") for one in found(style, path, text)] == [True]


def test_task_names_in_style_are_accepted(style: types.ModuleType) -> None:
    text = "- name: Set up backups\n  vars: {x: !unsafe y}\n  tasks:\n    - name: main | Start {{ it | join(' ') }}\n"
    assert found(style, "site.yml", text) == []


@pytest.mark.parametrize("statement", ["_, b = 1, 2", "for _ in (1, 2): pass", "a = [1 for _ in (1, 2)]"])
def test_variable_that_sanity_tests_refuse_is_found(style: types.ModuleType, statement: str) -> None:
    assert found(style, "tools/a.py", f"import b\n{statement}\n") == ["tools/a.py:2: a variable '_': say unused"]


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("test_the_image_is_pulled", "tests/a.py:1: 'the' first in a test name: say the subject first"),
        ("test_image_pulled", "tests/a.py:1: test_image_pulled: say test_<what>_<condition>_<result>"),
        ("test_image_is_told_once", "tests/a.py:1: told: say report, notify"),
    ],
)
def test_test_name_is_checked(style: types.ModuleType, name: str, line: str) -> None:
    assert found(style, "tests/a.py", f"def {name}(): pass\n") == [line]
    assert found(style, "plugins/a.py", f"def {name}(): pass\n") == []


def test_pronoun_in_heading_is_reported(style: types.ModuleType) -> None:
    assert found(style, "docs/a.md", "# Run it\n") == ["docs/a.md:1: 'it' in a heading: say the noun it refers to"]
    assert found(style, "docs/a.md", "```\n# Run it\n```\n") == []


@pytest.mark.parametrize(
    ("subject", "word"),
    [
        ("tests: " + "x" * 66, "a subject of 73 characters"),
        ("tests: one; two", "';' in a subject"),
        ("Say more", "the subject 'Say more'"),
    ],
)
def test_commit_subject_is_checked(style: types.ModuleType, subject: str, word: str) -> None:
    assert [finding.word for finding in style.subject_findings("abc", subject)] == [word]
    assert list(style.subject_findings("abc", "mounts, tests: name the image")) == []


def test_commits_since_origin_are_checked_and_older_ones_are_not(
    style: types.ModuleType, tmp_path: pathlib.Path
) -> None:
    def git(*arguments: str) -> None:
        identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True)

    assert list(style.commit_subjects(tmp_path)) == []
    git("init", "-q")
    git("commit", "--allow-empty", "-m", "Older; not checked")
    assert list(style.commit_subjects(tmp_path)) == []
    git("update-ref", "refs/remotes/origin/main", "HEAD")
    git("commit", "--allow-empty", "-m", "a: b; c")
    assert [finding.word for finding in style.commit_subjects(tmp_path)] == ["';' in a subject"]


def test_counter_counts_prose_only(style: types.ModuleType) -> None:
    text = (
        "# What; what\n\nWhat is new is you. It has; two. `what; is` code.\n\n"
        "- an item;\n  what goes on\n- your item\n\n"
        "| what; | a |\n\n```\nwhat;\n```\n\n    what;\n\n" + "word " * 31 + "\nend. A [link](what;x) ends.\n"
    )
    count = style.style_prose.count(text)
    assert (count.sentences, count.you) == (7, 2)
    assert (count.whats, count.semicolons, count.longs) == ([3, 6], [3, 5], [17])


def test_counter_skips_code_in_list_items(style: types.ModuleType) -> None:
    count = style.style_prose.count("1. Do it:\n\n       what; you\n\n   Then what.\n2. End.\n")
    assert (count.sentences, count.you, count.whats, count.semicolons) == (3, 0, [5], [])


def test_figures_over_limit_name_the_lines(style: types.ModuleType) -> None:
    counts = {
        "docs/a.md": style.style_prose.count("One. Two.\nWhat a day. Three; four."),
        "README.md": style.style_prose.count("A."),
    }
    assert style.figures(counts) == [
        "what-clauses: 20.0 per 100 sentences, at most 2: docs/a.md:2",
        "semicolons: 20.0 per 100 sentences, at most 6: docs/a.md:2",
    ]
    assert style.figures({"README.md": style.style_prose.count("A. " * 50 + "What is it.")}) == []


def test_pending_folders_exist(style: types.ModuleType) -> None:
    pending = style.style_words.PENDING
    assert [entry for entry in pending if not (TOOLS.parent / entry).exists()] == []
    assert sorted(set(pending)) == list(pending)
