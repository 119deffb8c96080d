# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may import whom below ``plugins/``, and which files may touch the disk, the clock and the network by themselves.

docs/architecture.md explains the floors. Each check yields its violations: file and line, what is wrong, what to do.
"""

from __future__ import annotations

import builtins
import importlib
import typing as t
from dataclasses import dataclass, field

from plugin_sources import PACKAGE, Import, Source, Sources

FLOORS = ("core", "engine", "vm", "mounts")
TOP = ("backup", "compose", "dirs", "mac", "oci", "report", "watch")
# Modules that use several domains in addition to core. No domain may join these itself.
JOINS = {
    "modules/bind_mount_verify.py": {"engine", "mounts", "vm"},
    "modules/container_compose_tool.py": {"compose", "engine"},
    "modules/container_engine_preflight.py": {"compose", "engine"},
    "modules/stack_report.py": {"engine", "report"},
    "modules/stack_watch_runner.py": {"compose", "watch"},
}
ROOT = PACKAGE + "module_utils.core.errors.OneboxError"


@dataclass(frozen=True)
class Only:
    """Names that only some files may use.

    Attributes:
        names: full names; each stands for everything below it too.
        allowed: files, or folders ending in a slash.
        instead: what all other files do.
        exceptions: files that use them all the same, each with the reason.
    """

    names: tuple[str, ...]
    allowed: tuple[str, ...]
    instead: str
    exceptions: t.Mapping[str, str] = field(default_factory=dict)


RULES = {
    "temporary files": Only(
        ("tempfile.mkstemp", "tempfile.NamedTemporaryFile"),
        ("module_utils/core/files.py",),
        "write by core.files.replace or write_if_changed",
    ),
    "replacing": Only(
        ("os.replace", "os.rename", "os.renames"),
        ("module_utils/core/",),
        "write single files by core.files.replace or write_if_changed",
        {
            "module_utils/backup/sources/directory/tamper.py": "replaces a list that is too large for memory",
            "module_utils/backup/sources/directory/source.py": "moves a list that is too large for memory",
            "module_utils/backup/store/files.py": "moves the complete directory of a set into the repository",
            "module_utils/backup/store/restic.py": "moves a restored directory to its path",
            "module_utils/compose/state/releases.py": "moves the complete directory of a release to its name",
            "module_utils/engine/setup/compose_tool.py": "exchanges a directory and symbolic links",
        },
    ),
    "locks": Only(
        ("fcntl.flock", "fcntl.lockf"), ("module_utils/core/lock.py",), "lock by core.lock.held or directory_held"
    ),
    "real paths": Only(("os.path.realpath",), ("module_utils/core/paths.py",), "use core.paths.realpath"),
    "archives": Only(
        ("zipfile", "zipapp"),
        # The second one changes archives that ansible-core built.
        ("module_utils/core/zipapp.py", "plugin_utils/bytecode.py"),
        "build the archive by core.zipapp",
    ),
    "http": Only(
        ("urllib.request", "http.client"),
        ("module_utils/core/http.py", "module_utils/core/webhook.py"),
        "use core.http, core.webhook, or engine.socket_http for a unix socket",
        {},
    ),
    "processes": Only(
        (
            *("subprocess.Popen", "subprocess.run", "subprocess.call", "subprocess.check_call"),
            *("subprocess.check_output", "subprocess.getoutput", "subprocess.getstatusoutput", "os.system", "os.popen"),
        ),
        ("module_utils/core/process.py",),
        "call World.run, or core.process.start if the output is read while the program runs",
    ),
    "time and chance": Only(
        (
            *("time.sleep", "time.time", "time.time_ns", "time.monotonic", "time.monotonic_ns", "time.perf_counter"),
            *("random", "datetime.datetime.now", "datetime.datetime.utcnow", "datetime.datetime.today"),
            "datetime.date.today",
        ),
        ("module_utils/core/",),
        "take a core.world.World",
        {"callback/progress.py": "Ansible makes the callback itself, so nobody can hand it a World"},
    ),
}


def floors(sources: Sources) -> t.Iterator[str]:
    """Imports between domains that the floors forbid."""
    for source, one, target in sources.edges():
        if not source.domain:
            # plugin_utils is what module_utils is, for plugins that only run on the controller.
            if not target.domain and not target.path.startswith("plugin_utils/"):
                yield f"{_at(source, one)} imports {target.path}. No plugin imports another: move it to module_utils."
        elif not target.domain:
            yield f"{_at(source, one)} imports {target.path}. module_utils may import module_utils only."
        elif target.domain not in _below(source.domain):
            may = ", ".join(_below(source.domain)) or "nothing"
            yield f"{_at(source, one)} imports {target.path}. The domain {source.domain} may import: {may}."


def _below(domain: str) -> tuple[str, ...]:
    """The domains that files of ``domain`` may import; none for a domain that has no floor."""
    if domain in TOP:
        return (*FLOORS, domain)
    return FLOORS[: FLOORS.index(domain) + 1] if domain in FLOORS else ()


def known_domains(sources: Sources) -> t.Iterator[str]:
    """Folders of module_utils that have no floor."""
    for domain in sorted({source.domain for source in sources.files} - {"", *FLOORS, *TOP}):
        yield f"module_utils/{domain} has no floor. Add it to plugin_rules.py and to docs/architecture.md."


def joins(sources: Sources) -> t.Iterator[str]:
    """Plugins that use several domains in addition to core, and are not listed."""
    found: dict[str, set[str]] = {}
    for source, _one, target in sources.edges():
        if not source.domain and target.domain not in ("", "core"):
            found.setdefault(source.path, set()).add(target.domain)
    for path, domains in sorted(found.items()):
        if len(domains) > 1 and domains != JOINS.get(path):
            words = " and ".join(sorted(domains))
            yield f"{path} joins {words}. Call one function of one domain, or add it to JOINS of plugin_rules.py."
    for path in sorted(JOINS):
        if len(found.get(path, ())) < 2:
            yield f"{path} joins no domains any more. Remove it from JOINS."


def ansible(sources: Sources) -> t.Iterator[str]:
    """Imports of Ansible in module_utils outside of core/module.py."""
    for source in sources.files:
        for one in source.imports:
            foreign = one.name.split(".")[0] in ("ansible", "ansible_collections") and not one.name.startswith(PACKAGE)
            if source.domain and foreign and source.path != "module_utils/core/module.py":
                yield f"{_at(source, one)} imports {one.name}. Only core/module.py may import Ansible."


def relative(sources: Sources) -> t.Iterator[str]:
    """Relative imports, which Ansible's packer of modules and the programs' archives do not resolve alike."""
    for source in sources.files:
        for line in source.relative:
            yield f"plugins/{source.path}:{line}: a relative import. Write the whole name, beginning with {PACKAGE}"


def cycles(sources: Sources) -> t.Iterator[str]:
    """Files that import each other when the program runs, imports inside functions included."""
    targets: dict[str, list[str]] = {}
    for source, one, target in sources.edges():
        if one.at_run_time:
            targets.setdefault(source.path, []).append(target.path)
    done: set[str] = set()

    def walk(path: str, way: list[str]) -> t.Iterator[str]:
        if path in way:
            circle = " -> ".join([*way[way.index(path) :], path])
            yield f"{circle}: a cycle of imports. Move what both need into a file of its own."
        elif path not in done:
            for target in targets.get(path, ()):
                yield from walk(target, [*way, path])
            done.add(path)

    for path in sorted(targets):
        yield from walk(path, [])


def errors(sources: Sources) -> t.Iterator[str]:
    """Classes of exceptions that do not derive from the one root."""
    for source in sources.files:
        for one in source.classes:
            own = f"{source.module}.{one.name}"
            above = _ancestors(sources, own) - {own}
            if own != ROOT and ROOT not in above and any(map(_is_exception, above)):
                yield f"plugins/{source.path}:{one.line}: {one.name} is no OneboxError. Derive it from one."


def _ancestors(sources: Sources, name: str) -> set[str]:
    """The full names of a class and of all its ancestors."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        home, last = sources.target(name), name.rpartition(".")[2]
        if home is not None:
            # A base without a dot is a class of the same file, or one of Python's own.
            here = {one.name for one in home.classes}
            bases = [base for one in home.classes if one.name == last for base in one.bases]
            waiting += [f"{home.module}.{base}" if base in here else base for base in bases]
    return found


def _is_exception(name: str) -> bool:
    """Whether a class that is not of this collection is an exception."""
    module, _dot, last = name.rpartition(".")
    if name.startswith(PACKAGE):
        return False
    try:
        found = getattr(importlib.import_module(module) if module else builtins, last)
    except (ImportError, AttributeError):
        return last.endswith(("Error", "Exception"))  # of a package that is not installed
    return isinstance(found, type) and issubclass(found, BaseException)


def only(rule: Only) -> t.Callable[[Sources], t.Iterator[str]]:
    """The check of one row of RULES."""

    def check(sources: Sources) -> t.Iterator[str]:
        used = set()
        for source in sources.files:
            names = [*source.uses, *source.imports]
            for line, name in sorted({(one.line, one.name) for one in names if _matches(one.name, rule.names)}):
                used.add(source.path)
                if source.path not in rule.exceptions and not _allowed(source.path, rule.allowed):
                    yield f"plugins/{source.path}:{line}: uses {name}. Instead, {rule.instead}."
        for path in sorted(set(rule.exceptions) - used):
            yield f"{path} does not use {' or '.join(rule.names)} any more. Remove its exception from plugin_rules.py."

    return check


def _matches(name: str, wanted: t.Sequence[str]) -> bool:
    return any(name == one or name.startswith(one + ".") for one in wanted)


def _allowed(path: str, allowed: t.Sequence[str]) -> bool:
    return any(path == one or (one.endswith("/") and path.startswith(one)) for one in allowed)


def _at(source: Source, one: Import) -> str:
    return f"plugins/{source.path}:{one.line}:"


CHECKS: dict[str, t.Callable[[Sources], t.Iterator[str]]] = {
    **{check.__name__: check for check in (floors, known_domains, joins, ansible, relative, cycles, errors)},
    **{name: only(rule) for name, rule in RULES.items()},
}
