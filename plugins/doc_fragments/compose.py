# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options the compose modules share."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  name:
    description:
      - Name of the stack, which is the compose project's name. It is never guessed from a directory.
    type: str
    required: true
  project_dir:
    description:
      - Absolute path of the directory with the compose file on the host.
    type: path
    required: true
  staged_dir:
    description:
      - A directory with the files as they will be in O(project_dir). They are judged there, and moved to
        O(project_dir) only when the stack may be deployed. Nobody but this user may be able to write to it.
      - Files that an earlier deploy wrote and that are not in it any more are removed. All others stay, and are
        returned as RV(foreign_files).
      - Modes are kept, except that a file everybody may read becomes C(0644) or C(0755).
    type: path
  staging_dir:
    description:
      - A private directory of this run that holds O(staged_dir) and the files for O(content). It is removed at the
        end, also in check mode. The role compose_stack makes it.
    type: path
  env:
    description:
      - Variables to set in C(.env) in O(project_dir), as a mapping or as JSON. Variables that others wrote there stay.
    type: json
  secrets:
    description:
      - Secrets that are written after the stack has been judged, and before it is deployed.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of a secret that Podman keeps.
        type: str
      path:
        description: Path of a file, mode 0400.
        type: path
      value:
        description: What is secret.
        type: str
        required: true
      owner:
        description: Owner of the file. By default this user.
        type: str
      group:
        description: Group of the file.
        type: str
  content:
    description:
      - Directories of data that files of the stack are copied to. Those for the first one are in C(content-0) of
        O(staging_dir), and so on. Nothing is removed there. New files get the owner of the directory.
    type: list
    elements: path
    default: []
  files:
    description:
      - Compose files, absolute or relative to O(project_dir), merged in this order.
      - By default those that Docker Compose reads, which are the ones that V(COMPOSE_FILE) in O(env_file) names.
      - Without it, the first of V(compose.yaml), V(compose.yml), V(docker-compose.yml) and V(docker-compose.yaml), and
        the first of V(compose.override.yml), V(compose.override.yaml), V(docker-compose.override.yml) and
        V(docker-compose.override.yaml).
    type: list
    elements: str
    default: []
  env_file:
    description:
      - The environment file the compose files are filled in from, absolute or relative to O(project_dir).
      - By default C(.env) in O(project_dir) where there is one. Of the caller's environment only C(HOME), C(USER),
        C(LOGNAME), C(TMPDIR) and proxies count, where this file does not give them.
    type: path
  required_env:
    description:
      - Variables of O(env_file) that must have a value.
    type: list
    elements: str
    default: []
  profiles:
    description:
      - Compose profiles to enable.
    type: list
    elements: str
    default: []
  engine:
    description:
      - The container engine; V(auto) takes Docker when it answers, else Podman.
    type: str
    choices: [auto, docker, podman]
    default: auto
  socket:
    description:
      - Path of the engine's socket; nothing else is tried then.
    type: path
  pull:
    description:
      - When to pull the images of the services, before the plan compares them with the containers.
      - V(missing) pulls an image only if it is not present.
      - V(always) pulls the image of every service, and fails if one cannot be pulled.
      - V(newer) pulls the image of every service too, and uses the present image with a warning if the pull fails.
      - Images that the stack builds are not pulled. Check mode pulls nothing and returns the images as RV(pulls).
      - During a change freeze, no present image is pulled.
    type: str
    choices: [missing, always, newer]
    default: missing
  provider:
    description:
      - The compose tool.
      - V(auto) takes docker compose v2 where the engine has a socket, also with Podman, else podman-compose.
    type: str
    choices: [auto, docker-compose, podman-compose]
    default: auto
  provider_path:
    description:
      - Path of the compose tool, instead of looking for it.
    type: path
  state_dir:
    description:
      - Directory that holds one directory of lock, state and history for each stack.
      - By default C(/var/lib/onebox) for root and C(~/.local/state/onebox) for other users.
    type: path
  public_ports:
    description:
      - Ports of the host that may be reached from other machines. Publishing any other port on more than the loopback
        address is an error.
    type: list
    elements: int
    default: []
  adopt:
    description:
      - Take over containers of the same project name that were deployed from another directory.
      - Otherwise they are an error, since they are most likely another stack with the same name.
    type: bool
    default: false
  backed_up:
    description:
      - Services, or containers, that a source of the stack's backups names, or whose data needs no backup. A service
        whose image is a database and that is not among them is a warning.
    type: list
    elements: str
    default: []
  remove_orphans:
    description:
      - Remove containers of services that are no longer declared. They are reported in any case.
    type: bool
    default: false
  show_env:
    description:
      - Variables whose values may be shown in C(diff) and in messages.
      - The values of all others are masked wherever they appear, and C(diff) says only that they change.
    type: list
    elements: str
    default: []
  verify:
    description:
      - Prove every bind mount, see M(onebox.stack.bind_mount_verify). Only for hosts where no proof is possible.
    type: bool
    default: true
  vm:
    description:
      - The virtual machine the containers run in, as on a Mac. Mounts are then proven through it, and a bind source
        that it does not share is an error before anything is started.
    type: str
    choices: [none, podman, colima, docker_desktop]
    default: none
  vm_name:
    description: Name of the Podman machine or the Colima profile. Empty is the default one.
    type: str
    default: ""
"""
