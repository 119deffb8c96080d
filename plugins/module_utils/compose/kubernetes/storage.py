# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each path of a service that persists, as a volume of a pod. A path that cannot be one is refused, never left out."""

from __future__ import annotations

import base64
import os
import re
import typing as t
from dataclasses import dataclass, field

from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import Service
from ansible_collections.onebox.stack.plugins.module_utils.compose.portability.find import EVERYWHERE, of_the_system
from ansible_collections.onebox.stack.plugins.module_utils.compose.render import parts
from ansible_collections.onebox.stack.plugins.module_utils.compose.render.parts import RenderError, Stack

Document = dict[str, t.Any]
# The API accepts no larger ConfigMap or Secret.
_MOST_BYTES = 1 << 20
_SIZE = "10Gi"


def dns_label(text: str) -> str:
    """``text`` as a name that Kubernetes accepts."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:52].rstrip("-") or "x"


@dataclass
class Storage:
    """The volumes and mounts of one pod, and the objects that they need.

    Attributes:
        public: objects without secrets.
        secret: objects with secrets.
    """

    stack: Stack
    service: Service
    volumes: list[Document] = field(default_factory=list)
    mounts: list[Document] = field(default_factory=list)
    public: list[Document] = field(default_factory=list)
    secret: list[Document] = field(default_factory=list)

    def gather(self) -> Storage:
        """Add each mount of the service.

        Raises:
            RenderError: a path cannot be mounted.
        """
        if self.service.raw.get("volumes_from"):
            raise RenderError(f"{self._where}: volumes_from does not exist in Kubernetes. Declare the volume in both.")
        for bind in self.service.binds:
            self._bind(bind.source, bind.target, bind.read_only)
        rows = {str(row.get("target")): row for row in self.service.raw.get("volumes") or () if isinstance(row, dict)}
        for name, target in self.service.named_volumes:
            body = (self.stack.model.raw.get("volumes") or {}).get(name) or {}
            claim = dns_label(str(body.get("name") or name or f"{self.service.name}{target}"))
            self._claim(claim, target, bool(rows.get(target, {}).get("read_only")))
        for path, length in parts.scratch(self.service):
            self._mount({"emptyDir": {"medium": "Memory", **({"sizeLimit": str(length)} if length else {})}}, path)
        for ref in self.service.files:
            if ref.kind == "external":
                source: Document = {"secret": {"secretName": dns_label(ref.value)}}
                self._mount(source, self._target(ref.collection, ref.target or ref.name), read_only=True)
                continue
            content = self.stack.content(ref, self.service)
            self._file(ref.collection, ref.name, content, self._target(ref.collection, ref.target or ref.name))
        return self

    @property
    def _where(self) -> str:
        return f"service {self.service.name}"

    def _target(self, collection: str, target: str) -> str:
        folder = "/run/secrets/" if collection == "secrets" else "/"
        return target if target.startswith("/") else folder + target

    def _bind(self, source: str, target: str, read_only: bool) -> None:
        if source in EVERYWHERE:
            self._mount({"hostPath": {"path": source}}, target, read_only=True)
        elif of_the_system(source):
            raise RenderError(
                f"{self._where}: {source} belongs to one host. Replace the access to the host, or remove the mount."
            )
        elif self.stack.modes.get(source) == "file":
            if not read_only or source not in self.stack.contents:
                raise RenderError(
                    f"{self._where}: the file {source} is not a small, read-only file. "
                    "Mount it read-only, or mount its directory."
                )
            self._file("configs", os.path.basename(source), self.stack.contents[source], target)
        else:
            self._claim(dns_label(f"{self.stack.model.project}{source}"[-52:]), target, read_only)

    def _claim(self, name: str, target: str, read_only: bool) -> None:
        if self.service.scale > 1 and not read_only:
            raise RenderError(
                f"{self._where}: its {self.service.scale} replicas cannot write to {target} on several nodes. "
                "Set scale to 1."
            )
        self.public.append(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {"name": name, "labels": labels(self.stack)},
                "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": _SIZE}}},
            }
        )
        self._mount({"persistentVolumeClaim": {"claimName": name}}, target, read_only=read_only)

    def _file(self, collection: str, name: str, content: bytes, target: str) -> None:
        if len(content) > _MOST_BYTES:
            raise RenderError(f"{self._where}: {name} is larger than 1 MiB. Mount its directory.")
        key = re.sub(r"[^A-Za-z0-9._-]", "-", name)
        of_secret = collection == "secrets"
        document: Document = {
            "apiVersion": "v1",
            "kind": "Secret" if of_secret else "ConfigMap",
            "metadata": {
                "name": f"{dns_label(f'{self.stack.model.project}-{name}')}-{parts.digest(content)[:8]}",
                "labels": labels(self.stack),
            },
            **content_of({key: content}, of_secret),
        }
        (self.secret if of_secret else self.public).append(document)
        made = document["metadata"]["name"]
        source = {"secret": {"secretName": made}} if of_secret else {"configMap": {"name": made}}
        self._mount(source, target, read_only=True, sub_path=key)

    def _mount(self, source: Document, target: str, *, read_only: bool = False, sub_path: str = "") -> None:
        name = f"v{len(self.volumes)}"
        self.volumes.append({"name": name, **source})
        mount = {"name": name, "mountPath": target}
        self.mounts.append(
            {**mount, **({"readOnly": True} if read_only else {}), **({"subPath": sub_path} if sub_path else {})}
        )


def labels(stack: Stack) -> dict[str, str]:
    """The labels of each object of a stack."""
    return {"app.kubernetes.io/part-of": dns_label(stack.model.project)}


def content_of(files: t.Mapping[str, bytes], of_secret: bool) -> Document:
    """The content of a ConfigMap or Secret: texts as text, others in base64."""
    texts: dict[str, str] = {}
    binary: dict[str, str] = {}
    for key, content in files.items():
        try:
            texts[key] = content.decode()
        except UnicodeDecodeError:
            binary[key] = base64.b64encode(content).decode()
    keys = ("stringData", "data") if of_secret else ("data", "binaryData")
    return {key: value for key, value in zip(keys, (texts, binary)) if value}
