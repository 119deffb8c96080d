"""Real containers on real engines for the mount proof: Docker behind its socket, rootful Podman by its command line.

Everything made here is named obx-mounts-… and removed again. The image is one static busybox.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import resource
import shutil
import tempfile
import typing as t

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine, EngineError
from ansible_collections.onebox.stack.plugins.module_utils.engine.discover import find
from ansible_collections.onebox.stack.plugins.module_utils.mounts.model import VERDICTS
from mounts_lab import ADVICE, APPLETS, ENGINES, IMAGE, PREFIX, ROOTLESS, SEEN, Lab, command

HERE = pathlib.Path(__file__).parent
# tests/attacks/mounts provokes these.
PROVOKED_BY_ATTACKS = ("paused", "source_is_a_link", "anonymous_volume")


@pytest.fixture(scope="session", autouse=True)
def _containers_conf(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[None]:
    """Settings with which Podman runs on a host without systemd, also where limits may not be raised."""
    limits = {
        "nofile": resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        # Podman lowers its own to 32768 before it starts anything, and a lowered limit cannot be raised again.
        "nproc": min(resource.getrlimit(resource.RLIMIT_NPROC)[1], 32768),
    }
    words = [f"{name}={limit}:{limit}" for name, limit in limits.items() if limit > 0]
    path = tmp_path_factory.mktemp("containers") / "containers.conf"
    path.write_text(
        f"[containers]\ndefault_ulimits={json.dumps(words)}\n"
        '[engine]\nruntime="runc"\ncgroup_manager="cgroupfs"\nevents_logger="file"\n'
    )
    before = os.environ.get("CONTAINERS_CONF")
    os.environ["CONTAINERS_CONF"] = str(path)
    yield
    if before is None:
        del os.environ["CONTAINERS_CONF"]
    else:
        os.environ["CONTAINERS_CONF"] = before


@pytest.fixture(scope="session")
def image_of(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[t.Callable[[str], Engine]]:
    """A function that finds an engine by name and gives it the test image."""
    found: dict[str, Engine] = {}

    def get(name: str) -> Engine:
        if name not in found:
            try:
                found[name] = find(name, world=World.real())
            except EngineError as error:
                pytest.fail(f"{error}\n{ADVICE}")
            _import_image(name, tmp_path_factory.mktemp(f"image-{name}"))
        return found[name]

    yield get
    for name in found:
        command(name, "rmi", "-f", IMAGE, check=False)


def _import_image(engine: str, folder: pathlib.Path) -> None:
    busybox = shutil.which("busybox")
    if busybox is None:
        pytest.fail(f"no busybox (Debian package busybox-static) for the test image; {ADVICE}")
    for name in ("bin", "etc", "tmp", "proc", "sys", "dev", "data", "real", "shipped", "locked/data"):
        (folder / name).mkdir(parents=True)
    (folder / "locked").chmod(0o700)
    (folder / "shipped" / "index.html").write_text("from the image\n")
    shutil.copy(busybox, folder / "bin" / "busybox")
    for applet in APPLETS:
        (folder / "bin" / applet).symlink_to("busybox")
    (folder / "etc" / "passwd").write_text("root:x:0:0::/:/bin/sh\napp:x:1000:1000::/:/bin/sh\n")
    # An absolute link on the way to a destination: outside the container it would lead to the host's directory.
    (folder / "link").symlink_to("/real")
    (folder / "deep").mkdir()
    (folder / "deep" / "link").symlink_to("/real")
    archive = folder.parent / f"{folder.name}.tar"
    command("tar", "--numeric-owner", "--owner=0", "--group=0", "-C", folder, "-cf", archive, ".")
    command(engine, "import", archive, IMAGE)


@pytest.fixture(params=ENGINES)
def lab(request: pytest.FixtureRequest, image_of: t.Callable[[str], Engine]) -> t.Iterator[Lab]:
    """A test bench on each engine, cleaned up after the test."""
    yield from _lab(image_of(request.param))


@pytest.fixture
def docker_lab(image_of: t.Callable[[str], Engine]) -> t.Iterator[Lab]:
    """A test bench on Docker alone, for tests that do not depend on the engine."""
    yield from _lab(image_of("docker"))


@pytest.fixture
def podman_lab(image_of: t.Callable[[str], Engine]) -> t.Iterator[Lab]:
    """A test bench on Podman alone, for features of Podman."""
    yield from _lab(image_of("podman"))


def _lab(engine: Engine) -> t.Iterator[Lab]:
    # Not pytest's tmp_path: its parents are for root only, and applications of other users must get through.
    folder = pathlib.Path(tempfile.mkdtemp(prefix=f"{PREFIX}-", dir="/var/tmp"))
    folder.chmod(0o755)
    made = Lab(engine, folder)
    try:
        yield made
    finally:
        made.close()
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(folder)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A verdict that no test of the whole folder provoked on an engine is a failure like any other."""
    if session.config.option.collectonly:
        return
    ran = {item.path for item in session.items if item.path.parent == HERE}
    here = [verdict for verdict in VERDICTS if verdict not in PROVOKED_BY_ATTACKS]
    wanted = {(engine, verdict) for engine in (*ENGINES, ROOTLESS) for verdict in here}
    lost = sorted(f"{verdict} on {engine}" for engine, verdict in wanted if not SEEN.get((engine, verdict)))
    if lost and not session.testsfailed and not session.shouldstop and ran == set(HERE.glob("test_*.py")):
        print(f"\nno test provoked: {', '.join(lost)}")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Each verdict on each engine, with the fixes that the tests saw."""
    if not SEEN:
        return
    columns = (*ENGINES, ROOTLESS)
    terminalreporter.section("verdicts provoked, and their mending")
    terminalreporter.write_line(f"{'':20} " + " ".join(f"{engine:28}" for engine in columns).rstrip())
    for verdict in VERDICTS:
        cells = [", ".join(sorted(SEEN.get((engine, verdict), ()))) or "-" for engine in columns]
        terminalreporter.write_line(f"{verdict:20} " + " ".join(f"{cell:28}" for cell in cells).rstrip())
