# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The first deploy of a project that another tool started keeps its containers. The engine is on paper."""

from __future__ import annotations

import shutil

from paper_engine import Paper


def test_first_deploy_of_a_running_project_keeps_its_containers(paper: Paper) -> None:
    paper.services["web"]["volumes"] = ["./conf:/etc/web", "./one:/etc/one:ro"]
    paper.write(conf__a="a", one="1")
    paper.deploy()
    (row,) = paper.engine.containers()
    # No state, and no marker: what a plain compose tool leaves.
    shutil.rmtree(paper.state)
    (paper.host / ".onebox-stack").unlink()
    env = paper.host / ".env"
    env.write_text(paper_env := "LEVEL=info\n")
    paper.env = None
    paper.write(**{".env": paper_env})
    result = paper.deploy()
    assert not result.get("failed"), result["msg"]
    assert [(each["service"], each["action"], each["reasons"]) for each in result["plan"]] == [("web", "keep", [])]
    assert result["changed"] is False
    assert [each.id for each in paper.engine.containers()] == [row.id]
