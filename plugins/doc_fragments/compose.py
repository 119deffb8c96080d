# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that all compose modules have."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  name:
    description:
      - Name of the stack, which is the name of its compose project. It is never derived from a directory.
    type: str
    required: true
  project_dir:
    description:
      - Absolute path of the directory with the compose file on the host.
    type: path
    required: true
  staged_dir:
    description:
      - A directory with the files that a deploy writes to O(project_dir). They are checked there first, and moved only
        if the stack may be deployed. Only the current user may be able to write to this directory.
      - Files of an earlier deploy that are missing in it are removed. All other files are kept, and returned as
        RV(foreign_files).
      - Modes are kept, but a file that all users may read gets the mode C(0644) or C(0755).
    type: path
  staging_dir:
    description:
      - A private directory of this run that contains O(staged_dir) and the files for O(content). It is removed at the
        end, also in check mode. The role P(onebox.stack.compose_stack#role) creates it.
    type: path
  bundle:
    description:
      - The files of O(staged_dir) and those for O(content) as one text, instead of O(staging_dir). The module unpacks
        it into a private directory, and removes the directory at the end. The lookup
        P(onebox.stack.stack_bundle#lookup) creates the text.
    type: str
    version_added: 0.2.0
  target:
    description:
      - V(host) runs the stack on this host. V(swarm) deploys it with C(docker stack deploy) to the Swarm that this host
        manages, from the same compose files. The compose tool must be on this host too, because it reads the files.
      - Services with data stay on this host. A host that does not have the data refuses the deploy. O(adopt) accepts it
        after the data was restored here.
      - Images of C(build) are built on this host. The role P(onebox.stack.compose_stack#role) sends images that no
        registry has to the other nodes. O(ignore:state=stopped) does not exist for a Swarm.
    type: str
    choices: [host, swarm]
    default: host
    version_added: 0.2.0
  env:
    description:
      - Variables to set in C(.env) in O(project_dir), as a mapping or as JSON. Other variables in it are kept.
    type: json
  secrets:
    description:
      - Secrets to write after the checks and before the deploy. Each has a O(secrets[].name) or a O(secrets[].path).
        Keep the values in a vault.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of a secret that Podman stores. The compose file declares it with C(external).
        type: str
      path:
        description:
          - Path of a file on the host, mode 0400. The compose file declares it with C(file). Its directory must exist,
            see M(onebox.stack.data_dirs).
        type: path
      value:
        description: The secret value.
        type: str
        required: true
      owner:
        description: Owner of the file, which is the user that the container runs as. The default is the current user.
        type: str
      group:
        description: Group of the file.
        type: str
  content:
    description:
      - Data directories that files of the stack are copied to. The files for the first one are in C(content-0) of
        O(staging_dir) or O(bundle), and so on. Nothing is removed there. New files get the owner of the directory.
    type: list
    elements: path
    default: []
  files:
    description:
      - Compose files, absolute or relative to O(project_dir), merged in this order. By default the ones that Docker
        Compose reads.
      - These are the files that V(COMPOSE_FILE) in O(env_file) lists. Without it, the first of V(compose.yaml),
        V(compose.yml), V(docker-compose.yml) and V(docker-compose.yaml), and the first of V(compose.override.yml),
        V(compose.override.yaml), V(docker-compose.override.yml) and V(docker-compose.override.yaml).
    type: list
    elements: str
    default: []
  env_file:
    description:
      - File with the variables of the compose files, absolute or relative to O(project_dir).
      - The default is C(.env) in O(project_dir) if it exists. Only C(HOME), C(USER), C(LOGNAME), C(TMPDIR) and proxies
        are taken from the caller's environment, unless this file sets them.
    type: path
  required_env:
    description:
      - Variables of the environment file that must have a value.
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
      - The container engine. V(auto) uses Docker if it answers, else Podman.
    type: str
    choices: [auto, docker, podman]
    default: auto
  socket:
    description:
      - Path of the engine's socket. No other socket is tried.
    type: path
  pull:
    description:
      - When to pull the images of the services, before the plan compares them with the containers. V(missing) pulls an
        image only if it is not present.
      - V(always) pulls the image of every service, and fails if one cannot be pulled.
      - V(newer) also pulls the image of every service. If a pull fails, it uses the present image and warns.
      - Images that the stack builds are not pulled. Check mode pulls nothing and returns the images as RV(pulls).
      - During a change freeze, no present image is pulled.
    type: str
    choices: [missing, always, newer]
    default: missing
  provider:
    description:
      - The compose tool. V(auto) uses docker compose v2 if the engine has a socket, also with Podman, else
        podman-compose.
      - V(quadlet) installs the stack as quadlets on a Podman host with systemd, Podman 4.7 or later, and
        podman-compose, which reads the compose file. systemd runs the containers and starts those with a restart policy
        at boot. A stopped stack has no units, so it stays stopped after a reboot.
      - With Podman before 5.0, a quadlet does not wait at boot until the services that it depends on are healthy.
    type: str
    choices: [auto, docker-compose, podman-compose, quadlet]
    default: auto
  provider_path:
    description:
      - Path of the compose tool. Without it, the module searches for the tool.
    type: path
  state_dir:
    description:
      - Directory with the lock, state and history of each stack, in a subdirectory of its name.
      - The default is C(/var/lib/onebox) for root and C(~/.local/state/onebox) for other users.
    type: path
  public_ports:
    description:
      - Ports of the host that other machines may reach. All other ports must be published on a loopback address.
    type: list
    elements: int
    default: []
  exposure:
    description:
      - What a published port without an address means.
      - V(public) refuses each port that O(public_ports) does not list, since other machines reach it.
      - V(lan) allows all of them. Use it on a host without a public address.
      - V(loopback) refuses all that are not on a loopback address, listed or not.
    type: str
    choices: [public, lan, loopback]
    default: public
  defaults:
    description:
      - Whether a missing source directory of a bind mount is refused (V(declare)), or created with the owner that the
        service's user and image show (V(derive)). A path that is a file by its name is refused in both cases.
      - With V(derive), an external network that does not exist is created, too.
      - Data directories below O(project_dir) are created in both cases. A deploy never removes them.
    type: str
    choices: [declare, derive]
    default: declare
  adopt:
    description:
      - Take over containers of the same project name that were deployed from another directory.
      - Without it they are an error, since they most likely belong to another stack of the same name.
    type: bool
    default: false
  backed_up:
    description:
      - Services or containers that are backed up or need no backup. Any other service whose image is a database causes
        a warning. V(*) stands for all services.
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
      - Variables whose values may appear in diffs and messages. The values of all others are masked.
      - For a masked variable, C(diff) only reports that it changes.
    type: list
    elements: str
    default: []
  verify:
    description:
      - Verify every bind mount, see M(onebox.stack.bind_mount_verify). Disable it only on hosts that do not allow it.
    type: bool
    default: true
  vm:
    description:
      - The virtual machine that the containers run in, as on a Mac. Mounts are verified through it. A bind source that
        it does not share is an error before any container starts.
    type: str
    choices: [none, podman, colima, docker_desktop]
    default: none
  vm_name:
    description: Name of the Podman machine or of the Colima profile. Empty is the default one.
    type: str
    default: ""
"""
