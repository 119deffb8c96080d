# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Docker Swarm does with each construct.

``tests/integration/compose/test_portability_swarm.py`` shows each item on a real engine.
"""

from __future__ import annotations

from ansible_collections.onebox.stack.plugins.module_utils.compose.portability.table import (
    CHANGE,
    DROP,
    REFUSE,
    SWARM,
    Construct,
)

_IGNORED = "docker stack deploy: unsupported options"
_SCHEMA = "docker stack config: schema of version 3"
_FORBIDDEN = "docker stack config: forbidden properties"
_SILENT = "docker service inspect: the service does not contain it"
_ENGINE = "the engine, when it runs a task"
_ONE_BOX = "Keep the service on one host."


def _fact(name: str, effect: str, remains: str, happens: str, way_out: str, source: str) -> Construct:
    return Construct(name, effect, remains, happens, way_out, source, SWARM)


FACTS = (
    # The image and the lifecycle.
    _fact(
        "build",
        DROP,
        REFUSE,
        "Swarm does not build images. A node that does not have the image cannot start the service.",
        "Set image to a name in a registry. Then run docker compose build and docker compose push. A deploy with "
        "compose_stack_target=swarm builds the image and sends it to the nodes.",
        _IGNORED,
    ),
    _fact(
        "restart",
        DROP,
        "",
        "Swarm ignores it and restarts each container that ends, also one that ends with 0.",
        "The rendered file has deploy.restart_policy with the same meaning.",
        _IGNORED,
    ),
    _fact(
        "depends_on",
        DROP,
        CHANGE,
        "Swarm starts all services at the same time.",
        "Let the application retry until its dependency answers. Swarm restarts it if it exits.",
        _SILENT,
    ),
    _fact(
        "depends_on condition",
        REFUSE,
        CHANGE,
        "docker stack refuses conditions, and Swarm starts all services at the same time.",
        "The rendered file has no conditions. Let the application retry until its dependency answers.",
        _SCHEMA,
    ),
    _fact(
        "depends_on completed",
        REFUSE,
        DROP,
        "Swarm does not wait for a service that must end first, such as a migration.",
        "Run the migration in the entrypoint of the application, or deploy it as a stack before this one.",
        _SCHEMA,
    ),
    _fact(
        "healthcheck",
        CHANGE,
        CHANGE,
        "Swarm ends a container that becomes unhealthy and starts another one. Compose only reports it.",
        "Check that the test and its start_period allow for a slow start.",
        _ENGINE,
    ),
    _fact("pull_policy", REFUSE, "", "docker stack refuses it.", "The rendered file has images by digest.", _SCHEMA),
    _fact(
        "platform",
        REFUSE,
        "",
        "docker stack refuses it.",
        "The rendered file has a placement constraint for the architecture.",
        _SCHEMA,
    ),
    _fact("scale", REFUSE, "", "docker stack refuses it.", "The rendered file has deploy.replicas.", _SCHEMA),
    _fact(
        "post_start",
        REFUSE,
        DROP,
        "docker stack refuses hooks.",
        "Move the command into the entrypoint of the image.",
        _SCHEMA,
    ),
    # Names.
    _fact(
        "container_name",
        DROP,
        CHANGE,
        "Swarm names each container itself, such as wiki_web.1.x2k9. Nothing can use the old name.",
        "Address the service by the name of the service.",
        "docker stack deploy: deprecated options",
    ),
    _fact(
        "links",
        DROP,
        CHANGE,
        "Swarm ignores links. An alias that differs from the name of a service is unknown.",
        "Address the service by its name, or add the alias to networks.",
        _IGNORED,
    ),
    _fact(
        "external_links",
        DROP,
        DROP,
        "Swarm ignores links to containers of other stacks.",
        "Connect both stacks to one external overlay network.",
        _IGNORED,
    ),
    _fact("domainname", DROP, DROP, "Swarm ignores it.", "Write the full name as hostname.", _IGNORED),
    # Rights and isolation.
    _fact(
        "privileged",
        DROP,
        DROP,
        "The container runs without privileges.",
        f"List the capabilities with cap_add. If that is not enough: {_ONE_BOX.lower()}",
        _IGNORED,
    ),
    _fact("devices", DROP, DROP, "The container does not have the device.", _ONE_BOX, _IGNORED),
    _fact("device_cgroup_rules", REFUSE, DROP, "docker stack refuses it.", _ONE_BOX, _SCHEMA),
    _fact(
        "gpus",
        REFUSE,
        DROP,
        "docker stack refuses it.",
        "Declare the GPU as a generic resource of the node, and reserve it with generic_resources.",
        _SCHEMA,
    ),
    _fact(
        "security_opt",
        DROP,
        DROP,
        "The container runs without these options, such as no-new-privileges or a seccomp profile.",
        "Set no-new-privileges in the configuration of the Docker engine of each node.",
        _IGNORED,
    ),
    _fact(
        "userns_mode",
        DROP,
        DROP,
        "The container uses the user namespace that the engine uses for all containers.",
        "Configure userns-remap in the engine of each node.",
        _IGNORED,
    ),
    _fact("cgroup_parent", DROP, DROP, "Swarm ignores it.", "Limit the service with deploy.resources.", _IGNORED),
    _fact("cgroup", REFUSE, DROP, "docker stack refuses it.", _ONE_BOX, _SCHEMA),
    _fact("pid", DROP, DROP, "The container does not see the processes of the host.", _ONE_BOX, _IGNORED),
    _fact("ipc", DROP, DROP, "The container does not share memory with others.", _ONE_BOX, _IGNORED),
    _fact("uts", REFUSE, DROP, "docker stack refuses it.", _ONE_BOX, _SCHEMA),
    _fact(
        "group_add",
        REFUSE,
        DROP,
        "docker stack refuses it. The process does not belong to these groups.",
        "Set user to UID:GID with the group that owns the files.",
        _SCHEMA,
    ),
    _fact("runtime", REFUSE, DROP, "docker stack refuses it.", "Set the default runtime of each engine.", _SCHEMA),
    # Limits.
    _fact(
        "mem_limit",
        REFUSE,
        "",
        "docker stack refuses it.",
        "The rendered file has deploy.resources.limits.memory.",
        _FORBIDDEN,
    ),
    _fact(
        "mem_reservation",
        REFUSE,
        "",
        "docker stack refuses it.",
        "The rendered file has deploy.resources.reservations.memory.",
        _SCHEMA,
    ),
    _fact(
        "cpus", REFUSE, "", "docker stack refuses it.", "The rendered file has deploy.resources.limits.cpus.", _SCHEMA
    ),
    _fact(
        "pids_limit",
        REFUSE,
        "",
        "docker stack refuses it.",
        "The rendered file has deploy.resources.limits.pids.",
        _SCHEMA,
    ),
    _fact("memswap_limit", REFUSE, DROP, "docker stack refuses it.", "Disable swap on the nodes.", _FORBIDDEN),
    _fact("cpuset", REFUSE, DROP, "docker stack refuses it.", "Limit the service with cpus.", _FORBIDDEN),
    _fact("cpu_shares", REFUSE, DROP, "docker stack refuses it.", "Limit the service with cpus.", _FORBIDDEN),
    _fact(
        "shm_size",
        DROP,
        "",
        "Swarm ignores it, so /dev/shm has 64 MB.",
        "The rendered file mounts a tmpfs of this size at /dev/shm.",
        _IGNORED,
    ),
    _fact(
        "storage_opt", REFUSE, DROP, "docker stack refuses it.", "Set a quota on the file system of each node.", _SCHEMA
    ),
    # Networks and ports.
    _fact(
        "network_mode",
        DROP,
        DROP,
        "Swarm ignores it and connects the service to the default network of the stack.",
        f"Connect the service to networks. For the network of the host: {_ONE_BOX.lower()}",
        _IGNORED,
    ),
    _fact(
        "published address",
        DROP,
        DROP,
        "docker stack ignores the address. Other machines can reach the port on every node.",
        "The rendered file does not publish this port. Publish it through a reverse proxy in the stack.",
        "docker stack config: ignoring IP-address",
    ),
    _fact(
        "published port",
        CHANGE,
        CHANGE,
        "Every node publishes the port. The service sees the address of a node, not of the client.",
        "If the service needs the client's address, publish the port with mode: host.",
        "docker service inspect: PublishMode ingress",
    ),
    _fact(
        "expose",
        DROP,
        "",
        "Swarm ignores it. Services of one network reach all ports of each other.",
        "Nothing to do.",
        "docker stack deploy: deprecated options",
    ),
    _fact("mac_address", DROP, DROP, "Swarm ignores it.", _ONE_BOX, _IGNORED),
    _fact(
        "fixed address",
        DROP,
        DROP,
        "Swarm ignores ipv4_address and ipv6_address without a message.",
        "Address the service by its name.",
        _SILENT,
    ),
    _fact(
        "external network",
        REFUSE,
        CHANGE,
        "docker stack refuses a network that exists only on one host.",
        "Create it before the deploy: docker network create --driver overlay NAME.",
        "docker stack deploy: it is not in the right scope",
    ),
    _fact(
        "network gateway",
        REFUSE,
        "",
        "docker stack refuses gateway, ip_range and aux_addresses.",
        "The rendered file has only the subnet.",
        _SCHEMA,
    ),
    _fact("enable_ipv6", REFUSE, DROP, "docker stack refuses it.", "Use IPv4 between services.", _SCHEMA),
    # Files and data.
    _fact(
        "bind mount",
        CHANGE,
        CHANGE,
        "The path must exist on the node. Elsewhere the container does not start.",
        "The rendered file pins the service to the node with the data. To let it move, use shared storage such as NFS.",
        _ENGINE,
    ),
    _fact(
        "named volume",
        CHANGE,
        CHANGE,
        "Each node has its own volume of this name. On another node, the service starts with an empty one.",
        "The rendered file pins the service to the node with the data. To let it move, use shared storage such as NFS.",
        "docker volume inspect: Scope local",
    ),
    _fact(
        "anonymous volume",
        CHANGE,
        DROP,
        "Each update of the service creates a new, empty volume.",
        "Name the volume.",
        _ENGINE,
    ),
    _fact(
        "tmpfs",
        DROP,
        "",
        "docker stack ignores the key without a message.",
        "The rendered file has volumes of the type tmpfs.",
        _SILENT,
    ),
    _fact(
        "volumes_from",
        REFUSE,
        REFUSE,
        "docker stack refuses it.",
        "Declare the volume in volumes, and mount it in both services.",
        _FORBIDDEN,
    ),
    _fact(
        "secret file",
        CHANGE,
        "",
        "The secret is copied into the Swarm. Its content cannot be changed under the same name.",
        "The rendered file has names with a hash of the content.",
        "docker stack deploy: only updates to Labels are allowed",
    ),
    _fact(
        "secret environment",
        REFUSE,
        "",
        "docker stack refuses secrets from a variable.",
        "The rendered stack has the secret as a file with a hash in its name.",
        _SCHEMA,
    ),
    _fact(
        "config content",
        REFUSE,
        "",
        "docker stack refuses configs with content.",
        "The rendered stack has the config as a file with a hash in its name.",
        _SCHEMA,
    ),
    _fact(
        "env_file",
        CHANGE,
        "",
        "docker stack deploy reads it on the machine where you run it.",
        "The rendered stack has one environment file for each service.",
        "docker service inspect: Env",
    ),
    # The form of the file.
    _fact("profiles", REFUSE, "", "docker stack refuses it.", "The rendered file has the selected services.", _SCHEMA),
    _fact("extends", REFUSE, "", "docker stack refuses it.", "The rendered file has the merged service.", _FORBIDDEN),
    _fact("include", REFUSE, "", "docker stack refuses it.", "The rendered file has the included services.", _SCHEMA),
    _fact("develop", REFUSE, "", "docker stack refuses it.", "The rendered file does not have it.", _SCHEMA),
    _fact("annotations", REFUSE, DROP, "docker stack refuses it.", "Write labels.", _SCHEMA),
)
