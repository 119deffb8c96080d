# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings that are tried, their order, and the final ones.

The hosts are simulated: each defect answers with the words Podman 4.3.1 with runc 1.1.5 really said (Debian 12, no
systemd, no CAP_SYS_RESOURCE), or crun 1.8.1 on mixed cgroups, until the setting that cured it there is used.
"""

import itertools

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.engine.setup import preflight

NOFILE = (
    "Error: runc: runc create failed: unable to start container process: error during container init: error setting "
    "rlimits for ready process: error setting rlimit type 7: operation not permitted: OCI permission denied"
)
SYSTEMD = (
    "Error: OCI runtime error: runc: runc create failed: systemd not running on this host, cannot use systemd cgroups "
    "manager"
)
JOURNAL = (
    'level=error msg="Unable to write pod event: \\"write unixgram @a97ab->/run/systemd/journal/socket: sendmsg: no '
    'such file or directory\\""'
)
CRUN = "Error: OCI runtime error: crun: invalid file system type on '/sys/fs/cgroup/systemd'"
NETWORK = 'Error: cni plugin bridge failed: failed to find plugin "bridge" in path [/usr/lib/cni]'

# Each defect: Podman's error, and one of the settings that fix it. Podman meets them in this order.
DEFECTS = {
    "systemd": (SYSTEMD, {"cgroupfs"}),
    "crun": (CRUN, {"runc"}),
    "network": (NETWORK, {"netavark"}),
    "nofile": (NOFILE, {"ulimits"}),
    "journal": (JOURNAL, {"events in a file"}),
}
CHOICES = preflight.candidates(["runc", "crun"], ["netavark", "cni"], 20000, 32768)


class Host:
    """A host with some of the defects; counts the probes."""

    def __init__(self, *defects: str) -> None:
        self.defects = defects
        self.probes = 0

    def __call__(self, settings):
        self.probes += 1
        names = {setting.name for setting in settings}
        for defect in self.defects:
            error, cures = DEFECTS[defect]
            if not cures & names:
                return error
        return ""


def names(settings):
    return sorted(setting.name for setting in settings)


def test_defaults_that_work_are_left_alone():
    host = Host()
    assert preflight.settle(host, CHOICES) == []
    assert host.probes == 1


@pytest.mark.parametrize("defect", DEFECTS)
def test_one_defect_takes_one_setting(defect):
    host = Host(defect)
    assert names(preflight.settle(host, CHOICES)) == sorted(DEFECTS[defect][1])


@pytest.mark.parametrize(
    "defects", [mix for size in (2, 3, 4, 5) for mix in itertools.combinations(DEFECTS, size)], ids="+".join
)
def test_any_mix_of_defects_takes_exactly_its_cures(defects):
    host = Host(*defects)
    cures = set().union(*(DEFECTS[defect][1] for defect in defects))
    assert names(preflight.settle(host, CHOICES)) == sorted(cures)
    assert host.probes <= 2 * len(CHOICES)


def test_two_settings_that_cure_only_together_are_found_and_nothing_else_is_kept():
    def host(settings):
        return "" if {"netavark", "events in a file"} <= {one.name for one in settings} else "Error: it does not work"

    assert names(preflight.settle(host, CHOICES)) == ["events in a file", "netavark"]


def test_when_nothing_helps_the_error_names_each_attempt_and_its_words():
    with pytest.raises(preflight.PreflightError) as error:
        preflight.settle(lambda settings: "Error: OCI permission denied: mount proc", CHOICES)
    text = str(error.value)
    assert text.count("Error: OCI permission denied: mount proc") == 1
    assert (
        "with its defaults, or ulimits, or cgroupfs, or events in a file, or runc, or crun, or netavark, or cni" in text
    )
    for runtime, backend in itertools.product(("runc", "crun"), ("netavark", "cni")):
        assert f"ulimits + cgroupfs + events in a file + {runtime} + {backend}" in text
    assert "container_engine_name" in text


def test_without_anything_to_try_it_says_so_at_once():
    with pytest.raises(preflight.PreflightError, match="Cannot connect"):
        preflight.settle(lambda settings: "Cannot connect to Podman", [])


def test_numbers_that_differ_from_run_to_run_do_not_count():
    counter = itertools.count(100000)
    with pytest.raises(preflight.PreflightError, match="with its defaults, or ulimits, or cgroupfs, or"):
        preflight.settle(lambda settings: f"container {next(counter)} died", CHOICES)


def test_one_runtime_replaces_the_other():
    def host(settings):
        names = {setting.name for setting in settings}
        return "" if "crun" in names else "Error: runc: too old" if "runc" in names else "Error: OCI runtime missing"

    assert names(preflight.settle(host, CHOICES)) == ["crun"]


def test_file_is_what_podman_reads():
    text = preflight.render([one for one in CHOICES if one.name in ("ulimits", "cgroupfs", "runc")])
    tomllib = pytest.importorskip("tomllib")
    assert tomllib.loads(text) == {
        "containers": {"default_ulimits": ["nofile=20000:20000", "nproc=32768:32768"]},
        "engine": {"cgroup_manager": "cgroupfs", "runtime": "runc"},
    }
    assert preflight.names_in(text) == ["default_ulimits", "cgroup_manager=cgroupfs", "runtime=runc"]
    assert preflight.render([]) == ""


def test_only_what_is_installed_is_tried():
    assert "crun" not in names(preflight.candidates(["runc"], ["cni"], 1, 1))
    assert "netavark" not in names(preflight.candidates(["runc"], ["cni"], 1, 1))
