# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How each tool reads a dotenv file. That the real tools do is in tests/integration/core/test_dotenv_readers.py."""

from __future__ import annotations

import re

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core import dotenv
from ansible_collections.onebox.stack.plugins.module_utils.core.dotenv import (
    DOCKER_COMPOSE,
    PODMAN_COMPOSE,
    Dialect,
    EnvFileError,
)
from hypothesis import example, given
from hypothesis import strategies as st

DEBIAN = Dialect.podman_compose("1.0.1")
OLDER = Dialect.podman_compose("1.2.3")
DIALECTS = [DOCKER_COMPOSE, PODMAN_COMPOSE, OLDER, DEBIAN]
ENVIRON = {"OUTSIDE": "from outside"}


def read(text: str, dialect: Dialect) -> dict[str, str] | str:
    """The variables, or the error."""
    try:
        return dotenv.parse(text, dialect, ENVIRON)
    except EnvFileError as error:
        return str(error)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("A=1\nB = 2\n", {"A": "1", "B": "2"}),
        ("export A=1\n# B=2\n\n  C=3", {"A": "1", "C": "3"}),
        ("A='x $y # z'\nB=\"a\\nb\"", {"A": "x $y # z", "B": "a\nb"}),
        ("A=x # comment\nB=x#y", {"A": "x", "B": "x#y"}),
        ("A=\nB=''\nC=\"\"", {"A": "", "B": "", "C": ""}),
        ('A="one\ntwo"\nB=3', {"A": "one\ntwo", "B": "3"}),
        ("A=b=c", {"A": "b=c"}),
        ("A='it\\'s' # not it\\\n", {"A": "it's"}),
        ('A=it\'s "so"\n', {"A": 'it\'s "so"'}),
        ("A=1\nA=2\n", {"A": "2"}),
        ("A=\\n\\x\n", {"A": "\\n\\x"}),
        ("A=1\r\nB='2'\r\n", {"A": "1", "B": "2"}),
        ("OUTSIDE\nNOWHERE\n", ENVIRON),
        ("A=#1\n", {"A": "#1"}),
        ("A.b-c=1\n", {"A.b-c": "1"}),
        ("", {}),
        ("\n \t\n", {}),
    ],
)
def test_line_read_by_every_tool_alike(text, values, dialect):
    assert read(text, dialect) == values


@pytest.mark.parametrize(
    ("text", "docker", "podman"),
    [
        ("A=x\t# y", {"A": "x\t# y"}, {"A": "x"}),
        ("A: 1", {"A": "1"}, {}),
        ("A='a\\\\b'", {"A": "a\\\\b"}, {"A": "a\\b"}),
        ('A="a\\$b \\\'c\\0101\\c"', {"A": "a$b \\'cA\\c"}, {"A": "a\\$b 'c\\0101\\c"}),
        ('A="a\r\nb"', {"A": "a\r\nb"}, {"A": "a\nb"}),
        ("A=1\rB=2", {"A": "1\rB=2"}, {"A": "1", "B": "2"}),
        ("A='x'y\n", {"A": "x"}, {}),
        ("A='x'B=2\n", {"A": "x", "B": "2"}, {}),
        ("A=1\nA\n", {"A": "1"}, {}),
        ("A\nB", {}, {}),
        (
            "A=1\nB=$A$A\nC=${A}\nD='${A}'",
            *[{"A": "1", "B": b, "C": "1", "D": d} for b, d in (("11", "${A}"), ("$A$A", "1"))],
        ),
        ("A=${N-x}${N:-y}${OUTSIDE:+z}", {"A": "xyz"}, {"A": "y${OUTSIDE:+z}"}),
        ("B=\nA=${B-x}${B:-y}", {"A": "y", "B": ""}, {"A": "", "B": ""}),
        ("A=$$OUTSIDE", {"A": "$OUTSIDE"}, {"A": "$$OUTSIDE"}),
        ("OUTSIDE=in\nA=${OUTSIDE}", {"OUTSIDE": "in", "A": "from outside"}, {"OUTSIDE": "in", "A": "in"}),
        ("A=${B:-x}y}", {"A": "xy}"}, {"A": "xy}"}),
        ("A=${B:-${C:-{}}", {"A": "{"}, {"A": "${C:-{}"}),
        ("A\nB=${A:-x}\n", {"B": "x"}, {"B": ""}),
    ],
)
def test_line_read_by_each_tool_in_its_own_way(text, docker, podman):
    assert (read(text, DOCKER_COMPOSE), read(text, PODMAN_COMPOSE)) == (docker, podman)


@pytest.mark.parametrize(
    ("text", "new", "older", "debian"),
    [
        ("A= # not used\n", {"A": ""}, {"A": "# not used"}, {"A": "# not used"}),
        ("\ufeffA=1\n", {"A": "1"}, {"A": "1"}, {"\ufeffA": "1"}),
        ("A='C:\\\\'\nB='x'\n", {"A": "C:\\", "B": "x"}, {"A": "C:\\", "B": "x"}, {}),
    ],
)
def test_line_read_by_python_dotenv_depends_on_its_version(text, new, older, debian):
    assert (read(text, PODMAN_COMPOSE), read(text, OLDER), read(text, DEBIAN)) == (new, older, debian)


@pytest.mark.parametrize(
    ("text", "error", "podman"),
    [
        ("A=1\nB='hunter22\nC=2\n", "line 2: the quote after B= does not end", {"A": "1", "C": "2"}),
        ('A=1\n\nB="hunter22\\"', "line 3: the quote after B= does not end", {"A": "1"}),
        ("# A\nhunter22 and more\n", "line 2: docker compose cannot read this line", {}),
        ("'hunter22'=x\n", "line 1: docker compose cannot read this line", {"hunter22": "x"}),
        ("A B=hunter22\nC=1", "line 1: docker compose cannot read this line", {"C": "1"}),
        ("export ", "line 1: docker compose cannot read this line", {}),
        ("A=1\nB=hunter22${", "line 2: B has ${ without a variable and }", {"A": "1", "B": "hunter22${"}),
        ("A=${B:-{}} ${C:-hunter22}", "line 1: A has ${ without", {"A": "{} hunter22"}),
        ("A=${B:?hunter22}", "line 1: A requires B, which is not set", {"A": "${B:?hunter22}"}),
        ("B=\nA=${B:?hunter22}", "line 2: A requires B, which is not set", {"A": "${B:?hunter22}", "B": ""}),
    ],
)
def test_refused_file_is_named_with_its_line_and_without_its_values(text, error, podman):
    with pytest.raises(EnvFileError) as caught:
        dotenv.parse(text, DOCKER_COMPOSE, path="/srv/shop/.env")
    message = str(caught.value)
    assert message.startswith(f"/srv/shop/.env, {error}")
    assert "hunter22" not in message
    (problem,) = caught.value.problems
    assert (problem.code, f"{problem.where}: {problem.message}") == ("not_dotenv", message)
    assert read(text, PODMAN_COMPOSE) == podman


CHARACTERS = [*"'\"\\${}# \n\t\raB=:-nt0`\x0b\x1c\x85\xa0", "한", "\u2028", "\ufeff", "${", "🚀"]
ODD = st.lists(st.sampled_from(CHARACTERS), max_size=9).map("".join)
ANY = st.text(st.characters(codec="utf-8"), max_size=20)


@given(ODD | ANY)
@example("it's")
@example("\\")
@example("a\n\\")
def test_written_value_is_read_exactly_by_every_tool(value):
    no_form = r"\A(?=.*\\\Z)([\s#'\"]|.*([\r\n]|\s#))|\0|\$\{[^}:]*(:-[^}]*)?\}|\A(?=.*\$)(?=.*(\r|\\([\\']|\Z)))"
    if re.search(no_form, value, re.DOTALL):
        with pytest.raises(EnvFileError):
            dotenv.quote("A", value)
        return
    written = dotenv.quote("A", value)
    for dialect in DIALECTS:
        assert read(f"Z='0'\nA={written}\nB=1\n", dialect) == {"Z": "0", "A": value, "B": "1"}


LINES = st.sampled_from(
    [
        "A=1\n",
        "B='x\ny'\n",
        "C=\n",
        "# A=2\n",
        "\n",
        "export D = 4 # four\n",
        "E: 5\n",
        "F='6' # \"\n",
        'G="7\\""\n',
        "H\n",
        "A=8",
    ]
    + ['I="\'"\r\n', "J=$A\n", "K=${A\n", "  L=1", "M='", 'N="', "'\n", '"\n', "odd line\n", "C: 1\n", "\r", "A='1'x\n"]
)


@given(
    st.lists(LINES, max_size=6).map("".join),
    st.dictionaries(st.sampled_from("ABCX"), ODD, max_size=3),
    st.dictionaries(st.sampled_from("ABCX"), ODD, max_size=3),
)
def test_merged_file_has_all_values_and_keeps_those_of_others(before, first, second):
    try:
        once = dotenv.merge(before, first)
        text = dotenv.merge(once, second)
    except EnvFileError:
        return
    assert dotenv.merge(text, second) == text
    for dialect in (DOCKER_COMPOSE, PODMAN_COMPOSE):
        found = {each.name: each.value for each in dotenv.statements(text, dialect, ".env")}
        others = {each.name: each.value for each in dotenv.statements(before, dialect, ".env")}
        assert {name: found.get(name) for name in second} == second
        assert {name: found.get(name) for name in others if name not in {"", *first, *second}} == {
            name: value for name, value in others.items() if name not in {"", *first, *second}
        }
        assert not (set(first) - set(second) - set(others)) & set(found)
