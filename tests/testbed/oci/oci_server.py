"""Oracle's cloud behind HTTP on loopback: verifies every signature, then queries the world.

In a test: ``with Server(World(time.time), account.keys) as server`` and use ``server.endpoint``. By hand:
``python tests/testbed/oci/oci_server.py FOLDER WORD…`` writes a config file into FOLDER, prints what to type, and
answers the first launches with the words (see oci_world), then with success. ``--machines`` starts a real host for each
instance (see oci_machines).
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import http.server
import importlib
import json
import os
import pathlib
import re
import signal
import sys
import threading
import time
import typing as t
import urllib.parse

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from oci_networks import KINDS, Networks
from oci_signature import MachineIdentity, make_account, make_token, pem, verify
from oci_world import IMAGE, SUBNET, TENANCY, Json, Refused, Reset, World

Query = t.Mapping[str, str]


class Server:
    """A fake OCI endpoint.

    Args:
        world: the compute side.
        keys: public keys by keyId.
        wall: the server's clock, for the check of the signature's date.
        late: seconds after which the answer to a "slow" launch comes.
        bind: the address to listen at.
        record: a file that gets a line for each well-signed request.
    """

    def __init__(
        self,
        world: World,
        keys: dict[str, t.Any],
        *,
        wall: t.Callable[[], float] = time.time,
        late: float = 2.0,
        bind: str = "127.0.0.1",
        record: pathlib.Path | None = None,
    ) -> None:
        self.world, self.keys, self.wall, self.late = world, dict(keys), wall, late
        self._record = record
        self.networks = Networks()
        self.requests: list[tuple[str, str]] = []  # method and path of every request that was well signed
        self.refused: list[str] = []
        self.identity = MachineIdentity()
        self.home_region = "ap-chuncheon-1"
        self.shapes: dict[str, list[str]] = {}
        self.subnets: dict[str, Json] = {SUBNET: {"id": SUBNET, "lifecycleState": "AVAILABLE", "vcnId": "v"}}
        self.images: list[Json] = [
            image(IMAGE, "Canonical Ubuntu", "24.04", "Canonical-Ubuntu-24.04-aarch64-2026.10.01-0", "2026-10-02")
        ]
        self.volumes_gb: list[int] = []  # of the tenancy's root compartment
        self.compartments: list[str] = []  # those without an instance
        self.console_of: t.Callable[[str], str] = lambda identity: ""
        self.hidden: set[str] = set()  # paths that the user has no right to
        self.limits = {
            "standard-a1-core-count": {"used": 0, "available": 2},
            "standard-a1-memory-count": {"used": 0, "available": 12},
        }
        self._lock = threading.Lock()
        self._http = _Http((bind, 0), _Handler)
        self._http.fake = self
        self.endpoint = f"http://{bind}:{self._http.server_address[1]}"
        self.last_asked = time.monotonic()

    def __enter__(self) -> Server:
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *unused: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def posts(self) -> int:
        """The number of correctly signed launch requests."""
        return sum(method == "POST" and path == "/20160918/instances" for method, path in self.requests)

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> tuple[Json | list[Json], Json]:
        """Data and headers of a success. Raises :class:`Refused` or :class:`Reset`."""
        self.last_asked = time.monotonic()
        parts = urllib.parse.urlsplit(target)
        path, query = parts.path, dict(urllib.parse.parse_qsl(parts.query))
        if path.startswith("/opc/v2/"):
            raise _Plain(self._metadata(path, headers))
        reason = verify(self.keys, method, target, headers, body, self.wall(), need_host=path != "/v1/x509")
        if path == "/v1/x509" and "unknown key" in reason:
            self.keys[self.identity.key_id()] = self.identity.key.public_key()
            reason = verify(self.keys, method, target, headers, body, self.wall(), need_host=False)
        if reason:
            self.refused.append(f"{method} {path}: {reason}")
            raise Refused("401")
        with self._lock:
            self.requests.append((method, path))
            if self._record is not None:
                with open(self._record, "a") as record:
                    record.write(f"{method} {path}\n")
            if path == "/v1/x509":
                return self._federate(json.loads(body)), {}
            data, extra = self._route(method, path, query, headers, json.loads(body) if body else {})
            if isinstance(data, list):
                return self._page(data, query)
            return data, extra

    def _page(self, rows: list[Json], query: Query) -> tuple[list[Json], Json]:
        start, size = int(query.get("page", "0")), self.world.page_size
        more = start + size < len(rows)
        return rows[start : start + size], {"opc-next-page": str(start + size)} if more else {}

    def _route(
        self, method: str, path: str, query: Query, headers: t.Mapping[str, str], body: Json
    ) -> tuple[Json | list[Json], Json]:
        version, unused, rest = path.strip("/").partition("/")
        kind, unused, identity = rest.partition("/")
        if kind in KINDS and (kind != "subnets" or identity not in self.subnets):
            return self._network(method, kind, identity, query, headers, body)
        for verb, pattern, work in self._routes():
            found = None if rest in self.hidden else re.fullmatch(pattern, rest)
            if verb == method and found and version in ("20160918", "20190729"):
                data = work(query, headers, body, *found.groups())
                return data, {"etag": data["_etag"]} if isinstance(data, dict) and "_etag" in data else {}
        raise Refused("404-auth")

    def _network(
        self, method: str, kind: str, identity: str, query: Query, headers: t.Mapping[str, str], body: Json
    ) -> tuple[Json | list[Json], Json]:
        networks = self.networks
        if not identity:
            if method == "GET":
                return networks.listed(kind, query), {}
            row = networks.create(kind, body)
        elif method == "DELETE":
            networks.delete(kind, identity)
            return {}, {}
        elif method == "PUT":
            row = networks.update(kind, identity, body, headers.get("if-match", ""))
        else:
            row = networks.get(kind, identity)
        return row, {"etag": networks.etag(row)}

    def _routes(self) -> list[tuple[str, str, t.Callable[..., t.Any]]]:
        world = self.world
        return [
            ("POST", "instances", lambda q, h, b: world.launch(b, h.get("opc-retry-token", ""))),
            ("GET", "instances", lambda q, h, b: world.listed(q["compartmentId"])),
            ("GET", "instances/([^/]+)", lambda q, h, b, one: self._instance(one)),
            ("DELETE", "instances/([^/]+)", lambda q, h, b, one: world.terminate(one, h.get("if-match", "")) or {}),
            ("GET", "availabilityDomains", lambda q, h, b: [{"name": name} for name in world.domains]),
            ("GET", "compartments", lambda q, h, b: self._compartments()),
            ("POST", "instanceConsoleHistories", lambda q, h, b: {"id": f"console-{world.get(b['instanceId']).id}"}),
            ("GET", "instanceConsoleHistories/([^/]+)", lambda q, h, b, one: {"lifecycleState": "SUCCEEDED"}),
            ("GET", "instanceConsoleHistories/([^/]+)/data", lambda q, h, b, one: self._console(one)),
            ("DELETE", "instanceConsoleHistories/([^/]+)", lambda q, h, b, one: {}),
            ("GET", "shapes", lambda q, h, b: self._shapes(q["availabilityDomain"])),
            ("GET", "images", lambda q, h, b: self._images(q)),
            ("GET", "images/([^/]+)", lambda q, h, b, one: self._image(one)),
            ("GET", "subnets/([^/]+)", lambda q, h, b, one: self.subnets[one]),
            ("GET", "workRequests", lambda q, h, b: self._work_requests(q["resourceId"])),
            ("GET", "workRequests/([^/]+)/errors", lambda q, h, b, one: world.work_request_errors(one[3:])),
            ("GET", "vnicAttachments", lambda q, h, b: self._attachments(q["instanceId"])),
            ("GET", "vnics/([^/]+)", lambda q, h, b, one: self._vnic(one)),
            ("GET", "bootVolumeAttachments", lambda q, h, b: self._boot_volumes(q["instanceId"])),
            ("DELETE", "bootVolumes/([^/]+)", lambda q, h, b, one: world.delete_boot_volume(one) or {}),
            ("GET", "bootVolumes", lambda q, h, b: self._volumes(q)),
            ("GET", "volumes", lambda q, h, b: []),
            ("GET", "tenancies/[^/]+/regionSubscriptions", lambda q, h, b: self._regions()),
            ("GET", "services/compute/limits/([^/]+)/resourceAvailability", lambda q, h, b, one: self.limits[one]),
        ]

    def _instance(self, identity: str) -> Json:
        instance = self.world.get(identity)
        return {**self.world.describe(instance), "_etag": self.world.etag(instance)}

    def _shapes(self, domain: str) -> list[Json]:
        names = self.shapes.get(domain, ["VM.Standard.A1.Flex", "VM.Standard.E2.1.Micro"])
        return [{"shape": name} for name in names]

    def _compartments(self) -> list[Json]:
        used = {str(one.body.get("compartmentId")) for one in self.world.instances.values()} | set(self.compartments)
        return [{"id": identity, "lifecycleState": "ACTIVE"} for identity in sorted(used)]

    def _images(self, query: Query) -> list[Json]:
        rows = [
            row
            for row in self.images
            if query.get("operatingSystem", row["operatingSystem"]) == row["operatingSystem"]
            and query.get("operatingSystemVersion", row["operatingSystemVersion"]) == row["operatingSystemVersion"]
            and ("A1" not in query.get("shape", "A1") or "aarch64" in row["displayName"])
        ]
        return sorted(rows, key=lambda row: row["timeCreated"], reverse=True)

    def _image(self, identity: str) -> Json:
        found = [row for row in self.images if row["id"] == identity]
        if not found:
            raise Refused("404-auth")
        return found[0]

    def _work_requests(self, identity: str) -> list[Json]:
        failed = bool(self.world.work_request_errors(identity))
        return [{"id": f"wr-{identity}", "status": "FAILED" if failed else "SUCCEEDED"}]

    def _attachments(self, identity: str) -> list[Json]:
        found = self.world.addresses(identity)
        return [{"vnicId": f"vnic-{identity}", "lifecycleState": "ATTACHED" if found else "ATTACHING"}]

    def _vnic(self, identity: str) -> Json:
        public, private = self.world.addresses(identity[len("vnic-") :]) or ("", "")
        return {"id": identity, "isPrimary": True, "publicIp": public or None, "privateIp": private}

    def _boot_volumes(self, identity: str) -> list[Json]:
        return [{"bootVolumeId": volume} for volume in self.world.boot_volumes(identity)]

    def _console(self, identity: str) -> Json:
        raise _Plain(self.console_of(identity[len("console-") :]).encode())

    def _volumes(self, query: Query) -> list[Json]:
        here = query["compartmentId"] == TENANCY and query["availabilityDomain"] == self.world.domains[0]
        return [{"sizeInGBs": size} for size in self.volumes_gb] if here else []

    def _regions(self) -> list[Json]:
        return [{"regionName": "sa-saopaulo-1"}, {"regionName": self.home_region, "isHomeRegion": True}]

    # --- instance principal ---

    def _metadata(self, path: str, headers: t.Mapping[str, str]) -> bytes:
        if headers.get("authorization") != "Bearer Oracle":
            raise Refused("401")
        known = {
            "/opc/v2/instance/region": b"ap-chuncheon-1",
            "/opc/v2/identity/cert.pem": self.identity.certificate_pem(),
            "/opc/v2/identity/intermediate.pem": self.identity.certificate_pem(),
            "/opc/v2/identity/key.pem": pem(self.identity.key),
        }
        if path not in known:
            raise Refused("404-auth")
        return known[path]

    def _federate(self, body: Json) -> Json:
        sent = x509.load_pem_x509_certificate(_armour(body["certificate"], "CERTIFICATE"))
        if sent.serial_number != self.identity.certificate.serial_number:
            raise Refused("401")
        token = make_token(1200)
        self.keys[f"ST${token}"] = load_pem_public_key(_armour(body["publicKey"], "PUBLIC KEY"))
        return {"token": token}


def image(identity: str, system: str, version: str, name: str, created: str) -> Json:
    return {
        "id": identity,
        "operatingSystem": system,
        "operatingSystemVersion": version,
        "displayName": name,
        "timeCreated": created,
        "lifecycleState": "AVAILABLE",
    }


def _armour(text: str, kind: str) -> bytes:
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    return "\n".join([f"-----BEGIN {kind}-----", *lines, f"-----END {kind}-----", ""]).encode()


class _Plain(Exception):
    """A success that is text, not JSON."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.data = data


class _Http(http.server.ThreadingHTTPServer):
    daemon_threads = True
    fake: Server

    def handle_error(self, request: t.Any, client_address: t.Any) -> None:
        kind = sys.exc_info()[0]
        if kind is None or not issubclass(kind, ConnectionError):  # a client that gave up is expected
            super().handle_error(request, client_address)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Http

    def log_message(self, *unused: t.Any) -> None:
        pass

    def _work(self) -> None:
        fake = self.server.fake
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            data, extra = fake.answer(self.command, self.path, headers, body)
        except _Plain as plain:
            self._send(200, plain.data, "text/plain", {})
        except Refused as refused:
            content = refused.body if isinstance(refused.body, bytes) else json.dumps(refused.body).encode()
            self._send(refused.status, content, refused.content_type, refused.headers)
        except Reset as reset:
            if reset.late:
                time.sleep(fake.late)
            self.close_connection = True
            self.connection.close()
        else:
            rows = data if isinstance(data, list) else [data]
            shown = [{key: value for key, value in row.items() if not key.startswith("_")} for row in rows]
            content = json.dumps(shown if isinstance(data, list) else shown[0]).encode()
            self._send(200, content, "application/json", extra)

    do_GET = do_POST = do_PUT = do_DELETE = _work

    def _send(self, status: int, content: bytes, kind: str, extra: Json) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(content)))
        self.send_header("opc-request-id", "FAKE/REQUEST")
        for name, value in extra.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(content)

    def date_time_string(self, timestamp: float | None = None) -> str:
        moment = datetime.datetime.fromtimestamp(self.server.fake.wall(), datetime.timezone.utc)
        return moment.strftime("%a, %d %b %Y %H:%M:%S GMT")


def main() -> None:
    parser = argparse.ArgumentParser(description="A fake of Oracle's cloud on this machine.")
    parser.add_argument("folder", type=pathlib.Path, help="where config file, keys, endpoint and pid are written")
    parser.add_argument("words", nargs="*", metavar="WORD", help="what happens to the first launches, see oci_world.py")
    parser.add_argument("--machines", action="store_true", help="start a real host for each instance")
    parser.add_argument("--idle", type=float, default=0, metavar="SECONDS", help="end when nobody asks for so long")
    options = parser.parse_intermixed_args()
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    account = make_account(folder)
    world = World(time.time, script=options.words, boot_seconds=2, vnic_seconds=3)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    with contextlib.ExitStack() as stack:
        if options.machines:
            sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))
            machines = stack.enter_context(importlib.import_module("oci_machines").Machines())
            world.address_of, world.ended = machines.start, machines.end
        server = stack.enter_context(Server(world, account.keys, record=folder / "requests"))
        if options.machines:
            server.console_of = machines.console
        (folder / "pid").write_text(str(os.getpid()))
        (folder / "endpoint").write_text(server.endpoint)
        print(f"config_file: {account.config_file}\nendpoint: {server.endpoint}", flush=True)
        while not options.idle or time.monotonic() - server.last_asked < options.idle:
            time.sleep(1)


if __name__ == "__main__":
    main()
