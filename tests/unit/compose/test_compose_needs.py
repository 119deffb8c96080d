# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exposure, directories that a deploy creates, and the block that a refusal ends with."""

import os

import pytest
import yaml
from ansible_collections.onebox.stack.plugins.module_utils.compose.checks import binds, declaration
from ansible_collections.onebox.stack.plugins.module_utils.compose.checks import exposure as checks
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.config import unset_problems
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import BadStack
from ansible_collections.onebox.stack.plugins.module_utils.compose.files import directories
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.source import Source
from ansible_collections.onebox.stack.plugins.module_utils.compose.proposals import needs, paths
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import Problem
from compose_facts import model_of

RULES = declaration.Rules()
DERIVE = declaration.Rules(derive=True)


@pytest.fixture
def place(tmp_path):
    (tmp_path / "deploy").mkdir()
    return tmp_path


def judge(place, services, rules=RULES, images=None):
    deploy = f"{place}/deploy"
    model = model_of(services, project_dir=deploy)
    source = Source("shop", deploy, (f"{deploy}/compose.yml",), "", ())
    return declaration.declared(model, source, rules, images)


def missing(place, services, derive=True, images=None):
    deploy = f"{place}/deploy"
    source = Source("shop", deploy, (f"{deploy}/compose.yml",), "", ())
    return binds.missing_directories(model_of(services, project_dir=deploy), source, derive, images or {})


def service(**keys):
    return {"web": {"image": "acme/web", **keys}}


@pytest.mark.parametrize(
    ("exposure", "listed", "refused"),
    [
        ("public", (), True),
        ("public", (8080,), False),
        ("lan", (), False),
        ("loopback", (), True),
        ("loopback", (8080,), True),
    ],
)
def test_exposure_decides_on_a_port_without_an_address(place, exposure, listed, refused):
    rules = declaration.Rules(public_ports=listed, exposure=exposure)
    assert [each.code for each in judge(place, service(ports=["8080:80"]), rules)] == ["public_port"] * refused


@pytest.mark.parametrize("exposure", ["public", "lan", "loopback"])
def test_loopback_port_is_allowed_with_every_exposure(place, exposure):
    rules = declaration.Rules(exposure=exposure)
    assert judge(place, service(ports=["127.0.0.1:8080:80"]), rules) == []


TRIE = """Local:
  +-- 0.0.0.0/0 3 0 5
     |-- 10.0.0.0
        /24 link UNICAST
     |-- 10.0.0.7
        /32 host LOCAL
     |-- {address}
        /32 host LOCAL
"""


@pytest.mark.parametrize(
    ("exposure", "address", "port", "warned"),
    [
        ("lan", "8.8.4.4", "8080:80", True),
        ("lan", "8.8.4.4", "127.0.0.1:8080:80", False),
        ("lan", "192.168.1.5", "8080:80", False),
        ("public", "8.8.4.4", "8080:80", False),
    ],
)
def test_lan_on_a_host_with_a_public_address_is_a_warning(tmp_path, exposure, address, port, warned):
    (tmp_path / "trie").write_text(TRIE.format(address=address))
    model = model_of(service(ports=[port]), project_dir="/x")
    found = checks.warnings(model.services.values(), exposure, str(tmp_path / "trie"))
    assert len(found) == warned
    assert all("8.8.4.4" in text and "8080" in text for text in found)


def test_missing_directory_is_a_need_with_its_owner(place):
    (problem,) = judge(place, service(user="1000:1001", volumes=[f"{place}/new:/data"]))
    assert problem.code == "no_source"
    assert yaml.safe_load(problem.need["value"]) == {"path": f"{place}/new", "owner": "1000", "group": "1001"}


@pytest.mark.parametrize("name", ["app.conf", "Caddyfile", "data.sqlite3", "acme.json"])
def test_missing_file_is_never_created_as_a_directory(place, name):
    services = service(volumes=[f"{place}/{name}:/x"])
    (problem,) = judge(place, services, DERIVE)
    assert problem.need == {}
    assert "By its name it is a file" in problem.message
    assert missing(place, services) == []


def test_part_of_the_system_is_never_created(place):
    services = service(volumes=["/run/no-such-daemon:/run/x"])
    (problem,) = judge(place, services, DERIVE)
    assert "belongs to the system" in problem.message
    assert missing(place, services) == []


def test_derive_allows_a_missing_directory(place):
    services = service(environment={"PUID": "1000", "PGID": "1000"}, volumes=[f"{place}/a/new:/data"])
    assert judge(place, services, DERIVE) == []
    (found,) = missing(place, services)
    assert (found.who.user, found.who.group, found.inside) == ("1000", "1000", False)


def test_without_derive_only_data_in_the_stacks_folder_is_created(place):
    services = service(volumes=[f"{place}/new:/data", "./data:/in"])
    assert [each.path for each in missing(place, services, derive=False)] == [f"{place}/deploy/data"]


def test_directory_of_two_services_gets_the_owner_that_one_shows(place):
    both = {
        "a": {"image": "acme/a", "volumes": ["./data:/d"]},
        "b": {"image": "acme/b", "user": "70:70", "volumes": ["./data:/d"]},
    }
    (found,) = missing(place, both)
    assert found.who.user == "70"


def test_owner_is_the_user_of_the_image_when_it_is_here(place):
    services = service(volumes=["./data:/d"])
    (found,) = missing(place, services, images={"acme/web": {"Config": {"User": "472:0"}}})
    assert (found.who.user, found.who.group, found.mode) == ("472", "0", 0o750)


def test_unknown_owner_leaves_the_directory_readable_for_all(place):
    (found,) = missing(place, service(volumes=["./data:/d"]))
    assert (found.who.user, found.mode) == ("", 0o755)
    assert "is not here" in found.who.reason


def test_directories_are_created_with_owner_and_mode(place):
    services = service(user=f"{os.getuid()}:{os.getgid()}", volumes=[f"{place}/a/b/new:/data", "./data:/in"])
    directories.create(missing(place, services), ())
    for path in (place / "a/b/new", place / "deploy/data"):
        status = path.stat()
        assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (os.getuid(), os.getgid(), 0o750)
    assert (place / "a").stat().st_mode & 0o777 == 0o755


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_directories_are_given_to_the_user_of_the_service(place):
    directories.create(missing(place, service(user="70:71", volumes=["./data:/in"])), ())
    status = (place / "deploy/data").stat()
    assert (status.st_uid, status.st_gid) == (70, 71)


def test_directory_that_appeared_meanwhile_stays_as_it_is(place):
    found = missing(place, service(user="70:71", volumes=["./data:/in"]))
    (place / "deploy/data").mkdir(mode=0o700)
    directories.create(found, ())
    assert (place / "deploy/data").stat().st_uid == os.getuid()
    assert (place / "deploy/data").stat().st_mode & 0o777 == 0o700


def test_directory_is_not_created_through_a_link_that_a_container_could_have_made(place):
    elsewhere, data = place / "elsewhere", place / "data"
    elsewhere.mkdir()
    data.mkdir()
    (data / "link").symlink_to(elsewhere)
    found = missing(place, service(volumes=[f"{data}/link/new:/x"]))
    with pytest.raises(Exception, match="link"):
        directories.create(found, [str(data)])
    assert list(elsewhere.iterdir()) == []


# The block


def refusal(place, services, rules=RULES):
    return str(BadStack("shop", judge(place, services, rules)))


def block(text):
    return yaml.safe_load(text.split("that are there):\n", 1)[1])


def test_refusal_ends_with_yaml_to_paste(place):
    services = {
        "web": {"image": "acme/web", "user": "1000", "ports": ["80:80", "443:443", "443:443/udp"]},
        "db": {"image": "acme/db", "user": "70:70", "ports": ["80:81/udp"], "volumes": [f"{place}/db:/data"]},
    }
    text = refusal(place, services)
    assert block(text) == {
        "compose_stack_public_ports": [80, 443],
        "data_dirs_directories": [{"path": f"{place}/db", "owner": "70", "group": "70"}],
    }
    assert "443/tcp and 443/udp of service web" in text


def test_block_deploys_when_it_is_pasted(place):
    services = service(ports=["80:80", "81:81/udp"])
    ports = block(refusal(place, services))["compose_stack_public_ports"]
    assert judge(place, services, declaration.Rules(public_ports=tuple(ports))) == []


def test_each_need_is_in_the_block_once(place):
    both = {name: {"image": "acme/a", "volumes": [f"{place}/new:/x"]} for name in ("a", "b")}
    assert refusal(place, both).count("path: ") == 1


def test_variables_are_empty_slots_with_the_reason(place):
    required = judge(place, service(), declaration.Rules(required_env=("KEY",)))
    unset = unset_problems({"DOMAIN": "your domain (with a dot)"}, Source("shop", "/x", ("/x/compose.yml",), "", ()))
    text = str(BadStack("shop", [*unset, *required]))
    assert block(text) == {"compose_stack_env": {"DOMAIN": "", "KEY": ""}}
    assert 'DOMAIN: ""  # your domain (with a dot)\n' in text


def test_command_for_the_host_is_a_comment():
    message = "is external, and the engine has no network proxy. Create it: docker network create proxy"
    assert "# on the host: docker network create proxy" in str(
        BadStack("s", [Problem("no_network", "network p", message)])
    )


def test_block_has_at_most_twelve_lines_and_counts_the_rest(place):
    services = service(volumes=[f"{place}/new{number}:/x{number}" for number in range(30)])
    with pytest.raises(BadStack) as caught:
        raise BadStack("shop", judge(place, services))
    lines = str(caught.value).split("that are there):\n")[1].splitlines()
    assert len(lines) == needs.MOST_LINES
    # 30 directories and their heading are 31 lines, of which 11 are shown.
    assert lines[-1].startswith("# and 20 more lines")
    assert len(caught.value.facts["needs"]) == 30


def test_many_problems_that_the_block_covers_are_counted(place):
    text = refusal(place, service(ports=[f"{number}:80" for number in range(8000, 8020)]))
    assert "20 problems" in text
    assert "and 17 more of the kind public_port" in text
    assert len(text.splitlines()) <= needs.MOST_LINES


def test_problem_that_nothing_in_the_inventory_solves_has_no_block(place):
    assert "Paste into" not in refusal(place, service(volumes=["../out:/x"]))


@pytest.mark.parametrize("path", ["/srv/a b", "/srv/a: b", "/srv/ä", "/srv/#x", "/srv/{x}", '/srv/"q"'])
def test_path_of_any_form_is_valid_yaml(place, path):
    text = refusal(place, service(volumes=[{"type": "bind", "source": path, "target": "/x"}]))
    assert block(text)["data_dirs_directories"][0]["path"] == path


@pytest.mark.parametrize(
    ("path", "file"), [("/a/b", False), ("/a/b.d", False), ("/a/v1.2", False), ("/a/b.conf/", False), ("/a/.env", True)]
)
def test_name_of_a_file(path, file):
    assert paths.looks_like_file(path) is file
