"""The simulated OCI on loopback and an account for it. Without Oracle's SDK these tests are skipped with a reason."""

from __future__ import annotations

import pathlib
import sys
import time
import typing as t

import pytest

TESTBED = str(pathlib.Path(__file__).resolve().parents[2] / "testbed" / "oci")
if TESTBED not in sys.path:
    sys.path.insert(0, TESTBED)

from oci_server import Server  # noqa: E402
from oci_signature import TestAccount, make_account  # noqa: E402
from oci_world import World  # noqa: E402


@pytest.fixture(scope="session")
def account(tmp_path_factory: pytest.TempPathFactory) -> TestAccount:
    return make_account(tmp_path_factory.mktemp("account"))


@pytest.fixture
def server(account: TestAccount) -> t.Iterator[Server]:
    world = World(time.time, boot_seconds=0.2, vnic_seconds=0.2, terminate_seconds=0.2, fail_seconds=0.2, page_size=1)
    with Server(world, account.keys) as running:
        yield running
