# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder and the inventory that are proposed for a stranger's compose project."""

import pathlib
import subprocess

import pytest
import yaml
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.compose.scaffold import scaffold
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.modules import stack_scaffold

COMPOSE = """
x-common: &common
  restart: unless-stopped
services:
  web:
    <<: *common
    image: ghcr.io/acme/web:1.4
    ports: ["8080:80", "443:8443", "127.0.0.1:9000:9000"]
    environment:
      PUID: 1000
      PGID: 1001
      DATABASE_URL: postgres://app:${DB_PASSWORD}@db:5432/app
      DOMAIN: ${DOMAIN:?your domain}
      GREETING: ${GREETING:-hello $${name}}
    volumes:
      - ./conf/app.yml:/etc/app.yml:ro
      - ./uploads:/data
      - /srv/app/files:/files
      - ../common:/common
      - /var/run/docker.sock:/var/run/docker.sock
      - /srv/app/site.conf:/etc/site.conf:ro
  vpn:
    image: acme/vpn
    user: "70:71"
    ports: ["51820:51820/udp"]
    volumes: ["/srv/app/vpn:/etc/vpn"]
  db:
    image: postgres:16
    environment: {POSTGRES_PASSWORD: "${DB_PASSWORD}"}
    ports: ["5432:5432"]
    volumes: ["${DATA:-/srv/app}/db:/var/lib/postgresql/data"]
  cache:
    image: redis:7
    command: redis-server --requirepass ${CACHE_PW}
    volumes: ["cache:/data"]
  debug:
    image: acme/debug
    profiles: [debug]
    ports: ["1:1"]
volumes: {cache: }
networks: {default: {name: proxy, external: true}}
"""


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "app"
    (folder / "conf").mkdir(parents=True)
    (folder / "compose.yml").write_text(COMPOSE)
    (folder / "conf" / "app.yml").write_text("a: 1\n")
    (folder / ".env.example").write_text("DB_PASSWORD=changeme\nCACHE_PW=secret\nTZ=Etc/UTC\n")
    return folder


def run(folder, *, check=False, **options):
    top = folder.parent
    given = {
        "origin": str(folder),
        "name": "app",
        "host": "box",
        "stacks": str(top / "p/stacks"),
        "inventory": str(top / "p/inventory"),
        "project_dir": "/opt/onebox/app",
        "data_root": "/srv/app",
        "engine": "none",
        **options,
    }
    return scaffold.scaffold(scaffold.Order(**given), stack_scaffold._loader(), World.real(), check)


def text(folder, name):
    return (folder.parent / "p" / name).read_text()


class _Vars(yaml.SafeLoader):
    pass


_Vars.add_constructor("!unsafe", lambda loader, node: loader.construct_scalar(node))
_Vars.add_constructor("!override", lambda loader, node: loader.construct_sequence(node))


def values(folder, name="inventory/host_vars/box.yml"):
    return yaml.load(text(folder, name), Loader=_Vars)


def actions(made):
    return {pathlib.Path(each.path).name: each.action for each in made.files}


def test_ports_are_listed_or_bound_to_loopback(project):
    run(project)
    assert values(project)["compose_stack_public_ports"] == [443, 51820]
    override = values(project, "stacks/app/compose.override.yml")["services"]
    assert override["web"]["ports"] == ["127.0.0.1:8080:80", "443:8443", "127.0.0.1:9000:9000"]
    assert override["db"]["ports"] == ["127.0.0.1:5432:5432"]
    assert "vpn" not in override


def test_exposure_lan_changes_no_port(project):
    run(project, exposure="lan")
    assert values(project)["onebox_exposure"] == "lan"
    assert "compose_stack_public_ports" not in values(project)
    assert "ports" not in text(project, "stacks/app/compose.override.yml")


def test_exposure_loopback_lists_no_port(project):
    run(project, exposure="loopback")
    override = values(project, "stacks/app/compose.override.yml")["services"]
    assert override["vpn"]["ports"] == ["127.0.0.1:51820:51820/udp"]


def test_directories_have_the_owner_that_the_project_shows(project):
    run(project)
    found = {each["path"]: each for each in values(project)["data_dirs_directories"]}
    assert (found["/srv/app/files"]["owner"], found["/srv/app/files"]["group"]) == ("1000", "1001")
    assert (found["/srv/app/vpn"]["owner"], found["/srv/app/vpn"]["group"]) == ("70", "71")
    assert (found["/srv/app/db"]["owner"], found["/srv/app/db"]["mode"]) == ("999", "0700")
    assert "/srv/app/common" in found
    # Neither a file nor a socket becomes a directory.
    assert not {"/srv/app/site.conf", "/var/run/docker.sock", "/opt/onebox/app/uploads"} & set(found)


def test_secrets_are_apart_and_never_in_host_vars(project):
    run(project)
    host, secrets = values(project), values(project, "inventory/group_vars/app.yml")
    assert host["compose_stack_env"]["DB_PASSWORD"] == "{{ vault_app_db_password }}"
    assert host["compose_stack_env"]["TZ"] == "Etc/UTC"
    assert set(secrets) == {"vault_app_db_password", "vault_app_cache_pw"}
    assert "changeme" not in text(project, "inventory/group_vars/app.yml") + text(
        project, "inventory/host_vars/box.yml"
    )
    place = project.parent / "p/inventory/group_vars/app.yml"
    assert place.stat().st_mode & 0o777 == 0o600


def test_own_environment_file_is_split_and_not_copied(project):
    (project / ".env").write_text("DB_PASSWORD=s3cr3t-of-mine\nNOTE='{{ not a template }}'\n")
    made = run(project)
    assert values(project, "inventory/group_vars/app.yml")["vault_app_db_password"] == "s3cr3t-of-mine"
    assert values(project)["compose_stack_env"]["NOTE"] == "{{ not a template }}"
    assert "!unsafe" in text(project, "inventory/host_vars/box.yml")
    assert "s3cr3t" not in text(project, "inventory/host_vars/box.yml")
    assert actions(made)[".env"] == "kept"


def test_backup_sources_are_those_of_databases_and_data(project):
    run(project)
    found = {each["name"]: each for each in values(project)["backups_sources"]}
    assert found["db"]["kind"] == "postgresql"
    # The container has no variable with the password: backups read it from the command.
    assert found["cache"] == {"name": "cache", "service": "cache", "kind": "redis"}
    assert "is Redis, with the password of its command" in text(project, "inventory/host_vars/box.yml")
    assert found["web-uploads"]["path"] == "/opt/onebox/app/uploads"
    assert found["web-files"]["path"] == "/srv/app/files"


def test_redis_whose_container_has_the_password_as_a_variable_is_backed_up_with_it(project):
    command = "command: redis-server --requirepass ${CACHE_PW}"
    file = project / "compose.yml"
    assert command in file.read_text()
    file.write_text(file.read_text().replace(command, command + '\n    environment: {CACHE_PW: "${CACHE_PW}"}'))
    run(project)
    (cache,) = (each for each in values(project)["backups_sources"] if each["name"] == "cache")
    assert cache["password_variable"] == "CACHE_PW"


def test_source_that_leads_out_is_moved_by_the_override(project):
    made = run(project)
    override = values(project, "stacks/app/compose.override.yml")["services"]
    assert override["web"]["volumes"] == ["/srv/app/common:/common"]
    assert any("../common" in need["what"] for need in made.needs)


def test_file_that_comes_with_the_project_is_not_copied_by_hand(project):
    (project / "site.conf").write_text("a")
    made = run(project)
    override = values(project, "stacks/app/compose.override.yml")["services"]
    assert override["web"]["volumes"] == ["/srv/app/common:/common", "./site.conf:/etc/site.conf:ro"]
    assert not any("site.conf" in need["what"] for need in made.needs)


def test_needs_name_what_only_a_person_can_bring(project):
    needs = {need["what"]: need["reason"] for need in run(project).needs}
    assert needs["a value for DOMAIN in compose_stack_env"] == "your domain"
    assert values(project)["onebox_defaults"] == "derive"
    assert "other stacks use, too: proxy." in text(project, "inventory/host_vars/box.yml")
    assert "the file /srv/app/site.conf on the host" in needs
    assert values(project)["compose_stack_required_env"] == ["DOMAIN"]


def test_owners_compose_file_is_copied_as_it_is(project):
    run(project)
    assert text(project, "stacks/app/compose.yml") == COMPOSE
    assert text(project, "stacks/app/conf/app.yml") == "a: 1\n"


def test_each_line_of_the_inventory_has_a_reason(project):
    run(project)
    lines = text(project, "inventory/host_vars/box.yml").splitlines()
    for number, line in enumerate(lines):
        if line.lstrip().startswith("- {"):
            assert lines[number - 1].lstrip().startswith("# "), line


def test_second_run_writes_nothing(project):
    assert run(project).changed
    made = run(project)
    assert not made.changed
    assert "created" not in actions(made).values()


def test_check_mode_writes_nothing(project):
    made = run(project, check=True)
    assert made.changed
    assert not (project.parent / "p").exists()


def test_files_of_the_user_are_not_overwritten(project):
    run(project)
    place = project.parent / "p/inventory/host_vars/box.yml"
    place.write_text("compose_stack_name: mine\n")
    made = run(project)
    assert place.read_text() == "compose_stack_name: mine\n"
    assert actions(made)["box.yml.new"] == "beside"
    assert not run(project).changed


def test_secrets_of_an_earlier_run_stay(project):
    run(project)
    before = text(project, "inventory/group_vars/app.yml")
    run(project)
    assert text(project, "inventory/group_vars/app.yml") == before


def test_encrypted_secrets_stay(project):
    run(project)
    place = project.parent / "p/inventory/group_vars/app.yml"
    place.write_text("$ANSIBLE_VAULT;1.1;AES256\n00\n")
    made = run(project)
    assert not made.changed
    assert actions(made)["app.yml"] in ("kept", "unchanged")
    assert place.read_text().startswith("$ANSIBLE_VAULT")


def test_git_checkout_ships_what_git_has(project):
    (project / "data").mkdir()
    (project / "data" / "big").write_text("rows")
    for words in (["init", "-q"], ["add", "compose.yml", "conf"]):
        subprocess.run(["git", "-C", str(project), *words], check=True)
    run(project)
    assert not (project.parent / "p/stacks/app/data").exists()
    assert (project.parent / "p/stacks/app/conf/app.yml").exists()


def test_folder_without_git_ships_no_data(project):
    (project / "uploads").mkdir()
    (project / "uploads" / "photo").write_text("rows")
    made = run(project)
    assert not (project.parent / "p/stacks/app/uploads").exists()
    assert actions(made)["uploads"] == "kept"


def test_override_of_the_owner_gets_one_more_file(project):
    (project / "compose.override.yml").write_text("services: {web: {labels: {a: b}}}\n")
    run(project)
    assert values(project)["compose_stack_files"] == ["compose.yml", "compose.override.yml", "compose.onebox.yml"]
    assert text(project, "stacks/app/compose.override.yml") == "services: {web: {labels: {a: b}}}\n"


def test_extends_and_include_are_read(tmp_path):
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "compose.yml").write_text(
        "include: [more.yml]\nservices:\n  a:\n    extends: {file: base.yml, service: base}\n"
    )
    (folder / "base.yml").write_text("services: {base: {image: redis, ports: ['443:443']}}\n")
    (folder / "more.yml").write_text("services: {b: {image: postgres}}\n")
    run(folder)
    assert values(folder)["compose_stack_public_ports"] == [443]
    assert {each["name"] for each in values(folder)["backups_sources"]} == {"a", "b"}


def test_ports_are_not_read_in_base_sixty(tmp_path):
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "compose.yml").write_text("services: {a: {image: a, ports: [22:22]}}\n")
    run(folder)
    assert values(folder)["compose_stack_public_ports"] == [22]


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("services: [", "is not YAML"),
        ("- a", "is not a compose file"),
        ("services: {}", "has no services"),
        (None, "has no compose file"),
    ],
)
def test_project_that_cannot_be_read_is_an_error_that_names_it(tmp_path, file, words):
    folder = tmp_path / "app"
    folder.mkdir()
    if file is not None:
        (folder / "compose.yml").write_text(file)
    with pytest.raises(ComposeError, match=words):
        run(folder)


def test_comment_of_a_stranger_cannot_end_the_comment(tmp_path):
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "compose.yml").write_text(
        'services: {a: {image: a, environment: {X: "${D:?first\\nonebox_root: /etc}"}}}\n'
    )
    run(folder)
    assert "onebox_root" not in values(folder)


def alone(tmp_path, text):
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "compose.yml").write_text(text)
    return folder


def test_file_in_a_folder_of_the_project_is_not_copied_by_hand(tmp_path):
    rows = '["/mnt/volumes/app/configs/config.php:/cfg/conf.php:ro", "/mnt/volumes/app/other.php:/other.php:ro"]'
    folder = alone(tmp_path, f"services: {{web: {{image: acme/web, volumes: {rows}}}}}\n")
    (folder / "configs").mkdir()
    (folder / "configs" / "config.php").write_text("<?php")
    made = run(folder)
    override = values(folder, "stacks/app/compose.override.yml")["services"]
    assert override["web"]["volumes"] == ["./configs/config.php:/cfg/conf.php:ro"]
    assert [need["what"] for need in made.needs] == ["the file /mnt/volumes/app/other.php on the host"]


def test_whole_folder_of_the_stack_is_mounted_read_only(tmp_path):
    folder = alone(tmp_path, "services: {web: {build: ., volumes: ['.:/code']}}\n")
    made = run(folder)
    override = values(folder, "stacks/app/compose.override.yml")["services"]
    assert override["web"]["volumes"] == [".:/code:ro"]
    assert made.needs == []


def test_whole_folder_with_a_mount_in_it_stays_as_it_is(tmp_path):
    made = run(alone(tmp_path, "services: {web: {build: ., volumes: ['.:/code', /code/node_modules]}}\n"))
    assert not (tmp_path / "p/stacks/app/compose.override.yml").exists()
    assert [need["what"] for need in made.needs] == ["a folder for /code of service web in the compose file"]


def test_directory_that_another_service_writes_is_not_a_missing_file(tmp_path):
    services = "{acme: {image: acme/a, volumes: ['./ssl/:/acme']}, mail: {image: acme/m, volumes: ['./ssl:/ssl:ro']}}"
    assert run(alone(tmp_path, f"services: {services}\n")).needs == []


def in_a_checkout(tmp_path, text):
    """A project in the folder ``docker`` of a Git checkout."""
    top = tmp_path / "repo"
    for name in ("docker", "api", "checkout"):
        (top / name).mkdir(parents=True)
    (top / "docker/compose.yml").write_text(text)
    (top / "docker/Dockerfile").write_text("FROM scratch\n")
    (top / "api/main.py").write_text("print()\n")
    (top / "api/untracked").write_text("precious")
    for words in (["init", "-q"], ["add", "docker", "api/main.py"]):
        subprocess.run(["git", "-C", str(top), *words], check=True)
    return top / "docker"


def test_part_of_the_checkout_above_the_folder_comes_with_the_stack(tmp_path):
    services = (
        "{api: {build: {context: .., dockerfile: docker/Dockerfile}, volumes: ['../api:/app:ro', '../data:/data']}}"
    )
    folder = in_a_checkout(tmp_path, f"services: {services}\n")
    made = run(folder)
    override = values(folder, "stacks/app/compose.override.yml")["services"]["api"]
    assert override["build"] == {"context": "./checkout"}
    # Git has no ../data: that is data on the host, as without a checkout.
    assert override["volumes"] == ["./checkout/api:/app:ro", "/srv/app/data:/data"]
    stack = folder.parent / "p/stacks/app"
    copied = {str(path.relative_to(stack)) for path in stack.rglob("*") if path.is_file()}
    assert {"compose.yml", "checkout/docker/Dockerfile", "checkout/api/main.py"} < copied
    assert "checkout/api/untracked" not in copied
    assert [need["what"] for need in made.needs] == ["the content of ../data at /srv/app/data"]


def test_part_of_the_checkout_has_a_folder_of_its_own(tmp_path):
    folder = in_a_checkout(tmp_path, "services: {api: {build: ../api}}\n")
    (folder / "checkout").mkdir()
    run(folder)
    assert values(folder, "stacks/app/compose.override.yml")["services"] == {
        "api": {"build": {"context": "./checkout-2/api"}}
    }


def test_build_context_outside_of_any_checkout_is_named(tmp_path):
    made = run(
        alone(tmp_path, "services: {api: {build: ../api}, b: {build: 'https://host/repo.git'}, c: {build: .}}\n")
    )
    assert [need["what"] for need in made.needs] == ["the build context ../api of service api in the stack's folder"]


def test_path_above_the_checkout_is_not_a_part_of_it(tmp_path):
    folder = in_a_checkout(tmp_path, "services: {api: {build: ../../secrets}}\n")
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/key").write_text("precious")
    made = run(folder)
    assert not (folder.parent / "p/stacks/app/checkout").exists()
    assert any("../../secrets" in need["what"] for need in made.needs)


def test_media_directory_that_is_not_in_the_folder_becomes_data_of_the_host(tmp_path):
    made = run(alone(tmp_path, "services: {nd: {image: acme/nd, volumes: ['./music:/music:ro', './conf:/conf:ro']}}\n"))
    folder = tmp_path / "app"
    assert values(folder, "stacks/app/compose.override.yml")["services"]["nd"]["volumes"] == [
        "/srv/app/music:/music:ro"
    ]
    assert [each["path"] for each in values(folder)["data_dirs_directories"]] == ["/srv/app/music"]
    # A missing directory with settings is not data: created empty, it would hide those of the image.
    assert {need["what"] for need in made.needs} == {"the content of ./music at /srv/app/music", "the file conf"}


PORTS = "services: {mq: {image: acme/mq, ports: ['${MQ_PORT:?}:5672', '${DNS}:53/udp', '443:443', '80']}}\n"


def test_port_whose_number_is_not_known_is_bound_to_loopback(tmp_path):
    folder = alone(tmp_path, PORTS)
    made = run(folder)
    assert values(folder, "stacks/app/compose.override.yml")["services"]["mq"]["ports"] == [
        "443:443",
        "127.0.0.1::80",
        "127.0.0.1:${MQ_PORT}:5672",
        "127.0.0.1:${DNS}:53/udp",
    ]
    assert not any("nothing yet" in need["what"] for need in made.needs)


def test_port_whose_number_is_not_known_stays_open_on_a_local_network(tmp_path):
    folder = alone(tmp_path, PORTS)
    run(folder, exposure="lan")
    assert not (folder.parent / "p/stacks/app/compose.override.yml").exists()


def test_port_of_another_form_is_kept_as_it_is_written(tmp_path):
    folder = alone(tmp_path, "services: {mq: {image: acme/mq, ports: ['${FROM}-${TO}:10-20', '9000:9000']}}\n")
    run(folder)
    ports = values(folder, "stacks/app/compose.override.yml")["services"]["mq"]["ports"]
    assert ports == ["127.0.0.1:9000:9000", "${FROM}-${TO}:10-20"]


def test_port_as_a_mapping_without_a_number_is_a_need(tmp_path):
    made = run(alone(tmp_path, "services: {mq: {image: acme/mq, ports: [{target: 80, published: '${WEB}'}]}}\n"))
    assert any("publishes a port that a variable" in need["what"] for need in made.needs)


@pytest.mark.parametrize(("env", "ports"), [("", [1, 2]), ("COMPOSE_PROFILES=more\n", [1, 3])])
def test_services_of_the_profiles_that_a_deploy_takes_are_read(tmp_path, env, ports):
    rows = {"a": "{image: a, ports: ['1:22']}", "b": "{image: a, profiles: ['', b], ports: ['2:22']}"}
    rows["c"] = "{image: a, profiles: [more], ports: ['3:22']}"
    text = "".join(f"  {name}: {row}\n" for name, row in rows.items())
    folder = alone(tmp_path, f"services:\n{text}")
    (folder / ".env").write_text(env)
    run(folder)
    override = values(folder, "stacks/app/compose.override.yml")["services"]
    assert [int(port.split(":")[1]) for each in override.values() for port in each["ports"]] == ports


def test_directory_whose_path_is_not_known_is_left_to_the_deploy(tmp_path):
    folder = alone(
        tmp_path, "services: {web: {image: acme/web, volumes: ['$ROOT/data:/data', '${ROOT}/logs:/logs']}}\n"
    )
    made = run(folder)
    assert values(folder)["onebox_defaults"] == "derive"
    assert "depend on variables without a value: ROOT.\n" in text(folder, "inventory/host_vars/box.yml")
    assert {"a value for ROOT", "a value for ROOT in compose_stack_env"} == {need["what"] for need in made.needs}


def test_directories_that_are_all_known_are_listed(tmp_path):
    folder = alone(tmp_path, "services: {web: {image: acme/web, volumes: ['/srv/web:/data']}}\n")
    run(folder)
    assert "onebox_defaults" not in values(folder)
