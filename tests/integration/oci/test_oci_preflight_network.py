"""Preflight and network over the real SDK and the simulated cloud: the checks with requests, and the resources."""

from __future__ import annotations

import dataclasses
import time
import typing as t

import pytest

pytest.importorskip("oci.base_client", reason="Oracle's SDK is not installed (requirements-oci.txt)")

from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.oci import options, preflight
from ansible_collections.onebox.stack.plugins.module_utils.oci.api import Api
from ansible_collections.onebox.stack.plugins.module_utils.oci.errors import OciError
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch.spec import Size
from ansible_collections.onebox.stack.plugins.module_utils.oci.network import TAG, Network, Result, Wanted
from ansible_collections.onebox.stack.plugins.module_utils.oci.sdk import Account, Session
from oci_server import Server, image
from oci_signature import TestAccount
from oci_simulation import make_spec
from oci_world import COMPARTMENT, IMAGE, SUBNET, Refused

AD1 = "Uocm:AP-CHUNCHEON-1-AD-1"


def open_session(server: Server, account: TestAccount) -> Session:
    return Session(Account(config_file=str(account.config_file), endpoint=server.endpoint))


def look(server: Server, account: TestAccount, now: float | None = None, **changes: t.Any) -> preflight.Findings:
    params = {name: option.get("default") for name, option in options.PREFLIGHT.items()}
    params.update(name="coinpilot-ins", compartment_id=COMPARTMENT, subnet_id=SUBNET)
    params.update(changes)
    session = open_session(server, account)
    found = preflight.Findings()
    world = World.real() if now is None else dataclasses.replace(World.real(), epoch=lambda: now)
    preflight.online(params, Api(session, COMPARTMENT), session.region, world, found)
    return found


def one(found: preflight.Findings) -> str:
    (problem,) = found.problems
    return f"{problem['severity']} {problem['parameter']}: {problem['problem']}"


def test_valid_options_have_no_problems(server: Server, account: TestAccount) -> None:
    found = look(server, account)
    assert found.problems == []
    assert found.image == {"id": IMAGE, "name": "Canonical-Ubuntu-24.04-aarch64-2026.10.01-0"}
    assert found.availability_domains == [AD1]
    assert found.limits == {AD1: server.limits}


def test_newest_image_for_the_shape_is_chosen(server: Server, account: TestAccount) -> None:
    server.images += [
        image("ocid1.image.oc1.x.new", "Canonical Ubuntu", "24.04", "Ubuntu-24.04-aarch64-new", "2026-11-01"),
        image("ocid1.image.oc1.x.amd", "Canonical Ubuntu", "24.04", "Ubuntu-24.04-amd64", "2026-11-02"),
        image("ocid1.image.oc1.x.ol", "Oracle Linux", "9", "Oracle-Linux-9-aarch64", "2026-11-03"),
    ]
    assert look(server, account).image["id"] == "ocid1.image.oc1.x.new"
    oracle = look(server, account, operating_system="Oracle Linux", operating_system_version="9")
    assert oracle.image["id"] == "ocid1.image.oc1.x.ol"
    assert "no image of Plan 9 4" in one(look(server, account, operating_system="Plan 9", operating_system_version="4"))
    assert "does not run on VM.Standard.A1.Flex" in one(look(server, account, image_id="ocid1.image.oc1.x.amd"))


def test_domains_without_the_shape_are_excluded(server: Server, account: TestAccount) -> None:
    server.world.domains = ["x:AD-1", "x:AD-2", "x:AD-3"]
    server.shapes["x:AD-2"] = ["VM.Standard.E2.1.Micro"]
    found = look(server, account)
    assert found.availability_domains == ["x:AD-1", "x:AD-3"]
    assert one(found) == "warning availability_domains: x:AD-2 does not have VM.Standard.A1.Flex"
    wrong = look(server, account, availability_domains=["AD-9"])
    assert "AD-9 is not one of this region" in one(wrong)
    assert wrong.failed
    server.subnets[SUBNET]["availabilityDomain"] = "x:AD-3"
    assert look(server, account).availability_domains == ["x:AD-3"]


def test_private_or_missing_subnet_is_reported(server: Server, account: TestAccount) -> None:
    server.subnets[SUBNET]["prohibitPublicIpOnVnic"] = True
    assert one(look(server, account)).startswith("warning subnet_id: the subnet is private")
    assert one(look(server, account, subnet_id="ocid1.subnet.oc1.x.nope")).startswith(
        "error subnet_id: Oracle answered 404"
    )


def test_region_other_than_home_is_reported(server: Server, account: TestAccount) -> None:
    server.home_region = "eu-frankfurt-1"
    assert "home region is eu-frankfurt-1" in one(look(server, account))
    assert look(server, account, allow_paid=True).problems == []


@pytest.mark.parametrize(("off", "severity"), [(90, "warning"), (-90, "warning"), (400, "error")])
def test_clock_deviation_is_reported(server: Server, account: TestAccount, off: float, severity: str) -> None:
    found = look(server, account, now=time.time() + off)
    assert one(found).startswith(f"{severity} clock: this machine's clock is")


def test_clock_deviation_that_oracle_refuses_is_reported(server: Server, account: TestAccount) -> None:
    server.wall = lambda: time.time() + 4000
    found = look(server, account)
    assert [problem["parameter"] for problem in found.problems] == ["clock", "config_file"]
    assert "behind Oracle's" in found.problems[0]["problem"]


def test_storage_and_limits_exceeded_are_reported(server: Server, account: TestAccount) -> None:
    server.volumes_gb = [100, 80]
    for row in server.limits.values():
        row["available"] = 0
    found = look(server, account)
    assert [(problem["parameter"], problem["severity"]) for problem in found.problems] == [
        ("boot_volume_gb", "error"),
        ("ocpus", "warning"),
        ("memory_gb", "warning"),
    ]
    assert "180 GB of volumes exist" in found.problems[0]["problem"]


def test_existing_instances_are_counted_and_recognized(server: Server, account: TestAccount) -> None:
    body = make_spec().body(AD1, "", Size(1, 6), "i")
    server.world.launch({**body, "displayName": "other", "freeformTags": {}}, "t1")
    found = look(server, account)
    assert "2 OCPU requested and 1 in use" in found.problems[0]["problem"]
    server.world.launch({**body, "freeformTags": {}}, "t2")
    assert any("did not create the instance" in problem["problem"] for problem in look(server, account).problems)
    server.world.launch(body, "t3")
    assert look(server, account).instance["id"].endswith("i0003")


ELSEWHERE = "ocid1.compartment.oc1..theirs"


def test_another_compartment_of_the_tenancy_counts_as_not_free(server: Server, account: TestAccount) -> None:
    server.world.launch({**make_spec().body(AD1, "", Size(1, 6), "i"), "compartmentId": ELSEWHERE}, "t1")
    problems = [problem["problem"] for problem in look(server, account).problems]
    assert problems == ["not free in this tenancy: 2 OCPU requested and 1 in use, 2 are free"] + [
        "not free in this tenancy: 12 GB of memory requested and 6 in use, 12 are free"
    ]


def test_limits_of_the_tenancy_count_what_the_user_may_not_read(server: Server, account: TestAccount) -> None:
    server.limits["standard-a1-core-count"] = {"used": 2, "available": 98}
    assert "2 in use in the tenancy by Oracle's limits" in one(look(server, account))
    assert one(look(server, account)).startswith("error ocpus: ")
    assert look(server, account, allow_paid=True).problems == []


def test_compartments_that_cannot_be_read_are_named(server: Server, account: TestAccount) -> None:
    server.hidden.update({"compartments", "volumes"})
    found = look(server, account)
    assert not found.failed
    assert "not counted for the free allowance: the compartments of the tenancy, volumes of" in one(found)


# --- network ---


def work(server: Server, account: TestAccount, dry: bool = False, absent: bool = False, **changes: t.Any) -> Result:
    values = {"cidr": "10.0.0.0/16", "subnet_cidr": "10.0.0.0/24", "ssh_sources": ["0.0.0.0/0"], **changes}
    wanted = Wanted(name="onebox", compartment_id=COMPARTMENT, **values)
    world = dataclasses.replace(World.real(), sleep=lambda seconds: None)
    network = Network(open_session(server, account), wanted, dry=dry, world=world)
    return network.absent() if absent else network.present()


def test_network_is_created_found_and_removed(server: Server, account: TestAccount) -> None:
    dry = work(server, account, dry=True)
    assert server.networks.changes == []
    assert (dry.vcn_id, dry.subnet_id) == ("", "")
    made = work(server, account)
    assert made.actions == ["create vcns", *dry.actions[1:]] == dry.actions
    subnet = server.networks.rows["subnets"][made.subnet_id]
    assert subnet["prohibitPublicIpOnVnic"] is False
    assert subnet["freeformTags"] == {TAG: "onebox"}
    (table,) = server.networks.rows["routeTables"].values()
    (gateway,) = server.networks.rows["internetGateways"]
    assert table["routeRules"] == [
        {"destination": "0.0.0.0/0", "destinationType": "CIDR_BLOCK", "networkEntityId": gateway}
    ]
    again = work(server, account)
    assert again.actions == []
    assert again.subnet_id == made.subnet_id
    assert work(server, account, dry=True, absent=True).actions
    assert len(server.networks.rows["vcns"]) == 1
    work(server, account, absent=True)
    assert not any(server.networks.rows.values())
    assert work(server, account, absent=True).actions == []


def test_ssh_sources_replace_our_rules_and_keep_others(server: Server, account: TestAccount) -> None:
    work(server, account)
    (rules,) = server.networks.rows["securityLists"].values()
    open_ports = [rule for rule in rules["ingressSecurityRules"] if rule["protocol"] == "6"]
    assert [rule["tcpOptions"]["destinationPortRange"] for rule in open_ports] == [{"min": 22, "max": 22}]
    https = {"protocol": "6", "source": "0.0.0.0/0", "tcpOptions": {"destinationPortRange": {"min": 443, "max": 443}}}
    rules["ingressSecurityRules"].append(https)
    narrowed = work(server, account, ssh_sources=["198.51.100.7/32"])
    assert narrowed.actions == ["update securityLists"]
    ssh = [rule for rule in rules["ingressSecurityRules"] if rule["protocol"] == "6" and rule != https]
    assert [rule["source"] for rule in ssh] == ["198.51.100.7/32"]
    assert https in rules["ingressSecurityRules"]
    assert work(server, account, ssh_sources=["198.51.100.7/32"]).actions == []


def test_network_without_our_tag_is_kept(server: Server, account: TestAccount) -> None:
    theirs = server.networks.create("vcns", {"compartmentId": COMPARTMENT, "displayName": "onebox"})
    made = work(server, account)
    assert made.vcn_id != theirs["id"]
    work(server, account, absent=True)
    assert list(server.networks.rows["vcns"]) == [theirs["id"]]


def test_foreign_default_route_is_not_replaced(server: Server, account: TestAccount) -> None:
    work(server, account)
    (table,) = server.networks.rows["routeTables"].values()
    table["routeRules"][0]["networkEntityId"] = "ocid1.natgateway.oc1..x"
    with pytest.raises(OciError, match="not to the internet gateway"):
        work(server, account)


def test_request_to_a_busy_server_is_repeated(
    server: Server, account: TestAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    create, failures = server.networks.create, iter(["502-html", "429"])

    def flaky(kind: str, body: dict[str, t.Any]) -> dict[str, t.Any]:
        word = next(failures, "")
        if word:
            raise Refused(word)
        return create(kind, body)

    monkeypatch.setattr(server.networks, "create", flaky)
    assert work(server, account).subnet_id
