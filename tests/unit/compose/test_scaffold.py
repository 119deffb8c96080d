# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder and the inventory that are proposed for a stranger's compose project."""

import subprocess

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError
from scaffold_runs import actions, run, text, values

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
