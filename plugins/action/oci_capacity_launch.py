# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The capacity launcher runs on the controller, so that a wait of days shows its progress, and Ctrl-C loses nothing."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import datetime
import functools
import json
import os
import signal
import threading
import typing as t

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.onebox.stack.plugins.module_utils.core import files
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.oci import errors, host_keys, options, sdk
from ansible_collections.onebox.stack.plugins.module_utils.oci.api import Api
from ansible_collections.onebox.stack.plugins.module_utils.oci.errors import CallFailed, FinalAnswer, OciError
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch import (
    duplicates,
    events,
    launcher,
    notify,
    terminate,
    wait_running,
)
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch import state as states
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch.context import Context

display = Display()


class Interrupted(OneboxError):
    """Somebody wants this process to end. The state is saved whenever this is raised."""


class InterruptibleSleep:
    """Sleeps in short pieces, so that a signal or the end of ansible-playbook is noticed within a second.

    A signal that comes during a request waits for its answer: what Oracle says is then in the state file.
    """

    def __init__(self, world: World) -> None:
        self.signal = 0
        self._world = world
        self._former: dict[int, t.Any] = {}
        self._parent = os.getppid()

    def __enter__(self) -> InterruptibleSleep:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._former[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *unused: object) -> None:
        for number, former in self._former.items():
            signal.signal(number, former)
        if self.signal:
            os.kill(os.getpid(), self.signal)  # now the way Ansible means it

    def sleep(self, seconds: float) -> None:
        """Wait. Raises :class:`Interrupted`."""
        end = self._world.monotonic() + seconds
        while True:
            if self.signal or os.getppid() != self._parent:
                raise Interrupted
            rest = end - self._world.monotonic()
            if rest <= 0:
                return
            self._world.sleep(min(rest, 0.5))

    def _note(self, number: int, unused: object) -> None:
        self.signal = number


class ActionModule(ActionBase):
    """See the module's documentation."""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: t.Any = None, task_vars: t.Any = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        unused, params = self.validate_argument_spec(
            copy.deepcopy(options.LAUNCH),
            required_if=[("state", "present", ("subnet_id", "image_id", "ssh_public_key"))],
        )
        self._params = params
        self._state: states.State | None = None
        self._notifier: notify.Notifier | None = None
        try:
            world = World.real()
            with InterruptibleSleep(world) as waiting:
                result.update(self._work(params, dataclasses.replace(world, sleep=waiting.sleep)))
        except Interrupted:
            result.update(failed=True, msg=f"interrupted; the same command continues from {params['state_file']}")
        except CallFailed as failed:
            unused, rule = errors.classify(failed.answer, launch=False)
            text = errors.explain(failed.answer, rule, f"The query for {params['name']}")
            result.update(failed=True, msg=text, last_error=failed.answer.as_result())
        except OneboxError as error:
            result.update(failed=True, msg=str(error), ended=isinstance(error, FinalAnswer), **self._facts())
            if isinstance(error, OciError) and error.answer is not None:
                result["last_error"] = error.answer.as_result()
        return result

    def _work(self, params: dict[str, t.Any], world: World) -> dict[str, t.Any]:
        absent = params["state"] == "absent"
        path = params["state_file"] = options.state_file(params, world)
        waits = options.policy(params)
        wanted = None if absent else options.launch_spec(params)
        confirmed = terminate.check_confirm(params["name"], params["confirm"])
        session = sdk.Session(options.account(params))
        cloud = Api(session, params["compartment_id"])
        with contextlib.nullcontext() if self._task.check_mode else states.locked(path, world):
            place = {"name": params["name"], "compartment_id": params["compartment_id"], "place": session.place}
            self._state = states.load(path, now=world.epoch(), **place)
            if wanted is None:
                return self._remove(cloud, path, confirmed, waits.poll, world)
            if self._state is None:
                self._state = launcher.new_state(**place, now=world.epoch())
            context = Context(
                spec=wanted,
                policy=waits,
                cloud=cloud,
                state=self._state,
                world=world,
                save=lambda state: _save(path, state, world),
                tell=self._tell,
                domains=params["availability_domains"],
                max_attempts=params["max_attempts"],
                replace=params["replace"],
                confirm=confirmed,
            )
            if self._task.check_mode:
                return self._plan(context)
            result = self._launch(context)
        if result["captured"] and params["host_key_timeout"] > 0:
            self._add_host_keys(result, cloud, world)
        return result

    def _launch(self, context: Context) -> dict[str, t.Any]:
        params, state = self._params, context.state
        if params["discord_webhook"]:
            post = notify.discord(params["discord_webhook"])
            self._notifier = notify.Notifier(post, state.notified, display.warning)
        if params["mode"] == "block" and (state.instance is None or not state.instance.running):
            display.display(
                f"[{state.name}] the launch may take days. Ctrl-C is safe at any time: the same command continues from "
                f"{params['state_file']}"
            )
        runner = launcher.Launcher(context)
        try:
            outcome = runner.run(block=params["mode"] == "block", max_duration=params["max_duration"])
        except OciError as error:
            context.say(events.ABORTED, str(error))
            context.save(state)
            raise
        when = outcome.next_attempt_at
        changes: dict[str, t.Any] = {}
        text = outcome.text
        if outcome.captured is None and params["mode"] == "block":
            # Whoever waits for an instance (a shell, make, cron) must not continue as if there were one.
            changes["failed"] = True
            text += (
                f". The next request comes after max_duration ({params['max_duration']:g} s). Nothing is lost: the "
                f"same command continues from {params['state_file']}; mode tick with a timer continues by itself"
            )
        if context.warnings:
            changes["warnings"] = context.warnings
        if outcome.created and state.instance is not None:
            changes["diff"] = {"before": "", "after": f"instance {state.instance.id}\n"}
        return {
            **self._facts(),
            "changed": outcome.created,
            "captured": outcome.captured is not None,
            "msg": text,
            "instance": wait_running.as_result(outcome.captured, state.instance),
            "next_attempt_at": "" if when is None else _utc(when),
            **changes,
        }

    def _add_host_keys(self, result: dict[str, t.Any], cloud: Api, world: World) -> None:
        instance = result["instance"]
        keys, problem = host_keys.read(cloud, instance["id"], self._params["host_key_timeout"], world)
        instance["host_keys"] = keys
        if problem:
            result.setdefault("warnings", []).append(
                f"{instance['id']}: the SSH host keys are not known ({problem}). The first login accepts any key."
            )

    def _plan(self, context: Context) -> dict[str, t.Any]:
        """Check mode: what would be sent, and whether anything would. Reads, and changes nothing."""
        row = duplicates.find(context)
        if row is not None:
            exists = {"id": row["id"], "state": row["lifecycleState"], "public_ip": ""}
            exists["availability_domain"] = row.get("availabilityDomain")
            running = row["lifecycleState"] == "RUNNING"
            return {
                **self._facts(),
                "changed": False,
                "captured": running,
                "msg": f"{row['id']} exists",
                "instance": exists,
            }
        if not context.domains:
            context.find_domains()
        target = context.next_target() or context.targets()[0]
        body = context.spec.body(target.domain, target.fault_domain, target.size, context.state.intent)
        if "user_data" in body["metadata"]:
            body["metadata"]["user_data"] = f"({len(body['metadata']['user_data'])} characters of base64, not shown)"
        shown = json.dumps(body, indent=2)
        display.display(f"[{context.state.name}] would send POST /20160918/instances with opc-retry-token and\n{shown}")
        return {
            **self._facts(),
            "changed": True,
            "msg": f"would request {target.size} in {', '.join(context.domains)}",
            "request": body,
            "diff": {"before": "", "after": shown + "\n"},
        }

    def _remove(self, cloud: Api, path: str, confirmed: str, poll: float, world: World) -> dict[str, t.Any]:
        name, known = self._params["name"], self._state.instance if self._state else None
        rows = terminate.targets(cloud, self._state, name, self._params["confirm"], now=world.epoch())
        # The owner named another instance than the one of the state file, or a request is still open: the file stays.
        another = bool(confirmed) and known is not None and known.id != confirmed
        keep = another or (self._state is not None and self._state.pending is not None)
        if not self._task.check_mode:
            say = functools.partial(_say, name)
            terminate.remove(cloud, rows, confirm=confirmed, poll=poll, world=world, say=say)
            if not keep:
                files.remove(path)
        ended = ", ".join(str(row["id"]) for row in rows)
        return {
            "changed": bool(rows),
            "captured": False,
            "msg": f"terminated {ended}" if ended else f"no instance of {name} exists",
            "diff": {"before": f"instance {ended}\n" if ended else "", "after": ""},
            "instance": wait_running.as_result(None, known) if another else {},
            "state_file": path,
        }

    def _facts(self) -> dict[str, t.Any]:
        """What every result has."""
        state = self._state
        return {
            "captured": False,
            "attempts": state.attempts if state else 0,
            "last_error": (state.last_error if state else None) or {},
            "instance": wait_running.as_result(None, state.instance if state else None),
            "next_attempt_at": "",
            "state_file": self._params["state_file"],
        }

    def _tell(self, event: events.Event) -> None:
        if event.kind != events.ABORTED:  # that one becomes the task's error
            display.display(events.line(event))
        if self._notifier is not None:
            self._notifier(event)


def _save(path: str, state: states.State, world: World) -> None:
    state.updated_at = world.epoch()
    states.save(path, state)


def _say(name: str, text: str) -> None:
    display.display(f"[{name}] {text}")


def _utc(moment: float) -> str:
    return datetime.datetime.fromtimestamp(moment, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
