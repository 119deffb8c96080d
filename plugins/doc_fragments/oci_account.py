# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of the OCI account."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  config_file:
    description: Path on the controller of the file that C(oci setup config) writes.
    type: path
    default: ~/.oci/config
  config_profile:
    description: Section of O(config_file) to use. Its C(region) is the region of all requests.
    type: str
    default: DEFAULT
  auth:
    description:
      - Kind of authentication. V(auto) uses the session token if the profile has a C(security_token_file), else the API
        key.
      - A session token expires after about an hour and is not renewed. For a launch loop of days use V(api_key), or
        V(instance_principal) on an instance of Oracle's cloud. The latter does not use O(config_file).
    type: str
    choices: [auto, api_key, session_token, instance_principal]
    default: auto
  endpoint:
    description: C(http(s)://host[:port]) of a private or test endpoint. The default is Oracle's endpoint of the region.
    type: str
    default: ""
requirements:
  - The Python package C(oci) on the controller; C(requirements-oci.txt) names the version.
"""
