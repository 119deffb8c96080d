"""What is written into a dotenv file. That the readers get it is in tests/integration/core/test_dotenv_readers.py."""

from __future__ import annotations

import os
import stat

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core import dotenv as env_file
from ansible_collections.onebox.stack.plugins.module_utils.core.dotenv import EnvFileError
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("value", "quoted"),
    [
        ("", ""),
        ("redis", "redis"),
        ("postgres://u@h:5432/db", "postgres://u@h:5432/db"),
        ("a b", "'a b'"),
        (" a", "' a'"),
        ("a#b", "'a#b'"),
        ("it's", "'it\\'s'"),
        ('say "hi"', "'say \"hi\"'"),
        ("$HOME", "'$HOME'"),
        ("$$", "'$$'"),
        ("a\\nb", "'a\\nb'"),
        ("a\\\\b", '"a\\\\\\\\b"'),
        ("C:\\dir\\", "C:\\dir\\"),
        ("a\nb", '"a\\nb"'),
        ("a\nb$c", "'a\nb$c'"),
        ("한글", "'한글'"),
        ("${open", "'${open'"),
    ],
)
def test_quoted_values_read_back_unchanged(value, quoted):
    assert env_file.quote("A", value) == quoted


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("a${B}c", "podman-compose expands whatever the quotes"),
        ("${A:-x}", "podman-compose expands"),
        ("a\0b", "NUL"),
        ("\ud800", "not valid Unicode"),
        (" a\\", "mount it as a secret"),
        ("a\t#b\\", "mount it as a secret"),
        ("#b\\", "mount it as a secret"),
        ("a\nb\\", "mount it as a secret"),
        ("$a\\", "mount it as a secret"),
        ("$a\\\\b", "mount it as a secret"),
        ("$a\\'b", "mount it as a secret"),
        ("$a\r", "mount it as a secret"),
    ],
)
def test_unwritable_value_is_refused_without_showing_it(value, says):
    with pytest.raises(EnvFileError, match="PASSWORD") as caught:
        env_file.quote("PASSWORD", value)
    assert says in str(caught.value)
    assert value not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "text"), [(True, "true"), (False, "false"), (None, ""), (6379, "6379"), (0.5, "0.5"), ("x", "x")]
)
def test_values_as_yaml_has_them(value, text):
    assert env_file.text_of("A", value) == text


def test_names_and_kinds_that_are_none():
    for name in ("1A", "A B", "", "A=", "Ä", "A-B"):
        with pytest.raises(EnvFileError, match="not a valid name of a variable"):
            env_file.text_of(name, "x")
    with pytest.raises(EnvFileError, match="A must be text or a number, not a list"):
        env_file.text_of("A", ["x"])


OURS = "# Set by onebox.stack.env_file, by hand no longer: "


def test_comments_order_and_foreign_variables_stay():
    before = "# who\nX=1\n\n  export B = old # why\nY='a\nB=not this\n'\nB=again\nnonsense\nZ=\"x\""
    after = env_file.merge(before, {"A": "1", "B": "new"})
    assert after == f"{OURS}A B\n# who\nX=1\n\nB=new\nY='a\nB=not this\n'\nnonsense\nZ=\"x\"\nA=1\n"
    assert env_file.merge(after, {"A": "1", "B": "new"}) == after


def test_variable_no_longer_set_is_removed_and_others_stay():
    first = env_file.merge("X=1\n", {"A": "1", "B": "2"})
    second = env_file.merge(first + "# by hand\nC=3\n", {"B": "2"})
    assert second == f"{OURS}B\nX=1\nB=2\n# by hand\nC=3\n"
    assert env_file.merge(second, {}) == "X=1\n# by hand\nC=3\n"


def test_quote_that_does_not_end_is_named_by_its_line():
    with pytest.raises(EnvFileError, match=r"\.env, line 2: the quote after B= does not end"):
        env_file.merge("A=1\nB='x\nC=2\n", {"D": "it's"})


@pytest.mark.parametrize(
    ("before", "line", "tool"),
    [
        ("X=1\nA=1\n\nA: hunter22\n", 4, "docker compose"),
        ("X=1\nX=hunter22\rA=1\n", 2, "docker compose"),
        ("X: hunter22'\n'A'=hunter22\n", 2, "docker compose"),
        ("A=1\nX: 'hunter22\n'\nA='hunter22\n' # '\n", 4, "docker compose"),
    ],
)
def test_line_that_keeps_a_reader_from_a_value_is_refused_with_its_number(before, line, tool):
    with pytest.raises(EnvFileError) as caught:
        env_file.merge(before, {"A": "new", "B": "new"}, "/srv/.env")
    assert str(caught.value).startswith(f"/srv/.env, line {line}: ")
    assert tool in str(caught.value)
    assert "hunter22" not in str(caught.value)


def test_byte_order_mark_is_removed_and_other_ends_of_line_are_kept():
    assert env_file.merge("\ufeffX='1'\r\nA=2\r\nY=3", {"A": "new"}) == f"{OURS}A\nX='1'\r\nA=new\nY=3\n"


def test_names_are_those_any_tool_reads_a_value_for():
    assert env_file.keys("B=1\nA: 2\nC\nB=3\n# D=4\n") == ["A", "B"]
    assert env_file.keys("A=1\n'B'=2\nC='x\n") == ["A", "B"]


@pytest.mark.parametrize(
    "text", ["A=\n", "A=''\n", 'A=""\n', "A= # nothing\n", "A='x'\nA=\n", "#A=1\n", "A=1\nA\n", "A=1\nA:\n", ""]
)
def test_required_variables_that_are_missing(text):
    assert env_file.missing(text, ["A"]) == ["A"]
    assert env_file.missing(text + "A=0\n", ["A"]) == []


def test_diff_shows_no_value():
    diff = env_file.masked("A=secret1\nB=x\n", "A=secret2\nB=x\nC=secret3\n")
    assert diff == {"before": "A=********\nB=********\n", "after": "A=******** (changed)\nB=********\nC=********\n"}


def test_states_of_the_file_are_read(tmp_path):
    path = tmp_path / ".env"
    assert env_file.read(str(path)).mode == 0
    env_file.write(str(path), "A=1\n", -1, -1)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert env_file.read(str(path)).text == "A=1\n"
    link = tmp_path / "link"
    link.symlink_to(path)
    with pytest.raises(EnvFileError, match="is a symbolic link"):
        env_file.read(str(link))
    # In check mode the directory may be one that the run would make; only a write needs it.
    assert env_file.read(str(tmp_path / "gone" / ".env")).mode == 0
    with pytest.raises(EnvFileError, match="is not a directory: create it first"):
        env_file.write(str(tmp_path / "gone" / ".env"), "A=1\n", -1, -1)
    with pytest.raises(EnvFileError, match="not a regular file"):
        env_file.read(str(tmp_path))
    path.write_bytes(b"A=\xff\n")
    with pytest.raises(EnvFileError, match="not UTF-8"):
        env_file.read(str(path))


def test_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / ".env"
    path.write_text("A=old\n")

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(EnvFileError, match=r"No space left on device; it is as it was"):
        env_file.write(str(path), "A=new\n", -1, -1)
    assert path.read_text() == "A=old\n"
    assert os.listdir(tmp_path) == [".env"]


@given(st.text(alphabet="AB=# '\"\n\r\\x$\ufeff", max_size=20))
def test_pieces_joined_are_the_file(text):
    found = env_file.pieces(text, ".env")
    assert "".join(piece.text for piece in found) == text
    assert [piece.line for piece in found] == sorted(piece.line for piece in found)


NAMES = st.from_regex(r"[A-Z_][A-Z0-9_]{0,4}", fullmatch=True)
VALUES = st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), max_size=12)


@given(st.text(alphabet="AB=# '\"\n\\x$", max_size=40), st.dictionaries(NAMES, VALUES, max_size=4))
def test_any_file_converges_and_loses_nothing(before, values):
    try:
        after = env_file.merge(before, values)
    except EnvFileError:
        return
    assert env_file.merge(after, values) == after
    assert set(values) <= set(env_file.keys(after))
    foreign = [piece for piece in env_file.pieces(before, "x") if piece.name not in values]
    for piece in foreign:
        assert piece.text.rstrip("\n") in after


def test_directory_is_made_and_kept_at_its_mode(tmp_path):
    path = str(tmp_path / "deploy" / "stack" / ".env")
    assert env_file.directory_due(path, 0o755)
    env_file.make_directory(path, 0o755)
    assert not env_file.directory_due(path, 0o755)
    (tmp_path / "deploy" / "stack").chmod(0o700)
    assert env_file.directory_due(path, 0o755)


def test_directory_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    path = str(tmp_path / "file" / "stack" / ".env")
    with pytest.raises(EnvFileError, match="stack"):
        env_file.directory_due(path, 0o755)
    with pytest.raises(EnvFileError, match="cannot be created"):
        env_file.make_directory(path, 0o755)
