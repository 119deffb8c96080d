"""The launcher's view of the world without HTTP, a clock that only moves when someone sleeps, and sudden death."""

from __future__ import annotations

import dataclasses
import json
import random
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core import world as outside
from ansible_collections.onebox.stack.plugins.module_utils.oci import errors, freetier
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch import events, launcher, state
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch.backoff import Policy
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch.context import Context
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch.spec import LaunchSpec, Size
from oci_world import COMPARTMENT, IMAGE, SUBNET, Json, Refused, Reset, Unreachable, World

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEVTnMjUvZ2xq0cQ2Yx8kK3sZs0Zb6m8Q2rQ2rQ2rQ2r test"
DAY = 86400.0


class Killed(BaseException):
    """The process is gone: nothing catches this."""


class Clock:
    """Time in seconds; ``wall`` may jump, ``steady`` never does."""

    def __init__(self, start: float = 1_780_000_000.0) -> None:
        self.wall = start
        self.steady = 0.0
        self.server = start

    def sleep(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds
        self.server += seconds


def answer_of(refused: Refused) -> errors.Answer:
    """A refusal as the real transport hands it on."""
    after = refused.headers.get("retry-after")
    if isinstance(refused.body, bytes):
        return errors.Answer(refused.status, "", refused.body.decode(), "R", float(after) if after else None)
    return errors.Answer(
        refused.status, refused.body["code"], refused.body["message"], "R", float(after) if after else None
    )


class SimulatedCloud:
    """A ``cloud.Cloud`` on a world.

    Args:
        hook: called with a word before and after every call reaches the world; may raise :class:`Killed`.
        reads: gives the word of a fault for a read ("" for none).
    """

    def __init__(
        self,
        world: World,
        hook: t.Callable[[str], None] = lambda place: None,
        reads: t.Callable[[], str] = lambda: "",
    ) -> None:
        self._world = world
        self._hook = hook
        self._reads = reads
        self.used: dict[str, float] = {}  # what the limits service says

    def _call(self, place: str, work: t.Callable[[], t.Any], read: bool = True) -> t.Any:
        self._hook(f"before {place}")
        try:
            word = self._reads() if read else ""
            if word == "unreachable":
                raise Unreachable
            if word.startswith("reset"):
                raise Reset
            if word:
                raise Refused(word)
            result = work()
        except Refused as refused:
            self._hook(f"after {place}")
            raise errors.CallFailed(answer_of(refused)) from None
        except Reset:
            self._hook(f"after {place}")
            raise errors.CallFailed(errors.Answer(0, message="connection aborted", how=errors.LOST)) from None
        except Unreachable:
            raise errors.CallFailed(errors.Answer(0, message="name resolution", how=errors.UNSENT)) from None
        self._hook(f"after {place}")
        return json.loads(json.dumps(result))

    def domains(self) -> list[str]:
        return list(self._world.domains)

    def launch(self, body: Json, token: str) -> Json:
        return self._call("launch", lambda: self._world.launch(body, token), read=False)

    def instances(self) -> list[Json]:
        return self._call("list", lambda: self._world.listed(COMPARTMENT))

    def usage(self, shape: str, domains: t.Sequence[str]) -> freetier.Usage:
        compartments = {str(one.body.get("compartmentId")) for one in self._world.instances.values()}
        rows = self._call("usage", lambda: [row for each in compartments for row in self._world.listed(each)])
        return freetier.Usage(instances=tuple(rows), **self.used)

    def instance(self, identity: str) -> Json:
        return self._call("get", lambda: self._read(identity))

    def _read(self, identity: str) -> Json:
        instance = self._world.get(identity)
        return {**self._world.describe(instance), "etag": self._world.etag(instance)}

    def failures(self, identity: str) -> list[str]:
        return [row["message"] for row in self._call("errors", lambda: self._world.work_request_errors(identity))]

    def addresses(self, identity: str) -> tuple[str, str] | None:
        found = self._call("addresses", lambda: self._world.addresses(identity))
        return None if found is None else (found[0], found[1])

    def boot_volumes(self, domain: str, identity: str) -> list[str]:
        return self._call("volumes", lambda: self._world.boot_volumes(identity))

    def terminate(self, identity: str, etag: str = "") -> None:
        self._call("terminate", lambda: self._world.terminate(identity, etag), read=False)

    def delete_boot_volume(self, identity: str) -> None:
        self._call("delete volume", lambda: self._world.delete_boot_volume(identity))


def make_spec(**changes: t.Any) -> LaunchSpec:
    """A free instance, with some fields changed."""
    values: dict[str, t.Any] = {
        "name": "coinpilot-ins",
        "compartment_id": COMPARTMENT,
        "subnet_id": SUBNET,
        "image_id": IMAGE,
        "shape": "VM.Standard.A1.Flex",
        "sizes": (Size(2, 12),),
        "boot_volume_gb": 50,
        "ssh_public_key": KEY,
    }
    return LaunchSpec(**{**values, **changes})


class Run:
    """A launcher and its world. The state lives in ``disk`` as text, as it would on a disk.

    ``start`` makes a new process: what only the old one knew is gone.
    """

    def __init__(
        self,
        world: World,
        clock: Clock,
        seed: int = 0,
        *,
        spec: LaunchSpec | None = None,
        waits: Policy | None = None,
        hook: t.Callable[[str], None] = lambda place: None,
        reads: t.Callable[[], str] = lambda: "",
    ) -> None:
        self.world, self.clock, self.hook = world, clock, hook
        self.spec = spec or make_spec()
        self.policy = waits or Policy()
        self.cloud = SimulatedCloud(world, hook, reads)
        self.disk = ""
        self.events: list[events.Event] = []
        self.sleeps: list[float] = []
        self.max_attempts, self.replace, self.confirm, self.discover = 0, False, "", False
        self._tokens = 0
        self._outside = dataclasses.replace(
            outside.World.real(),
            epoch=lambda: self.clock.wall,
            monotonic=lambda: self.clock.steady,
            sleep=self._sleep,
            random=random.Random(seed).random,
        )

    def _save(self, current: state.State) -> None:
        self.hook("before save")
        current.updated_at = self.clock.wall
        self.disk = json.dumps(state.encode(current))
        self.hook("after save")

    def _sleep(self, seconds: float) -> None:
        self.hook("sleep")
        self.sleeps.append(seconds)
        self.clock.sleep(seconds)

    def _token(self) -> str:
        self._tokens += 1
        return f"token{self._tokens:06d}"

    def start(self) -> launcher.Launcher:
        """A process starts with nothing but what is on the disk."""
        if self.disk:
            current = state.decode(json.loads(self.disk))
        else:
            current = launcher.new_state(self.spec.name, COMPARTMENT, "ap-chuncheon-1", self.clock.wall)
        self.context = Context(
            spec=self.spec,
            policy=self.policy,
            cloud=self.cloud,
            state=current,
            world=self._outside,
            save=self._save,
            tell=self.events.append,
            domains=[] if self.discover else list(self.world.domains),
            max_attempts=self.max_attempts,
            replace=self.replace,
            confirm=self.confirm,
        )
        return launcher.Launcher(self.context, self._token)

    def block(self, max_duration: float = 40 * DAY) -> launcher.Outcome:
        return self.start().run(block=True, max_duration=max_duration)

    def tick(self) -> launcher.Outcome:
        return self.start().run(block=False)
