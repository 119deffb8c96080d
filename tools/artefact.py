"""Build the collection as it is published, and check it as Galaxy does.

    python tools/artefact.py build     writes .cache/artefact/onebox-stack-<version>.tar.gz and prints its path
    python tools/artefact.py import    builds, then runs galaxy-importer. A warning is a failure.

The manifest in galaxy.yml lists the files that belong to the collection. In a Git checkout, a file that Git does not
track is refused as well: it may hold secrets.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import re
import subprocess
import sys
import tarfile
import venv

ROOT = pathlib.Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements-import.txt"
# Files that the build adds.
GENERATED = {"FILES.json", "MANIFEST.json"}


class ArtefactError(Exception):
    """The collection cannot be published. The text names the files or the messages."""


def build(root: pathlib.Path, out: pathlib.Path) -> pathlib.Path:
    """Build the collection of a checkout.

    Args:
        root: the checkout.
        out: the folder for the file.

    Returns:
        The path of the built file.

    Raises:
        ArtefactError: the build failed, or packed files that Git does not track.
    """
    command = [str(pathlib.Path(sys.executable).parent / "ansible-galaxy"), "collection", "build", "--force"]
    env = {**os.environ, "ANSIBLE_NOCOLOR": "1"}
    built = subprocess.run(
        [*command, "--output-path", str(out), str(root)], env=env, capture_output=True, text=True, check=False
    )
    found = re.search(r"^Created collection for .* at (.+\.tar\.gz)$", built.stdout, re.MULTILINE)
    if built.returncode != 0 or found is None:
        raise ArtefactError(f"the build failed: {built.stdout}{built.stderr}")
    path = pathlib.Path(found.group(1))
    untracked = sorted(packed(path) - tracked(root)) if (root / ".git").exists() else []
    if untracked:
        path.unlink()
        raise ArtefactError(f"Git does not track these files. Run git add, or move them away: {', '.join(untracked)}")
    return path


def packed(path: pathlib.Path) -> set[str]:
    """Paths of the files in a built collection, without those that the build adds."""
    with tarfile.open(path) as archive:
        return {member.name for member in archive if not member.isdir()} - GENERATED


def tracked(root: pathlib.Path) -> set[str]:
    """Paths of the files that Git tracks in a checkout."""
    listed = subprocess.run(["git", "-C", str(root), "ls-files", "-z"], capture_output=True, text=True, check=True)
    return set(listed.stdout.split("\0"))


def importer(folder: pathlib.Path) -> pathlib.Path:
    """Python of a virtual environment with galaxy-importer, created in ``folder`` if it is missing or outdated."""
    python, stamp = folder / "bin" / "python", folder / ".installed"
    wanted = REQUIREMENTS.read_text()
    if not stamp.exists() or stamp.read_text() != wanted:
        print("import: installing galaxy-importer", flush=True)
        venv.create(folder, clear=True, with_pip=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "-r", str(REQUIREMENTS)], check=True)
        stamp.write_text(wanted)
    return python


def check(path: pathlib.Path, python: pathlib.Path, scratch: pathlib.Path) -> None:
    """Import a built collection as Galaxy does.

    The importer's own ansible-lint is off: tools/lint runs it over the same files, with more rules.

    Raises:
        ArtefactError: the importer refused the file or printed a warning.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    settings = scratch / "galaxy-importer.cfg"
    settings.write_text(
        "[galaxy-importer]\nCHECK_CHANGELOG = True\nCHECK_REQUIRED_TAGS = True\nRUN_ANSIBLE_LINT = False\n"
        f"TMP_ROOT_DIR = {scratch}\n"
    )
    # ansible-doc is taken from PATH, and must be the importer's own.
    path_variable = f"{python.parent}:{os.environ['PATH']}"
    env = {**os.environ, "GALAXY_IMPORTER_CONFIG": str(settings), "PATH": path_variable}
    command = [str(python), "-m", "galaxy_importer.main", str(path)]
    result = subprocess.run(command, cwd=scratch, env=env, capture_output=True, text=True, check=False)
    lines = (result.stdout + result.stderr).splitlines()
    wrong = [line for line in lines if re.match(r"(WARNING|ERROR|CRITICAL)\b", line) or "Traceback" in line]
    if result.returncode != 0 or wrong or "Importer processing completed successfully" not in lines:
        raise ArtefactError("galaxy-importer: " + ("\n".join(wrong) or "\n".join(lines[-20:])))


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["build", "import"])
    command = parser.parse_args().command
    out = ROOT / ".cache" / "artefact"
    out.mkdir(parents=True, exist_ok=True)
    try:
        path = build(ROOT, out)
        if command == "import":
            check(path, importer(ROOT / ".cache" / "galaxy-importer"), out / "import")
    except ArtefactError as error:
        raise SystemExit(f"{command}: {error}") from error
    print(f"{command}: {path.name} is clean, {len(packed(path))} files" if command == "import" else path)


if __name__ == "__main__":
    main()
