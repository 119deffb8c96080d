"""Hold each role's defaults against its argument specification: the same keys, and the same defaults, in both."""

from __future__ import annotations

import pathlib
import sys

import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent


def problems_of(role: pathlib.Path) -> list[str]:
    """What differs between ``defaults/main.yml`` and ``meta/argument_specs.yml`` of one role."""
    defaults = yaml.safe_load((role / "defaults/main.yml").read_text()) or {}
    specs = yaml.safe_load((role / "meta/argument_specs.yml").read_text())
    options = specs["argument_specs"]["main"].get("options", {})
    found = []
    for key in sorted(defaults.keys() - options.keys()):
        found.append(f"{role.name}: {key} has a default but is not in meta/argument_specs.yml")
    for key, option in sorted(options.items()):
        if option.get("required"):
            if key in defaults:
                found.append(f"{role.name}: {key} is required and has a default: one of the two is wrong")
        elif key not in defaults:
            found.append(f"{role.name}: {key} is optional but has no default in defaults/main.yml")
        elif "default" in option and option["default"] != defaults[key]:
            found.append(
                f"{role.name}: {key} defaults to {defaults[key]!r}, its specification says {option['default']!r}"
            )
        if not key.startswith(role.name + "_"):
            found.append(f"{role.name}: {key} does not begin with the role's name")
    return found


def main() -> None:
    found = [problem for role in sorted((ROOT / "roles").iterdir()) if role.is_dir() for problem in problems_of(role)]
    print("\n".join(found) or "argument specs and defaults agree")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
