# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Count how many of other people's compose stacks would deploy, step by step.

    python tests/corpus/measure.py FOLDER... [--list FILE] [--out FILE] [--only REGEX]

Each FOLDER is searched for compose files. A FILE of ``--list`` names them instead, one a line: a folder and, after a
tab, a compose file in it where it has no usual name. Nothing is fetched, pulled or deployed. The engine of DOCKER_HOST,
or the usual one, is queried, and nothing on it is changed. The corpus stays as it is: each stack is copied.

Steps:
    as cloned   the role at its defaults; an example of the environment file is copied to .env
    two lines   the same with ``onebox_exposure: lan`` and ``onebox_defaults: derive``
    scaffold    what stack_scaffold writes, accepted unread
    advice      the same, after the block that the refusal ends with is pasted once, and its commands are typed
    files       the same, after the files that the refusal names are put there

A stack counts where ``docker compose config`` resolves it as cloned. What only this machine lacks (devices, sockets,
free ports) is not counted as a refusal.
"""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import dataclasses
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import traceback
import typing as t

import yaml
from ansible_collections.onebox.stack.plugins.module_utils.compose import options, request
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.source import FILE_NAMES
from ansible_collections.onebox.stack.plugins.module_utils.compose.proposals import paths
from ansible_collections.onebox.stack.plugins.module_utils.compose.scaffold import read, scaffold
from ansible_collections.onebox.stack.plugins.module_utils.compose.stack import Stack
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.modules import stack_scaffold

STEPS = ("as cloned", "two lines", "scaffold", "advice", "files")
_UPWARDS = re.compile(r"(?m)(?:^|[\s\"'=:{,-])\.\.(?:/|[\s\"'}]|$)")
_SKIPPED = (".git", "node_modules", "vendor")
# Problems of the machine that measures.
_OF_THIS_MACHINE = ("no_device", "port_taken", "disk_full", "wrong_platform", "name_taken")


@dataclasses.dataclass
class Case:
    """One stack: its folder, and its compose file where that has no usual name."""

    folder: pathlib.Path
    file: str
    name: str


@dataclasses.dataclass
class Declared:
    """The inventory values of one step."""

    files: list[str] = dataclasses.field(default_factory=list)
    env: dict[str, str] | None = None
    required: list[str] = dataclasses.field(default_factory=list)
    ports: list[int] = dataclasses.field(default_factory=list)
    directories: set[str] = dataclasses.field(default_factory=set)
    exposure: str = "public"
    defaults: str = "declare"
    solved: tuple[str, ...] = ()


def find(folders: t.Iterable[str]) -> list[Case]:
    """The stacks below ``folders``: each folder with a compose file of a usual name, and each other compose file."""
    found = []
    for top in folders:
        for folder, names, files in os.walk(top):
            names[:] = sorted(name for name in names if name not in _SKIPPED)
            usual = [name for name in FILE_NAMES if name in files]
            others = [
                name for name in sorted(files) if re.search(r"compose[^/]*\.ya?ml$", name) and "override" not in name
            ]
            chosen = [""] * bool(usual) + [name for name in others if name not in usual]
            found += [_case(folder, name, len(found) + number) for number, name in enumerate(chosen)]
    return found


def listed(path: str) -> list[Case]:
    """The stacks that a file names."""
    lines = pathlib.Path(path).read_text(encoding="utf-8").splitlines()
    rows = [line.partition("\t") for line in lines if line.strip()]
    return [_case(folder, file, number) for number, (folder, _tab, file) in enumerate(rows)]


def _case(folder: str, file: str, number: int) -> Case:
    slug = re.sub(r"[^a-z0-9]+", "-", f"{pathlib.Path(folder).name}-{file}".lower()).strip("-")
    return Case(pathlib.Path(folder).resolve(), file, f"c{number}-{slug}"[:50].strip("-"))


def prepare(case: Case, work: pathlib.Path) -> pathlib.Path:
    """A copy of the stack as a person has it after cloning: an example of the environment file is copied to .env.

    Where compose files lead out of the folder, the rest of its Git checkout is copied, too.
    """
    target = work / "origin"
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in case.folder.glob("*.y*ml")]
    top = _checkout(case.folder) if any(_UPWARDS.search(text) for text in texts) else case.folder
    ignored = () if top != case.folder else _SKIPPED
    shutil.copytree(top, target, symlinks=True, ignore=shutil.ignore_patterns(*ignored))
    target /= case.folder.relative_to(top)
    if not (target / ".env").exists():
        example = next((name for name in read.ENV_EXAMPLES if (target / name).is_file()), None)
        if example:
            shutil.copyfile(target / example, target / ".env")
    return target


def _checkout(folder: pathlib.Path) -> pathlib.Path:
    words = ["git", "-C", str(folder), "rev-parse", "--show-toplevel"]
    top = subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()
    return pathlib.Path(top) if top else folder


def resolves(case: Case, folder: pathlib.Path) -> bool:
    """Whether Docker Compose itself takes the stack as cloned."""
    words = ["docker", "compose", "-p", case.name, *(["-f", case.file] if case.file else []), "config", "-q"]
    keep = {key: os.environ[key] for key in ("PATH", "HOME", "DOCKER_HOST", "DOCKER_CONFIG") if key in os.environ}
    return subprocess.run(words, cwd=folder, env=keep, capture_output=True, check=False).returncode == 0


def plan(case: Case, folder: pathlib.Path, declared: Declared, work: pathlib.Path) -> dict[str, t.Any]:
    """What the role would say: outcome, and the problems that count."""
    staging = work / "staging"
    shutil.rmtree(staging, ignore_errors=True)
    shutil.copytree(folder, staging / "files", symlinks=True)
    params: dict[str, t.Any] = {key: spec.get("default") for key, spec in request.COMMON.items()}
    params.update(
        name=case.name,
        project_dir=f"/opt/onebox/{case.name}",
        staging_dir=str(staging),
        staged_dir=str(staging / "files"),
        state_dir=str(work / "state"),
        files=declared.files,
        env=None if declared.env is None else json.dumps(declared.env),
        required_env=declared.required,
        public_ports=declared.ports,
        exposure=declared.exposure,
        defaults=declared.defaults,
        engine="docker",
        provider="docker-compose",
    )
    world = World.real()
    try:
        found = Stack(options.request_of(params, world), world, options.host_of(world)).info()
    except OneboxError as error:
        return {"outcome": "error", "problems": [["error", "", str(error)[:300]]], "needs": []}
    except Exception:
        return {"outcome": "crash", "problems": [["crash", "", traceback.format_exc()[-600:]]], "needs": []}
    problems = [each for each in found["problems"] if _counts(each, declared)]
    shown = [[each["code"], each["where"], each["message"][:160]] for each in problems]
    return {"outcome": "refused" if problems else "planned", "problems": shown, "needs": found["needs"]}


def _counts(problem: t.Mapping[str, t.Any], declared: Declared) -> bool:
    code, where, message = problem["code"], problem["where"], problem["message"]
    source = where.partition("volume ")[2].rpartition(":")[0]
    if code in _OF_THIS_MACHINE or code in declared.solved:
        return False
    if code == "no_source" and (source in declared.directories or paths.of_the_host(source)):
        return False
    missing_file = code in ("no_source", "not_shipped", "no_file", "no_env_file") and "files" in declared.solved
    return not (missing_file and (code != "no_source" or "it is a file" in message))


def written(case: Case, folder: pathlib.Path, work: pathlib.Path) -> tuple[pathlib.Path, Declared]:
    """The stack and the inventory that the scaffold writes."""
    inventory = work / "inventory"
    order = scaffold.Order(
        origin=str(folder),
        name=case.name,
        host="box",
        stacks=str(work / "stacks"),
        inventory=str(inventory),
        project_dir=f"/opt/onebox/{case.name}",
        data_root=f"/srv/{case.name}",
        files=(case.file,) if case.file else (),
        engine="docker",
    )
    scaffold.scaffold(order, stack_scaffold._loader(), World.real(), False)
    values = _yaml(inventory / "host_vars/box.yml")
    group = re.sub(r"[^a-z0-9_]", "_", case.name)
    secrets = _yaml(inventory / f"group_vars/{group}.yml")
    env = {name: _filled(str(value), secrets) for name, value in (values.get("compose_stack_env") or {}).items()}
    home = os.path.expanduser("~")
    directories = {
        each["path"].replace("{{ ansible_facts['user_dir'] }}", home)
        for each in values.get("data_dirs_directories") or ()
    }
    return work / "stacks" / case.name, Declared(
        files=values.get("compose_stack_files") or [],
        env=env or None,
        required=values.get("compose_stack_required_env") or [],
        ports=values.get("compose_stack_public_ports") or [],
        directories=directories,
        exposure=values["onebox_exposure"],
        defaults=values.get("onebox_defaults", "declare"),
    )


class _Loader(yaml.SafeLoader):
    pass


_Loader.add_constructor("!unsafe", lambda loader, node: loader.construct_scalar(node))


def _yaml(path: pathlib.Path) -> dict[str, t.Any]:
    return (yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader) or {}) if path.exists() else {}


def _filled(text: str, secrets: t.Mapping[str, str]) -> str:
    match = re.fullmatch(r"\{\{ (vault_\w+) \}\}", text)
    return str(secrets[match[1]]) if match else text


def followed(declared: Declared, found: t.Mapping[str, t.Any]) -> Declared:
    """The declaration after the block is pasted, its empty slots are filled in, and its commands are typed."""
    by_variable: dict[str, list[str]] = collections.defaultdict(list)
    for need in found["needs"]:
        by_variable[need["variable"]].append(need["value"])
    env = dict(declared.env or {})
    for text in by_variable["compose_stack_env"]:
        env.update({name: _plausible(name) for name in yaml.safe_load(text)})
    return dataclasses.replace(
        declared,
        env=env or None,
        ports=sorted({*declared.ports, *map(int, by_variable["compose_stack_public_ports"])}),
        directories={
            *declared.directories,
            *(yaml.safe_load(text)["path"] for text in by_variable["data_dirs_directories"]),
        },
        solved=("no_network", "no_volume"),
    )


def _plausible(name: str) -> str:
    """A value such as a person would fill in."""
    upper = name.upper()
    kinds = (
        (r"PORT", str(20000 + sum(map(ord, name)) % 9000)),
        (r"^TZ$|TIMEZONE", "Etc/UTC"),
        (r"^P?[UG]ID$|_[UG]ID$|USER_ID|GROUP_ID", "1000"),
        (r"(?:DIR|DIRECTORY|PATH|LOCATION|ROOT|FOLDER|VOLUME|STORAGE|DATA|MOUNT)S?(?:_|$)", f"/tmp/{name.lower()}"),
        (r"URL|URI$|ENDPOINT", "https://stack.example.org"),
        (r"HOST|DOMAIN|FQDN", "stack.example.org"),
        (r"TAG$|VERSION$", "latest"),
    )
    return next((value for pattern, value in kinds if re.search(pattern, upper)), f"value-of-{name.lower()}")


def measure(case: Case) -> dict[str, t.Any]:
    """All steps of one stack."""
    row: dict[str, t.Any] = {"folder": str(case.folder), "file": case.file, "steps": {}}
    with tempfile.TemporaryDirectory(prefix="obx-corpus-") as place:
        work = pathlib.Path(place)
        try:
            folder = prepare(case, work)
            row["resolves"] = resolves(case, folder)
            if not row["resolves"]:
                return row
            files = [case.file] if case.file else []
            row["steps"]["as cloned"] = plan(case, folder, Declared(files), work)
            simple = Declared(files, exposure="lan", defaults="derive")
            row["steps"]["two lines"] = plan(case, folder, simple, work)
            # The scaffold is given what was cloned, without the copy of the example.
            if not (case.folder / ".env").exists():
                (folder / ".env").unlink(missing_ok=True)
            stack, declared = written(case, folder, work)
            row["steps"]["scaffold"] = found = plan(case, stack, declared, work)
            if found["outcome"] == "refused":
                declared = followed(declared, found)
                found = plan(case, stack, declared, work)
            row["steps"]["advice"] = found
            if found["outcome"] == "refused":
                found = plan(case, stack, dataclasses.replace(declared, solved=(*declared.solved, "files")), work)
            row["steps"]["files"] = found
        except OneboxError as error:
            row["steps"].setdefault("scaffold", {"outcome": "error", "problems": [["error", "", str(error)[:300]]]})
        except Exception:
            row["steps"]["scaffold"] = {"outcome": "crash", "problems": [["crash", "", traceback.format_exc()[-900:]]]}
    return row


def table(rows: t.Sequence[t.Mapping[str, t.Any]]) -> str:
    """The figures of all stacks that Docker Compose resolves."""
    good = [row for row in rows if row["resolves"]]
    lines = [f"{len(rows)} stacks, {len(good)} resolved by Docker Compose as cloned", ""]
    lines += [f"{'step':10} {'planned':>16} {'refused':>8} {'error':>6} {'crash':>6}   reasons (stacks)"]
    for step in STEPS:
        count = collections.Counter(row["steps"].get(step, {"outcome": "error"})["outcome"] for row in good)
        reasons: collections.Counter[str] = collections.Counter()
        for row in good:
            reasons.update({problem[0] for problem in row["steps"].get(step, {}).get("problems", ())})
        share = f"{count['planned']} ({100 * count['planned'] / max(len(good), 1):.1f} %)"
        said = ", ".join(f"{code} {number}" for code, number in reasons.most_common(6))
        lines.append(f"{step:10} {share:>16} {count['refused']:>8} {count['error']:>6} {count['crash']:>6}   {said}")
    return "\n".join(lines)


def main() -> int:
    """Measure, print the table, and end with 1 when anything crashed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folders", nargs="*")
    parser.add_argument("--list")
    parser.add_argument("--out")
    parser.add_argument("--only", default="")
    parser.add_argument("--jobs", type=int, default=1)
    given = parser.parse_args()
    cases = [*find(given.folders), *(listed(given.list) if given.list else [])]
    cases = [case for case in cases if re.search(given.only, f"{case.folder}/{case.file}")]
    rows = []
    pool = concurrent.futures.ProcessPoolExecutor(given.jobs)
    with pool, open(given.out or os.devnull, "w", encoding="utf-8") as out:
        for number, row in enumerate(pool.map(measure, cases), 1):
            rows.append(row)
            out.write(json.dumps(row) + "\n")
            out.flush()
            if number % 20 == 0:
                print(f"{number} of {len(cases)}", file=sys.stderr, flush=True)
    print(table(rows))
    return any(step["outcome"] == "crash" for row in rows for step in row["steps"].values())


if __name__ == "__main__":
    sys.exit(main())
