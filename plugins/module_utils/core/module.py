# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the body of a module: the one place where an error becomes a failed task.

No other file of module_utils imports Ansible.
"""

from __future__ import annotations

import re
import traceback
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.parameters import remove_values
from ansible_collections.onebox.stack.plugins.module_utils.core import http, mask
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError

# A URL with credentials: user info or a query.
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S*[@?]")
Body = t.Callable[[AnsibleModule], "dict[str, t.Any]"]


class _Module(AnsibleModule):
    """A module that shows its options without the credentials of URLs, in the system's log and at ``-vvv``."""

    params: dict[str, t.Any]

    def _log_invocation(self) -> None:
        whole, self.params = self.params, shown_options(remove_values(self.params, self.no_log_values))
        try:
            super()._log_invocation()
        finally:
            self.params = whole


def shown_options(value: t.Any) -> t.Any:
    """Options without the credentials of URLs and without tokens. Those with ``no_log`` are masked by Ansible."""
    if isinstance(value, str):
        return http.shown(value) if _URL.match(value) else mask.forms(value)
    if isinstance(value, dict):
        return {key: shown_options(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [shown_options(inner) for inner in value]
    return value


def run_module(body: Body, *, argument_spec: t.Mapping[str, t.Any], **options: t.Any) -> None:
    """Parse the arguments, run ``body`` and end the process with its result.

    Args:
        body: gets the module, returns the result. A list ``warnings`` in the result becomes warnings of the task. With
            ``failed`` set the task fails, and ``msg`` says why.
        argument_spec: the options, as :class:`AnsibleModule` takes them.
        options: further arguments of :class:`AnsibleModule`. Check mode is supported unless they say otherwise.
    """
    module = _Module(argument_spec=dict(argument_spec), **{"supports_check_mode": True, **options})
    try:
        result = dict(body(module))
    except OneboxError as error:
        result = {**error.facts, "failed": True, "msg": str(error)}
        if error.problems:
            result["problems"] = [problem.as_dict() for problem in error.problems]
    except Exception as error:
        # A defect of ours, or an unexpected fault of the host. Ansible shows the traceback to users only on request.
        why = f"unexpected {type(error).__name__}: {error}. Changes made before it stay"
        advice = "To report it, run again with ANSIBLE_DISPLAY_TRACEBACK=error in the environment"
        result = {"failed": True, "msg": f"{why}. {advice}.", "exception": traceback.format_exc()}
    for warning in result.pop("warnings", ()):
        module.warn(warning)
    # First whole, as Ansible knows the values of no_log: a part of one it would not find.
    hidden = remove_values(module.params, module.no_log_values)
    result["invocation"] = {"module_args": shown_options(hidden)}
    if result.pop("failed", False):
        module.fail_json(**result)
    module.exit_json(**result)
