"""What env_file writes, read by the real docker compose and podman-compose: both must get exactly the value."""

from __future__ import annotations

import json
import pathlib
import random
import subprocess

import pytest
import yaml
from ansible_collections.onebox.stack.plugins.module_utils.core import dotenv as env_file
from examples_runner import run_examples, run_tasks

ALPHABET = [*"'\"\\${}# \n\t\raB=nt`", "한", "\u2028", ":-", "${"]
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


def values(count: int, seed: int) -> dict[str, str]:
    """The fixed values and generated ones, by name, as far as they can be written at all."""
    chance = random.Random(seed)
    made = FIXED + ["".join(chance.choices(ALPHABET, k=chance.randrange(1, 9))) for unused in range(count)]
    found = {}
    for number, value in enumerate(made):
        try:
            env_file.quote("V", value)
        except env_file.EnvFileError:
            continue
        found[f"V{number}"] = value
    assert len(found) > len(made) * 0.6
    return found


def project(place, wanted: dict[str, str]) -> None:
    (place / ".env").write_text(env_file.merge("# mine\nFOREIGN='x'\n", wanted), newline="")
    service = {"image": "x", "environment": {name: f"${{{name}}}" for name in wanted}}
    (place / "compose.yml").write_text(yaml.safe_dump({"services": {"a": service}}))


def differences(wanted: dict[str, str], got: dict[str, str]) -> dict[str, tuple[str, str | None]]:
    return {name: (value, got.get(name)) for name, value in wanted.items() if got.get(name) != value}


def test_docker_compose_reads_what_was_written(tmp_path, compose_v2):
    wanted = values(1500, seed=1)
    project(tmp_path, wanted)
    done = subprocess.run(
        [*compose_v2.argv, "--project-directory", str(tmp_path), "config", "--format", "json"],
        env=compose_v2.environ,
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    got = json.loads(done.stdout)["services"]["a"]["environment"]
    assert differences(wanted, {name: value.replace("$$", "$") for name, value in got.items()}) == {}


def test_podman_compose_reads_what_was_written(tmp_path, podman_compose):
    """Through the very function of podman-compose that reads the file, in its own Python."""
    wanted = values(1500, seed=1)
    project(tmp_path, wanted)
    python = str(pathlib.Path(podman_compose.argv[0]).with_name("python"))
    done = subprocess.run(
        [python, "-c", "import json, podman_compose; print(json.dumps(podman_compose.dotenv_to_dict('.env')))"],
        env=podman_compose.environ,
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    got = json.loads(done.stdout)
    assert differences(wanted, got) == {}
    assert got["FOREIGN"] == "x"


@pytest.mark.parametrize("reader", ["compose_v2", "podman_compose"])
def test_env_file_of_a_service(tmp_path, reader, request):
    """A service's ``env_file`` goes another way through both tools."""
    tool = request.getfixturevalue(reader)
    wanted = {name: value for name, value in values(60, seed=2).items() if value.strip()}
    (tmp_path / "app.env").write_text(env_file.merge("", wanted), newline="")
    (tmp_path / "compose.yml").write_text("services:\n  a:\n    image: x\n    env_file: app.env\n")
    words = ["--format", "json"] if reader == "compose_v2" else []
    done = subprocess.run(
        [*tool.argv, "-f", "compose.yml", "config", *words],
        env=tool.environ,
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    service = yaml.safe_load(done.stdout)["services"]["a"]
    if reader == "podman_compose":
        assert service["env_file"] == ["app.env"]  # podman-compose reads it when it starts the container, as above
        return
    assert differences(wanted, {k: str(v).replace("$$", "$") for k, v in service["environment"].items()}) == {}


def test_the_examples(tmp_path):
    replace = {"/opt/onebox/coinpilot": str(tmp_path)}
    assert run_examples("env_file", replace=replace, check=True)["Write the environment of a stack"]["changed"]
    assert list(tmp_path.iterdir()) == []
    row = run_examples("env_file", replace=replace, diff=True)["Write the environment of a stack"]
    assert (row["changed"], row["keys"]) == (True, ["N8N_WEBHOOK_SECRET", "REDIS_HOST", "REDIS_PORT"])
    assert not run_examples("env_file", replace=replace)["Write the environment of a stack"]["changed"]
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600
    assert "ecret" not in json.dumps(row)


def task(tmp_path, **options: object) -> dict:
    words = {"path": str(tmp_path / ".env"), "values": {}, **options}
    return {"name": "it", "onebox.stack.env_file": words, "ignore_errors": True}


def test_mistakes_are_told_and_change_nothing(tmp_path):
    (tmp_path / ".env").write_text("A=1\n")
    cases = (
        ({"values": {"A": ""}, "required": ["A", "B"]}, "is as it was: A, B must not be empty"),
        ({"values": {"A": "${B}"}}, "podman-compose expands"),
        ({"values": {"1A": "x"}}, "no name of a variable"),
        ({"values": {"A": {"b": "c"}}}, "A must be text or a number, not a di"),
        ({"path": str(tmp_path / "gone" / ".env")}, "is not a directory: make it first"),
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
