# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deploys to a real Swarm of one node while another service sends 20 requests a second.

The kernel of a test machine can be without IPVS, so the client finds the replicas by DNS.
"""

import subprocess
import time

import pytest
from compose_lab import Lab
from swarm_lab import swarm

SWARM = {"target": "swarm", "engine": "docker"}
IMAGE = "docker.io/library/python:3.11-slim"
# A server that drains: after SIGTERM it answers for three more seconds.
SERVER = """
import http.server, os, signal, threading

class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        text = os.environ["LEVEL"].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

server = http.server.ThreadingHTTPServer(("", 8080), Page)
signal.signal(signal.SIGTERM, lambda *_: threading.Timer(3, server.shutdown).start())
server.serve_forever()
"""
CLIENT = """
import socket, threading, time, urllib.request

def request():
    try:
        # One address: urlopen would try the second replica if the first refuses.
        url = "http://" + socket.gethostbyname("web") + ":8080/"
        with urllib.request.urlopen(url, timeout=5) as answer:
            line = "level " + answer.read().decode()
    except OSError as error:
        line = f"failed: {error}"
    with lock:
        log.write(line + "\\n")

lock, log = threading.Lock(), open("/tmp/log", "a", buffering=1)
due = time.monotonic()
while True:
    threading.Thread(target=request).start()
    due += 1 / 20
    time.sleep(max(0.0, due - time.monotonic()))
"""
CHECK = "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/', timeout=2)"
HEALTHY = {"test": ["CMD", "python", "-c", CHECK], "interval": "1s", "start_period": "20s", "retries": 5}


@pytest.fixture
def lab(make_lab, docker28_engine, tmp_path_factory):
    _give_image(docker28_engine)
    lab = make_lab("docker28+2.40")
    with swarm(docker28_engine, tmp_path_factory.mktemp("swarm")) as nodes:
        lab.nodes = nodes
        lab.services = {
            "web": {
                "image": IMAGE,
                "command": ["python", "-c", SERVER],
                "healthcheck": HEALTHY,
                "restart": "always",
                "stop_grace_period": "10s",
                "environment": {"LEVEL": "${LEVEL}"},
                "deploy": {"replicas": 2, "endpoint_mode": "dnsrr"},
            },
            "client": {
                "image": IMAGE,
                "command": ["python", "-c", CLIENT],
                "restart": "always",
                "stop_grace_period": "0s",
            },
        }
        yield lab
        nodes.remove(lab.project)


def _give_image(engine) -> None:
    """Load the image, which has Python, from the Docker of the testbed."""
    save = subprocess.Popen(["docker", "save", IMAGE], stdout=subprocess.PIPE)
    subprocess.run(
        ["docker", "load", "--quiet"], env=engine.environ, stdin=save.stdout, check=True, capture_output=True
    )
    assert save.wait() == 0


def _requests(lab: Lab) -> list[str]:
    """A line for each request that has ended."""
    (client,) = [row["container"] for row in lab.nodes.tasks(f"{lab.project}_client") if row["state"] == "running"]
    # A container runs some time before its program opens the file.
    return lab.backend.cli("exec", client, "sh", "-c", "touch /tmp/log; cat /tmp/log").splitlines()


def test_no_request_fails_while_a_replicated_service_is_deployed(lab: Lab, tally, how_many):
    lab.variables["LEVEL"] = "0"
    lab.deploy(**SWARM)
    lab.nodes.until(lambda: _requests(lab)[-20:] == ["level 0"] * 20)
    before, began = len(_requests(lab)), time.monotonic()
    deploys = how_many(3, 20)
    for number in range(1, deploys + 1):
        lab.variables["LEVEL"] = str(number)
        result = lab.deploy(**SWARM)
        assert {row["service"]: row["action"] for row in result["plan"]} == {"web": "recreate", "client": "keep"}
    seconds = time.monotonic() - began
    sent = _requests(lab)[before:]
    failed = [line for line in sent if not line.startswith("level ")]
    assert sent[-1] == f"level {deploys}"
    print(f"{deploys} deploys in {seconds:.0f} s, {len(sent) / seconds:.1f} requests a second")
    tally(f"requests during {deploys} deploys to a Swarm: failed", len(sent), len(failed))
    assert len(sent) / seconds >= 15
