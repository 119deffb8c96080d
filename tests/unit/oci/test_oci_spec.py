"""The requested instance: invalid options are refused, valid ones are sent exactly."""

from __future__ import annotations

import base64
import typing as t

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.oci import freetier
from ansible_collections.onebox.stack.plugins.module_utils.oci.errors import OciError
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch.spec import Size
from oci_simulation import KEY, make_spec
from oci_world import COMPARTMENT, IMAGE, SUBNET

ARM = "VM.Standard.A1.Flex"


def test_request_body_has_every_option() -> None:
    wanted = make_spec(user_data="#cloud-config\n", tags={"owner": "me"})
    wanted.check()
    assert wanted.body("AD-1", "", Size(2, 12), "intent1") == {
        "availabilityDomain": "AD-1",
        "compartmentId": COMPARTMENT,
        "displayName": "coinpilot-ins",
        "shape": ARM,
        "shapeConfig": {"ocpus": 2, "memoryInGBs": 12},
        "sourceDetails": {"sourceType": "image", "imageId": IMAGE, "bootVolumeSizeInGBs": 50},
        "createVnicDetails": {"subnetId": SUBNET, "assignPublicIp": True},
        "metadata": {
            "ssh_authorized_keys": KEY,
            "user_data": base64.b64encode(b"#cloud-config\n").decode(),
        },
        "freeformTags": {"owner": "me", "onebox-instance": "coinpilot-ins", "onebox-intent": "intent1"},
        "availabilityConfig": {"recoveryAction": "RESTORE_INSTANCE"},
        "instanceOptions": {"areLegacyImdsEndpointsDisabled": True},
    }


def test_fault_domain_only_if_set_and_size_only_for_a_flexible_shape() -> None:
    body = make_spec(shape=freetier.MICRO_SHAPE).body("AD-1", "FAULT-DOMAIN-2", Size(1, 1), "i")
    assert body["faultDomain"] == "FAULT-DOMAIN-2"
    assert "shapeConfig" not in body
    assert "faultDomain" not in make_spec().body("AD-1", "", Size(2, 12), "i")


VCN = "ocid1.vcn.oc1.ap-chuncheon-1.aaaa"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"subnet_id": VCN}, "subnet_id is the OCID of a vcn, not of a subnet"),
        ({"subnet_id": "subnet"}, "subnet_id must be an OCID"),
        ({"image_id": SUBNET}, "image_id is the OCID of a subnet"),
        ({"compartment_id": "ocid1.user.oc1..x"}, "compartment_id is the OCID of a user"),
        ({"name": ""}, "name must be"),
        ({"name": "a/b"}, "name must be"),
        ({"boot_volume_gb": 20}, "boot_volume_gb must be at least 50"),
        ({"sizes": (Size(0, 12),)}, "must be above 0"),
        ({"sizes": (Size(4, 24),)}, "4 OCPU requested, 2 are free"),
        ({"sizes": (Size(2, 12), Size(1, 13))}, "13 GB of memory requested, 12 are free"),
        ({"boot_volume_gb": 250}, "250 GB of boot volume requested"),
        ({"shape": "VM.Standard.E4.Flex"}, "not an Always Free shape"),
        ({"tags": {"onebox-instance": "x"}}, "must not contain onebox-instance"),
        ({"ssh_public_key": "-----BEGIN OPENSSH PRIVATE KEY-----\nx"}, "contains a private key"),
        ({"ssh_public_key": "AAAA"}, "must be one line such as"),
        ({"ssh_public_key": KEY + "\n" + KEY}, "must be one line such as"),
        ({"ssh_public_key": "ssh-ed25519 not!base64"}, "is not base64"),
        ({"ssh_public_key": KEY.replace("ssh-ed25519", "ssh-rsa")}, "another kind of key"),
    ],
)
def test_invalid_option_is_refused(change: dict[str, t.Any], says: str) -> None:
    with pytest.raises(OciError) as caught:
        make_spec(**change).check()
    assert says in str(caught.value)


def test_paid_instance_is_allowed_with_allow_paid() -> None:
    make_spec(shape="VM.Standard.E4.Flex", sizes=(Size(8, 64),), allow_paid=True).check()


def row(ocpus: float, memory: float, state: str = "RUNNING", shape: str = ARM) -> dict[str, t.Any]:
    return {"lifecycleState": state, "shape": shape, "shapeConfig": {"ocpus": ocpus, "memoryInGBs": memory}}


def test_existing_instances_count_for_the_allowance() -> None:
    wanted = make_spec(sizes=(Size(1, 6),))
    wanted.check_allowance([row(1, 6), row(2, 12, "TERMINATED"), row(8, 64, shape="VM.Standard.E4.Flex")])
    with pytest.raises(OciError, match=r"1 OCPU requested and 1\.5 in use.*as of 2026-06-15|2026-06-15.*1\.5 in use"):
        wanted.check_allowance([row(1.5, 6)])


def test_two_micros_are_free() -> None:
    micro = row(1, 1, shape=freetier.MICRO_SHAPE)
    assert not freetier.over_allowance(freetier.MICRO_SHAPE, 1, 1, 50, [micro])
    assert freetier.over_allowance(freetier.MICRO_SHAPE, 1, 1, 50, [micro, micro])
