# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The values that systemd reads from a job, by systemd's documented rules. test_jobs_readers.py uses real readers."""

from __future__ import annotations

import re

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core import jobs
from ansible_collections.onebox.stack.plugins.module_utils.core.jobs import JobError, Quoted
from hypothesis import given
from hypothesis import strategies as st
from unit_values import CHARACTERS, PATH, PROGRAM, TEXT, command_of, lines, specifiers, value_of, words

# Round trips by these rules


@given(PROGRAM, st.lists(TEXT, max_size=6))
def test_command_line_reaches_the_program_unchanged(program, arguments):
    (raw,) = value_of("ExecStart", [program, *arguments])
    assert command_of(raw) == [program, *arguments]


@given(PROGRAM, st.lists(st.one_of(TEXT, TEXT.map(Quoted)), max_size=6), st.booleans())
def test_command_is_read_back_from_the_text_of_a_service(program, arguments, quoted):
    command = [Quoted(program) if quoted else program, *arguments]
    text = jobs.unit({"Unit": [("Description", "ExecStart=/no")], "Service": [("ExecStart", command), ("Nice", "1")]})
    assert jobs.command_of(text) == [program, *arguments]


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ('"/usr/local/bin/x" "--textfile" "/var/lib/node exporter/50%%.prom"', None),
        ("/bin/x -e '{\"a\": true}' b", ["/bin/x", "-e", '{"a": true}', "b"]),
        ('"/bin/x" "caf\\u00e9" "a\\nb"', ["/bin/x", "café", "a\nb"]),
    ],
)
def test_command_of_an_earlier_release_is_read(line, command):
    command = command or ["/usr/local/bin/x", "--textfile", "/var/lib/node exporter/50%.prom"]
    assert jobs.command_of(f"[Service]\nExecStart={line}\n") == command


@pytest.mark.parametrize("line", ['/bin/x "a', "/bin/x 'it'\"'\"'s'", "/bin/x a\\"])
def test_command_with_other_quotes_is_refused_and_not_guessed(line):
    with pytest.raises(JobError, match="ExecStart: its quotes or escapes cannot be read"):
        jobs.command_of(f"[Service]\nExecStart={line}\n")
    assert jobs.command_of("[Service]\n") == []


@given(st.lists(TEXT, min_size=1, max_size=4))
def test_quoted_words_are_in_quotes_and_unchanged(arguments):
    (raw,) = value_of("ExecStop", ["/bin/x", *map(Quoted, arguments)])
    assert command_of(raw) == ["/bin/x", *arguments]
    assert raw[len("/bin/x ")] in "\"'"


@given(st.sampled_from(["RequiresMountsFor", "ReadWritePaths"]), st.lists(PATH, max_size=4))
def test_lists_of_paths_are_unchanged(key, paths):
    found = [words(specifiers(raw), escapes=False) for raw in value_of(key, paths)]
    assert found == [[path] for path in paths]


@given(st.sampled_from(["-", "+", "-+"]), PATH)
def test_paths_to_write_to_keep_their_prefix(prefix, path):
    (raw,) = value_of("ReadWritePaths", [Quoted(prefix + path)])
    assert words(specifiers(raw), escapes=False) == [prefix + path]
    assert raw[0] in "\"'"


@given(PATH)
def test_rest_of_line_is_the_path_or_is_refused(path):
    backslashes = len(path) - len(path.rstrip("\\"))
    if path[-1] in " \t" or backslashes % 2:
        with pytest.raises(JobError, match="WorkingDirectory: .* ends in a blank or a backslash"):
            jobs.unit({"Service": [("WorkingDirectory", path)]})
        return
    (raw,) = value_of("WorkingDirectory", path)
    assert specifiers(raw) == path
    (raw,) = value_of("LoadCredential", {"shop.key": path})
    assert specifiers(raw) == f"shop.key:{path}"


@given(st.dictionaries(st.from_regex("[A-Za-z_][A-Za-z0-9_]{0,3}", fullmatch=True), TEXT, max_size=4))
def test_variables_are_unchanged_or_refused(environment):
    if any(re.search("[\x01-\x08\x0b-\x1f\x7f]", value) for value in environment.values()):
        with pytest.raises(JobError, match="Environment: "):
            value_of("Environment", environment)
        return
    found = [specifiers(word) for raw in value_of("Environment", environment) for word in words(raw, escapes=True)]
    assert found == [f"{name}={value}" for name, value in environment.items()]


@given(st.text(CHARACTERS) | TEXT)
def test_free_text_becomes_one_line(text):
    unit = jobs.unit({"Unit": [("Description", text), ("#", text), ("Type", "oneshot")]}, text)
    found = lines(unit)
    assert [key for key, _value in found] == ["[", "Description", "Type"]
    described = specifiers(found[1][1])
    printable = "".join(one if one.isprintable() else " " for one in text).strip()
    assert described in (printable, printable + "\\")


@pytest.mark.parametrize("value", ["a  b", "größer 한 😀", "50 %n", "$HOME ${x}", "\"q\" 'q' \\\\", "# ; ="])
def test_printable_free_text_is_unchanged(value):
    (raw,) = value_of("Description", value)
    assert specifiers(raw) == value


@pytest.mark.parametrize(
    ("key", "value", "raw"),
    [
        ("RequiresMountsFor", ["/a..b/.../..c"], "/a..b/.../..c"),
        ("WorkingDirectory", "/a..b\\\\", "/a..b\\\\"),
        ("After", ["a\\x2db.mount", "c@d.service"], "a\\x2db.mount c@d.service"),
    ],
)
def test_value_that_looks_like_a_refused_one_is_written(key, value, raw):
    assert value_of(key, value) == [raw]


@pytest.mark.parametrize(
    ("key", "value", "raw"),
    [
        ("ExecStart", ["/bin/x", "a", "a=b,c", "--x"], "/bin/x a a=b,c --x"),
        ("ExecStart", ["/bin/x", "", "a b", 'say "x"', "it's", "\"'"], '/bin/x "" "a b" \'say "x"\' "it\'s" "\\"\'"'),
        ("ExecStart", ["/bin/x", "$HOME", "50%", "a\\b", ";", "a\nb"], '/bin/x $$HOME 50%% a\\\\b ";" "a\\x0ab"'),
        ("ExecStart", ["/o $x/50%", "\u2028", "\U000e0001"], '"/o $x/50%%" "\\u2028" \\U000e0001'),
        ("Environment", {"LC_ALL": "C.UTF-8", "A": "$b c"}, 'LC_ALL=C.UTF-8 "A=$b c"'),
        ("RequiresMountsFor", ['/a"b\\c$d'], "'/a\"b\\\\c$d'"),
    ],
)
def test_value_is_written_as_systemd_documents_it(key, value, raw):
    assert value_of(key, value) == [raw]


def test_key_without_values_is_left_out():
    empty: list[jobs.Setting] = [("RequiresMountsFor", []), ("After", []), ("Environment", {}), ("LoadCredential", {})]
    assert jobs.unit({"Unit": empty}) == "[Unit]\n"


# Refused values


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("ExecStart", ["/bin/x", "a", "s\0ecret"], "ExecStart: word 3: the character U+0000"),
        ("ExecStart", ["/bin/x", "secret\udc80"], "ExecStart: word 2: the character U+DC80"),
        ("ExecStart", ["/bin/x", "secret\U0001ffff"], "ExecStart: word 2: the character U+1FFFF"),
        ("ExecStart", [], "ExecStart: the program is missing"),
        ("ExecStart", "/bin/x a", "ExecStart: must be a list, not str"),
        ("ExecStart", ["/bin/x", 5], "ExecStart: item 2: must be text, not int"),
        ("ExecStart", ["bin/x"], "ExecStart: bin/x is not the absolute path of a program"),
        ("ExecStart", ["-/bin/x"], "is not the absolute path of a program"),
        ("ExecStart", ["/bin/"], "is not the absolute path of a program"),
        ("ExecStart", ["/bin/a\"b"], "systemd cannot run a program of the name '/bin/a\"b'"),
        ("ExecStart", ["/bin/a'b"], "systemd cannot run a program of the name"),
        ("ExecStart", ["/bin/a\\b"], "systemd cannot run a program of the name"),
        ("ExecStart", ["/bin/a\x7fb"], "systemd cannot run a program of the name"),
        ("ExecStart", ["/bin/a\tb"], "systemd cannot run a program of the name"),
        ("RequiresMountsFor", ["/a\nExecStart=/x"], "RequiresMountsFor: '/a\\nExecStart=/x': the character U+000A"),
        ("RequiresMountsFor", ["/a\rb"], "the character U+000D"),
        ("RequiresMountsFor", ["/a\0b"], "the character U+0000"),
        ("RequiresMountsFor", ["a/b"], "RequiresMountsFor: a/b is not an absolute path"),
        ("RequiresMountsFor", ["-/a"], "RequiresMountsFor: -/a is not an absolute path"),
        ("RequiresMountsFor", ["/a/../b"], "RequiresMountsFor: systemd ignores /a/../b"),
        ("RequiresMountsFor", "/a", "RequiresMountsFor: must be a list, not str"),
        ("ReadWritePaths", ["-a"], "ReadWritePaths: a is not an absolute path"),
        ("ReadWritePaths", ["-/a/.."], "ReadWritePaths: systemd ignores /a/.."),
        ("ReadWritePaths", ["-/a\nb"], "the character U+000A"),
        ("WorkingDirectory", "a", "WorkingDirectory: a is not an absolute path"),
        ("WorkingDirectory", "/a/../b", "WorkingDirectory: systemd ignores /a/../b"),
        ("WorkingDirectory", "/a ", "WorkingDirectory: '/a ' ends in a blank or a backslash"),
        ("WorkingDirectory", "/a\t", "WorkingDirectory: '/a\\t' ends in a blank or a backslash"),
        ("WorkingDirectory", "/a\\\\\\", "ends in a blank or a backslash"),
        ("LoadCredential", {"a": "/x\\"}, "LoadCredential: '/x\\' ends in a blank or a backslash"),
        ("WorkingDirectory", ["/a"], "WorkingDirectory: must be text, not list"),
        ("LoadCredential", {"a:b": "/x"}, "LoadCredential: a:b is not a valid name"),
        ("LoadCredential", {"a": "x"}, "LoadCredential: x is not an absolute path"),
        ("Environment", {"A B": "x"}, "Environment: 'A B' is not a valid name"),
        ("Environment", {"A\n": "x"}, "is not a valid name"),
        ("Environment", {"A": "secret\x1b"}, "Environment: A: the character U+001B"),
        ("Environment", ["A=b"], "Environment: must be names with values, not list"),
        ("Description", ["a"], "Description: must be text, not list"),
        ("#", ["a"], "#: must be text, not list"),
        ("OnCalendar", "*-*-*\nOnBootSec=1", "OnCalendar: '*-*-*\\nOnBootSec=1' is not a value that systemd knows"),
        ("OnCalendar", "", "OnCalendar: '' is not a value"),
        ("OnCalendar", " daily", "OnCalendar: ' daily' is not a value"),
        ("OnCalendar", "%h", "OnCalendar: %h is not a value"),
        ("OnCalendar", "daily\\", "is not a value"),
        ("After", ["a.service b.service"], "After: 'a.service b.service' is more than one word"),
        ("After", {"a": "b"}, "After: must be a list, not dict"),
        ("BindPaths", "/a", "BindPaths: the collection cannot write this key"),
    ],
)  # fmt: skip
def test_value_that_systemd_would_not_read_is_refused_with_its_key(key, value, says):
    with pytest.raises(JobError) as caught:
        jobs.unit({"Service": [(key, value)]})
    assert says in str(caught.value)
    assert "secret" not in str(caught.value)
