# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must be right before anything is touched, each wrong thing once, and all of them at once."""

import dataclasses
import os

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.checks import declaration
from ansible_collections.onebox.stack.plugins.module_utils.compose.checks.ports import Listener, clashes
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import LeftOpen, from_config
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.source import Source
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan.plan import Row
from ansible_collections.onebox.stack.plugins.module_utils.core import dotenv
from compose_facts import container, model_of

RULES = declaration.Rules()


@pytest.fixture
def place(tmp_path):
    deploy = tmp_path / "deploy"
    deploy.mkdir()
    (tmp_path / "data").mkdir()
    (deploy / "prometheus.yml").write_text("")
    return tmp_path


def problems(place, services, rules=RULES, env=None, **top):
    deploy = str(place / "deploy")
    env_file = ""
    if env is not None:
        path = place / "deploy" / ".env"
        path.write_text(env)
        path.chmod(0o600)
        env_file = str(path)
    source = Source("shop", deploy, (deploy + "/compose.yml",), env_file, ())
    variables = dotenv.parse(env or "", dotenv.DOCKER_COMPOSE)
    model = dataclasses.replace(model_of(services, project_dir=deploy, **top), variables=variables)
    return {problem.code: problem for problem in declaration.declared(model, source, rules)}


def test_correct_stack_has_no_problem(place):
    volumes = [f"{place}/data:/data", "./prometheus.yml:/etc/prometheus.yml:ro"]
    assert problems(place, {"web": {"image": "a", "volumes": volumes, "ports": ["127.0.0.1:80:80"]}}) == {}


def test_relative_source_that_exists_is_allowed(place):
    (place / "deploy" / "data").mkdir()
    assert problems(place, {"web": {"image": "a", "volumes": ["./data:/data", "./prometheus.yml:/p.yml"]}}) == {}


def test_relative_source_that_is_the_whole_deploy_directory_is_refused(place):
    found = problems(place, {"web": {"image": "a", "volumes": [".:/app"]}})
    assert set(found) == {"relative_source"}
    assert ":ro" in found["relative_source"].message
    assert problems(place, {"web": {"image": "a", "volumes": [".:/app:ro"]}}) == {}


def test_missing_relative_directory_is_allowed(place):
    assert problems(place, {"web": {"image": "a", "volumes": ["./data:/data"]}}) == {}


@pytest.mark.parametrize("row", ["./app.conf:/app.conf", "./conf:/conf:ro", "./Caddyfile:/etc/caddy/Caddyfile"])
def test_missing_relative_file_is_refused(place, row):
    assert set(problems(place, {"web": {"image": "a", "volumes": [row]}})) == {"not_shipped"}


def test_relative_source_outside_is_refused(place):
    assert "relative_source" in problems(place, {"web": {"image": "a", "volumes": ["../data:/data:ro"]}})


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("./:/data", ("'.' is the whole deploy directory", "Add :ro")),
        ("../data:/data", ("'../data' leads out of the deploy directory", "${DATA_DIR:?}")),
    ],
)
def test_message_on_a_relative_source_has_it_as_it_is_written_and_the_way_out(place, row, words):
    (place / "deploy" / "data").mkdir()
    base = f"{place}/deploy"
    absolute = {"type": "bind", "source": os.path.normpath(f"{base}/{row.split(':')[0]}"), "target": "/data"}
    model = from_config(
        {"services": {"web": {"image": "a", "volumes": [absolute]}}},
        project="shop",
        project_dir=base,
        default_image="{service}",
        unset={},
        left_open=LeftOpen(relative={absolute["source"]}),
    )
    source = Source("shop", base, (f"{base}/compose.yml",), "", ())
    (problem,) = declaration.declared(model, source, declaration.Rules())
    assert problem.code == "relative_source"
    assert all(word in problem.message for word in words)


def test_missing_source_is_refused(place):
    found = problems(place, {"web": {"image": "a", "volumes": [f"{place}/nowhere:/data"]}})
    assert "data_dirs" in found["no_source"].message
    assert not (place / "nowhere").exists()


def test_data_in_the_deploy_directory(place):
    (place / "deploy" / "data").mkdir()
    assert set(problems(place, {"web": {"image": "a", "volumes": [f"{place}/deploy/data:/data"]}})) == {
        "source_in_deploy_dir"
    }


def test_data_in_the_deploy_directory_behind_a_link(place):
    (place / "deploy" / "data").mkdir()
    (place / "link").symlink_to(place / "deploy" / "data")
    assert "source_in_deploy_dir" in problems(place, {"web": {"image": "a", "volumes": [f"{place}/link:/data"]}})


def test_directory_with_the_beginning_of_the_deploy_directory_is_outside(place):
    (place / "deploy-data").mkdir()
    assert problems(place, {"web": {"image": "a", "volumes": [f"{place}/deploy-data:/data"]}}) == {}


@pytest.mark.parametrize("port", ["8080:80", "0.0.0.0:8080:80", "192.168.1.5:8080:80", "80"])
def test_port_that_other_machines_reach_is_refused(place, port):
    assert "public_port" in problems(place, {"web": {"image": "a", "ports": [port]}})


def test_port_that_two_protocols_publish_is_one_line(place):
    source = Source("shop", f"{place}/deploy", (), "", ())
    model = model_of({"web": {"image": "a", "ports": ["443:443", "443:443/udp", "51820:51820/udp"]}})
    problems = declaration.declared(model, source, declaration.Rules())
    assert [problem.where for problem in problems] == [
        "service web, port 443/tcp and 443/udp",
        "service web, port 51820/udp",
    ]


def test_listed_public_port_is_accepted(place):
    rules = declaration.Rules(public_ports=(8080,))
    assert problems(place, {"web": {"image": "a", "ports": ["8080:80"]}}, rules) == {}


@pytest.mark.parametrize("other", ["127.0.0.1:80:80", "0.0.0.0:80:80", "80:80", "[::]:80:80"])
def test_one_port_twice(place, other):
    services = {"web": {"image": "a", "ports": ["127.0.0.1:80:80"]}, "api": {"image": "a", "ports": [other]}}
    assert "port_twice" in problems(place, services)


def test_same_port_on_two_addresses_or_protocols_is_accepted(place):
    services = {
        "a": {"image": "a", "ports": ["127.0.0.1:53:53/udp"]},
        "b": {"image": "a", "ports": ["127.0.0.1:53:53", "127.0.0.2:53:53"]},
    }
    assert problems(place, services) == {}


@pytest.mark.parametrize("env", ["", "REDIS_HOST=\n", "REDIS_HOST=''\n", None])
def test_required_variable_that_is_empty_or_missing_is_refused(place, env):
    found = problems(place, {"web": {"image": "a"}}, declaration.Rules(required_env=("REDIS_HOST",)), env=env)
    assert found["required_env"].where == "REDIS_HOST"


@pytest.mark.parametrize(("env", "listed"), [("REDIS_HOST=\n", True), ("", False)])
def test_required_variable_that_is_only_empty_may_leave_the_list(place, env, listed):
    found = problems(place, {"web": {"image": "a"}}, declaration.Rules(required_env=("REDIS_HOST",)), env=env)
    message = found["required_env"].message
    assert ("remove it from compose_stack_required_env" in message) is listed
    assert "compose_stack_env" in message


@pytest.mark.parametrize(
    ("volume", "data"), [("./music:/music:ro", True), ("./nginx.conf:/nginx.conf:ro", False), ("./a.js:/a.js", False)]
)
def test_missing_directory_that_is_read_may_be_data(place, volume, data):
    message = problems(place, {"web": {"image": "a", "volumes": [volume]}})["not_shipped"].message
    assert "Add it to the files of the stack" in message
    assert ("write an absolute path, such as ${DATA_DIR:?}/music" in message) is data


def test_build_context_outside_of_the_deploy_directory_names_the_way_in(place):
    (place / "deploy" / "app").mkdir(exist_ok=True)
    for context, code in (("..", "no_dockerfile"), ("../gone", "no_context")):
        found = problems(place, {"web": {"image": "a", "build": context}})[code]
        assert f"leads out of the deploy directory {place}/deploy" in found.message
    assert "leads out" not in problems(place, {"web": {"image": "a", "build": "./app"}})["no_dockerfile"].message


def test_required_variable_that_is_set_is_accepted(place):
    rules = declaration.Rules(required_env=("REDIS_HOST",))
    assert problems(place, {"web": {"image": "a"}}, rules, env="REDIS_HOST=db\n") == {}


def test_secrets_others_can_read(place):
    source_env = place / "deploy" / ".env"
    source_env.write_text("A=1")
    os.chmod(source_env, 0o644)
    source = Source("shop", str(place / "deploy"), (), str(source_env), ())
    found = declaration.declared(model_of({"web": {"image": "a"}}), source, declaration.Rules())
    assert [(row.code, "chmod 0600" in row.message) for row in found] == [("env_file_mode", True)]


def test_declared_files_that_are_not_there(place):
    services = {
        "web": {
            "image": "a",
            "env_file": ["x.env"],
            "secrets": ["s"],
            "configs": ["c"],
            "build": {"context": "./gone"},
        },
        "api": {"image": "a", "build": {"context": ".", "dockerfile": "Other"}},
    }
    found = declaration.declared(
        model_of(
            services,
            project_dir=str(place / "deploy"),
            secrets={"s": {"file": "./secret"}},
            configs={"c": {"file": "/nowhere/config"}},
        ),
        Source("shop", str(place / "deploy"), (), "", ()),
        declaration.Rules(),
    )
    assert sorted(row.code for row in found) == ["no_context", "no_dockerfile", "no_env_file", "no_file", "not_shipped"]


def test_dockerfile_outside_of_its_context_and_ineffective_dockerignore_are_refused(place):
    context = place / "deploy" / "app"
    (context / "docker").mkdir(parents=True)
    (place / "deploy" / "Dockerfile").write_text("")
    (context / "docker" / "Dockerfile").write_text("")
    (context / "docker" / ".dockerignore").write_text("")
    outside = problems(place, {"web": {"image": "a", "build": {"context": "./app", "dockerfile": "../Dockerfile"}}})
    assert set(outside) == {"dockerfile_outside"}
    inside = {"context": "./app", "dockerfile": "docker/Dockerfile"}
    assert set(problems(place, {"web": {"image": "a", "build": inside}})) == {"dockerignore_elsewhere"}


def test_full_disk_is_refused(place, monkeypatch):
    real = os.statvfs(place)
    full = os.statvfs_result((*real[:4], 10, *real[5:]))
    monkeypatch.setattr(os, "statvfs", lambda path: full)
    assert set(problems(place, {"web": {"image": "a", "volumes": [f"{place}/data:/data"]}})) == {"disk_full"}


def test_pseudo_file_systems_and_what_is_only_read_need_no_room(place, monkeypatch):
    rows = ["/proc:/host/proc", "/sys:/host/sys:ro", "/dev/shm:/shm:ro"]
    real, statvfs = os.statvfs(place), os.statvfs
    full = os.statvfs_result((*real[:4], 10, *real[5:]))
    monkeypatch.setattr(os, "statvfs", lambda path: full if path == "/dev/shm" else statvfs(path))
    assert problems(place, {"web": {"image": "a", "volumes": rows}}) == {}


@pytest.mark.parametrize(
    ("machine", "architecture", "platform", "wrong"),
    [
        ("x86_64", "amd64", "", False),
        ("aarch64", "arm64", "", False),
        ("x86_64", "arm64", "", True),
        ("x86_64", "arm64", "linux/arm64", False),
        ("x86_64", "", "", False),
    ],
)
def test_image_for_another_processor_is_refused(machine, architecture, platform, wrong):
    model = model_of({"web": {"image": "a", "platform": platform}})
    found = declaration.platforms(model, {"a": {"Architecture": architecture}}, machine)
    assert [row.code for row in found] == (["wrong_platform"] if wrong else [])


def test_optional_env_file_may_be_missing(place):
    assert problems(place, {"web": {"image": "a", "env_file": [{"path": "x.env", "required": False}]}}) == {}


class TestForeign:
    """Two stacks with one name: Compose would replace the containers of the other one without a word."""

    def test_containers_of_this_directory_are_ours(self, tmp_path):
        row = container("web", Config__Labels={"com.docker.compose.project.working_dir": str(tmp_path)})
        assert declaration.foreign("shop", str(tmp_path), [row]) == []

    def test_ours_by_another_way(self, tmp_path):
        (tmp_path / "real").mkdir()
        (tmp_path / "link").symlink_to(tmp_path / "real")
        row = container("web", Config__Labels={"com.docker.compose.project.working_dir": str(tmp_path / "real")})
        assert declaration.foreign("shop", str(tmp_path / "link"), [row]) == []

    def test_containers_of_another_directory_are_refused(self, tmp_path):
        found = declaration.foreign("shop", str(tmp_path), [container("web")])
        assert [row.code for row in found] == ["foreign_project_dir"]
        assert "/opt/onebox/shop" in found[0].message

    def test_from_standard_input(self, tmp_path):
        labels = {
            "com.docker.compose.project.working_dir": str(tmp_path),
            "com.docker.compose.project.config_files": "-",
        }
        assert declaration.foreign("shop", str(tmp_path), [container("web", Config__Labels=labels)])


class TestOccupied:
    """A port something else has."""

    MODEL = model_of({"web": {"image": "a", "ports": ["127.0.0.1:8080:80"]}})
    LISTENER = Listener("0.0.0.0", 8080, "tcp", "77")

    def _problems(self, rows, own=(), others=(), listening=(LISTENER,)):
        return declaration.occupied(self.MODEL, rows, own, lambda: others, listening, lambda inode: (4711, "nginx"))

    def _publishing(self, name, **keys):
        ports = {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}
        return container("web", Name=f"/{name}", HostConfig__PortBindings=ports, **keys)

    def test_by_a_process(self):
        assert "process nginx (pid 4711)" in self._problems([Row("web", "create")])[0].message

    def test_by_another_stacks_container(self):
        other = self._publishing("blog-web-1", identity="f" * 64)
        assert "container blog-web-1 of stack shop" in self._problems([Row("web", "create")], others=[other])[0].message

    def test_by_the_container_that_is_replaced(self):
        assert self._problems([Row("web", "recreate")], own=[self._publishing("shop-web-1")]) == []

    @pytest.mark.parametrize(("policy", "taken"), [("always", True), ("no", False)])
    def test_by_a_stopped_container_that_will_come_back(self, policy, taken):
        other = self._publishing(
            "blog-web-1",
            identity="f" * 64,
            State__Status="exited",
            State__Pid=0,
            HostConfig__RestartPolicy={"Name": policy},
        )
        found = self._problems([Row("web", "create")], others=[other], listening=())
        assert bool(found) is taken

    def test_port_of_a_kept_service_is_not_checked(self):
        assert self._problems([Row("web")]) == []

    def test_free_port_is_accepted(self):
        assert self._problems([Row("web", "create")], listening=()) == []


@pytest.mark.parametrize(
    ("listener", "wanted", "clash"),
    [
        ("0.0.0.0", "", True),
        ("0.0.0.0", "127.0.0.1", True),
        ("127.0.0.1", "0.0.0.0", True),
        ("127.0.0.1", "127.0.0.2", False),
        ("127.0.0.1", "127.0.0.1", True),
        ("::", "127.0.0.1", True),
        ("::1", "0.0.0.0", False),
        ("::1", "", True),
        ("::1", "::", True),
        ("10.0.0.1", "127.0.0.1", False),
    ],
)
def test_which_addresses_meet(listener, wanted, clash):
    assert clashes(Listener(listener, 80, "tcp", ""), wanted, 80, "tcp") is clash


def test_other_ports_and_protocols_do_not_meet():
    assert not clashes(Listener("0.0.0.0", 80, "tcp", ""), "", 81, "tcp")
    assert not clashes(Listener("0.0.0.0", 80, "udp", ""), "", 80, "tcp")
