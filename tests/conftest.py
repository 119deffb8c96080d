"""Make ``ansible_collections.onebox.stack`` importable from a plain checkout."""

import pathlib
import sys
import types

ROOT = pathlib.Path(__file__).resolve().parents[1]


def _alias(name: str, path: pathlib.Path) -> None:
    module = types.ModuleType(name)
    module.__path__ = [str(path)]  # type: ignore[attr-defined]
    sys.modules.setdefault(name, module)


_alias("ansible_collections", ROOT / ".collections" / "ansible_collections")
_alias("ansible_collections.onebox", ROOT)
_alias("ansible_collections.onebox.stack", ROOT)
