# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a stack as one text."""

from __future__ import annotations

DOCUMENTATION = r"""
name: stack_bundle
short_description: Packs the files of a small stack into one text
version_added: 0.2.0
author: The onebox.stack developers (@onebox-stack)
description:
  - Packs folders of the controller for the option O(onebox.stack.compose_stack#module:bundle).
  - The role P(onebox.stack.compose_stack#role) uses it, so that a run needs one connection and no copy of the files.
options:
  _terms:
    description: The stack's folder, or V("") for none.
    type: list
    elements: str
    required: true
  content:
    description: Folders for data directories, each a mapping with C(src).
    type: list
    elements: dict
    default: []
  excludes:
    description: Patterns of names that are left out.
    type: list
    elements: str
    default: []
  probe:
    description: Return only whether the folders fit. They have up to 1000 entries and 1 MiB.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Deploy a small stack in one call
  onebox.stack.compose_stack:
    name: blog
    project_dir: /opt/onebox/blog
    bundle: "{{ lookup('onebox.stack.stack_bundle', '/home/me/stacks/blog') }}"
"""

RETURN = r"""
_raw:
  description: A compressed tar archive in Base64, or whether the folders fit.
  type: list
  elements: raw
"""

import typing as t

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase
from ansible_collections.onebox.stack.plugins.plugin_utils import bundle


class LookupModule(LookupBase):
    """See DOCUMENTATION."""

    def run(self, terms: t.Sequence[str], variables: t.Any = None, **kwargs: t.Any) -> list[t.Any]:
        self.set_options(var_options=variables, direct=kwargs)
        folders = [
            bundle.Folder(f"{str(term).rstrip('/')}/", "files", "compose_stack_source", ".onebox-stack")
            for term in terms
            if term
        ]
        for number, row in enumerate(self.get_option("content")):
            folders.append(bundle.Folder(str(row["src"]), f"content-{number}", "compose_stack_content"))
        excludes = [str(pattern) for pattern in self.get_option("excludes")]
        try:
            if self.get_option("probe"):
                return [bundle.fits(folders, excludes)]
            return [bundle.pack(folders, excludes)]
        except bundle.BundleError as error:
            raise AnsibleLookupError(str(error)) from error
