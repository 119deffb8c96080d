# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_page
short_description: Write one HTML page about all hosts
version_added: 0.1.0
description:
  - Renders the documents of M(onebox.stack.stack_watch) as one static HTML file without scripts and external
    resources, for screens, phones and paper, in light and dark.
  - Shows findings with their commands, services, mounts, where data lies, drift, a calendar of 35 days of backups with
    rehearsals, the forecast of each filesystem, launch attempts and the history.
  - Every text of a container, host or file is escaped.
author:
  - The onebox.stack developers (@onebox-stack)
attributes:
  check_mode:
    description: Can run in check mode and return changed status prediction without modifying target.
    support: full
  diff_mode:
    description: Returns what changed, or would change, in diff mode.
    support: none
options:
  path:
    description:
      - Path of the file, mode 0600 by default, because it shows paths, ports and messages of applications.
    type: path
    required: true
  mode:
    description: Mode of the file, as an octal number in quotes.
    type: str
    default: "0600"
  hosts:
    description:
      - RV(onebox.stack.stack_watch#module:document) by host. A host that did not answer has C(error) with the reason
        instead.
    type: dict
    required: true
seealso:
  - module: onebox.stack.stack_watch
"""

EXAMPLES = r"""
- name: Check all that was promised
  onebox.stack.stack_watch:
    declaration: {name: demo, state_dir: /var/lib/onebox-watch/demo, paths: [/]}
  register: watch

- name: Write the page
  onebox.stack.stack_page:
    path: /srv/reports/onebox.html
    hosts:
      demo: "{{ watch.document }}"
      observer-vm: {error: did not answer}
  delegate_to: localhost
"""

RETURN = r"""
path:
  description: Path of the file.
  returned: success
  type: str
bytes:
  description: Size of the file.
  returned: success
  type: int
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.onebox.stack.plugins.module_utils.core import files
from ansible_collections.onebox.stack.plugins.module_utils.core.module import run_module
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.watch.model import WatchError
from ansible_collections.onebox.stack.plugins.module_utils.watch.page import render


def write(module: AnsibleModule) -> dict[str, object]:
    """Draw the page and write it where it differs."""
    given = module.params
    try:
        mode = int(given["mode"], 8)
    except ValueError:
        raise WatchError(
            f"mode: {given['mode']!r} is not an octal number. Write it in quotes, such as '0644'."
        ) from None
    for name, document in given["hosts"].items():
        if not isinstance(document, dict) or not (document.get("error") or "findings" in document):
            raise WatchError(
                f"hosts.{name}: is not a document of stack_watch. Give its document, or error with a reason."
            )
    data = render.page(given["hosts"], World.real().epoch()).encode("utf-8", "replace")
    if not module.check_mode:
        files.make_directories(os.path.dirname(os.path.abspath(given["path"])), 0o755)
    changed = files.write_if_changed(given["path"], data, mode, durable=False, check=module.check_mode)
    return {"changed": changed, "path": given["path"], "bytes": len(data)}


def main() -> None:
    run_module(
        write,
        argument_spec={
            "path": {"type": "path", "required": True},
            "mode": {"type": "str", "default": "0600"},
            "hosts": {"type": "dict", "required": True},
        },
    )


if __name__ == "__main__":
    main()
