"""Make what running the playbooks (and, with --dev, testing them) needs, below this checkout.

    .venv          a virtual environment with the pinned requirements
    .collections   the Ansible collections this one stands on, and a link to this checkout

The collections come from Galaxy where it answers, else out of the ``ansible`` package on the Python index: without a
question or a setting. On Debian and Ubuntu as root, missing system packages are installed; an ordinary
user gets the command to run. Python 3.11 or newer, standard library only. Safe to run again, also after a kill.
"""

from __future__ import annotations

import argparse
import fcntl
import glob
import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys
import threading
import time
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
COLLECTIONS = ROOT / ".collections"
# The release of the ansible package whose collections are used without Galaxy; they require core >= 2.18 or lower.
ANSIBLE_PACKAGE = "ansible==14.5.0"
# The last one is what community.general and community.docker depend on.
WANTED = ("ansible/posix", "community/docker", "community/general", "community/library_inventory_filtering_v1")
BEAT_SECONDS = 4.0


def say(text: str) -> None:
    print(text, flush=True)


def step(what: str, argv: list[str], *, env: dict[str, str] | None = None) -> None:
    """Run ``argv`` quietly, with a line at the start, one every few seconds, and all it said when it fails."""
    say(f"setup: {what}")
    began = time.monotonic()
    done = threading.Event()

    def beat() -> None:
        while not done.wait(BEAT_SECONDS):
            say(f"setup: … {what} ({time.monotonic() - began:.0f} s)")

    threading.Thread(target=beat, daemon=True).start()
    try:
        result = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=env,
            check=False,
        )
    except OSError as error:
        raise SystemExit(f"setup: cannot run {argv[0]}: {error.strerror}") from error
    finally:
        done.set()
    if result.returncode != 0:
        sys.stderr.write(result.stdout)
        raise subprocess.CalledProcessError(result.returncode, argv, result.stdout)


def system_packages() -> None:
    """Install what only the system can give: the venv module and rsync."""
    missing = []
    if importlib.util.find_spec("ensurepip") is None and not (VENV / "bin" / "python").exists():
        missing.append("python3-venv")
    if shutil.which("rsync") is None:
        missing.append("rsync")
    if not missing:
        return
    hint = f"apt-get install {' '.join(missing)}"
    if shutil.which("apt-get") is None:
        raise SystemExit(f"setup: this machine lacks {', '.join(missing)}; install them and run this again")
    if os.geteuid() != 0:
        raise SystemExit(f"setup: this machine lacks {', '.join(missing)}; type: sudo {hint}")
    env = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    command = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *missing]
    if not glob.glob("/var/lib/apt/lists/*_Packages*"):
        step("reading the package lists", ["apt-get", "update", "-q"], env=env)
    try:
        step(hint, command, env=env)
    except subprocess.CalledProcessError:
        # The lists may be older than the mirror.
        step("reading the package lists", ["apt-get", "update", "-q"], env=env)
        step(hint, command, env=env)


def virtual_environment(requirements: str) -> None:
    """Make .venv and install the pinned packages of one requirements file."""
    stamp = VENV / f".installed-{requirements}"
    wanted = (ROOT / requirements).read_text() + (ROOT / "requirements.txt").read_text()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    python = VENV / "bin" / "python"
    if not python.exists() or subprocess.run([python, "-c", "import pip"], check=False).returncode != 0:
        step("making .venv", [sys.executable, "-m", "venv", "--clear", str(VENV)])
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    step(f"installing {requirements} into .venv", [*pip, "-r", str(ROOT / requirements)])
    stamp.write_text(wanted)


def state_in_checkout() -> None:
    """Let the programs of .venv keep Ansible's state in this checkout, as the Makefile does.

    Without ANSIBLE_HOME, Molecule keeps the state of all checkouts of one name in one folder below the home directory.
    A user who cannot write to the checkout keeps Ansible's own default.
    """
    checkout = "os.path.dirname(sys.prefix)"
    home = f'os.environ.setdefault("ANSIBLE_HOME", os.path.join({checkout}, ".ansible"))'
    for packages in VENV.glob("lib/python3*/site-packages"):
        # Python runs such a line when it starts.
        settings = packages / "onebox-ansible-home.pth"
        settings.write_text(f"import os, sys; os.access({checkout}, os.W_OK) and {home}\n")


def collections(scratch: pathlib.Path) -> None:
    """Install the collections that are needed into .collections, and link this checkout there."""
    place = COLLECTIONS / "ansible_collections"
    ours = place / "onebox" / "stack"
    ours.parent.mkdir(parents=True, exist_ok=True)
    if not ours.is_symlink():
        ours.symlink_to("../../..")
    if all((place / name / "plugins").is_dir() for name in WANTED):
        return
    galaxy = [str(VENV / "bin" / "ansible-galaxy"), "collection", "install", "--timeout", "10"]
    # A machine that cannot reach Galaxy is an ordinary case: then the fall-back speaks, not Galaxy's error.
    say("setup: downloading the collections from Galaxy")
    if _succeeds([*galaxy, "-r", str(ROOT / "requirements.yml"), "-p", str(COLLECTIONS)]):
        return
    say("setup: Galaxy does not answer; taking the collections out of the ansible package")
    download = [str(VENV / "bin" / "python"), "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    # Its Python floor is newer than ours; the collections in it are not.
    download += ["--no-deps", "--only-binary", ":all:", "--python-version", "3.13", "-d", str(scratch)]
    step(f"downloading {ANSIBLE_PACKAGE}", [*download, ANSIBLE_PACKAGE])
    wheel = next(scratch.glob("ansible-*.whl"))
    folders = tuple(f"ansible_collections/{name}/" for name in WANTED)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(COLLECTIONS, [name for name in archive.namelist() if name.startswith(folders)])


def _succeeds(argv: list[str]) -> bool:
    return (
        subprocess.run(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False
        ).returncode
        == 0
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dev", action="store_true", help="also what the tests need")
    options = parser.parse_args()
    if sys.version_info < (3, 11):
        raise SystemExit("setup: Python 3.11 or newer is needed; name one with make PYTHON=/path/to/python3.11")
    began = time.monotonic()
    cache = ROOT / ".cache"
    scratch = cache / "setup"
    cache.mkdir(exist_ok=True)
    with open(cache / "setup.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two makes at once: the second finds the work done
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        try:
            system_packages()
            virtual_environment("requirements-dev.txt" if options.dev else "requirements.txt")
            if options.dev:
                state_in_checkout()
            collections(scratch)
        except subprocess.CalledProcessError as error:
            command = " ".join(map(str, error.cmd[:4]))
            raise SystemExit(f"setup: {command} … failed with exit code {error.returncode}; see above") from error
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    took = time.monotonic() - began
    if took > 1:
        say(f"setup: ready in {took:.0f} s")


if __name__ == "__main__":
    main()
