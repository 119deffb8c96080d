# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a container ended. The kernel's lines are recorded ones; tests/integration has it for real."""

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.health import exit_reason
from compose_facts import container

ID = "14e0e92d862ced75281a33339bb002f07d760524617d97e0ce9f0377c509257c"
OF_ITS_OWN = (
    f"6,35000,17493552243,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=libpod-{ID},mems_allowed=0,"
    f"oom_memcg=/libpod_parent/libpod-{ID},task_memcg=/libpod_parent/libpod-{ID},task=tr,pid=26909,uid=0\n"
)
OF_THE_HOST = (
    "6,35001,17493552299,-;oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,"
    f"task_memcg=/docker/{ID},task=java,pid=4711,uid=0\n"
)
OTHER = "6,35002,17068571635,-;br-d05b00cf20b4: port 7(vethb1e6f01) entered disabled state\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (OF_ITS_OWN + OTHER, exit_reason.LIMIT),
        (OTHER + OF_THE_HOST, exit_reason.HOST),
        (OTHER, exit_reason.NEITHER),
        (OF_ITS_OWN.replace(ID, ID[::-1]), exit_reason.NEITHER),
        (f"6,1,1,-;{ID} is only mentioned\n", exit_reason.NEITHER),
    ],
)
def test_record_of_the_kernel_decides(tmp_path, monkeypatch, text, said):
    log = tmp_path / "kmsg"
    log.write_text(text)
    # The kernel hands out one record at each read, a file all of them.
    monkeypatch.setattr(exit_reason, "_records", lambda descriptor: iter(text.splitlines()))
    assert exit_reason.kernel_says(ID, str(log)) == said


def test_records_end_where_the_log_does(tmp_path):
    log = tmp_path / "kmsg"
    log.write_text(OF_ITS_OWN)
    assert exit_reason.kernel_says(ID, str(log)) == exit_reason.LIMIT
    assert exit_reason.kernel_says(ID, str(tmp_path / "none")) == exit_reason.UNKNOWN


@pytest.mark.parametrize(
    ("by_the_engine", "by_the_kernel", "words"),
    [
        (True, exit_reason.NEITHER, "ran out of memory. Raise its memory limit (mem_limit)"),
        (False, exit_reason.LIMIT, "ran out of memory. Raise its memory limit (mem_limit)"),
        (False, exit_reason.HOST, "the host ran out of memory"),
        (False, exit_reason.NEITHER, "not for lack of memory"),
        (False, exit_reason.UNKNOWN, "by a user, or for lack of memory"),
    ],
)
def test_out_of_memory_and_killed_are_two_things(by_the_engine, by_the_kernel, words):
    ended = container("web", State__ExitCode=137, State__OOMKilled=by_the_engine)
    assert words in exit_reason.words(ended, lambda identity: by_the_kernel)


@pytest.mark.parametrize(("code", "said"), [(3, "exit code 3"), (0, "exit code 0, it ended by itself")])
def test_other_exit_codes_do_not_query_the_kernel(code, said):
    assert (
        exit_reason.words(
            container("web", State__ExitCode=code), lambda identity: pytest.fail("the kernel was queried")
        )
        == said
    )
