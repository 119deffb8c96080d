"""Two controllers with a state file each, against one simulated cloud, on one clock.

Each controller runs in a thread of its own, but only one thread runs at any moment: every call to the cloud and every
sleep hands over to the one that is due next. So two requests meet in every order, a history is the same each time it is
played, and a month takes milliseconds. The cloud is the recorded fake of the tests (oci_world), never Oracle's.
"""

from __future__ import annotations

import random
import threading
import typing as t

from oci_simulation import Clock, Killed, Run
from oci_world import World


class Stage:
    """The clock of a history, and who acts next."""

    def __init__(self, start: float = 1_780_000_000.0) -> None:
        self.now = start
        self._actors: list[Actor] = []
        self._turn = threading.Semaphore(0)

    def play(self, *actors: Actor) -> None:
        """Let the actors act until all are done. Raises what one of them raised."""
        self._actors = list(actors)
        for actor in actors:
            actor.thread = threading.Thread(target=actor.work, args=(self._turn,), daemon=True)
            actor.wakes = self.now
            actor.thread.start()
        while True:
            due = self._next()
            if due is None:
                break
            self.now = max(self.now, due.wakes)
            due.turn.release()
            self._turn.acquire()
        for actor in actors:
            assert actor.thread is not None
            actor.thread.join()
            if actor.error is not None:
                raise actor.error

    def pause(self, actor: Actor, seconds: float) -> None:
        """Hand over; return ``seconds`` later."""
        actor.wakes = self.now + seconds
        if self._next() is actor:  # the other one sleeps for longer: no thread is switched
            self.now = actor.wakes
            return
        self._turn.release()
        actor.turn.acquire()

    def _next(self) -> Actor | None:
        waiting = [actor for actor in self._actors if not actor.done]
        return min(waiting, key=lambda actor: actor.wakes) if waiting else None


class OwnClock(Clock):
    """A controller's clock: it may be wrong, and it continues while the other one acts."""

    def __init__(self, stage: Stage, pause: t.Callable[[float], None]) -> None:
        super().__init__()
        self.offset = 0.0
        self._stage, self._pause, self._began = stage, pause, stage.now

    @property
    def wall(self) -> float:
        return self._stage.now + self.offset

    @wall.setter
    def wall(self, value: float) -> None:
        self.offset = value - self._stage.now if hasattr(self, "_stage") else 0.0

    @property
    def steady(self) -> float:
        return self._stage.now - self._began

    @steady.setter
    def steady(self, value: float) -> None:
        pass

    @property
    def server(self) -> float:
        return self._stage.now

    @server.setter
    def server(self, value: float) -> None:
        pass

    def sleep(self, seconds: float) -> None:
        self._pause(seconds)


class Actor:
    """One controller. ``script`` is its life: it starts processes, which die and are started again."""

    def __init__(self, stage: Stage, name: str, seed: int, world: World, script: t.Callable[[Actor], None]) -> None:
        self.stage, self.name, self.chance = stage, name, random.Random(f"{name}{seed}")
        self.turn = threading.Semaphore(0)
        self.thread: threading.Thread | None = None
        self.wakes, self.done = stage.now, False
        self.error: BaseException | None = None
        self.script = script
        self.kill_rate = self.jump_rate = 0.0
        self.latency = 0.0
        self.reads: t.Callable[[], str] = str
        self.clock = OwnClock(stage, self.pause)
        self.run = Run(world, self.clock, seed, hook=self.hook, reads=self._read)
        self.run._token = self._token  # type: ignore[method-assign]
        self.kills = self.tokens = 0
        self.said: list[str] = []

    def _read(self) -> str:
        return self.reads()

    def work(self, finished: threading.Semaphore) -> None:
        self.turn.acquire()
        try:
            self.script(self)
        except BaseException as error:  # shown by Stage.play
            self.error = error
        self.done = True
        finished.release()

    def pause(self, seconds: float) -> None:
        self.stage.pause(self, seconds)

    def hook(self, place: str) -> None:
        """Called at each call of the cloud, save and sleep."""
        if place.startswith(("before", "after")) and not place.endswith("save") and self.latency:
            self.pause(self.chance.random() * self.latency)
        if self.chance.random() < self.kill_rate:
            self.kills += 1
            raise Killed
        if self.chance.random() < self.jump_rate:
            self.clock.offset += self.chance.choice((-90000, -3000, -300, 300, 3000, 90000))

    def _token(self) -> str:
        self.tokens += 1
        return f"{self.name}{self.tokens:06d}"
