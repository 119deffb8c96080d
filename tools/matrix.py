"""Try the collection with every supported ansible-core on every Python that is here.

    python tools/matrix.py                              all cells
    python tools/matrix.py --core 2.21 --python 3.12    one cell, as hosted CI runs it
    python tools/matrix.py --no-sanity                  without ansible-test sanity

A cell is a virtual environment with one ansible-core, the newest of its series in the package index. In it the built
collection is installed, the syntax of all playbooks is checked, and the unit tests that run Ansible are run. Sanity
tests run once for each ansible-core, on the newest Python. A series without support for a Python is "not offered".
"""

from __future__ import annotations

import argparse
import glob
import os
import pathlib
import shutil
import subprocess
import sys
import time
import typing as t

import artefact

ROOT = pathlib.Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache" / "matrix"
# Series -> requirement. "next" is the newest pre-release of the series that is not out yet.
CORES = {"2.19": "~=2.19.0", "2.20": "~=2.20.0", "2.21": "~=2.21.0", "next": ">=2.22.0.dev0"}
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
# Unit tests that run ansible-playbook or import ansible-core.
TESTS = ("tests/unit/callback", "tests/unit/roles", "tests/unit/values", "tests/unit/test_return_keys.py")
DEPENDENCIES = ("ansible/posix", "community/docker", "community/general", "community/library_inventory_filtering_v1")


class Cell(t.NamedTuple):
    """One ansible-core on one Python."""

    core: str
    python: str
    folder: pathlib.Path

    def program(self, name: str) -> str:
        return str(self.folder / "bin" / name)


def interpreters() -> dict[str, str]:
    """Version -> path of the supported Pythons that are here and can create virtual environments."""
    found = {}
    for version in PYTHONS:
        # First those of pyenv, because its python3.N on PATH may stand for one that is not active.
        paths = sorted(glob.glob(f"{pathlib.Path.home()}/.pyenv/versions/{version}.*/bin/python3"))
        for path in filter(None, [*paths, shutil.which(f"python{version}")]):
            if run([path, "-c", f"import ensurepip, sys; assert sys.version.startswith('{version}.')"])[0] == 0:
                found[version] = path
                break
    return found


def run(argv: list[str], **environ: str) -> tuple[int, str]:
    """Run a command in the checkout, without the Ansible settings of this environment. Returns exit code and output."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "VIRTUAL_ENV"))}
    try:
        done = subprocess.run(
            argv,
            cwd=ROOT,
            env={**env, **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    except OSError as error:
        return 127, str(error)
    return done.returncode, done.stdout


def create(cell: Cell, interpreter: str) -> str:
    """Make the virtual environment of a cell. Returns the version of its ansible-core, "" when none is offered.

    Raises:
        SystemExit: the installation failed for another reason.
    """
    if not (cell.folder / "complete").exists():
        shutil.rmtree(cell.folder, ignore_errors=True)
        subprocess.run([interpreter, "-m", "venv", str(cell.folder)], check=True)
        pip = [cell.program("python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        code, output = run([*pip, *(["--pre"] if cell.core == "next" else []), f"ansible-core{CORES[cell.core]}"])
        if code != 0 and "No matching distribution found for ansible-core" in output:
            return ""
        more = run([*pip, "pytest", "docker"]) if code == 0 else (code, output)
        if more[0] != 0:
            raise SystemExit(f"matrix: {cell.core} on Python {cell.python} cannot be installed:\n{more[1]}")
        (cell.folder / "complete").touch()
    code, output = run([cell.program("python"), "-c", "import ansible.release as r; print(r.__version__)"])
    return output.strip()


def problems(cell: Cell, built: pathlib.Path) -> str:
    """Run the checks of a cell. Returns the output of the first that failed, "" when all passed."""
    path = f"{cell.folder}/bin:{os.environ['PATH']}"
    home = cell.folder / "home"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    dependencies = [str(ROOT / ".collections" / "ansible_collections" / name) for name in DEPENDENCIES]
    playbooks = [f"onebox.stack.{path.stem}" for path in sorted((ROOT / "playbooks").glob("*.yml"))]
    inventory = str(ROOT / "tests" / "outside" / "project" / "inventory.yml")
    steps: list[tuple[list[str], dict[str, str]]] = [
        ([cell.program("ansible-galaxy"), "collection", "install", "--offline", str(built), *dependencies], {}),
        ([cell.program("ansible-playbook"), "-i", inventory, "--syntax-check", *playbooks], {}),
        ([cell.program("ansible-playbook"), "-i", inventory, "onebox.stack.check"], {"NOTES": str(home)}),
    ]
    for argv, environ in steps:
        # A configuration file in the checkout would name the checkout's own collections.
        code, output = run(argv, HOME=str(home), PATH=path, ANSIBLE_CONFIG=str(empty()), LC_ALL="C.UTF-8", **environ)
        if code != 0:
            return f"{' '.join(argv[:4])}: exit code {code}\n{output}"
    code, output = run([cell.program("python"), "-m", "pytest", "-q", *TESTS], PATH=path, LC_ALL="C.UTF-8")
    return "" if code == 0 else output


def sanity(cell: Cell) -> bool:
    """Run ansible-test sanity with the ansible-core of a cell. Returns whether it passed."""
    began = time.monotonic()
    code, output = run(["tools/sanity"], PATH=f"{cell.folder}/bin:{os.environ['PATH']}")
    took = time.monotonic() - began
    print(f"{cell.core:5} sanity       Python {cell.python:5} {'FAILED' if code else 'ok'} ({took:.0f} s)", flush=True)
    if code:
        print(output, flush=True)
    return code == 0


def empty() -> pathlib.Path:
    """An empty configuration file."""
    path = CACHE / "empty.cfg"
    path.write_text("")
    return path


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--core", choices=list(CORES), action="append", help="only this series")
    parser.add_argument("--python", choices=PYTHONS, action="append", help="only this Python")
    parser.add_argument("--no-sanity", action="store_true", help="without ansible-test sanity")
    options = parser.parse_args()
    CACHE.mkdir(parents=True, exist_ok=True)
    built = artefact.build(ROOT, CACHE)
    here = {version: path for version, path in interpreters().items() if version in (options.python or PYTHONS)}
    if not here:
        raise SystemExit("matrix: none of these Pythons is here: " + ", ".join(options.python or PYTHONS))
    failed = []
    for core in options.core or CORES:
        newest = None
        for python, interpreter in here.items():
            cell = Cell(core, python, CACHE / f"{core}-{python}")
            began = time.monotonic()
            version = create(cell, interpreter)
            problem = problems(cell, built) if version else ""
            newest = cell if version else newest
            failed += [f"{core} on {python}"] if problem else []
            word = "not offered" if not version else "FAILED" if problem else "ok"
            print(f"{core:5} {version:12} Python {python:5} {word} ({time.monotonic() - began:.0f} s)", flush=True)
            if problem:
                print(problem, flush=True)
        if newest and not options.no_sanity and not sanity(newest):
            failed.append(f"sanity of {core}")
    sys.exit("matrix: failed: " + ", ".join(failed) if failed else 0)


if __name__ == "__main__":
    main()
