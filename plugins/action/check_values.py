# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check the values of a host on the controller, before anything runs on the host."""

from __future__ import annotations

import contextlib
import pathlib
import typing as t

from ansible.plugins.action import ActionBase
from ansible_collections.onebox.stack.plugins.plugin_utils import payloads, value_files, variable_names

ROLES = pathlib.Path(__file__).resolve().parents[2] / "roles"
# In the order in which Compose searches for them.
COMPOSE_FILES = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
# What 2.19 and later, and what earlier releases call a value behind !vault.
_ENCRYPTED = ("EncryptedString", "AnsibleVaultEncryptedUnicode")


class ActionModule(ActionBase):
    """See the documentation of the module of the same name."""

    def run(self, tmp: t.Any = None, task_vars: t.Any = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        # Facts are gathered next, and before a module of this collection runs.
        with contextlib.suppress(OSError):
            payloads.here(self._connection, payloads.SETUP).restore()
        given = self._task.args
        files = self._files(task_vars)
        problems = [
            *_unknown(task_vars, files),
            *_undecryptable(task_vars, files),
            *_stack(str(given.get("stack") or ""), str(given.get("source") or ""), given.get("files") or []),
        ]
        result.update(changed=False, problems=problems)
        if problems:
            result.update(failed=True, msg="\n".join(problems))
        return result

    def _files(self, task_vars: t.Mapping[str, t.Any]) -> list[pathlib.Path]:
        sources = [pathlib.Path(source) for source in task_vars.get("ansible_inventory_sources") or ()]
        folders = [source if source.is_dir() else source.parent for source in sources]
        folders.append(pathlib.Path(str(task_vars.get("playbook_dir") or ".")))
        groups = ["all", *(task_vars.get("group_names") or ())]
        return value_files.find(folders, [str(task_vars.get("inventory_hostname"))], groups)


def _unknown(task_vars: t.Mapping[str, t.Any], files: t.Sequence[pathlib.Path]) -> t.Iterator[str]:
    roles = [path.name for path in ROLES.iterdir() if path.is_dir()]
    for name, nearest in variable_names.unknown(map(str, task_vars), variable_names.known(ROLES), roles):
        advice = f"Did you mean {nearest}?" if nearest else "Remove it, or give a variable of your own another prefix."
        yield f"{value_files.line_of(name, files)}{name} is not a variable of onebox.stack. {advice}"


def _undecryptable(task_vars: t.Mapping[str, t.Any], files: t.Sequence[pathlib.Path]) -> t.Iterator[str]:
    for name in sorted(map(str, task_vars)):
        if name not in ("vars", "hostvars") and _is_undecryptable(task_vars[name]):
            yield value_files.line_of(name, files) + value_files.missing_password(name)


def _is_undecryptable(value: t.Any) -> bool:
    if type(value).__name__ in _ENCRYPTED:
        try:
            str(value)
        except Exception:  # the class of the error differs between releases
            return True
        return False
    if isinstance(value, dict):
        return any(map(_is_undecryptable, value.values()))
    return isinstance(value, list) and any(map(_is_undecryptable, value))


def _stack(name: str, source: str, files: t.Sequence[str]) -> t.Iterator[str]:
    """What is wrong with the stack's folder on the controller."""
    if not name:
        yield "onebox_stack is not set. Set it to the name of the stack, in the host's file below host_vars."
        return
    if not source:
        return
    folder = pathlib.Path(source).expanduser()
    if not folder.is_dir():
        yield (
            f"There is no folder {source} on the machine Ansible runs on. Put the stack's compose file there, or set "
            'compose_stack_source to its folder. Set it to "" if the stack is on the host already.'
        )
        return
    names = [str(each) for each in files] or [each for each in COMPOSE_FILES if (folder / each).is_file()][:1]
    for each in names:
        path = folder / each
        if not path.is_file():
            yield f"{path} does not exist. Correct compose_stack_files, or add the file."
        else:
            yield from filter(None, [value_files.yaml_problem(path)])
    if not names:
        yield f"{source} has no compose file. Add compose.yml, or name the files in compose_stack_files."
