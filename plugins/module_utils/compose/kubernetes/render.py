# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Render a resolved stack as manifests for Kubernetes.

Each service becomes a Deployment, or a Job if it ends. A headless Service has its name, so that others reach all its
ports as in a compose network.
"""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.kubernetes.pod import container, pod
from ansible_collections.onebox.stack.plugins.module_utils.compose.kubernetes.storage import (
    Document,
    Storage,
    content_of,
    dns_label,
    labels,
)
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import Service
from ansible_collections.onebox.stack.plugins.module_utils.compose.portability.find import COMPLETED, bound
from ansible_collections.onebox.stack.plugins.module_utils.compose.render import parts
from ansible_collections.onebox.stack.plugins.module_utils.compose.render.parts import File, RenderError, Stack
from ansible_collections.onebox.stack.plugins.module_utils.core import yaml_text

NAME = "manifests.yml"
SECRETS = "secrets.yml"


def render(stack: Stack) -> list[File]:
    """The manifests, and those with secrets in a file of their own.

    Raises:
        RenderError: a path, a user or a network cannot be rendered.
    """
    names = [dns_label(name) for name in stack.model.services]
    if len(set(names)) != len(names):
        raise RenderError(f"stack {stack.model.project}: two services have one name in Kubernetes. Rename one.")
    public: list[Document] = []
    secret: list[Document] = []
    for service in stack.model.services.values():
        storage = Storage(stack, service).gather()
        shown, kept = parts.divide_environment(stack, service)
        secret += storage.secret
        source = ""
        if kept:
            document = _environment(stack, service, kept)
            secret.append(document)
            source = document["metadata"]["name"]
        public += storage.public
        public += _workload(stack, service, storage, container(stack, service, storage, shown, source))
    apply = f"kubectl apply -f {SECRETS} -f {NAME}" if secret else f"kubectl apply -f {NAME}"
    comment = [
        f"Stack {stack.model.project} for Kubernetes, rendered from its compose file.",
        f"To deploy it: {apply}",
        "Check the size of each PersistentVolumeClaim, and copy the data into the claims before the first start.",
        *stack.notes,
    ]
    files = [File(NAME, _text(public, comment))]
    return files + ([File(SECRETS, _text(secret, ["Secrets. Do not commit this file."]))] if secret else [])


def _text(documents: t.Sequence[Document], comment: t.Sequence[str]) -> str:
    # Several services can use one claim or config.
    unique = {(each["kind"], each["metadata"]["name"]): each for each in documents}
    return "".join(yaml_text.dump(each, comment if at == 0 else ()) for at, each in enumerate(unique.values()))


def _environment(stack: Stack, service: Service, values: t.Mapping[str, str]) -> Document:
    mark = parts.digest("".join(f"{name}={value}\0" for name, value in sorted(values.items())).encode())
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": f"{dns_label(service.name)}-env-{mark[:8]}", "labels": labels(stack)},
        **content_of({name: value.encode() for name, value in values.items()}, True),
    }


def _ends(stack: Stack, service: Service) -> bool:
    """Whether the service is meant to end."""
    awaited = any(
        each.service == service.name and each.condition == COMPLETED
        for other in stack.model.services.values()
        for each in other.depends_on
    )
    told = bool(service.raw.get("restart")) and service.one_shot
    return awaited or (told and not service.ports and not service.has_healthcheck)


def _workload(stack: Stack, service: Service, storage: Storage, body: Document) -> list[Document]:
    name = dns_label(service.name)
    own = {**labels(stack), "app.kubernetes.io/name": name}
    metadata = {"name": name, "labels": own}
    template = {"metadata": {"labels": own}, "spec": pod(service, storage, body)}
    if _ends(stack, service):
        policy = "OnFailure" if service.retried else "Never"
        attempts = service.restart.partition(":")[2]
        spec: Document = {
            "backoffLimit": int(attempts) if attempts.isdigit() else 6 if service.retried else 0,
            "template": {**template, "spec": {**template["spec"], "restartPolicy": policy}},
        }
        return [{"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}]
    # Two pods must not write to one claim, not even during an update.
    strategy = {"type": "Recreate"} if parts.has_data(service) else {"type": "RollingUpdate"}
    deployment: Document = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata,
        "spec": {
            "replicas": service.scale,
            "strategy": strategy,
            "selector": {"matchLabels": own},
            "template": template,
        },
    }
    return [deployment, *_services(service, own)]


def _services(service: Service, selector: t.Mapping[str, str]) -> t.Iterator[Document]:
    name = dns_label(service.name)
    yield {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "labels": dict(selector)},
        "spec": {"clusterIP": "None", "selector": dict(selector)},
    }
    rows = [row for row in service.ports if not bound(row.host_ip)]
    if rows:
        ports = {
            (row.published or row.target, row.protocol): {
                "name": f"{row.protocol}-{row.published or row.target}",
                "port": row.published or row.target,
                "targetPort": row.target,
                "protocol": row.protocol.upper(),
            }
            for row in rows
        }
        yield {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": f"{name}-public", "labels": dict(selector)},
            "spec": {"type": "LoadBalancer", "selector": dict(selector), "ports": list(ports.values())},
        }
