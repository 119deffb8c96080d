# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The launcher's state, which is on the disk before each request that could create a resource.

The file is replaced as a whole (new file written and synced, renamed, directory synced), so a kill or a power cut
leaves either the old or the new one. A file that is incomplete, foreign or from the future is refused and never guessed
at: a lost request could mean two instances.
"""

from __future__ import annotations

import contextlib
import json
import os
import typing as t
from dataclasses import asdict, dataclass, field, fields

from ansible_collections.onebox.stack.plugins.module_utils.core import files, lock
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.oci.errors import OciError

FORMAT = 1
KIND = "onebox.stack oci_capacity_launch"
# With a wrong clock, Oracle refuses every request anyway: five minutes are too much.
FUTURE_SECONDS = 3600.0


# Fields that files of the first release do not have. Each is written only if it differs from its default, so that
# the first release can read files without them.
_ADDED: t.Mapping[str, t.Any] = {"added": True}


@dataclass
class Pending:
    """A launch request with an unknown outcome: written before it is sent, with all data for a replay.

    ``verdict`` is the verdict on the answer (``doubt``, ``verify``, ``token_spent``), "" without an answer.
    ``doubt_since`` is when the launcher began to find out the outcome, None before that; ``looks`` counts how often the
    instance list was read since.
    """

    token: str
    body: dict[str, t.Any]
    sent_at: float
    verdict: str = ""
    doubt_since: float | None = None
    looks: int = 0
    replays: int = 0


@dataclass
class Known:
    """The instance that was created or found, since when, and whether it ever ran.

    ``only_one``: the list was read after the launch and showed no second instance. ``captured``: that was reported.
    ``missing_since``: when Oracle first answered 404 for it. ``gone``: Oracle showed it as terminated, or accepted our
    termination.
    """

    id: str
    availability_domain: str
    since: float
    running: bool = False
    only_one: bool = field(default=False, metadata=_ADDED)
    captured: bool = field(default=False, metadata=_ADDED)
    missing_since: float | None = field(default=None, metadata=_ADDED)
    gone: bool = field(default=False, metadata=_ADDED)


@dataclass
class State:
    """The state that survives a restart. Times are seconds since the epoch, waits are seconds."""

    name: str
    compartment_id: str
    place: str  # the region, or the endpoint if it is set
    intent: str
    created_at: float
    updated_at: float = 0.0
    attempts: int = 0
    round: int = 0
    turn: int = 0
    not_before: float = 0.0
    wait: float = 0.0
    why: str = ""
    throttle_level: int = 0
    network_failures: int = 0
    busy: int = 0
    settling: int = 0
    # Answers that prove that the request itself is right: a 404 after one of these means something else has changed.
    accepted: int = 0
    limit_since: float | None = None
    last_doubt_at: float | None = None
    skipped: dict[str, float] = field(default_factory=dict)
    pending: Pending | None = None
    instance: Known | None = None
    # The reason why the instance is being removed, "" if it is not.
    discard: str = ""
    last_error: dict[str, t.Any] | None = None
    # The last message to a webhook, and its time.
    notified: dict[str, t.Any] = field(default_factory=dict)
    # When this launch loop first read the list, before its first request.
    first_read_at: float | None = field(default=None, metadata=_ADDED)
    # The final answer that ended the launch loop, and the digest of its request, "" while the loop runs.
    ended: str = field(default="", metadata=_ADDED)
    ended_request: str = field(default="", metadata=_ADDED)

    def remaining(self, now: float) -> float:
        """Seconds until the next request is allowed. After the clock was set back, the wait starts again once."""
        self.not_before = min(self.not_before, now + self.wait)
        return max(0.0, self.not_before - now)

    def wait_for(self, seconds: float, now: float, why: str) -> None:
        """Send nothing for ``seconds`` from ``now``."""
        self.not_before, self.wait, self.why = now + seconds, seconds, why


def load(path: str, *, name: str, compartment_id: str, place: str, now: float) -> State | None:
    """Read the state file, None if it does not exist.

    Raises:
        OciError: it cannot be read, is damaged, belongs to another launch, or comes from the future.
    """
    try:
        with open(path, encoding="utf-8") as stream:
            text = stream.read()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise OciError(f"the state file {path} cannot be read: {error}") from error
    way_out = (
        "Nothing was sent. Wait five minutes, move the file away and run again: the launcher then searches for an "
        "instance with its tag first and uses it if there is one."
    )
    try:
        data = json.loads(text)
    except ValueError as error:
        raise OciError(f"the state file {path} is damaged or cut off ({error}). {way_out}") from error
    if not isinstance(data, dict) or data.get("kind") != KIND:
        raise OciError(f"{path} is not a state file of this launcher. Set another state_file. Nothing was sent.")
    if not isinstance(data.get("format"), int) or data["format"] > FORMAT:
        raise OciError(
            f"the state file {path} has format {data.get('format')!r}, newer than this version knows ({FORMAT}): use "
            "the version of the collection that wrote it. Nothing was sent."
        )
    try:
        state = decode(data)
    except (KeyError, TypeError, ValueError) as error:
        raise OciError(f"the state file {path} is damaged: {error}. {way_out}") from error
    for option, wanted, found in (
        ("name", name, state.name),
        ("compartment_id", compartment_id, state.compartment_id),
        ("region or endpoint", place, state.place),
    ):
        if wanted != found:
            raise OciError(
                f"the state file {path} belongs to another launch: its {option} is {found!r}, yours is {wanted!r}. "
                "Set another state_file. Nothing was sent."
            )
    if state.updated_at > now + FUTURE_SECONDS:
        ahead = (state.updated_at - now) / 3600
        raise OciError(
            f"the state file {path} was written {ahead:.1f} hours in the future: this machine's clock is wrong, or was "
            f"when the file was written. Correct the clock (Oracle refuses a deviation of 5 minutes). If the clock is "
            f"right: {way_out}"
        )
    return state


def save(path: str, state: State) -> None:
    """Write the state file to the disk. Raises :class:`OciError` if that fails."""
    data = json.dumps(encode(state), indent=1).encode()
    try:
        _make_folder(path)
        # Private, because user_data can contain secrets.
        files.replace(path, data, 0o600, durable=True)
    except files.FileError as error:
        raise OciError(
            f"{error}. No request is sent without the state file. Free space, or set another state_file."
        ) from error


def _make_folder(path: str) -> None:
    files.make_directories(os.path.dirname(os.path.abspath(path)), 0o700)


@contextlib.contextmanager
def locked(path: str, world: World, timeout: float = 10.0) -> t.Iterator[None]:
    """Hold the lock of a state file. The system releases it when the process ends, even if it is killed.

    Args:
        path: the state file; the lock is ``<path>.lock``.
        world: clock and waiting.
        timeout: seconds to wait for a launcher that is just finishing its last request.

    Raises:
        OciError: another launcher works with the same state file, or the lock file cannot be created.
    """
    name = path + ".lock"
    with contextlib.ExitStack() as stack:
        try:
            _make_folder(path)
            stack.enter_context(lock.held(name, purpose="oci_capacity_launch", timeout=timeout, world=world))
        except lock.LockHeld as error:
            holder = lock.holder(name).get("pid", "unknown")
            raise OciError(
                f"another launcher (process {holder}) is at work with {path}: two at once could make two "
                "instances. Wait for it or stop it; it can be resumed at any time."
            ) from error
        except (files.FileError, lock.LockError) as error:
            raise OciError(f"{str(error).rstrip('.')}. Set another state_file.") from error
        yield


def encode(state: State) -> dict[str, t.Any]:
    """The JSON object of a state's file."""
    data = {"kind": KIND, "format": FORMAT, **asdict(state)}
    _leave_out_defaults(State, data)
    if data["instance"] is not None:
        _leave_out_defaults(Known, data["instance"])
    return data


def _leave_out_defaults(kind: type, data: dict[str, t.Any]) -> None:
    for row in fields(kind):
        if row.metadata.get("added") and data[row.name] == row.default:
            del data[row.name]


def decode(data: dict[str, t.Any]) -> State:
    """A state from the JSON object of its file; every field must be there, known and of the right kind.

    Raises:
        KeyError, TypeError: a field is missing, unknown or of the wrong kind.
    """
    values = {key: value for key, value in data.items() if key not in ("kind", "format")}
    if values.get("pending") is not None:
        values["pending"] = _make(Pending, values["pending"])
    if values.get("instance") is not None:
        values["instance"] = _make(Known, values["instance"])
    return _make(State, values)


_Made = t.TypeVar("_Made")
# The types of the fields, as they are written in the classes above.
_CHECKS: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (int, float),
    "float | None": (int, float, type(None)),
    "bool": (bool,),
    "dict[str, float]": (dict,),
    "dict[str, t.Any]": (dict,),
    "dict[str, t.Any] | None": (dict, type(None)),
    "Pending | None": (Pending, type(None)),
    "Known | None": (Known, type(None)),
}


def _make(kind: type[_Made], values: t.Any) -> _Made:
    if not isinstance(values, dict):
        raise TypeError(f"{kind.__name__.lower()} is not a mapping")
    known = {row.name: str(row.type) for row in fields(kind)}  # type: ignore[arg-type]
    optional = {row.name for row in fields(kind) if row.metadata.get("added")}  # type: ignore[arg-type]
    missing = [name for name in known if name not in values and name not in optional]
    strange = [name for name in values if name not in known]
    if missing or strange:
        raise KeyError(f"{'missing' if missing else 'unknown'} field {(missing or strange)[0]}")
    for name, value in values.items():
        declared = known[name]
        if not isinstance(value, _CHECKS[declared]) or (isinstance(value, bool) and declared != "bool"):
            raise TypeError(f"{name} is {value!r}")
    return kind(**values)
