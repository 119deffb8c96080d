"""Random histories of two controllers that launch the same instance, each with a state file of its own.

Both begin within minutes of each other, without knowing. Lists lag, answers get lost, reads are answered 404, servers
boot slowly, clocks jump and processes are killed. Then both run once more without faults: the reconciliation. When two
instances run by then, a person does what the launcher's message says, once.
"""

from __future__ import annotations

import random
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.oci import errors
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch import terminate
from oci_controllers import Actor, Stage
from oci_histories import WORDS
from oci_simulation import DAY, Killed
from oci_world import World

_FAULTS = ("", "", "", "", "", "", "", "", "429", "502-html", "reset", "unreachable", "500-other", "404-auth")
# What ends in minutes, so that a history has its race early: room comes soon.
_WORDS = [word for word, weight in WORDS for _unused in range(weight) if word not in ("401", "404-auth", "wr-other")]
_WORDS += ["ok"] * 25 + ["ok:100"] * 5 + ["reset-after-create"] * 5
_OPEN = ["ok"] * 8 + ["reset-after-create", "500-created", "slow", "cap", "limit-created"]


@dataclass
class Verdict:
    """What one history came to."""

    doubles: int = 0  # instances too many after the reconciliation
    ended_running: int = 0  # instances terminated although they ran, without their OCID confirmed
    lost: bool = False  # one exists that no controller knows, or none was captured
    unreported: bool = False  # two ran, and a controller did not name both
    asked: bool = False  # two ran, and the owner had to decide
    raced: bool = False  # two existed at some moment
    returned: int = 0  # instances removed before they ran
    kills: int = 0
    launches: int = 0


class History:
    """One history, made from ``seed``."""

    def __init__(self, seed: int) -> None:
        chance = self.chance = random.Random(seed)
        self.stage, self.verdict, self.confirmed = Stage(), Verdict(), ""
        # In half of the histories room appears for everybody at one moment, so that both controllers get an instance.
        self.room_at = self.stage.now + chance.choice((600, 1800)) if chance.random() < 0.5 else 0.0
        self.world = World(
            lambda: self.stage.now,
            domains=[f"Uocm:AP-CHUNCHEON-1-AD-{number + 1}" for number in range(chance.choice((1, 1, 2, 3)))],
            otherwise=self._word,
            list_lag=chance.choice((0, 0, 5, 60, 300, 600)),
            boot_seconds=chance.choice((40, 90, 600, 600, 2400)),
            page_size=1,
        )
        self.world.ended = self._ended
        numbers = list(range(1, 1000))
        chance.shuffle(numbers)  # OCIDs of later instances are not higher than those of earlier ones
        self.world._numbers = iter(numbers)  # type: ignore[assignment]
        self.calm = chance.random() < 0.5  # reads do not fail
        self.actors = [Actor(self.stage, name, seed, self.world, self._life) for name in ("a", "b")]
        for actor in self.actors:
            actor.latency = chance.choice((0.2, 2.0, 20.0))
            actor.kill_rate = chance.choice((0, 0.01, 0.03))
            actor.jump_rate = chance.choice((0, 0, 0.003))
            actor.run.replace = chance.random() < 0.3  # left behind in an inventory
            actor.reads = self._faults(actor)

    def play(self) -> Verdict:
        self.stage.play(*self.actors)
        self.stage.now += 2 * DAY
        for actor in self.actors:
            actor.kill_rate = actor.jump_rate = actor.latency = 0.0
            actor.clock.offset = 0.0
            actor.reads = lambda: ""
        self.world.otherwise = "ok"
        self._reconcile()
        verdict = self.verdict
        if len(self.world.alive()) > 1:
            verdict.asked = True
            self._owner_decides()
            self._reconcile()
        alive = [one.id for one in self.world.alive()]
        verdict.doubles = max(0, len(alive) - 1)
        known = [actor.run.context.state.instance for actor in self.actors]
        verdict.lost = len(alive) != 1 or any(each is None or each.id != alive[0] for each in known)
        verdict.kills = sum(actor.kills for actor in self.actors)
        verdict.launches = len(self.world.launches)
        return verdict

    def _word(self, domain: str, now: float) -> str:
        if now < self.room_at:
            return "cap"
        return self.chance.choice(_OPEN if self.room_at else _WORDS)

    def _faults(self, actor: Actor) -> t.Callable[[], str]:
        def fault() -> str:
            self.verdict.raced = self.verdict.raced or len(self.world.alive()) > 1
            return "" if self.calm else actor.chance.choice(_FAULTS)

        return fault

    def _ended(self, identity: str) -> None:
        instance = self.world.instances[identity]
        ran = instance.fate == "runs" and self.stage.now - instance.created >= self.world.boot_seconds
        if identity != self.confirmed:
            self.verdict.ended_running += ran
            self.verdict.returned += not ran

    def _life(self, actor: Actor) -> None:
        """Processes that end in one way or another, until two in a row found the instance captured."""
        actor.pause(actor.chance.choice((0, 0, 0.5, 20, 300)))
        quiet = 0
        for _unused in range(40):
            quiet = quiet + 1 if self._process(actor) else 0
            if quiet == 2:
                return
            actor.pause(actor.chance.choice((1, 30, 300, 1200, 4 * 3600)))

    def _process(self, actor: Actor) -> bool:
        try:
            block = actor.chance.random() < 0.7
            run = actor.run
            outcome = run.block(actor.chance.choice((3600, DAY))) if block else run.tick()
            actor.said += run.context.warnings
            return outcome.captured is not None
        except Killed:
            return False
        except errors.OciError as error:
            actor.said.append(str(error))
            return False

    def _reconcile(self) -> None:
        """One run of each controller, with nothing in its way."""

        def once(actor: Actor) -> None:
            actor.said.clear()
            if actor.run.disk:  # one that never wrote its state never sent anything
                self._process_blocking(actor)

        for actor in self.actors:
            actor.script = once
            actor.done = False
        self.stage.play(*self.actors)

    def _process_blocking(self, actor: Actor) -> None:
        try:
            actor.run.block(30 * DAY)
            actor.said += actor.run.context.warnings
        except errors.OciError as error:
            actor.said.append(str(error))

    def _owner_decides(self) -> None:
        """Keep what the message keeps, and confirm the OCID it names."""
        alive = sorted(one.id for one in self.world.alive())
        told = [text for actor in self.actors for text in actor.said if all(each in text for each in alive)]
        self.verdict.unreported = not told or any(self.world.status(one) != "RUNNING" for one in self.world.alive())
        if not told:
            return
        named = re.search(r"confirm: (ocid1\.instance\.[\w.-]+)", told[0])
        assert named is not None, told[0]
        self.confirmed = named[1]
        name = self.actors[0].run.spec.name
        cloud = self.actors[0].run.cloud
        (row,) = terminate.targets(cloud, None, name, self.confirmed, now=self.stage.now)
        self.world.terminate(str(row["id"]))
        self.stage.now += 600


def play_two(seed: int) -> Verdict:
    """One history of two controllers."""
    return History(seed).play()
