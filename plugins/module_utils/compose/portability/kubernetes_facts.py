# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Kubernetes has for each construct.

``tests/integration/compose/test_portability_kubernetes.py`` compares the facts with the schemas of the Kubernetes API.
They are not shown on a running cluster.
"""

from __future__ import annotations

from ansible_collections.onebox.stack.plugins.module_utils.compose.portability.table import (
    CHANGE,
    DROP,
    KUBERNETES,
    REFUSE,
    Construct,
)

_CONTAINER = "Kubernetes API: Container has no field for it"
_POD = "Kubernetes API: PodSpec has no field for it"
_TYPE = "Kubernetes API: the type of the field"
_HAS = "Kubernetes API: the field exists"
_ONE_BOX = "Keep the service on one host."


def _fact(name: str, effect: str, remains: str, happens: str, way_out: str, source: str) -> Construct:
    return Construct(name, effect, remains, happens, way_out, source, KUBERNETES)


FACTS = (
    # The image and the lifecycle.
    _fact(
        "build",
        DROP,
        REFUSE,
        "Kubernetes does not build images. The nodes cannot pull the image.",
        "Set image to a name in a registry. Then run docker compose build and docker compose push.",
        _CONTAINER,
    ),
    _fact(
        "restart",
        CHANGE,
        "",
        "A Deployment always restarts its containers.",
        "A service that may end is rendered as a Job.",
        _TYPE,
    ),
    _fact(
        "depends_on",
        DROP,
        CHANGE,
        "Kubernetes starts all pods at the same time.",
        "Let the application retry until its dependency answers. Kubernetes restarts it if it exits.",
        _POD,
    ),
    _fact(
        "depends_on condition",
        DROP,
        CHANGE,
        "Kubernetes starts all pods at the same time.",
        "Let the application retry until its dependency answers. Kubernetes restarts it if it exits.",
        _POD,
    ),
    _fact(
        "depends_on completed",
        DROP,
        DROP,
        "Kubernetes does not wait for a Job before it starts a Deployment.",
        "Run the migration in the entrypoint of the application, or as an init container.",
        _POD,
    ),
    _fact(
        "healthcheck",
        CHANGE,
        CHANGE,
        "Kubernetes restarts a container whose check fails. Compose only reports it.",
        "The manifest has a readiness and a liveness probe. Check that they allow for a slow start.",
        _HAS,
    ),
    _fact(
        "platform", CHANGE, "", "Kubernetes selects nodes by label.", "The manifest has a node selector.", _CONTAINER
    ),
    _fact("pull_policy", CHANGE, "", "Kubernetes has other policies.", "The manifest has images by digest.", _HAS),
    # Names.
    _fact(
        "container_name",
        DROP,
        CHANGE,
        "Kubernetes names each pod itself. Nothing can use the old name.",
        "Address the service by its name.",
        _POD,
    ),
    _fact(
        "links",
        DROP,
        CHANGE,
        "Kubernetes has no links. An alias that differs from the name of a service is unknown.",
        "Address the service by its name.",
        _CONTAINER,
    ),
    _fact(
        "external_links",
        DROP,
        DROP,
        "Kubernetes has no links to other stacks.",
        "Address the service of the other namespace as SERVICE.NAMESPACE.",
        _CONTAINER,
    ),
    _fact("domainname", DROP, DROP, "A pod has no domain of its own.", "Address the service by its name.", _POD),
    _fact(
        "name of the service",
        REFUSE,
        CHANGE,
        "Names may have only lower-case letters, digits and '-'.",
        "The manifest has '-' for other characters. Change the name in the settings of the other services.",
        "Kubernetes API: names are DNS labels",
    ),
    # Rights and isolation.
    _fact(
        "privileged",
        CHANGE,
        CHANGE,
        "Clusters with the baseline or restricted policy refuse the pod.",
        "List the capabilities with cap_add, or label the namespace as privileged.",
        _HAS,
    ),
    _fact(
        "cap_add",
        CHANGE,
        CHANGE,
        "Clusters with the restricted policy refuse the pod.",
        "Label the namespace as baseline or privileged.",
        _HAS,
    ),
    _fact("devices", DROP, DROP, "A container has no devices.", f"Use a device plugin. {_ONE_BOX}", _CONTAINER),
    _fact("device_cgroup_rules", DROP, DROP, "A container has no such rules.", _ONE_BOX, _CONTAINER),
    _fact(
        "gpus",
        DROP,
        DROP,
        "A container reserves a GPU through a device plugin.",
        "Install the device plugin and set resources.limits of its name.",
        _CONTAINER,
    ),
    _fact(
        "security_opt",
        DROP,
        DROP,
        "The manifest does not have these options. Only no-new-privileges is rendered.",
        "Set seccompProfile or appArmorProfile in securityContext.",
        _CONTAINER,
    ),
    _fact("userns_mode", DROP, DROP, "The modes of Docker do not exist.", "Set hostUsers in the pod.", _CONTAINER),
    _fact(
        "cgroup_parent",
        DROP,
        DROP,
        "Kubernetes chooses the control group.",
        "Limit the service with deploy.resources.",
        _POD,
    ),
    _fact("cgroup", DROP, DROP, "Kubernetes chooses the control group.", _ONE_BOX, _POD),
    _fact(
        "pid",
        CHANGE,
        CHANGE,
        "Clusters with the baseline policy refuse hostPID.",
        "Label the namespace as privileged.",
        _HAS,
    ),
    _fact(
        "ipc",
        CHANGE,
        CHANGE,
        "Clusters with the baseline policy refuse hostIPC.",
        "Label the namespace as privileged.",
        _HAS,
    ),
    _fact("uts", DROP, DROP, "A pod always has its own name.", _ONE_BOX, _POD),
    _fact(
        "user by name",
        REFUSE,
        REFUSE,
        "runAsUser must be a number.",
        "Set user to UID:GID, or leave it to the image.",
        _TYPE,
    ),
    _fact("init", DROP, CHANGE, "No init process reaps children.", "Add tini to the image.", _CONTAINER),
    _fact("runtime", DROP, DROP, "A pod names a RuntimeClass.", "Create a RuntimeClass of the cluster.", _CONTAINER),
    # Limits.
    _fact("ulimits", DROP, DROP, "A container has no ulimits.", "Set them in the runtime of each node.", _CONTAINER),
    _fact(
        "sysctls",
        CHANGE,
        CHANGE,
        "A node refuses sysctls that it does not list as safe.",
        "Allow them in the kubelet of each node.",
        _HAS,
    ),
    _fact("pids_limit", DROP, DROP, "A container has no limit of its own.", "Set podPidsLimit.", _CONTAINER),
    _fact("memswap_limit", DROP, DROP, "A container has no such limit.", "Configure swap on the nodes.", _CONTAINER),
    _fact("cpuset", DROP, DROP, "A container cannot choose CPUs.", "Use the static CPU manager.", _CONTAINER),
    _fact("cpu_shares", DROP, DROP, "Shares come from the request.", "Set a CPU reservation.", _CONTAINER),
    _fact("oom_score_adj", DROP, DROP, "Kubernetes calculates it.", "Set memory requests equal to limits.", _CONTAINER),
    _fact("storage_opt", DROP, DROP, "A container has no such option.", "Limit ephemeral-storage.", _CONTAINER),
    _fact(
        "shm_size",
        DROP,
        "",
        "A container has no such field.",
        "The manifest mounts an emptyDir in memory at /dev/shm.",
        _CONTAINER,
    ),
    # Networks, ports and logs.
    _fact(
        "network_mode",
        CHANGE,
        CHANGE,
        "hostNetwork is refused by clusters with the baseline policy. Other modes do not exist.",
        "Let the service listen in the network of the pod.",
        _HAS,
    ),
    _fact(
        "published address",
        CHANGE,
        CHANGE,
        "A Service has no address of one host.",
        "The manifest has a Service inside the cluster. Use kubectl port-forward.",
        _TYPE,
    ),
    _fact(
        "published port",
        CHANGE,
        CHANGE,
        "A Service of the type LoadBalancer needs a load balancer. k3s contains one.",
        "The manifest has this type. For HTTP, use an Ingress instead.",
        _HAS,
    ),
    _fact("mac_address", DROP, DROP, "A pod cannot choose it.", _ONE_BOX, _POD),
    _fact("fixed address", DROP, DROP, "A pod cannot choose it.", "Address the service by its name.", _POD),
    _fact(
        "external network",
        DROP,
        CHANGE,
        "All pods reach each other.",
        "Address the service of the other namespace as SERVICE.NAMESPACE.",
        _POD,
    ),
    _fact(
        "several networks",
        DROP,
        DROP,
        "All pods reach each other.",
        "Write a NetworkPolicy for services that must not reach each other.",
        _POD,
    ),
    _fact("logging", DROP, CHANGE, "The node collects the output.", "Install a log collector.", _CONTAINER),
    # Files and data.
    _fact(
        "bind mount",
        CHANGE,
        CHANGE,
        "The data of the host is not in the cluster.",
        "The manifest has a claim for each directory and a ConfigMap for each file. Copy the data into the claims.",
        _HAS,
    ),
    _fact(
        "host socket",
        CHANGE,
        REFUSE,
        "A socket or a directory of the system belongs to one node.",
        "Replace the access to the host, for example by a ServiceAccount.",
        _HAS,
    ),
    _fact(
        "named volume",
        CHANGE,
        CHANGE,
        "The volume starts empty.",
        "The manifest has a claim for each volume. Copy the data into it.",
        _HAS,
    ),
    _fact(
        "anonymous volume",
        CHANGE,
        CHANGE,
        "Kubernetes does not read the volumes of an image.",
        "The manifest has a claim for it. Name the volume.",
        _CONTAINER,
    ),
    _fact(
        "several writers",
        CHANGE,
        REFUSE,
        "Replicas on several nodes cannot mount a claim of the mode ReadWriteOnce.",
        "Set one replica, or use a storage class with ReadWriteMany.",
        _HAS,
    ),
    _fact("tmpfs", CHANGE, "", "A pod has emptyDir instead.", "The manifest has emptyDir in memory.", _HAS),
    _fact(
        "volumes_from", DROP, REFUSE, "A container cannot name another one.", "Declare the volume in both.", _CONTAINER
    ),
    _fact("env_file", CHANGE, "", "A Secret holds the variables.", "The manifest names the Secret.", _HAS),
)
