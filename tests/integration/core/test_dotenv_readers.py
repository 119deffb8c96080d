"""dotenv files, ours and those people write, read by our reader and by the real docker compose and podman-compose."""

from __future__ import annotations

import functools
import json
import subprocess

import pytest
import yaml
from ansible_collections.onebox.stack.plugins.module_utils.core import dotenv
from dotenv_lab import (
    ENVIRON,
    FILES,
    NAMES,
    NOT_SET,
    READERS,
    VALUES,
    WITH_REFERENCES,
    Refused,
    environment_of,
    examples,
    reader_of,
)
from examples_runner import run_examples, run_tasks

FIXED = [
    "",
    " ",
    "it's",
    'say "hi"',
    "$HOME",
    "$$",
    "a # b",
    "#a",
    "a\\nb",
    "C:\\dir\\",
    "\\\\server",
    "line 1\nline 2",
    "-----BEGIN KEY-----\nabc+/=\n-----END KEY-----\n",
    "p@ss:w/rd?&%",
    "100% $ecret # really, it's",
    "한글 ünïcode 🚀",
    "`date`",
    "$(date)",
    "true",
    "export A=1",
    "tab\there",
    "\u00a0nbsp\u2028",
]


def as_written(value: str) -> bool:
    try:
        dotenv.quote("V", value)
    except dotenv.EnvFileError:
        return False
    return True


@functools.cache
def values(count: int) -> dict[str, str]:
    """The fixed values and generated ones, by name, as far as they can be written at all."""
    made = [*FIXED, *examples(VALUES, count)]
    found = {f"V{number}": value for number, value in enumerate(made) if as_written(value)}
    assert len(found) > len(made) * 0.6
    return found


@functools.cache
def files() -> list[str]:
    """Different files as people write them."""
    return list(dict.fromkeys(examples(FILES, 600)))


@pytest.fixture(scope="module", params=READERS)
def reader(request):
    """A real reader."""
    return reader_of(request.param)


def differences(texts, wanted, got):
    """What is read otherwise, the shortest text first."""
    rows = [
        (text, {name: (mine.get(name), theirs[name]) for name in theirs if mine.get(name, NOT_SET) != theirs[name]})
        for text, mine, theirs in zip(texts, wanted, got)
    ]
    return sorted((row for row in rows if row[1]), key=lambda row: len(row[0]))


def test_written_values_are_read_exactly(tmp_path, reader):
    wanted = values(1500)
    text = dotenv.merge("# mine\nFOREIGN='x'\n", wanted)
    (got,) = reader.read(tmp_path, [text], [*wanted, "FOREIGN"])
    assert {name: (value, got[name]) for name, value in wanted.items() if got[name] != value} == {}
    assert got["FOREIGN"] == "x"
    assert dotenv.parse(text, reader.dialect, ENVIRON) == {**wanted, "FOREIGN": "x"}


def test_files_as_people_write_them_are_read_as_by_the_real_reader(tmp_path, reader):
    docker = reader.dialect.docker
    texts, wanted, refused = [], [], []
    for text in files():
        try:
            wanted.append(dotenv.parse(text, reader.dialect, ENVIRON))
            texts.append(text)
        except dotenv.EnvFileError:
            refused.append(text)
    if docker:
        assert len(refused) >= 100
        texts, wanted = texts[:120], wanted[:120]
    assert len(texts) >= 120
    assert differences(texts, wanted, reader.read(tmp_path, texts, NAMES)) == []
    for text in refused[:20]:
        with pytest.raises(Refused):
            reader.read(tmp_path, [text], NAMES)


def test_references_are_replaced_as_by_the_real_reader(tmp_path, reader):
    text = "A=1\nB=\nC='c d'\nDB_HOST=${A}$A\n"
    for number, value in enumerate(dict.fromkeys(examples(WITH_REFERENCES, 600))):
        more = f"{text}V{number}={value}\n"
        try:
            found = dotenv.parse(more + "LAST=1\n", reader.dialect, ENVIRON)
        except dotenv.EnvFileError:
            continue
        if found.get("LAST") == "1" and f"V{number}" in found:
            text = more
    wanted = dotenv.parse(text, reader.dialect, ENVIRON)
    assert len(wanted) > 200
    (got,) = reader.read(tmp_path, [text], list(wanted))
    assert {name: (value, got[name]) for name, value in wanted.items() if got[name] != value} == {}


@pytest.mark.parametrize("name", [name for name in READERS if name.startswith("docker")])
def test_names_of_any_kind_are_read_as_by_docker_compose(tmp_path, name):
    text = "a.b-c[0]=1\né_한=2\n1A=3\nA\tB=4\nexported=5\nexport x.y : 6\nOUTSIDE\nNOWHERE\nNO=${a.b}\n"
    (tmp_path / "app.env").write_text(text, encoding="utf-8")
    (tmp_path / "compose.yml").write_text("services:\n  a:\n    image: x\n    env_file: app.env\n")
    with pytest.raises(Refused):
        reader_of(name).config(tmp_path)
    with pytest.raises(dotenv.EnvFileError, match="line 9"):
        dotenv.parse(text, dotenv.DOCKER_COMPOSE)
    text = text.partition("NO=")[0]
    (tmp_path / "app.env").write_text(text, encoding="utf-8")
    found = environment_of(reader_of(name).config(tmp_path)["a"])
    assert dotenv.parse(text, dotenv.DOCKER_COMPOSE, ENVIRON) == {name: found[name] for name in found if found[name]}


@pytest.mark.parametrize("tool", ["compose_v2", "podman_compose"])
def test_env_file_of_a_service(tmp_path, tool, request):
    """A service's ``env_file`` goes another way through both tools."""
    program = request.getfixturevalue(tool)
    wanted = {name: value for name, value in values(60).items() if value.strip()}
    (tmp_path / "app.env").write_text(dotenv.merge("", wanted), newline="")
    (tmp_path / "compose.yml").write_text("services:\n  a:\n    image: x\n    env_file: app.env\n")
    words = ["--format", "json"] if tool == "compose_v2" else []
    done = subprocess.run(
        [*program.argv, "-f", "compose.yml", "config", *words],
        env=program.environ,
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    if tool == "podman_compose":
        service = yaml.safe_load(done.stdout)["services"]["a"]
        assert service["env_file"] == ["app.env"]  # podman-compose reads it when it starts the container, as above
        return
    assert environment_of(json.loads(done.stdout)["services"]["a"]) == wanted


def test_module_examples_run_unchanged(tmp_path):
    replace = {"/opt/onebox/coinpilot": str(tmp_path)}
    assert run_examples("env_file", replace=replace, check=True)["Write the environment of a stack"]["changed"]
    assert list(tmp_path.iterdir()) == []
    row = run_examples("env_file", replace=replace, diff=True)["Write the environment of a stack"]
    assert (row["changed"], row["variables"]) == (True, ["N8N_WEBHOOK_SECRET", "REDIS_HOST", "REDIS_PORT"])
    assert not run_examples("env_file", replace=replace)["Write the environment of a stack"]["changed"]
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600
    assert "ecret" not in json.dumps(row)


def task(tmp_path, **options: object) -> dict:
    words = {"path": str(tmp_path / ".env"), "values": {}, **options}
    return {"name": "it", "onebox.stack.env_file": words, "ignore_errors": True}


def test_mistakes_are_reported_and_change_nothing(tmp_path):
    (tmp_path / ".env").write_text("A=1\n")
    cases = (
        ({"values": {"A": ""}, "required": ["A", "B"]}, "is as it was: A, B must not be empty"),
        ({"values": {"A": "${B}"}}, "podman-compose expands"),
        ({"values": {"1A": "x"}}, "not a valid name of a variable"),
        ({"values": {"A": {"b": "c"}}}, "A must be text or a number, not a di"),
        ({"path": str(tmp_path / "gone" / ".env")}, "is not a directory: create it first"),
        ({"path": "relative/.env"}, "path must be absolute"),
        ({"owner": "no-such-user"}, "owner 'no-such-user' does not exist"),
    )
    rows = run_tasks([{**task(tmp_path, **options), "name": says} for options, says in cases])
    for says, row in rows.items():
        assert says in row["msg"], row
    assert len(rows) == len(cases)
    assert (tmp_path / ".env").read_text() == "A=1\n"


def test_owner_and_mode_are_kept_right(tmp_path):
    (tmp_path / ".env").write_text("A=1\n")
    (tmp_path / ".env").chmod(0o644)
    assert run_tasks([task(tmp_path, owner="999")])["it"]["changed"]
    found = (tmp_path / ".env").stat()
    assert (found.st_uid, found.st_mode & 0o777) == (999, 0o600)
    assert not run_tasks([task(tmp_path, owner="999")])["it"]["changed"]
    assert run_tasks([task(tmp_path, values={"B": 2})])["it"]["changed"]
    assert (tmp_path / ".env").stat().st_uid == 999
