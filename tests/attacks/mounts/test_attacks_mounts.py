# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attacks on the mount proof: for each layout the verdict is compared with the access of the application itself."""

from __future__ import annotations

import traceback
import typing as t

from layouts import LAYOUTS, ONLY_DOCKER
from truth import Lab


def test_verdict_is_ok_exactly_when_the_application_can_use_its_data(truth_lab: Lab, tally: t.Any) -> None:
    false_ok, false_alarms, wrong, broken = [], [], [], []
    tried = 0
    for name, (make, verdicts, mode) in LAYOUTS.items():
        if truth_lab.name == "podman" and name in ONLY_DOCKER:
            continue
        tried += 1
        try:
            container, target, pid = make(truth_lab)
            row = truth_lab.verdict(container)
            truth = truth_lab.truth(container, target, pid, mode)
        except Exception:
            broken.append(f"{name}: {traceback.format_exc(limit=-2)}")
            continue
        finally:
            truth_lab.forget()
        print(name, row["verdict"], truth or "ok", flush=True)
        text = f"{name}: {row['verdict']} ({row['message']}); the application: {truth or 'ok'}"
        if row["verdict"] == "ok" and truth:
            false_ok.append(text)
        elif row["verdict"] != "ok" and not truth:
            false_alarms.append(text)
        elif row["verdict"] not in verdicts:
            wrong.append(text)
    print("\n".join([*false_ok, *false_alarms, *wrong, *broken]))
    assert not broken, broken
    tally(f"{truth_lab.name}: broken layouts reported as ok", tried, len(false_ok))
    tally(f"{truth_lab.name}: sound layouts reported as broken", tried, len(false_alarms))
    tally(f"{truth_lab.name}: layouts with another verdict than the right one", tried, len(wrong))


def test_container_that_keeps_restarting_is_never_ok(truth_lab: Lab, tally: t.Any) -> None:
    data = truth_lab.directory()
    options = ("-v", f"{data}:/data", "--restart", "always")
    name = truth_lab.run(*options, argv=("sleep", "0.05"), ready=False)
    verdicts = [truth_lab.verdict(name)["verdict"] for _number in range(8)]
    tally(f"{truth_lab.name}: checks of a container that keeps restarting: reported as ok", 8, verdicts.count("ok"))
    truth_lab.forget()
    data = truth_lab.directory()
    steady = truth_lab.run("-v", f"{data}:/data", "--restart", "always")
    truth_lab.cli("restart", "-t", "0", steady)
    assert truth_lab.verdict(steady)["verdict"] == "ok"
