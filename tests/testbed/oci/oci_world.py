"""The compute side of Oracle's cloud, in memory: what exists, when it changes, and which faults come.

One model serves two fronts: ``oci_server`` puts it behind HTTP with verified signatures, ``oci_simulation`` calls it
directly, so that a month of retries takes milliseconds. Time comes from ``clock``; nothing here sleeps.

The script names what happens to the next launches, one word each (see ``GATE``, ``CREATES``, and oci_recorded). What is
simulated from documentation rather than from recordings: that a retry token stands for its first outcome for 24 hours,
and that an instance may appear in the list later than it exists.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import typing as t

from oci_recorded import REFUSALS

Json = dict[str, t.Any]
TOKEN_SECONDS = 24 * 3600.0
COMPARTMENT = "ocid1.compartment.oc1..aaaatest"
TENANCY = "ocid1.tenancy.oc1..aaaatest"
SUBNET = "ocid1.subnet.oc1.ap-chuncheon-1.aaaatest"
IMAGE = "ocid1.image.oc1.ap-chuncheon-1.aaaatest"

# Refused before the request is checked: no retry token is consulted.
GATE = {
    "429",
    "401",
    "404-auth",
    "403-home",
    "502-html",
    "504-empty",
    "500-other",
    "reset-before-create",
    "unreachable",
}
# Words that create an instance, and what the client gets to see of it.
CREATES = {
    "ok": "answer",
    "reset-after-create": "reset",  # the connection drops after the work was done
    "slow": "late",  # the answer comes after the client gave up
    "500-created": "500-other",  # "sometimes returns error responses but creates the instance anyway" (senomorf)
    "limit-created": "limit",
    "wr-capacity": "answer",  # accepted, then the work request fails without capacity
    "wr-other": "answer",
    "stuck-provisioning": "answer",
}


class Refused(Exception):
    """An HTTP answer that is not a success. ``body`` is JSON-able, or bytes when a gateway speaks."""

    def __init__(self, word: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(word)
        refusal = REFUSALS[word]
        self.status, self.body, self.content_type = refusal
        self.headers = headers or {}


class Reset(Exception):
    """The connection breaks without an answer. ``late``: the answer would come, but after the client gave up."""

    def __init__(self, late: bool = False) -> None:
        super().__init__()
        self.late = late


class Unreachable(Exception):
    """The request never arrives."""


@dataclasses.dataclass
class Instance:
    """One instance; what it is at a moment follows from ``created`` and ``fate``."""

    id: str
    body: Json
    created: float
    listed: float
    fate: str
    terminated: float | None = None
    boot_volume_deleted: bool = False


@dataclasses.dataclass
class World:
    """See the module.

    Args:
        script: what happens to the next launches, in order.
        otherwise: what happens when the script is at its end: a word, or a function of (domain, time) that gives one.
        list_lag: seconds until a new instance is in the list.
        address_of: called once for an instance that starts to run; gives its public address (an end-to-end test starts
            a real host there).
        ended: called with the OCID of an instance when it is terminated.
    """

    clock: t.Callable[[], float]
    domains: t.Sequence[str] = ("Uocm:AP-CHUNCHEON-1-AD-1",)
    script: list[str] = dataclasses.field(default_factory=list)
    otherwise: str | t.Callable[[str, float], str] = "ok"
    list_lag: float = 0.0
    page_size: int = 100
    boot_seconds: float = 40.0
    vnic_seconds: float = 50.0
    fail_seconds: float = 120.0
    terminate_seconds: float = 30.0
    address_of: t.Callable[[Json], str] | None = None
    ended: t.Callable[[str], None] | None = None

    def __post_init__(self) -> None:
        self.instances: dict[str, Instance] = {}
        self.tokens: dict[str, tuple[str, float, str]] = {}
        self.launches: list[tuple[float, str, str, Json]] = []  # time, word, token, body
        self._numbers = itertools.count(1)
        self._addresses: dict[str, str] = {}
        self.forgotten: set[str] = set()  # these are answered 404, as for a user without rights

    # --- launch ---

    def launch(self, body: Json, token: str) -> Json:
        """LaunchInstance. Raises :class:`Refused`, :class:`Reset` or :class:`Unreachable`."""
        domain, now = str(body.get("availabilityDomain")), self.clock()
        word = self.script.pop(0) if self.script else ""
        if not word:
            word = self.otherwise if isinstance(self.otherwise, str) else self.otherwise(domain, now)
        word, unused, argument = word.partition(":")
        if word == "unreachable":
            raise Unreachable
        self.launches.append((now, word, token, body))
        if word in GATE:
            if word == "reset-before-create":
                raise Reset
            raise Refused(word, {"retry-after": argument} if argument else None)
        before = self._known_token(token, body)
        if before is not None:
            return self.describe(before)
        if word not in CREATES:
            raise Refused(word, {"retry-after": argument} if argument else None)
        made = self._create(body, word, float(argument or 0))
        if token:
            self.tokens[token] = (json.dumps(body, sort_keys=True), now, made.id)
        seen = CREATES[word]
        if seen in ("reset", "late"):
            raise Reset(late=seen == "late")
        if seen != "answer":
            raise Refused(seen)
        return self.describe(made)

    def _known_token(self, token: str, body: Json) -> Instance | None:
        payload, when, identity = self.tokens.get(token, ("", 0.0, ""))
        if not identity or self.clock() - when >= TOKEN_SECONDS:
            return None
        if payload != json.dumps(body, sort_keys=True):
            raise Refused("400-parse")  # the exact answer is not documented; nothing may rely on it
        instance = self.instances[identity]
        if self.status(instance) in ("TERMINATING", "TERMINATED"):
            raise Refused("409-token")
        return instance

    def _create(self, body: Json, word: str, lag: float) -> Instance:
        now = self.clock()
        identity = f"ocid1.instance.oc1.ap-chuncheon-1.i{next(self._numbers):04d}"
        fate = word if word.startswith(("wr-", "stuck")) else "runs"
        instance = Instance(identity, body, now, now + (lag or self.list_lag), fate)
        self.instances[identity] = instance
        return instance

    # --- what is ---

    def status(self, instance: Instance) -> str:
        now = self.clock()
        if instance.terminated is not None:
            return "TERMINATED" if now >= instance.terminated + self.terminate_seconds else "TERMINATING"
        age = now - instance.created
        if instance.fate.startswith("wr-") and age >= self.fail_seconds:
            return "TERMINATED"
        if instance.fate != "runs" or age < self.boot_seconds / 2:
            return "PROVISIONING"
        return "STARTING" if age < self.boot_seconds else "RUNNING"

    def describe(self, instance: Instance) -> Json:
        body = instance.body
        config = body.get("shapeConfig") or {"ocpus": 1, "memoryInGBs": 1}
        return {
            "id": instance.id,
            "availabilityDomain": body.get("availabilityDomain"),
            "compartmentId": body.get("compartmentId"),
            "displayName": body.get("displayName"),
            "freeformTags": body.get("freeformTags") or {},
            "lifecycleState": self.status(instance),
            "metadata": body.get("metadata") or {},
            "sourceDetails": body.get("sourceDetails") or {},
            "region": "ap-chuncheon-1",
            "shape": body.get("shape"),
            "shapeConfig": {"ocpus": float(config["ocpus"]), "memoryInGBs": float(config["memoryInGBs"])},
        }

    def get(self, identity: str) -> Instance:
        if identity not in self.instances or identity in self.forgotten:
            raise Refused("404-auth")
        return self.instances[identity]

    def listed(self, compartment: str) -> list[Json]:
        """What ListInstances shows now."""
        now = self.clock()
        rows = [one for one in self.instances.values() if one.listed <= now]
        return [self.describe(one) for one in rows if one.body.get("compartmentId") == compartment]

    def alive(self) -> list[Instance]:
        """What really exists, seen from outside."""
        return [one for one in self.instances.values() if self.status(one) not in ("TERMINATING", "TERMINATED")]

    def work_request_errors(self, identity: str) -> list[Json]:
        instance = self.instances.get(identity)
        if instance is None or self.status(instance) != "TERMINATED":
            return []
        texts = {"wr-capacity": "Out of host capacity.", "wr-other": "The image is damaged."}
        text = texts.get(instance.fate, "")
        return [{"code": "InternalError", "message": text}] if text else []

    def addresses(self, identity: str) -> tuple[str, str] | None:
        instance = self.get(identity)
        if self.status(instance) != "RUNNING" or self.clock() - instance.created < self.vnic_seconds:
            return None
        if identity not in self._addresses:
            described = {**instance.body, "id": identity}
            self._addresses[identity] = self.address_of(described) if self.address_of else "203.0.113.10"
        public = self._addresses[identity]
        return (public if instance.body["createVnicDetails"].get("assignPublicIp", True) else ""), "10.0.0.10"

    def boot_volumes(self, identity: str) -> list[str]:
        instance = self.instances.get(identity)
        if instance is None or instance.boot_volume_deleted or instance.fate == "stuck-provisioning":
            return []
        return [identity.replace("instance", "bootvolume")]

    # --- what changes ---

    def etag(self, instance: Instance) -> str:
        """Another one whenever the instance has changed."""
        return f"{instance.id}-{self.status(instance)}"

    def terminate(self, identity: str, etag: str = "") -> None:
        instance = self.get(identity)
        if etag and etag != self.etag(instance):
            raise Refused("412-etag")
        if self.status(instance) == "TERMINATED":
            raise Refused("404-auth")
        if instance.terminated is None:
            instance.terminated = self.clock()
            instance.boot_volume_deleted = True
            self._addresses.pop(identity, None)
            if self.ended is not None:
                self.ended(identity)

    def move(self, identity: str, address: str) -> None:
        """The instance has another public address from now on."""
        self._addresses[identity] = address

    def delete_boot_volume(self, identity: str) -> None:
        self.get(identity.replace("bootvolume", "instance")).boot_volume_deleted = True
