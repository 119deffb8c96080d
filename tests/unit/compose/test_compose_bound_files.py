# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A process reads its configuration when it starts: bound files that change restart it, and decide what was healthy."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import random

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.model import bound_files
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.digests import Reader
from ansible_collections.onebox.stack.plugins.module_utils.compose.state import image_tags
from compose_facts import model_of
from paper_engine import Paper


@pytest.fixture
def paper(tmp_path, monkeypatch):
    for name in ("tag", "untag"):
        monkeypatch.setattr(image_tags.Tagger, name, lambda *words: None)
    paper = Paper(tmp_path, monkeypatch)
    paper.services["web"]["volumes"] = ["./app.yaml:/etc/app.yaml:ro"]
    return paper


def plan_of(result: dict) -> dict[str, tuple[str, tuple[str, ...]]]:
    return {row["service"]: (row["action"], tuple(row["reasons"])) for row in result["plan"]}


def read_by(paper: Paper, service: str = "web") -> dict[str, str]:
    with paper.engine.rows() as rows:
        return {os.path.basename(path): text for path, text in rows[service]["Read"].items()}


def kept(paper: Paper) -> list[str]:
    return sorted(path.read_text() for path in (paper.state / "shop" / "good").rglob("app.yaml"))


def test_changed_bound_file_restarts_its_service_once(paper):
    paper.write(**{"app.yaml": "one"})
    paper.deploy()
    assert plan_of(paper.deploy()) == {"web": ("keep", ())}
    paper.write(**{"app.yaml": "two"})
    seen = paper.stack().preview()
    assert plan_of(seen) == {"web": ("restart", ("config_changed",))}
    assert list(seen["plan"][0]["diff"]) == [f"files.{paper.host}/app.yaml"]
    result = paper.deploy()
    assert not result.get("failed"), result["msg"]
    assert read_by(paper)["app.yaml"] == "two"
    assert plan_of(paper.deploy()) == {"web": ("keep", ())}


@pytest.mark.parametrize("change", ["edit", "add", "remove", "rename"])
def test_change_in_a_bound_directory_of_the_stack_restarts_its_service(paper, change):
    paper.services["web"]["volumes"] = ["./conf:/conf:ro"]
    paper.write(conf__a="one", conf__sub__b="two")
    paper.deploy()
    assert plan_of(paper.deploy()) == {"web": ("keep", ())}
    conf = paper.source / "conf"
    if change == "edit":
        (conf / "sub" / "b").write_text("three")
    elif change == "add":
        (conf / "c").write_text("three")
    elif change == "remove":
        (conf / "a").unlink()
    else:
        (conf / "a").rename(conf / "z")
    assert plan_of(paper.stack().preview()) == {"web": ("restart", ("code_bind_changed",))}
    paper.deploy()
    assert plan_of(paper.deploy()) == {"web": ("keep", ())}


def test_file_of_others_in_a_bound_directory_restarts_nothing(paper):
    paper.services["web"]["volumes"] = ["./conf:/conf:ro"]
    paper.write(conf__a="one")
    paper.deploy()
    (paper.host / "conf" / "cache").write_text("data")
    assert plan_of(paper.deploy()) == {"web": ("keep", ())}
    # An inspection without staged files, as in a rollback, results in the same digest.
    assert plan_of(paper.stack(staged_dir="", env=None).preview()) == {"web": ("keep", ())}
    assert plan_of(paper.deploy()) == {"web": ("keep", ())}


def test_created_container_has_no_second_reason(paper):
    paper.write(**{"app.yaml": "one"})
    paper.deploy()
    paper.write(**{"app.yaml": "two"})
    paper.env = {"LEVEL": "debug"}
    action, reasons = plan_of(paper.stack().preview())["web"]
    assert action == "recreate"
    assert "config_changed" not in reasons
    paper.deploy()
    assert plan_of(paper.deploy()) == {"web": ("keep", ())}


def test_changed_mode_restarts_nothing(paper):
    paper.write(**{"app.yaml": "one"})
    paper.deploy()
    (paper.source / "app.yaml").chmod(0o600)
    assert plan_of(paper.deploy()) == {"web": ("keep", ())}


def test_service_that_reloads_by_itself_is_not_restarted(paper):
    paper.services["web"]["labels"] = {"onebox.reload": "self"}
    paper.write(**{"app.yaml": "one"})
    paper.deploy()
    paper.write(**{"app.yaml": "two"})
    assert plan_of(paper.deploy()) == {"web": ("keep", ())}


def test_container_that_restarted_by_itself_has_read_the_present_files(paper):
    paper.write(**{"app.yaml": "one"})
    paper.deploy()
    (paper.host / "app.yaml").write_text("two")
    with paper.engine.rows() as rows:
        paper.start_again(rows["web"])
    paper.write(**{"app.yaml": "two"})
    assert plan_of(paper.deploy()) == {"web": ("keep", ())}
    (paper.host / "app.yaml").write_text("two")  # touched, and what the run before wrote down is what counts
    assert plan_of(paper.deploy()) == {"web": ("keep", ())}
    paper.write(**{"app.yaml": "three"})
    assert plan_of(paper.stack().preview()) == {"web": ("restart", ("config_changed",))}


def test_file_of_content_restarts_its_service(paper, tmp_path):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    paper.services["web"]["volumes"] = [f"{folder}/app.yaml:/etc/app.yaml:ro"]
    paper.write()

    def deploy(text: str) -> dict:
        staged = paper.stage()
        content = staged.parent / "content-0"
        content.mkdir()
        (content / "app.yaml").write_text(text)
        return paper.deploy(staged_dir=str(staged), content=((str(content), str(folder)),), rollback=False)

    (folder / "app.yaml").write_text("one")
    deploy("one")
    assert plan_of(deploy("one")) == {"web": ("keep", ())}
    assert plan_of(deploy("two")) == {"web": ("restart", ("config_changed",))}
    assert read_by(paper)["app.yaml"] == "two"


def test_rolled_back_file_is_read_again(paper):
    paper.write(**{"app.yaml": "good"})
    paper.deploy()
    paper.write(**{"app.yaml": "bad"})
    result = paper.deploy()
    assert result["rolled_back"], result["msg"]
    assert read_by(paper)["app.yaml"] == "good"
    assert kept(paper) == ["good"]


def test_edit_that_no_process_read_is_not_in_a_release(paper):
    # As after an edit in the deploy directory, while the process continues with the previous content.
    paper.write(**{"app.yaml": "good"})
    paper.deploy()
    (paper.host / "app.yaml").write_text("bad")
    result = paper.stack(staged_dir="", env=None).converge()
    assert result["rolled_back"], result["msg"]
    assert kept(paper) == ["good"]
    assert read_by(paper)["app.yaml"] == "good"


def binds(volumes: list[str], written: tuple[str, ...] = (), **body) -> list[str]:
    service = model_of({"web": {"image": "a", "volumes": volumes, **body}}, project_dir="/opt/onebox/shop").services[
        "web"
    ]
    return [bind.source for bind in bound_files.configuration(service, "/opt/onebox/shop", written)]


@pytest.mark.parametrize(
    "volume",
    [
        "/etc/localtime:/etc/localtime:ro",
        "/etc/passwd:/etc/passwd:ro",
        "/var/log/auth.log:/auth.log:ro",
        "/proc:/host/proc:ro",
        "./init:/docker-entrypoint-initdb.d:ro",
        "/srv/a:/a",
    ],
)
def test_files_that_a_restart_does_not_read_are_not_configuration(volume):
    assert binds([volume]) == []


def test_files_that_another_service_writes_are_data():
    assert binds(["/srv/shared/list.txt:/list:ro"]) == ["/srv/shared/list.txt"]
    assert binds(["/srv/shared/list.txt:/list:ro"], ("/srv/shared",)) == []


@pytest.mark.parametrize("action", ["sync", "sync+restart", "rebuild"])
def test_watch_rule_decides_about_its_path(action):
    develop = {"watch": [{"action": action, "path": "./site"}]}
    assert binds(["./site/pages:/site:ro"], develop=develop) == []
    assert binds(["./other:/site:ro"], develop=develop) == ["/opt/onebox/shop/other"]


def test_too_many_files_are_named_and_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(bound_files, "MOST_FILES", 3)
    for number in range(4):
        (tmp_path / "site").mkdir(exist_ok=True)
        (tmp_path / "site" / str(number)).write_text("x")
    model = model_of({"web": {"image": "a", "volumes": ["./site:/site:ro"]}}, project_dir=str(tmp_path))
    content = Reader().content(model.services["web"], {}, str(tmp_path))
    assert content.unread == (f"{tmp_path}/site",)
    assert content.bound == {}


def test_directory_outside_of_the_stack_is_not_read(tmp_path):
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / "film").write_text("x")
    model = model_of(
        {"web": {"image": "a", "volumes": [f"{tmp_path}/media:/m:ro"]}}, project_dir=str(tmp_path / "shop")
    )
    content = Reader().content(model.services["web"], {}, str(tmp_path / "shop"))
    assert (dict(content.bound), content.unread) == ({}, ())


def test_state_file_of_an_earlier_version_restarts_nothing(paper):
    paper.write(**{"app.yaml": "one"})
    paper.deploy()
    path = paper.state / "shop" / "compose.json"
    state = json.loads(path.read_text())
    for row in state["containers"].values():
        row["code"] = {}
        del row["started_at"], row["restarts"]
    del state["at"]
    path.write_text(json.dumps(state))
    assert plan_of(paper.deploy()) == {"web": ("keep", ())}


def _wrong(paper: Paper) -> str:
    """Broken promises after a deploy: a process that has not read its files, a release that never ran."""
    with paper.engine.rows() as rows:
        for name, row in rows.items():
            if row["State"]["Status"] == "running":
                old = [path for path, text in row["Read"].items() if pathlib.Path(path).read_text() != text]
                if old:
                    return f"{name} has not read {old}"
    for path in (paper.state / "shop" / "good").rglob("files/**/*"):
        if path.is_file() and path.name != "compose.yml" and "bad" in path.read_text():
            return f"the release {path} was never healthy"
    return ""


def _step(paper: Paper, chance: random.Random, text: str) -> str:
    """Change something, as people and engines do. Returns what."""
    what = chance.choice(("edit", "edit", "by hand", "add", "remove", "restart", "nothing", "kill"))
    name = chance.choice(("app.yaml", "conf/a", "conf/sub/b"))
    if what == "edit":
        (paper.source / name).write_text(text)
    elif what == "by hand":
        (paper.host / name).write_text(text)
    elif what == "add":
        (paper.source / "conf" / f"new{chance.randrange(3)}").write_text(text)
    elif what == "remove":
        (paper.source / "conf" / f"new{chance.randrange(3)}").unlink(missing_ok=True)
    elif what == "restart":
        with paper.engine.rows() as rows:
            paper.start_again(rows["web"])
    elif what == "kill":
        # A deploy that ends in the middle, after it wrote its files.
        (paper.source / name).write_text(text)

        def die(step: str) -> None:
            raise KeyboardInterrupt(step)

        paper.before = lambda step: die(step) if step in ("restart", "up") else None
        with contextlib.suppress(KeyboardInterrupt):
            paper.deploy()
        paper.before = lambda step: None
    return what


def test_after_any_change_a_process_has_read_its_files_and_each_release_was_healthy(
    tmp_path, monkeypatch, tally, how_many
):
    for name in ("tag", "untag"):
        monkeypatch.setattr(image_tags.Tagger, name, lambda *words: None)
    chance, tried, wrong, restarted = random.Random(7), 0, [], 0
    for number in range(how_many(6, 60)):
        (tmp_path / str(number)).mkdir()
        paper = Paper(tmp_path / str(number), monkeypatch)
        paper.services["web"]["volumes"] = ["./app.yaml:/etc/app.yaml:ro", "./conf:/conf:ro"]
        paper.write(conf__a="0", conf__sub__b="0", **{"app.yaml": "0"})
        paper.deploy()
        for step in range(8):
            before = paper.engine.containers()[0]
            text = f"{'bad' if chance.random() < 0.3 else 'good'} {step}"
            what = _step(paper, chance, text)
            result = paper.deploy(wait_timeout=0.5)
            if result.get("failed"):
                # The source is fixed, as its owner would do next.
                for path in paper.source.rglob("*"):
                    if path.is_file() and "bad" in path.read_text():
                        path.write_text(f"mended {step}")
            found = _wrong(paper)
            if what == "nothing" and not result.get("failed") and paper.engine.containers()[0] != before:
                restarted += not result["files"]
            wrong += [f"{number}.{step} {what}: {found}"] if found else []
            tried += 1
    print("\n".join(wrong))
    tally("files change in any way: a process has not read them, or a release never ran", tried, len(wrong))
    tally("nothing changed: a service is restarted", tried, restarted)


def _two_releases(paper: Paper) -> pathlib.Path:
    """Two releases; the second one also needs a file that is not the stack's."""
    flag = paper.root / "flag"
    flag.write_text("there")
    paper.services["web"]["volumes"] = ["./app.yaml:/etc/app.yaml:ro"]
    paper.write(**{"app.yaml": "one"})
    paper.deploy()
    paper.services["web"]["volumes"] = ["./app.yaml:/etc/app.yaml:ro", "./two.yaml:/two:ro", f"{flag}:/flag"]
    paper.write(**{"app.yaml": "two", "two.yaml": "two"})
    assert paper.deploy()["last_good"]["number"] == 2
    return flag


def test_newest_older_release_that_gets_healthy_is_restored(paper):
    flag = _two_releases(paper)
    flag.write_text("bad")
    paper.services["web"]["environment"]["BAD"] = "1"
    paper.write(**{"app.yaml": "three"})
    result = paper.deploy(wait_timeout=0.5)
    assert result["rolled_back"], result["msg"]
    assert result["last_good"]["number"] == 1
    assert result["msg"].count("also failed") == 1
    assert read_by(paper) == {"app.yaml": "one"}
    # What only the later releases had is gone, and the next run of the same finds nothing to do.
    assert "two.yaml" not in paper.texts()
    assert plan_of(paper.stack(staged_dir="", env=None).preview()) == {"web": ("keep", ())}


def test_newest_release_stays_when_none_gets_healthy(paper, monkeypatch):
    flag = _two_releases(paper)
    flag.write_text("bad")
    monkeypatch.setattr(Paper, "_read", lambda self, row: True)
    paper.write(**{"app.yaml": "three"})
    result = paper.deploy(wait_timeout=0.5)
    assert (result["failed"], result["rolled_back"]) == (True, False)
    assert result["msg"].count("also failed") == 2
    assert "The files and images of the newest release" in result["msg"]
    assert paper.texts()["app.yaml"] == "two"


def test_requested_rollback_restores_the_newest_release_that_gets_healthy(paper):
    flag = _two_releases(paper)
    flag.write_text("bad")
    paper.services["web"]["environment"]["BAD"] = "1"
    paper.write(**{"app.yaml": "three"})
    assert paper.deploy(wait_timeout=0.5, rollback=False)["failed"]
    result = paper.stack(staged_dir="", env=None, state="rolled_back", wait_timeout=0.5).converge()
    assert not result.get("failed"), result["msg"]
    assert (result["rolled_back"], result["last_good"]["number"]) == (True, 1)
    assert any("is not healthy any more" in each for each in result["warnings"])
    assert read_by(paper) == {"app.yaml": "one"}
