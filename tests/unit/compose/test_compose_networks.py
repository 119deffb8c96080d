# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""External networks that do not exist are created where the user chose so, and never otherwise."""

import dataclasses
import http.server
import json
import socketserver
import threading

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.compose.files import networks
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan import resources
from ansible_collections.onebox.stack.plugins.module_utils.core.process import Result
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.resources import Network
from compose_facts import model_of


def model(**declared):
    return model_of({"web": {"image": "a", "networks": list(declared)}}, networks=declared)


def network(name, identity="1"):
    return Network(identity, name, "bridge", False, False, False, {}, (), {})


EXTERNAL = {"external": True, "name": "proxy"}


def test_missing_external_network_is_created_with_derive_only():
    assert networks.missing(model(front=EXTERNAL), resources.Found(), True) == ["proxy"]
    assert networks.missing(model(front=EXTERNAL), resources.Found(), False) == []


@pytest.mark.parametrize("known", [{"proxy": network("proxy")}, {"other": network("other", "proxy")}])
def test_network_that_is_there_is_not_created(known):
    assert networks.missing(model(front=EXTERNAL), resources.Found(known), True) == []


def test_networks_of_the_stack_are_left_to_the_compose_tool():
    assert networks.missing(model(front={"name": "mine"}, back={"name": "shop_back"}), resources.Found(), True) == []


@dataclasses.dataclass
class Engine:
    socket: str


@pytest.fixture
def asked(tmp_path):
    """A server on a socket: ``(its path, requests, the status it answers with)``."""
    requests, status = [], [201]

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            requests.append((self.path, json.loads(body)))
            said = b'{"message": "no more addresses"}'
            self.send_response(status[0])
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def address_string(self):
            return "socket"

        def log_message(self, *words):
            pass

    path = str(tmp_path / "socket")
    server = socketserver.ThreadingUnixStreamServer(path, Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield path, requests, status
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("answer", [201, 409])
def test_engine_with_a_socket_is_given_the_name_as_json(asked, answer):
    path, requests, status = asked
    status[0] = answer
    networks.create(["proxy"], Engine(path), World.real())
    assert [(target, body["Name"]) for target, body in requests] == [("/networks/create", "proxy")]


def test_refusal_of_the_engine_names_the_network(asked):
    path, _requests, status = asked
    status[0] = 500
    with pytest.raises(ComposeError, match="network proxy .*created: no more addresses"):
        networks.create(["proxy"], Engine(path), World.real())


@pytest.mark.parametrize(
    ("rc", "said", "fails"),
    [(0, "", False), (1, "no more addresses", True), (125, "Error: network name proxy already exists", False)],
)
def test_podman_without_a_socket_is_called(rc, said, fails):
    calls = []

    def run(words, **options):
        calls.append(list(words))
        return Result(tuple(words), rc, "", said, 0.0)

    world = dataclasses.replace(World.real(), run=run)
    if fails:
        with pytest.raises(ComposeError, match="network proxy .* no more addresses"):
            networks.create(["proxy"], Engine(""), world)
    else:
        networks.create(["proxy"], Engine(""), world)
    assert calls == [["podman", "network", "create", "proxy"]]
