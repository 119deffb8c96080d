"""Hundreds of generated layouts against the real kernel: the expected verdict follows from how each was built.

No engine is needed: a "container" is a child in a mount namespace of its own with another root directory, which is all
that an engine gives a process as far as mounts go. A recording replaces the engine, which reports pid and mounts.
"""

from __future__ import annotations

import contextlib
import ctypes
import datetime
import os
import pathlib
import shutil
import signal
import tempfile
import time
import typing as t
from dataclasses import dataclass

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container, Mount, parse_inspect
from hypothesis import given, settings
from hypothesis import strategies as st
from mounts_lab import proof

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mount namespaces need root")

MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE, MNT_DETACH = 1, 32, 4096, 16384, 1 << 18, 2
CLONE_NEWNS = 0x20000
CLOCK_REALTIME_COARSE = 5  # linux/time.h; Python has no name for it
libc = ctypes.CDLL(None, use_errno=True)

# What happens to a mount, and the verdict and fix that follow; None where it depends on the layout (see expected()).
ACCIDENTS: dict[str, tuple[str, str] | None] = {
    "nothing": ("ok", "none"),
    "deleted and created again": None,
    "deleted": None,
    "moved and created again": None,
    "moved": None,
    "parent moved and created again": None,
    "file system mounted over the source": ("host_mount_changed", "restart"),
    "file system mounted below the source": ("submount_missing", "restart"),
    "covered": ("shadowed", "restart"),
    "parent covered": ("shadowed", "restart"),
    "unmounted": ("unmounted_inside", "restart"),
    "remounted with the other mode": ("ro_rw_mismatch", "restart"),
    "link turned": ("symlink_retargeted", "restart"),
    "other mode declared": ("ro_rw_mismatch", "recreate"),
    "other source declared": ("wrong_source", "recreate"),
    "declared and not mounted": ("missing", "recreate"),
}
ONLY_DIRECTORIES = ("file system mounted below the source",)


@dataclass(frozen=True)
class Layout:
    """One mount: its kind, its names, and its accident."""

    kind: str
    name: str
    place: str
    read_only: bool
    by_link: bool
    mounted_below: bool
    accident: str

    def expected(self) -> tuple[str, str]:
        stale = "stale_deleted" if self.kind == "dir" else "stale_file"
        renamed = "stale_renamed" if self.kind == "dir" else "stale_file"
        if self.accident == "nothing" and self.mounted_below and self.read_only:
            return "ro_rw_mismatch", "edit_compose"  # mounts below it stay writable
        by_accident = {
            "deleted and created again": (stale, "restart"),
            "deleted": (stale, "none"),
            "moved and created again": (renamed, "restart"),
            "moved": (renamed, "none"),
            "parent moved and created again": (renamed, "restart"),
        }
        return ACCIDENTS[self.accident] or by_accident[self.accident]


names = st.text(min_size=1, max_size=20).filter(
    lambda text: (
        not set(text) & set("/\0") and text not in (".", "..") and not any("\ud800" <= c <= "\udfff" for c in text)
    )
)


def is_possible(layout: Layout) -> bool:
    if layout.kind == "file" and (layout.accident in ONLY_DIRECTORIES or layout.mounted_below):
        return False
    if layout.accident == "link turned" and not layout.by_link:
        return False
    if layout.by_link and layout.accident not in ("link turned", "nothing"):
        return False
    return not (layout.mounted_below and layout.accident != "nothing")


layouts = st.builds(
    Layout,
    kind=st.sampled_from(["dir", "file"]),
    name=names,
    place=names,
    read_only=st.booleans(),
    by_link=st.booleans(),
    mounted_below=st.booleans(),
    accident=st.sampled_from(sorted(ACCIDENTS)),
).filter(is_possible)


def mount(source: str, target: os.PathLike[str] | str, kind: str = "", flags: int = 0) -> None:
    words = (os.fsencode(source), os.fsencode(target), kind.encode() or None)
    if libc.mount(*words, ctypes.c_ulong(flags), None) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(target))


def unmount(target: os.PathLike[str] | str) -> None:
    if libc.umount2(os.fsencode(target), MNT_DETACH) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(target))


def make(kind: str, path: pathlib.Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir() if kind == "dir" else path.touch()


class Stage:
    """The host's side of one example, and the child that plays the container."""

    def __init__(self, folder: pathlib.Path, mounts: t.Sequence[Layout]) -> None:
        self._folder = folder
        self._mounts = mounts
        self._root = folder / "root"
        self._over: list[pathlib.Path] = []
        for index, layout in enumerate(mounts):
            make(layout.kind, self.real(index))
            if layout.by_link:
                self.source(index).symlink_to(self.real(index))
            if layout.mounted_below:
                (self.real(index) / "below").mkdir()
                self._cover(self.real(index) / "below")

    def real(self, index: int) -> pathlib.Path:
        return self._folder / f"host{index}" / "parent" / self._mounts[index].name

    def source(self, index: int) -> pathlib.Path:
        return self._folder / f"link{index}" if self._mounts[index].by_link else self.real(index)

    def inside(self, index: int) -> str:
        return f"/in{index}/{self._mounts[index].place}"

    def _cover(self, path: pathlib.Path) -> None:
        if path.is_dir():
            mount("none", path, "tmpfs")
        else:
            other = self._folder / f"other-{len(self._over)}"
            other.mkdir()
            mount("none", other, "tmpfs")
            self._over.append(other)
            (other / "file").touch()
            mount(str(other / "file"), path, flags=MS_BIND)
        self._over.append(path)

    def start(self) -> int:
        """Fork the child; it has its mounts when this returns, and waits for :meth:`shake`."""
        (self._down, self._orders), (self._answers, self._up) = os.pipe(), os.pipe()
        self._root.mkdir()
        self.child = os.fork()
        if self.child == 0:
            code = 1
            try:
                self._be_the_container()
                code = 0
            finally:
                os._exit(code)
        os.close(self._down)
        os.close(self._up)
        assert os.read(self._answers, 1) == b"u", "the child could not mount"
        return self.child

    def _be_the_container(self) -> None:
        os.close(self._orders)
        if libc.unshare(CLONE_NEWNS) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        mount("none", "/", flags=MS_REC | MS_PRIVATE)
        mount("none", self._root, "tmpfs")
        for index, layout in enumerate(self._mounts):
            if layout.accident == "declared and not mounted":
                continue
            target = pathlib.Path(f"{self._root}{self.inside(index)}")
            make(layout.kind, target)
            mount(str(self.source(index)), target, flags=MS_BIND | MS_REC)
            if layout.read_only:
                mount("none", target, flags=MS_BIND | MS_REMOUNT | MS_RDONLY)
        os.chroot(self._root)
        os.chdir("/")
        os.write(self._up, b"u")
        os.read(self._down, 1)
        for index, layout in enumerate(self._mounts):
            self._shake_inside(index, layout)
        os.write(self._up, b"s")
        signal.pause()

    def _shake_inside(self, index: int, layout: Layout) -> None:
        place = self.inside(index)
        if layout.accident == "unmounted":
            unmount(place)
        elif layout.accident == "parent covered":
            mount("none", os.path.dirname(place), "tmpfs")
        elif layout.accident == "covered" and layout.kind == "dir":
            mount("none", place, "tmpfs")
        elif layout.accident == "covered":
            pathlib.Path("/cover").touch()
            mount("/cover", place, flags=MS_BIND)
        elif layout.accident == "remounted with the other mode":
            mount("none", place, flags=MS_BIND | MS_REMOUNT | (0 if layout.read_only else MS_RDONLY))

    def shake(self) -> None:
        """Let the accidents happen."""
        for index, layout in enumerate(self._mounts):
            real = self.real(index)
            if layout.accident.startswith("deleted"):
                real.rmdir() if layout.kind == "dir" else real.unlink()
            elif layout.accident.startswith("moved"):
                real.rename(self._folder / f"moved{index}")
            elif layout.accident.startswith("parent moved"):
                real.parent.rename(self._folder / f"moved{index}")
            elif layout.accident == "file system mounted over the source":
                self._cover(real)
            elif layout.accident == "file system mounted below the source":
                (real / "late").mkdir()
                self._cover(real / "late")
            elif layout.accident == "link turned":
                make(layout.kind, self._folder / f"new{index}")
                self.source(index).unlink()
                self.source(index).symlink_to(self._folder / f"new{index}")
            if layout.accident.endswith("created again"):
                make(layout.kind, real)
        os.write(self._orders, b"g")
        assert os.read(self._answers, 1) == b"s", "the child could not do its part"

    def close(self) -> None:
        os.kill(self.child, signal.SIGKILL)
        os.waitpid(self.child, 0)
        os.close(self._orders)
        os.close(self._answers)
        for path in reversed(self._over):
            unmount(path)


class Recording(Engine):
    """An engine that reports the built layouts."""

    name = "docker"

    def __init__(self, container: Container) -> None:
        self._container = container

    def containers(self, project: str | None = None, names: t.Sequence[str] = ()) -> list[Container]:
        return [self._container]

    def image(self, reference: str) -> dict[str, t.Any] | None:
        return None


@contextlib.contextmanager
def staged(mounts: t.Sequence[Layout]) -> t.Iterator[Stage]:
    folder = pathlib.Path(tempfile.mkdtemp(prefix="obx-mounts-", dir="/var/tmp"))
    try:
        stage = Stage(folder, mounts)
        stage.start()
        try:
            yield stage
        finally:
            stage.close()
    finally:
        shutil.rmtree(folder)


def described(stage: Stage, mounts: t.Sequence[Layout]) -> Container:
    """What an engine would say of it."""
    rows = tuple(
        Mount("bind", str(stage.source(index)), stage.inside(index), not layout.read_only)
        for index, layout in enumerate(mounts)
        if layout.accident != "declared and not mounted"
    )
    # File systems stamp with the coarse clock, which moves every few milliseconds: later files must be younger.
    now = time.clock_gettime(CLOCK_REALTIME_COARSE) + 0.000_002
    started = datetime.datetime.fromtimestamp(now, datetime.timezone.utc).isoformat()
    while time.clock_gettime(CLOCK_REALTIME_COARSE) <= now:
        pass
    state = {"Status": "running", "Pid": stage.child, "StartedAt": started}
    container = parse_inspect({"Id": "0" * 64, "Name": "/obx-mounts", "Created": started, "State": state})
    return Container(**{**vars(container), "mounts": rows})


@settings(max_examples=250, deadline=None)
@given(st.lists(layouts, min_size=1, max_size=4))
def test_verdict_follows_from_how_the_layout_was_built(mounts: list[Layout]) -> None:
    with staged(mounts) as stage:
        container = described(stage, mounts)
        stage.shake()
        expected = []
        for index, layout in enumerate(mounts):
            declared = {
                "container": "obx-mounts",
                "source": str(stage.source(index)),
                "destination": stage.inside(index),
                "read_only": layout.read_only,
            }
            if layout.accident == "other mode declared":
                declared["read_only"] = not layout.read_only
            elif layout.accident == "other source declared":
                other = stage.real(index).parent / "other source"
                make(layout.kind, other)
                declared["source"] = str(other)
            expected.append(declared)
        result = proof(Recording(container), expected=expected)
        (report,) = result["containers"]
        found = {row["destination"]: (row["verdict"], row["fix"]) for row in report["mounts"]}
        wanted = {stage.inside(index): layout.expected() for index, layout in enumerate(mounts)}
        assert found == wanted, result["table"]
        assert result["ok"] == all(verdict == "ok" for verdict, _fix in wanted.values())
