# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Digests of what a service is built from and runs with, on real files."""

import os

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.model import digests as reading
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.digests import Content, Piece, Reader
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.dockerignore import Ignore
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan import compare, plan
from ansible_collections.onebox.stack.plugins.module_utils.compose.state.records import Memory, Record
from compose_facts import IMAGE_ID, container, driver, model_of


@pytest.mark.parametrize(
    ("lines", "out", "kept"),
    [
        (["*.log"], ["a.log"], ["sub/a.log", "a.log.x"]),
        (["**/*.log"], ["a.log", "sub/deep/a.log"], ["a.txt"]),
        (["notes"], ["notes", "notes/a/b"], ["sub/notes", "notes2"]),
        (["/notes/"], ["notes/a"], ["sub/notes"]),
        (["*", "!app"], ["x", "y/z"], ["app", "app/main"]),
        (["docs", "!docs/README"], ["docs/a"], ["docs/README"]),
        (["a?c", "[xy].txt"], ["abc", "x.txt"], ["ac", "z.txt"]),
        (["# comment", "", "a.b"], ["a.b"], ["axb"]),
        (["sub/**"], ["sub/a", "sub/a/b"], ["other"]),
        (["a/**/z"], ["a/z", "a/b/c/z"], ["z"]),
    ],
)
def test_dockerignore_excludes_its_patterns(lines, out, kept):
    ignore = Ignore(lines)
    assert [path for path in out if not ignore(path)] == []
    assert [path for path in kept if ignore(path)] == []


@pytest.fixture
def context(tmp_path):
    (tmp_path / "ctx" / "app").mkdir(parents=True)
    (tmp_path / "ctx" / "Dockerfile").write_text("FROM a\nCOPY app /app\n")
    (tmp_path / "ctx" / "app" / "main.py").write_text("one")
    (tmp_path / "ctx" / ".dockerignore").write_text("*.log\nDockerfile\n")
    return tmp_path / "ctx"


def digest_of(context, **build):
    return Reader().context({"context": str(context), **build}).digest


@pytest.mark.parametrize(
    "written", [{"base": "./base", "up": "docker-image://a"}, ["base=./base", "up=docker-image://a"]]
)
def test_additional_contexts_count_as_a_mapping_and_as_a_list(context, written):
    (context / "base").mkdir()
    (context / "base" / "file").write_text("one")
    (context / ".dockerignore").write_text("base\n")
    build = {"context": ".", "additional_contexts": written}
    service = model_of({"web": {"build": build}}, project_dir=str(context)).services["web"]
    assert service.build["additional_contexts"] == {"base": f"{context}/base", "up": "docker-image://a"}
    before = Reader().context(service.build).digest
    (context / "base" / "file").write_text("two")
    assert Reader().context(service.build).digest != before


CHANGES = {
    "content": (lambda ctx: (ctx / "app" / "main.py").write_text("two"), True),
    "a new file": (lambda ctx: (ctx / "new").write_text(""), True),
    "an empty directory": (lambda ctx: (ctx / "new").mkdir(), True),
    "a name": (lambda ctx: (ctx / "app" / "main.py").rename(ctx / "app" / "other.py"), True),
    "a mode": (lambda ctx: (ctx / "app" / "main.py").chmod(0o755), True),
    "a link": (lambda ctx: (ctx / "link").symlink_to("app"), True),
    "an ignored Dockerfile": (lambda ctx: (ctx / "Dockerfile").write_text("FROM b\n"), True),
    "a time": (lambda ctx: os.utime(ctx / "app" / "main.py", (1, 1)), False),
    "an ignored file": (lambda ctx: (ctx / "x.log").write_text(""), False),
}


@pytest.mark.parametrize("name", CHANGES)
def test_change_in_a_context_changes_its_digest(context, name):
    change, counts = CHANGES[name]
    before = digest_of(context)
    change(context)
    assert (digest_of(context) != before) is counts


def test_build_arguments_and_target_count(context):
    assert len({digest_of(context), digest_of(context, args={"A": "1"}), digest_of(context, target="dev")}) == 3


def test_remote_context_has_no_digest():
    assert Reader().context({"context": "https://example.org/x.git"}) is None


def test_second_reading_uses_the_cache(context):
    first = Reader()
    first.context({"context": str(context)})
    main = str(context / "app" / "main.py")
    stale = {**first.cache, main: [*first.cache[main][:4], "from the cache"]}
    assert Reader(stale).context({"context": str(context)}).digest != digest_of(context)
    (context / "app" / "main.py").write_text("longer than before")
    assert Reader(stale).context({"context": str(context)}).digest == digest_of(context)


STARTED = "2026-11-21T09:00:00.5Z"
BEFORE, LATER = 1.0, 4e9


def planned(body, content, record=None, builds=(), named=IMAGE_ID, **top):
    model = model_of({"web": {"image": "shop:1", **body}}, **top)
    row = container("web")
    memory = Memory({row.id: record} if record else {}, dict(builds))
    images = {"shop:1": {"Id": named, "Created": STARTED}, IMAGE_ID: {"Id": IMAGE_ID, "Created": STARTED}}
    facts = plan.Facts([row], images, memory, {"web": content})
    made = plan.make(model, facts, driver=driver(), remove_orphans=False)[0]
    return made.action, made.reasons


def record_of(body, **kinds):
    return Record("web", compare.digest(model_of({"web": {"image": "shop:1", **body}}).services["web"]), **kinds)


class TestPlan:
    """Recorded digests decide; where there are none, the age of the files does."""

    SECRET = {"secrets": ["s"]}
    TOP = {"secrets": {"s": {"file": "/x"}}}

    @pytest.mark.parametrize(("now", "action"), [("a", "keep"), ("b", "restart")])
    def test_changed_secret_file_has_the_expected_action(self, now, action):
        record = record_of(self.SECRET, files={"secrets/s": "a"})
        content = Content(files={"secrets/s": Piece(now, LATER)})
        assert planned(self.SECRET, content, record, **self.TOP)[0] == action

    @pytest.mark.parametrize(("newest", "action"), [(BEFORE, "keep"), (LATER, "restart")])
    def test_secret_without_a_record_is_judged_by_its_time(self, newest, action):
        content = Content(files={"secrets/s": Piece("a", newest)})
        assert planned(self.SECRET, content, **self.TOP)[0] == action

    @pytest.mark.parametrize(("label", "action"), [("self", "keep"), ("", "restart")])
    def test_secret_file_of_a_reloading_application_restarts_nothing(self, label, action):
        labels = {"onebox.reload": label}
        body = {"image": "shop:1", **self.SECRET, "labels": labels}
        row = container("web", Config__Labels={"com.docker.compose.service": "web", **labels})
        service = model_of({"web": body}, **self.TOP).services["web"]
        memory = Memory({row.id: Record("web", compare.digest(service), files={"secrets/s": "a"})})
        image = {"shop:1": {"Id": IMAGE_ID}, IMAGE_ID: {"Id": IMAGE_ID}}
        facts = plan.Facts([row], image, memory, {"web": Content(files={"secrets/s": Piece("b", LATER)})})
        made = plan.make(model_of({"web": body}, **self.TOP), facts, driver=driver(), remove_orphans=False)
        assert made[0].action == action

    def test_content_that_is_copied_in_needs_a_new_container(self):
        record = record_of({"configs": ["c"]}, files={"configs/c": "a"})
        content = Content(files={"configs/c": Piece("b", 0.0)})
        found = planned({"configs": ["c"]}, content, record, configs={"c": {"content": "x"}})
        assert found == ("recreate", ["config_changed"])

    def test_changed_mounted_code_restarts_its_service(self):
        record = record_of({}, code={"/code": "a"})
        assert planned({}, Content(code={"/code": Piece("b", 0.0)}), record) == ("restart", ["code_bind_changed"])

    @pytest.mark.parametrize(("now", "action"), [("a", "keep"), ("b", "rebuild")])
    def test_changed_build_context_has_the_expected_action(self, now, action):
        builds = {IMAGE_ID: "a"}
        assert planned({"build": "."}, Content(context=Piece(now, LATER)), builds=builds)[0] == action

    def test_image_name_of_other_files_is_rebuilt(self):
        """As a run leaves it that was killed on its way back: the next container would be made of it."""
        former = "sha256:" + "f" * 64
        builds = {IMAGE_ID: "a", former: "b"}
        content = Content(context=Piece("a", LATER))
        assert planned({"build": "."}, content, builds=builds, named=former)[0] == "rebuild"
        assert planned({"build": "."}, content, builds={**builds, former: "a"}, named=former)[0] == "recreate"

    @pytest.mark.parametrize(("newest", "action"), [(BEFORE, "keep"), (LATER, "rebuild")])
    def test_image_without_a_record_is_judged_by_its_time(self, newest, action):
        assert planned({"build": "."}, Content(context=Piece("a", newest)))[0] == action

    @pytest.mark.parametrize(("newest", "action"), [(BEFORE, "create"), (LATER, "rebuild")])
    def test_image_older_than_its_files_is_rebuilt_before_a_first_start(self, newest, action):
        """As after a stack was taken down, its images left, and its files changed."""
        images = {"shop:1": {"Id": IMAGE_ID, "Created": STARTED}}
        facts = plan.Facts([], images, Memory(), {"web": Content(context=Piece("a", newest))})
        model = model_of({"web": {"image": "shop:1", "build": "."}})
        assert plan.make(model, facts, driver=driver(), remove_orphans=False)[0].action == action


def test_named_path_may_be_a_link(tmp_path):
    for release in ("one", "two"):
        (tmp_path / release).mkdir()
        (tmp_path / release / "app").write_text(release)
    current = tmp_path / "current"
    digests = []
    for release in ("one", "two"):
        current.unlink(missing_ok=True)
        current.symlink_to(release)
        digests.append([Reader().tree(str(place), Ignore(())).digest for place in (current, current / "app")])
    assert digests[0][0] != digests[1][0]
    (tmp_path / "secret").symlink_to(tmp_path / "one" / "app")
    before = Reader().tree(str(tmp_path / "secret"), Ignore(())).digest
    (tmp_path / "one" / "app").write_text("changed")
    assert Reader().tree(str(tmp_path / "secret"), Ignore(())).digest != before


def test_memory_survives_being_written_and_damage():
    memory = Memory(
        {"id": Record("web", "d", {"secrets/s": "1"}, {"/c": "2"}, 60)}, {"sha256:1": "x"}, {"/f": [1, 2, 3, 4, "h"]}
    )
    assert Memory.parse(memory.as_dict()) == memory
    assert Memory.parse({"containers": [1], "builds": None}) == Memory()
    assert Memory.parse({"containers": {"a": {"digest": 1}, "b": 2}}) == Memory()


def test_invalid_pattern_excludes_only_its_own_name():
    ignore = Ignore(["[z-a]", "*.log"])
    assert (ignore("b"), ignore("[z-a]"), ignore("x.log")) == (False, True, True)


def test_staged_files_are_read_once_and_deployed_ones_only_when_they_changed(tmp_path, monkeypatch):
    for folder in ("staged", "deployed"):
        (tmp_path / folder / "ctx").mkdir(parents=True)
        (tmp_path / folder / "ctx" / "app").write_text("one")
    here, there = str(tmp_path / "staged"), str(tmp_path / "deployed")
    read = []
    digest = reading._file_digest
    monkeypatch.setattr(reading, "_file_digest", lambda path: read.append(path) or digest(path))

    def look(cache):
        reader = Reader(cache, None, lambda path: path.replace(there, here))
        reader.tree(f"{there}/ctx", Ignore(()))
        return reader.cache

    cache = look({})
    assert sorted(read) == [f"{there}/ctx/app", f"{here}/ctx/app"]
    read.clear()
    look({name: row for name, row in cache.items() if name.startswith(there)})
    assert read == [f"{here}/ctx/app"]
