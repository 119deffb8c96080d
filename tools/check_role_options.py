"""Check that roles pass their variables in every call of a module.

Covers roles that have the name of a module (``compose_stack`` with ``compose_stack`` and ``compose_stack_info``). If
the role has a variable named after an option (``compose_stack_keep`` for ``keep``), every call of the module passes it:
by its own arguments, or by ``module_defaults`` of the task or of a block around it.
"""

from __future__ import annotations

import pathlib
import re
import sys
import typing as t

import yaml
from module_docs import PREFIX, ROOT, Yaml, module_options

# Calls that deliberately leave options out, and why.
NOT_PASSED = {
    ("roles/compose_stack/tasks/down.yml", "env"): "only a deploy writes variables",
    ("roles/compose_stack/tasks/down.yml", "secrets"): "only a deploy writes secrets, and no other run needs the vault",
    ("roles/compose_stack/tasks/down.yml", "content"): "only a deploy writes files",
    ("roles/compose_stack/tasks/held.yml", "env"): "as down.yml, which includes it",
    ("roles/compose_stack/tasks/held.yml", "secrets"): "as down.yml, which includes it",
    ("roles/compose_stack/tasks/held.yml", "content"): "as down.yml, which includes it",
    ("roles/compose_stack/tasks/reject.yml", "env"): "a rollback restores the variables of the release",
    ("roles/compose_stack/tasks/reject.yml", "secrets"): "a rollback restores the secrets of the release",
    ("roles/compose_stack/tasks/reject.yml", "content"): "a rollback restores the files of the release",
}


class Call(t.NamedTuple):
    """One task of a role that calls a module of ours, and the options it passes."""

    where: str
    module: str
    options: frozenset[str]


class Role:
    """The tasks, variables and specification of one role."""

    def __init__(self, folder: pathlib.Path, groups: dict[str, list[str]]) -> None:
        self.name = folder.name
        self._groups = groups
        self._tasks = {path.name: yaml.safe_load(path.read_text()) or [] for path in (folder / "tasks").glob("*.yml")}
        variables = folder / "vars/main.yml"
        self._vars = yaml.safe_load(variables.read_text()) if variables.exists() else {}
        specs = yaml.safe_load((folder / "meta/argument_specs.yml").read_text())
        self.spec: dict[str, Yaml] = specs["argument_specs"]["main"].get("options", {})

    def calls(self) -> list[Call]:
        """Every call of a module of ours, from the files a playbook can start with."""
        found: list[Call] = []
        included = {name for tasks in self._tasks.values() for name in _includes(tasks)}
        for entry in self._tasks.keys() - included:
            self._walk(entry, self._tasks[entry], {}, found, ())
        return found

    def _walk(
        self, file: str, tasks: Yaml, defaults: dict[str, frozenset[str]], found: list[Call], path: tuple[str, ...]
    ) -> None:
        for task in tasks:
            known = {**defaults, **self._defaults(task.get("module_defaults") or {}, defaults)}
            for part in ("block", "rescue", "always"):
                self._walk(file, task.get(part) or [], known, found, path)
            for name in _includes([task]):
                if name in self._tasks and name not in path:
                    self._walk(name, self._tasks[name], known, found, (*path, file))
            for key, arguments in task.items():
                if key.startswith(PREFIX):
                    module = key[len(PREFIX) :]
                    given = frozenset(arguments or {}) | known.get(module, frozenset())
                    found.append(Call(f"roles/{self.name}/tasks/{file}: {task.get('name')}", module, given))

    def _defaults(self, written: dict[str, Yaml], outer: dict[str, frozenset[str]]) -> dict[str, frozenset[str]]:
        found: dict[str, frozenset[str]] = {}
        for target, value in written.items():
            variable = re.fullmatch(r"\{\{\s*(\w+)\s*\}\}", value) if isinstance(value, str) else None
            options = frozenset(self._vars[variable.group(1)] if variable else value)
            group = target.rpartition(".")[2] if target.startswith("group/") else ""
            for module in self._groups[group] if group else [target]:
                short = module.removeprefix(PREFIX)
                found[short] = found.get(short, outer.get(short, frozenset())) | options
        return found


def _includes(tasks: Yaml) -> t.Iterator[str]:
    """Names of the task files that ``tasks`` include; all that an expression names."""
    for task in tasks:
        for part in ("block", "rescue", "always"):
            yield from _includes(task.get(part) or [])
        for key in ("ansible.builtin.include_tasks", "ansible.builtin.import_tasks"):
            if key in task:
                value = task[key]["file"] if isinstance(task[key], dict) else task[key]
                if "{{" not in value:
                    yield value
                else:
                    yield from (f"{word}.yml" for word in re.findall(r"'(\w+)'", value))


def problems_of(role: Role, options: t.Mapping[str, dict[str, Yaml]]) -> list[str]:
    """The variables that calls of one role leave out."""
    found = []
    for call in role.calls():
        if call.module not in (role.name, f"{role.name}_info"):
            continue
        for option in sorted(options[call.module]):
            variable = f"{role.name}_{option}"
            if variable not in role.spec:
                continue
            if option not in call.options and (call.where.partition(":")[0], option) not in NOT_PASSED:
                found.append(f"{call.where}: does not pass {option} to {call.module}, and {variable} exists")
    return sorted(set(found))


def main() -> None:
    groups = yaml.safe_load((ROOT / "meta/runtime.yml").read_text())["action_groups"]
    roles = [Role(folder, groups) for folder in sorted((ROOT / "roles").iterdir()) if folder.is_dir()]
    modules = {path.stem for path in (ROOT / "plugins/modules").glob("*.py")}
    options = {name: module_options(name, ROOT) for name in modules}
    found = [problem for role in roles for problem in problems_of(role, options)]
    print("\n".join(found) or "every call passes the role's variables")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
