"""What systemd and launchd read from the text of a job, by systemd's documented rules and by systemd itself."""

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
from ansible_collections.onebox.stack.plugins.module_utils.core.jobs import JobError, Quoted
from hypothesis import given, settings
from hypothesis import strategies as st

SYSTEMD = next((path for path in ("/usr/lib/systemd/systemd", "/lib/systemd/systemd") if os.path.exists(path)), "")
BLANKS = " \t\n\r"
ESCAPES = {**{c: c for c in "\\\"'"}, **dict(zip("abfnrtvs", "\a\b\f\n\r\t\v "))}

# Any text that can be in a file, and often the characters that mean something to systemd.


def noncharacter(character: str) -> bool:
    code = ord(character)
    return code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF


# Any text that can be in a file, and often the characters that mean something to systemd.
SPECIAL = " \t\n\r\"'\\$%;#{}@-:+=~é\u00a0\u2028\u0085\x01\x7f\x1b한😀"
PIECES = ["%h", "%%", "$HOME", "${HOME}", "$$", "\\n", "\\\n", " ;", "; ", "..", "/../", "  "]
CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
TEXT = st.one_of(
    st.sampled_from([";", "", "#", *PIECES]),
    st.lists(st.one_of(st.sampled_from([*SPECIAL, *PIECES]), CHARACTERS), max_size=10).map("".join),
).filter(lambda text: not any(noncharacter(one) for one in text))
LINE = TEXT.filter(lambda text: not set(text) & set("\n\r"))
PATH = LINE.map(lambda text: "/" + text).filter(lambda path: ".." not in path.split("/"))
PROGRAM = st.text(st.sampled_from("ab $%;{}=é한😀/-@"), max_size=8).map(lambda text: f"/bin/{text}x")


# systemd's rules


def lines(text: str) -> list[tuple[str, str]]:
    """Keys and values of a unit, ("[", name) for a section (systemd.syntax(7))."""
    assert not any(noncharacter(one) for one in text)
    found = []
    joined = ""
    for line in re.split("[\n\r\0]", text):
        line = line.lstrip(BLANKS) if not joined else line
        if line[:1] in ("#", ";"):
            continue
        if (len(line) - len(line.rstrip("\\"))) % 2:
            joined += line[:-1] + " "
            continue
        line, joined = (joined + line).strip(BLANKS), ""
        if line.startswith("["):
            found.append(("[", line[1:-1]))
        elif line:
            key, _sign, value = line.partition("=")
            found.append((key.rstrip(BLANKS), value.strip(BLANKS)))
    assert not joined, "the last line is continued"
    return found


def words(text: str, *, escapes: bool, command: bool = False) -> list[str]:
    """Split a value as systemd does; ``escapes`` in a command line and for variables, not in a list of paths."""
    found: list[str] = []
    word: str | None = None
    quote = ""
    rest = text
    while rest:
        character, rest = rest[0], rest[1:]
        if word is None and command and character == ";" and rest[:1] in ("", *BLANKS):
            raise AssertionError("the command line ends here, and another one begins")
        if character == "\\":
            assert rest, "a backslash at the end"
            character, rest = unescape(rest) if escapes else (rest[0], rest[1:])
            word = (word or "") + character
        elif character == quote:
            quote = ""
        elif not quote and character in "\"'":
            quote, word = character, word or ""
        elif not quote and character in BLANKS:
            found += [] if word is None else [word]
            word = None
        else:
            word = (word or "") + character
    assert not quote, "an open quote"
    return found if word is None else [*found, word]


def unescape(rest: str) -> tuple[str, str]:
    if rest[0] in ESCAPES:
        return ESCAPES[rest[0]], rest[1:]
    digits = {"x": 2, "u": 4, "U": 8}[rest[0]]
    code = int(rest[1 : 1 + digits], 16)
    assert code, "NUL"
    assert code < 0x80 or digits > 2, "bytes that are no text"
    return chr(code), rest[1 + digits :]


def specifiers(text: str) -> str:
    assert not re.search("%[^%]", text.replace("%%", "")), f"a specifier in {text!r}"
    assert text.count("%") % 2 == 0
    return text.replace("%%", "%")


def variables(word: str) -> str:
    """What a program gets for an argument (systemd.service(5)), which must name no variable."""
    assert "$" not in word.replace("$$", ""), f"a variable in {word!r}"
    return word.replace("$$", "$")


def value_of(key: str, value: jobs.Value, section: str = "Service") -> list[str]:
    """The raw values that a unit with one setting has for it. Nothing else may be in the unit."""
    found = lines(jobs.unit({section: [(key, value), ("Type", "oneshot")]}))
    assert [found[0], found[-1]] == [("[", section), ("Type", "oneshot")]
    assert {name for name, _value in found[1:-1]} <= {key}
    return [raw for _key, raw in found[1:-1]]


def command_of(raw: str) -> list[str]:
    program, *arguments = [specifiers(word) for word in words(raw, escapes=True, command=True)]
    return [program, *(variables(word) for word in arguments)]


# Round trips by these rules


@given(PROGRAM, st.lists(TEXT, max_size=6))
def test_command_line_reaches_the_program_unchanged(program, arguments):
    (raw,) = value_of("ExecStart", [program, *arguments])
    assert command_of(raw) == [program, *arguments]


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
def test_printable_free_text_stays(value):
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


def test_no_values_are_no_line():
    empty: list[jobs.Setting] = [("RequiresMountsFor", []), ("After", []), ("Environment", {}), ("LoadCredential", {})]
    assert jobs.unit({"Unit": empty}) == "[Unit]\n"


# What is refused


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("ExecStart", ["/bin/x", "a", "s\0ecret"], "ExecStart: word 3: the character U+0000"),
        ("ExecStart", ["/bin/x", "secret\udc80"], "ExecStart: word 2: the character U+DC80"),
        ("ExecStart", ["/bin/x", "secret\U0001ffff"], "ExecStart: word 2: the character U+1FFFF"),
        ("ExecStart", [], "ExecStart: there is no program"),
        ("ExecStart", "/bin/x a", "ExecStart: takes a list, not str"),
        ("ExecStart", ["/bin/x", 5], "ExecStart: item 2: takes text, not int"),
        ("ExecStart", ["bin/x"], "ExecStart: bin/x is not the absolute path of a program"),
        ("ExecStart", ["-/bin/x"], "is not the absolute path of a program"),
        ("ExecStart", ["/bin/"], "is not the absolute path of a program"),
        ("ExecStart", ["/bin/a\"b"], "systemd runs no program of the name '/bin/a\"b'"),
        ("ExecStart", ["/bin/a'b"], "systemd runs no program of the name"),
        ("ExecStart", ["/bin/a\\b"], "systemd runs no program of the name"),
        ("ExecStart", ["/bin/a\x7fb"], "systemd runs no program of the name"),
        ("ExecStart", ["/bin/a\tb"], "systemd runs no program of the name"),
        ("RequiresMountsFor", ["/a\nExecStart=/x"], "RequiresMountsFor: '/a\\nExecStart=/x': the character U+000A"),
        ("RequiresMountsFor", ["/a\rb"], "the character U+000D"),
        ("RequiresMountsFor", ["/a\0b"], "the character U+0000"),
        ("RequiresMountsFor", ["a/b"], "RequiresMountsFor: a/b is not an absolute path"),
        ("RequiresMountsFor", ["-/a"], "RequiresMountsFor: -/a is not an absolute path"),
        ("RequiresMountsFor", ["/a/../b"], "RequiresMountsFor: systemd ignores /a/../b"),
        ("RequiresMountsFor", "/a", "RequiresMountsFor: takes a list, not str"),
        ("ReadWritePaths", ["-a"], "ReadWritePaths: a is not an absolute path"),
        ("ReadWritePaths", ["-/a/.."], "ReadWritePaths: systemd ignores /a/.."),
        ("ReadWritePaths", ["-/a\nb"], "the character U+000A"),
        ("WorkingDirectory", "a", "WorkingDirectory: a is not an absolute path"),
        ("WorkingDirectory", "/a/../b", "WorkingDirectory: systemd ignores /a/../b"),
        ("WorkingDirectory", "/a ", "WorkingDirectory: '/a ' ends in a blank or a backslash"),
        ("WorkingDirectory", "/a\t", "WorkingDirectory: '/a\\t' ends in a blank or a backslash"),
        ("WorkingDirectory", "/a\\\\\\", "ends in a blank or a backslash"),
        ("LoadCredential", {"a": "/x\\"}, "LoadCredential: '/x\\' ends in a blank or a backslash"),
        ("WorkingDirectory", ["/a"], "WorkingDirectory: takes text, not list"),
        ("LoadCredential", {"a:b": "/x"}, "LoadCredential: a:b is not a valid name"),
        ("LoadCredential", {"a": "x"}, "LoadCredential: x is not an absolute path"),
        ("Environment", {"A B": "x"}, "Environment: 'A B' is not a valid name"),
        ("Environment", {"A\n": "x"}, "is not a valid name"),
        ("Environment", {"A": "secret\x1b"}, "Environment: A: the character U+001B"),
        ("Environment", ["A=b"], "Environment: takes names with values, not list"),
        ("Description", ["a"], "Description: takes text, not list"),
        ("#", ["a"], "#: takes text, not list"),
        ("OnCalendar", "*-*-*\nOnBootSec=1", "OnCalendar: '*-*-*\\nOnBootSec=1' is not a value that systemd knows"),
        ("OnCalendar", "", "OnCalendar: '' is not a value"),
        ("OnCalendar", " daily", "OnCalendar: ' daily' is not a value"),
        ("OnCalendar", "%h", "OnCalendar: %h is not a value"),
        ("OnCalendar", "daily\\", "is not a value"),
        ("After", ["a.service b.service"], "After: 'a.service b.service' is more than one word"),
        ("After", {"a": "b"}, "After: takes a list, not dict"),
        ("BindPaths", "/a", "BindPaths: this key of a unit is not known"),
    ],
)  # fmt: skip
def test_value_that_systemd_would_not_read_is_refused_with_its_key(key, value, says):
    with pytest.raises(JobError) as caught:
        jobs.unit({"Service": [(key, value)]})
    assert says in str(caught.value)
    assert "secret" not in str(caught.value)


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
        ({"KeepAlive": None}, "KeepAlive: NoneType has no form in a property list"),
        ({"Nice": 1 << 64}, "Nice: the number does not fit into 64 bits"),
        ({"Sockets": {1: "x"}}, "Sockets.1: this key is no text"),
    ],
)
def test_value_without_a_form_in_a_property_list_is_refused_with_its_key(content, says, binary):
    with pytest.raises(JobError) as caught:
        jobs.plist(content, binary=binary)
    assert says in str(caught.value)
    assert "secret" not in str(caught.value)
