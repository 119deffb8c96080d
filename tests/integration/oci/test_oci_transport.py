"""The real SDK against the simulated cloud, which verifies every signature and returns recorded answers.

The tests cover all three kinds of authentication, one POST for each launch, and the meaning of each missing answer.
"""

from __future__ import annotations

import base64
import email.utils
import hashlib
import http.client
import pathlib
import time
import typing as t

import pytest

pytest.importorskip("oci.base_client", reason="Oracle's SDK is not installed (requirements-oci.txt)")

from ansible_collections.onebox.stack.plugins.module_utils.oci import errors
from ansible_collections.onebox.stack.plugins.module_utils.oci.api import Api
from ansible_collections.onebox.stack.plugins.module_utils.oci.errors import CallFailed, OciError
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch.spec import Size
from ansible_collections.onebox.stack.plugins.module_utils.oci.sdk import Account, Session
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from oci_server import Server
from oci_signature import TestAccount, fingerprint, new_key, pem
from oci_simulation import make_spec
from oci_world import COMPARTMENT, TENANCY
from onebox_testbed import ports

BODY = make_spec().body("Uocm:AP-CHUNCHEON-1-AD-1", "", Size(2, 12), "intent")


def session(server: Server, account: TestAccount, **changes: t.Any) -> Session:
    values = {"config_file": str(account.config_file), "endpoint": server.endpoint, **changes}
    return Session(Account(**values), timeouts=(2.0, 1.0))


def api(server: Server, account: TestAccount, **changes: t.Any) -> Api:
    return Api(session(server, account, **changes), COMPARTMENT)


def failure(server: Server, account: TestAccount, token: str = "t1") -> errors.Answer:
    with pytest.raises(CallFailed) as caught:
        api(server, account).launch(BODY, token)
    return caught.value.answer


def test_api_key_signs_a_launch(server: Server, account: TestAccount) -> None:
    opened = session(server, account)
    assert (opened.region, opened.tenancy_id, opened.place) == ("ap-chuncheon-1", TENANCY, server.endpoint)
    instance = Api(opened, COMPARTMENT).launch(BODY, "t1")
    assert instance["lifecycleState"] == "PROVISIONING"
    assert server.posts() == 1
    assert server.world.launches[0][2:] == ("t1", BODY)


def test_session_token_signs_a_read(server: Server, account: TestAccount) -> None:
    assert api(server, account, config_profile="TOKEN").domains() == ["Uocm:AP-CHUNCHEON-1-AD-1"]
    assert server.refused == []


def test_instance_principal_signs_a_launch(
    server: Server, account: TestAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OCI_METADATA_BASE_URL", f"{server.endpoint}/opc/v2")
    opened = session(server, account, auth="instance_principal", config_file="/nowhere")
    assert (opened.region, opened.tenancy_id) == ("ap-chuncheon-1", TENANCY)
    Api(opened, COMPARTMENT).launch(BODY, "t1")
    assert server.posts() == 1
    assert ("POST", "/v1/x509") in server.requests


@pytest.mark.parametrize("word", ["cap", "429", "500-other", "502-html", "504-empty", "409-state"])
def test_one_attempt_is_one_post(
    server: Server, account: TestAccount, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    """Also if the environment enables the SDK's retries and circuit breaker: another module sends eight POSTs."""
    monkeypatch.setenv("OCI_SDK_DEFAULT_RETRY_ENABLED", "true")
    monkeypatch.setenv("OCI_SDK_DEFAULT_CIRCUITBREAKER_ENABLED", "true")
    server.world.script[:] = [word] * 15
    used = api(server, account)
    for number in range(1, 13):  # more than the ten failures after which the circuit breaker would open
        with pytest.raises(CallFailed) as caught:
            used.launch(BODY, "t")
        assert caught.value.answer.how == errors.ANSWERED
        assert server.posts() == number


def test_refusals_arrive_as_they_were_sent(server: Server, account: TestAccount) -> None:
    server.world.script[:] = ["cap", "429:17", "502-html", "504-empty"]
    now = float(int(time.time()))
    server.wall = lambda: now
    assert failure(server, account) == errors.Answer(
        500, "InternalError", "Out of host capacity.", "FAKE/REQUEST", None, email.utils.formatdate(now, usegmt=True)
    )
    throttled = failure(server, account)
    assert (throttled.status, throttled.code, throttled.retry_after) == (429, "TooManyRequests", 17)
    html = failure(server, account)
    assert (html.status, html.code) == (502, "")
    assert "502 Bad Gateway" in html.message
    empty = failure(server, account)
    assert (empty.status, empty.code, empty.message) == (504, "", "")


def test_no_answer_is_an_unknown_outcome_and_unsent_is_not(server: Server, account: TestAccount) -> None:
    server.world.script[:] = ["reset-after-create", "slow"]
    assert failure(server, account, "a").how == errors.LOST
    assert failure(server, account, "b").how == errors.LOST
    assert len(server.world.instances) == 2
    unused_port = f"http://127.0.0.1:{ports.claim()}"
    with pytest.raises(CallFailed) as caught:
        api(server, account, endpoint=unused_port).launch(BODY, "c")
    assert caught.value.answer.how == errors.UNSENT
    with pytest.raises(CallFailed) as caught:
        api(server, account, endpoint="http://no-such-host.invalid:80").launch(BODY, "c")
    assert caught.value.answer.how == errors.UNSENT


def test_repeated_request_with_the_same_token_has_the_same_instance(server: Server, account: TestAccount) -> None:
    server.world.script[:] = ["reset-after-create"]
    failure(server, account, "same")
    assert api(server, account).launch(BODY, "same")["id"] == next(iter(server.world.instances))
    assert len(server.world.instances) == 1


def test_list_reads_all_pages(server: Server, account: TestAccount) -> None:
    used = api(server, account)
    ids = {used.launch({**BODY, "displayName": f"vm{number}"}, f"t{number}")["id"] for number in range(3)}
    assert {row["id"] for row in used.instances()} == ids
    assert sum(path.endswith("/instances") and method == "GET" for method, path in server.requests) == 3


def test_instance_is_launched_read_and_terminated(server: Server, account: TestAccount) -> None:
    used = api(server, account)
    made = used.launch(BODY, "t")["id"]
    deadline = time.monotonic() + 10
    while used.addresses(made) is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert used.addresses(made) == ("203.0.113.10", "10.0.0.10")
    assert used.instance(made)["lifecycleState"] == "RUNNING"
    assert used.failures(made) == []
    assert len(used.boot_volumes(BODY["availabilityDomain"], made)) == 1
    used.terminate(made)
    assert used.instance(made)["lifecycleState"] in ("TERMINATING", "TERMINATED")
    assert used.boot_volumes(BODY["availabilityDomain"], made) == []


def test_failed_work_request_has_the_reason(server: Server, account: TestAccount) -> None:
    server.world.script[:] = ["wr-capacity"]
    used = api(server, account)
    made = used.launch(BODY, "t")["id"]
    deadline = time.monotonic() + 10
    while used.instance(made)["lifecycleState"] != "TERMINATED":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert used.failures(made) == ["Out of host capacity."]
    (volume,) = used.boot_volumes(BODY["availabilityDomain"], made)
    used.delete_boot_volume(volume)
    assert used.boot_volumes(BODY["availabilityDomain"], made) == []


# --- failures of the authentication have a reason ---


def rewrite(account: TestAccount, folder: pathlib.Path, **changes: str) -> str:
    """A copy of the config with other values in its first profile; None removes a line."""
    lines = account.config_file.read_text().split("\n\n")[0].splitlines()
    kept = [line for line in lines if line.partition("=")[0] not in changes]
    config = folder / "config"
    config.write_text("\n".join([*kept, *(f"{key}={value}" for key, value in changes.items() if value)]) + "\n")
    return str(config)


def test_wrong_key_is_refused_by_the_server(server: Server, account: TestAccount, tmp_path: pathlib.Path) -> None:
    other = new_key()
    (tmp_path / "other.pem").write_bytes(pem(other))
    config = rewrite(account, tmp_path, key_file=str(tmp_path / "other.pem"))
    with pytest.raises(CallFailed) as caught:
        api(server, account, config_file=config).domains()
    assert caught.value.answer.status == 401
    assert "does not fit" in server.refused[0]


def test_wrong_clock_is_refused_by_the_server(server: Server, account: TestAccount) -> None:
    server.wall = lambda: time.time() + 400
    with pytest.raises(CallFailed) as caught:
        api(server, account).domains()
    assert caught.value.answer.status == 401
    served = email.utils.parsedate_to_datetime(caught.value.answer.date).timestamp()
    assert 390 < served - time.time() < 410


def test_encrypted_key_needs_its_passphrase(server: Server, account: TestAccount, tmp_path: pathlib.Path) -> None:
    locked = new_key()
    (tmp_path / "locked.pem").write_bytes(pem(locked, "secret words"))
    changes = {"key_file": str(tmp_path / "locked.pem"), "fingerprint": fingerprint(locked)}
    with pytest.raises(OciError, match="the key is encrypted. Add a line pass_phrase"):
        session(server, account, config_file=rewrite(account, tmp_path, **changes))
    server.keys[f"{TENANCY}/ocid1.user.oc1..aaaatest/{fingerprint(locked)}"] = locked.public_key()
    config = rewrite(account, tmp_path, pass_phrase="secret words", **changes)
    assert api(server, account, config_file=config).domains()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"config_file": "/nowhere/config"}, "config_file /nowhere/config does not exist"),
        ({"config_profile": "OTHER"}, "config_profile OTHER is not in"),
        ({"auth": "session_token"}, "has no security_token_file"),
        ({"auth": "password"}, "auth must be one of"),
        ({"endpoint": "ftp://x"}, "endpoint must be http(s)://host[:port]"),
    ],
)
def test_invalid_account_option_is_refused(
    server: Server, account: TestAccount, changes: dict[str, str], says: str
) -> None:
    with pytest.raises(OciError) as caught:
        api(server, account, **changes).domains()
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"fingerprint": "12:34"}, "fingerprint is malformed"),
        ({"user": ""}, "user is missing"),
        ({"key_file": "/nowhere/key.pem"}, "/nowhere/key.pem"),
    ],
)
def test_invalid_profile_is_refused(
    server: Server, account: TestAccount, tmp_path: pathlib.Path, changes: dict[str, str], says: str
) -> None:
    with pytest.raises(OciError) as caught:
        session(server, account, config_file=rewrite(account, tmp_path, **changes))
    assert says in str(caught.value)
    assert "profile DEFAULT of" in str(caught.value)


def test_instance_principal_outside_of_oracle_is_refused(
    server: Server, account: TestAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OCI_METADATA_BASE_URL", f"{server.endpoint}/opc/v9")
    with pytest.raises(OciError, match="instance_principal does not work here"):
        session(server, account, auth="instance_principal")


# --- the simulated server must refuse wrong signatures ---


def signed(server: Server, account: TestAccount, **changes: str) -> int:
    """Sign a launch by hand, spoil one thing, and return the status."""
    key = serialization.load_pem_private_key(account.key_file.read_bytes(), None)
    host = server.endpoint.partition("//")[2]
    body = b"{}"
    values = {
        "date": email.utils.formatdate(usegmt=True),
        "(request-target)": "post /20160918/instances",
        "host": host,
        "content-length": str(len(body)),
        "content-type": "application/json",
        "x-content-sha256": base64.b64encode(hashlib.sha256(body).digest()).decode(),
    }
    names = changes.get("names", " ".join(values)).split()
    text = "\n".join(f"{name}: {values[name]}" for name in names)
    signature = base64.b64encode(key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())).decode()  # type: ignore[union-attr,call-arg,arg-type]
    identity = next(iter(account.keys)) if "identity" not in changes else changes["identity"]
    headers = {name: value for name, value in values.items() if not name.startswith("(")}
    headers["authorization"] = (
        f'Signature version="{changes.get("version", "1")}",keyId="{identity}",algorithm="rsa-sha256",'
        f'headers="{" ".join(names)}",signature="{signature}"'
    )
    headers.update({key: value for key, value in changes.items() if key in headers})
    connection = http.client.HTTPConnection(host, timeout=5)
    connection.request("POST", changes.get("path", "/20160918/instances"), body, headers)
    return connection.getresponse().status


def test_simulated_server_verifies_each_signature(server: Server, account: TestAccount) -> None:
    assert signed(server, account) == 200
    assert signed(server, account, identity="someone/else/aa") == 401
    assert signed(server, account, version="2") == 401
    assert signed(server, account, names="date (request-target) host") == 401
    assert signed(server, account, path="/20160918/instances?x=1") == 401
    assert signed(server, account, date="Mon, 01 Jan 2024 00:00:00 GMT") == 401
    assert signed(server, account, authorization="Basic x") == 401
    assert signed(server, account, **{"x-content-sha256": "AAAA"}) == 401
    assert server.posts() == 1
