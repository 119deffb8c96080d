"""Make ``ansible_collections.onebox.stack`` importable from a plain checkout."""

import os
import pathlib
import sys
import types
import typing as t

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]


def _alias(name: str, path: pathlib.Path) -> None:
    module = types.ModuleType(name)
    module.__path__ = [str(path)]  # type: ignore[attr-defined]
    sys.modules.setdefault(name, module)


_alias("ansible_collections", ROOT / ".collections" / "ansible_collections")
_alias("ansible_collections.onebox", ROOT)
_alias("ansible_collections.onebox.stack", ROOT)

# What the tests of faults tried: rows of what, how often, how often it was not as it must be.
_TALLY: list[tuple[str, str, int, int]] = []


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> t.Callable[[str, int, int], None]:
    """Count faults: ``tally(what, tried, bad)``; the counts are printed at the end, and ``bad`` must be 0."""
    folder = request.path.parent
    kind = folder.name if folder.parent.name == "attacks" else "faults"

    def count(what: str, tried: int, bad: int = 0) -> None:
        _TALLY.append((kind, what, tried, bad))
        assert tried > 0, f"{what}: nothing was tried"
        assert bad == 0, f"{what}: {bad} of {tried}"

    return count


@pytest.fixture
def how_many() -> t.Callable[[int, int], int]:
    """How many faults to try: ``how_many(quick, full)``; full is for the make targets that set OBX_FAULTS=full."""
    return lambda quick, full: full if os.environ.get("OBX_FAULTS") == "full" else quick


def pytest_terminal_summary(terminalreporter: t.Any) -> None:
    """Print how many faults of each kind were tried, and how many were not withstood."""
    for kind in sorted({row[0] for row in _TALLY}):
        rows = [row for row in _TALLY if row[0] == kind]
        terminalreporter.section(kind)
        for _kind, what, tried, bad in rows:
            terminalreporter.write_line(f"{tried:>6} tried {bad:>4} bad  {what}")
        terminalreporter.write_line(
            f"{sum(row[2] for row in rows):>6} tried {sum(row[3] for row in rows):>4} bad  in all"
        )
