# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a compose file names outside of itself: files, folders, parts of a checkout, ports and profiles."""

import subprocess

import pytest
from scaffold_runs import run, text, values


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
