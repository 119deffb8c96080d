# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images of a stack on a Swarm, where Docker or containerd stores them: from a registry, or sent to the nodes."""

import os
import re
import shlex
import subprocess
import sys

import pytest
from onebox_testbed import docker, ports
from own_docker import OwnDocker
from registry_lab import Registry
from role_box import Box
from swarm_lab import swarm

SWARM = {"target": "swarm", "engine": "docker"}
IMAGE = "{{.Spec.TaskTemplate.ContainerSpec.Image}}"
MIB = 1 << 20


@pytest.fixture
def make_swarm_lab(request, make_lab, tmp_path_factory):
    """Make a stack on a Swarm of one node, on an engine by its name."""
    swarms = []

    def make(engine):
        lab = make_lab(f"{engine}+2.40")
        swarms.append(swarm(request.getfixturevalue(f"{engine}_engine"), tmp_path_factory.mktemp("swarm")))
        lab.nodes = swarms[-1].__enter__()
        request.addfinalizer(lambda: lab.nodes.remove(lab.project))
        return lab

    yield make
    for each in swarms:
        each.__exit__(None, None, None)


def _images(lab):
    rows = lab.nodes.docker("service", "ls", "--format", "{{.Name}}").stdout.split()
    return {
        name.partition("_")[2]: lab.nodes.docker("service", "inspect", "--format", IMAGE, name).stdout.strip()
        for name in rows
    }


def _named(engine, project):
    """The names of the stack's images on an engine, without those of releases."""
    listed = engine.cli("images", "--format", "{{.Repository}}:{{.Tag}}").split()
    return {name for name in listed if name.startswith(f"localhost/onebox/{project}/") and ":good-" not in name}


def test_registry_is_queried_once_for_each_image_of_containerd(make_swarm_lab, docker28c_engine, tmp_path):
    lab = make_swarm_lab("docker28c")
    registry = Registry(tmp_path, str(ports.claim()), docker28c_engine.namespace)
    registry.start()
    try:
        pushed, loaded = f"{registry.address}/pushed:1", f"{registry.address}/loaded:1"
        context = tmp_path / "context"
        context.mkdir()
        for image in (pushed, loaded):
            (context / "Dockerfile").write_text(f"FROM {lab.backend.image}\nLABEL image={image}\n")
            lab.backend.cli("build", "-q", "--network", "none", "-t", image, str(context))
        lab.backend.cli("push", "-q", pushed)
        lab.services = {"pushed": {**lab.service(), "image": pushed}, "loaded": {**lab.service(), "image": loaded}}
        first = lab.deploy(**SWARM)
        (needed,) = first["node_images"]
        digest = lab.backend.cli("image", "inspect", "--format", "{{.Id}}", pushed)
        assert _images(lab) == {"pushed": f"{pushed}@{digest}", "loaded": needed["reference"]}
        assert needed["reference"].startswith(f"localhost/onebox/{lab.project}/loaded:")
        lab.backend.cli("push", "-q", loaded)
        assert not lab.deploy(**SWARM)["changed"]
    finally:
        registry.stop()
    assert not lab.deploy(**SWARM)["changed"]
    lab.variables["LEVEL"] = "debug"
    lab.services["pushed"]["environment"] = {"LEVEL": "${LEVEL}"}
    lab.deploy(**SWARM)
    back = lab.stack(**SWARM, state="rolled_back").converge()
    assert not back.get("failed"), back.get("msg")
    assert _images(lab) == {"pushed": f"{pushed}@{digest}", "loaded": needed["reference"]}
    assert [row["reference"] for row in back["node_images"]] == [needed["reference"]]


class Nodes:
    """A manager with a stack whose image no registry has, and another engine as a host of the inventory."""

    def __init__(self, lab, node, home, size=1):
        self.lab, self.node = lab, node
        self.context = lab.folder / "ctx"
        self.context.mkdir()
        (self.context / "Dockerfile").write_text(f"FROM {lab.backend.image}\nCOPY base /base\nCOPY page /page\n")
        (self.context / "base").write_bytes(os.urandom(size))
        lab.services = {
            "api": {
                **lab.service(),
                "image": f"localhost/{lab.project}-api:latest",
                "build": {"context": "./ctx", "network": "none"},
            }
        }
        python = home / "python"
        words = f"DOCKER_HOST={shlex.quote(f'unix://{node.socket}')} exec {shlex.quote(sys.executable)}"
        python.write_text(f'#!/bin/sh\n{words} "$@"\n')
        python.chmod(0o700)
        self.box = Box(lab, home)
        self.box.others = {"node": {"ansible_connection": "local", "ansible_python_interpreter": str(python)}}
        self.box.variables |= {
            "compose_stack_target": "swarm",
            "compose_stack_nodes": ["box", "node"],
            "compose_stack_keep": 1,
            "compose_stack_source": str(lab.folder),
        }

    def run(self, page, *words, **keys):
        (self.context / "page").write_text(page)
        self.lab.write()
        return self.box.run("-l", "box", *words, **keys)

    def page(self):
        """What the image of the stack on the other engine contains."""
        (name,) = _named(self.node, self.lab.project)
        return self.node.cli("run", "--rm", "--network", "none", name, "cat", "/page")


@pytest.mark.parametrize(("manager", "node"), [("docker28c", "docker28"), ("docker28", "docker28c")])
def test_image_is_sent_to_a_node_with_the_other_store(make_swarm_lab, request, tmp_path, manager, node):
    nodes = Nodes(make_swarm_lab(manager), request.getfixturevalue(f"{node}_engine"), tmp_path)
    nodes.run("first")
    assert nodes.page() == "first"
    assert _named(nodes.node, nodes.lab.project) == {_images(nodes.lab)["api"]}
    assert "changed=0" in nodes.run("first")
    nodes.run("second")
    # The image of the release before is removed from both.
    assert nodes.page() == "second"
    assert _named(nodes.node, nodes.lab.project) == {_images(nodes.lab)["api"]}
    nodes.run("second", "-e", "compose_stack_state=absent")
    assert _named(nodes.node, nodes.lab.project) == set()


@pytest.fixture
def small_node(tmp_path_factory):
    """An engine with a disk of 100 MiB."""
    root = tmp_path_factory.mktemp("small")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100m", "none", str(root)], check=True)
    own = OwnDocker(root, dict(os.environ), docker.programs_of("sid"))
    own.start()
    yield own
    own.clean()
    subprocess.run(["umount", str(root)], check=True)


def test_image_that_does_not_fit_on_a_node_is_not_sent(make_swarm_lab, small_node, tmp_path):
    nodes = Nodes(make_swarm_lab("docker28"), small_node, tmp_path, 60 * MIB)
    output = nodes.run("first", expect=2)
    name = small_node.cli("info", "--format", "{{.Name}}")
    expected = (
        rf"node {name}: localhost/onebox/\S+ need \d+ bytes \(1\d\d MiB\) on the file system of {small_node.root}"
    )
    assert re.search(expected, output), output
    assert re.search(r"and \d+ bytes \(\d\d MiB\) are free\. No image was sent\. Free space", output)
    assert _images(nodes.lab) == {}
    assert _named(small_node, nodes.lab.project) == set()
    _resize(small_node, 200)
    nodes.run("first")
    assert nodes.page() == "first"
    # The node has the large layer already.
    (small_node.root / "filler").write_bytes(bytes(_free(small_node) - 80 * MIB))
    nodes.run("second")
    assert nodes.page() == "second"


def _resize(engine, mib):
    subprocess.run(["mount", "-o", f"remount,size={mib}m", str(engine.root)], check=True)


def _free(engine):
    status = os.statvfs(engine.root)
    return status.f_bavail * status.f_frsize
