# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options by which the oci modules sign in."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  config_file:
    description: The file that C(oci setup config) writes, on the controller.
    type: path
    default: ~/.oci/config
  config_profile:
    description: The section of O(config_file) to use. Its C(region) is where everything happens.
    type: str
    default: DEFAULT
  auth:
    description:
      - How to sign in. V(auto) takes the session token when the profile has a C(security_token_file), else the API key.
      - A session token ends after an hour or so and is not renewed; a launch loop of days needs V(api_key), or on an
        instance of Oracle's cloud V(instance_principal), which needs no O(config_file).
    type: str
    choices: [auto, api_key, session_token, instance_principal]
    default: auto
  endpoint:
    description: C(http(s)://host[:port]) of a private or test endpoint; by default Oracle's own for the region.
    type: str
    default: ""
requirements:
  - The Python package C(oci) on the controller; C(requirements-oci.txt) names the version.
"""
