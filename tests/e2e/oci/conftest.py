"""The whole path to oci-vm: simulated cloud, real SDK, real hosts, real SSH, and the inventory's own values."""

from __future__ import annotations

import pathlib
import sys
import time
import typing as t

import pytest

TESTBED = pathlib.Path(__file__).resolve().parents[2] / "testbed"
for folder in (TESTBED / "oci", TESTBED / "webhooks", TESTBED):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

from oci_machines import Machines  # noqa: E402
from oci_server import Server  # noqa: E402
from oci_signature import make_account  # noqa: E402
from oci_site import Site  # noqa: E402
from oci_world import World  # noqa: E402
from onebox_testbed import docker, standins  # noqa: E402
from webhook_receiver import Receiver  # noqa: E402


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Site]:
    socket = docker.find()
    assert socket is not None, "no Docker engine answers; run: make testbed"
    folder = tmp_path_factory.mktemp("oci-vm")
    account = make_account(folder)
    world = World(time.time, boot_seconds=2, vnic_seconds=3, terminate_seconds=1, page_size=1)
    with Machines(standins.archive(socket)) as machines, Server(world, account.keys) as server, Receiver() as discord:
        world.address_of, world.ended = machines.start, machines.end
        server.console_of = machines.console
        yield Site(folder, server, machines, discord, account.config_file)
    assert machines.alive() == []
