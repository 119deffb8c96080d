"""Random histories of a launch: capacity that comes and goes, throttling, unknown outcomes of every kind, processes
that die at any step, clocks that jump, people who run it again.

Counts what must never happen: two instances at once, or one that no controller knows."""

from __future__ import annotations

import random
import typing as t
from dataclasses import dataclass, field

from ansible_collections.onebox.stack.plugins.module_utils.oci import errors
from oci_simulation import DAY, Clock, Killed, Run
from oci_world import World

# What happens to a launch, with its weight. Lags after a colon are seconds until the instance is in the list.
WORDS: tuple[tuple[str, int], ...] = (
    ("cap", 30),
    ("cap-console-text", 5),
    ("429", 6),
    ("429:2000", 1),
    ("404-shape", 1),
    ("409-state", 2),
    ("409-volume", 1),
    ("400-related", 1),
    ("limit", 3),
    ("unreachable", 3),
    ("500-other", 3),
    ("502-html", 3),
    ("504-empty", 3),
    ("reset-before-create", 4),
    ("ok", 3),
    ("ok:400", 1),
    ("reset-after-create", 4),
    ("reset-after-create:100", 3),
    ("reset-after-create:4000", 2),
    ("slow:30", 3),
    ("500-created:250", 3),
    ("limit-created", 3),
    ("limit-created:900", 2),
    ("wr-capacity", 3),
    ("wr-other", 1),
    ("stuck-provisioning", 1),
    ("401", 1),
    ("404-auth", 1),
)
_READ_FAULTS = ("", "", "", "", "", "", "", "429", "502-html", "reset", "unreachable", "500-other")


@dataclass
class Verdict:
    """What one history came to. ``doubles`` counts moments at which two instances existed at once."""

    captured: bool = False
    doubles: int = 0
    lost: bool = False
    kills: int = 0
    aborts: int = 0
    launches: int = 0
    words: list[str] = field(default_factory=list)


def play(seed: int, *, kill_rate: float = 0.01, jumps: bool = True) -> Verdict:
    """One history until the instance is captured and the launcher stays quiet, or for at most 400 processes."""
    chance = random.Random(seed)
    clock, verdict = Clock(), Verdict()
    words = [word for word, weight in WORDS for _unused in range(weight)]

    def next_word(domain: str, now: float) -> str:
        word = chance.choice(words)
        verdict.words.append(word)
        return word

    world = World(
        lambda: clock.server,
        domains=[f"Uocm:AP-CHUNCHEON-1-AD-{number + 1}" for number in range(chance.choice((1, 1, 2, 3)))],
        otherwise=next_word,
        list_lag=chance.choice((0, 0, 5, 60)),
        page_size=1,
    )

    def hook(place: str) -> None:
        verdict.doubles += len(world.alive()) > 1
        if chance.random() < kill_rate:
            raise Killed
        if jumps and chance.random() < 0.002:
            clock.wall += chance.choice((-3000, -300, 300, 3000, 90000))

    discover = chance.random() < 0.5
    run = Run(world, clock, seed, hook=hook, reads=lambda: chance.choice(_READ_FAULTS))
    run.discover = discover
    for _unused in range(400):
        try:
            block = chance.random() < 0.5
            outcome = run.block(chance.choice((600, 3600, DAY))) if block else run.tick()
            verdict.captured = outcome.captured is not None
            if verdict.captured:
                break
        except Killed:
            verdict.kills += 1
        except errors.OciError:
            verdict.aborts += 1
        # A timer, a reboot, or a person the day after.
        clock.sleep(chance.choice((1, 30, 600, 1200, 4 * 3600, 2 * DAY)))
    alive = [one.id for one in world.alive()]
    known = run.context.state.instance.id if run.context.state.instance else ""
    verdict.doubles += len(alive) > 1
    verdict.lost = bool(alive) and (not verdict.captured or alive != [known])
    verdict.launches = len(world.launches)
    return verdict


def play_with_kill(script: t.Sequence[str], at: int, domains: int = 1, lag: float = 0.0) -> tuple[Verdict, int]:
    """A fixed history in which the process dies at the ``at``-th step (never when that is 0) and is started again.

    Returns the verdict and how many steps there were.
    """
    clock, verdict, steps = Clock(), Verdict(), 0
    world = World(
        lambda: clock.server,
        domains=[f"Uocm:AP-CHUNCHEON-1-AD-{number + 1}" for number in range(domains)],
        script=list(script),
        otherwise="ok",
        list_lag=lag,
        page_size=1,
    )

    def hook(place: str) -> None:
        nonlocal steps
        steps += 1
        verdict.doubles += len(world.alive()) > 1
        if steps == at:
            raise Killed

    run = Run(world, clock, 1, hook=hook)
    while not verdict.captured and verdict.kills < 2:
        try:
            verdict.captured = run.block().captured is not None
        except Killed:
            verdict.kills += 1
            clock.sleep(1)
    alive = [one.id for one in world.alive()]
    verdict.doubles += len(alive) > 1
    known = run.context.state.instance.id if run.context.state.instance else ""
    verdict.lost = not verdict.captured or alive != [known]
    verdict.launches = len(world.launches)
    return verdict, steps
