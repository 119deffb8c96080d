"""The checks of the preflight that need no request, with real keys in real files."""

from __future__ import annotations

import pathlib
import shutil
import typing as t

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core import process
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.oci import options, preflight
from oci_signature import TestAccount, fingerprint, make_account, new_key, pem
from oci_simulation import KEY
from oci_world import COMPARTMENT, IMAGE, SUBNET


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> TestAccount:
    return make_account(tmp_path_factory.mktemp("account"))


def look(account: TestAccount, **changes: t.Any) -> list[tuple[str, str]]:
    params = {name: option.get("default") for name, option in options.PREFLIGHT.items()}
    params.update(name="vm", compartment_id=COMPARTMENT, subnet_id=SUBNET, image_id=IMAGE, ssh_public_key=KEY)
    params.update({"config_file": str(account.config_file), **changes})
    found = preflight.Findings()
    preflight.offline(params, found, World.real())
    return [(problem["parameter"], f"{problem['problem']} {problem['fix']}") for problem in found.problems]


def test_valid_options_have_no_problems(account: TestAccount) -> None:
    assert look(account) == []
    assert look(account, config_profile="TOKEN") == []
    assert look(account, config_file="/nowhere", auth="instance_principal") == []


def test_several_problems_are_reported_at_once(account: TestAccount) -> None:
    found = look(account, subnet_id="ocid1.vcn.oc1.ap-chuncheon-1.aaaa", ocpus=4.0, ssh_public_key="x")
    assert [parameter for parameter, unused in found] == ["subnet_id", "ssh_public_key", "allow_paid"]


def test_resource_of_another_region_is_refused(account: TestAccount) -> None:
    ((parameter, text),) = look(account, image_id="ocid1.image.oc1.eu-frankfurt-1.aaaa")
    assert parameter == "image_id"
    assert "belongs to eu-frankfurt-1, the config file says ap-chuncheon-1" in text


def edited(account: TestAccount, folder: pathlib.Path, old: str, new: str) -> str:
    path = folder / "config"
    path.write_text(account.config_file.read_text().replace(old, new, 1))
    return str(path)


def test_fingerprint_of_another_key_is_refused(account: TestAccount, tmp_path: pathlib.Path) -> None:
    config = edited(account, tmp_path, account.fingerprint, "00:" * 15 + "00")
    ((parameter, text),) = look(account, config_file=config)
    assert parameter == "config_file"
    assert f"Set fingerprint={account.fingerprint}" in text


def test_key_readable_by_others_is_reported(account: TestAccount, tmp_path: pathlib.Path) -> None:
    key = tmp_path / "key.pem"
    shutil.copy(account.key_file, key)
    key.chmod(0o644)
    ((unused, text),) = look(account, config_file=edited(account, tmp_path, str(account.key_file), str(key)))
    assert "mode 0644" in text
    assert f"chmod 600 {key}" in text


def test_encrypted_key_needs_its_passphrase(account: TestAccount, tmp_path: pathlib.Path) -> None:
    key = new_key()
    path = tmp_path / "locked.pem"
    path.touch(mode=0o600)
    path.write_bytes(pem(key, "words"))
    text = account.config_file.read_text().replace(str(account.key_file), str(path), 1)
    text = text.replace(account.fingerprint, fingerprint(key), 1)
    config = tmp_path / "config"
    config.write_text(text)
    assert "pass_phrase" in look(account, config_file=str(config))[0][1]
    config.write_text(text.replace("[DEFAULT]", "[DEFAULT]\npass_phrase=wrong", 1))
    assert "cannot be read as a private key" in look(account, config_file=str(config))[0][1]
    config.write_text(text.replace("[DEFAULT]", "[DEFAULT]\npass_phrase=words", 1))
    assert look(account, config_file=str(config)) == []


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "does not exist"),
        ("no sections here", "is not a config file"),
        ("[DEFAULT]\nuser=x\n", "has no key_file"),
        ("[DEFAULT]\nkey_file=/nowhere/key\n", "No such file"),
    ],
)
def test_invalid_config_file_is_refused(
    account: TestAccount, tmp_path: pathlib.Path, content: str | None, says: str
) -> None:
    config = tmp_path / "config"
    if content is not None:
        config.write_text(content)
    assert says in look(account, config_file=str(config))[0][1]


def test_missing_profile_is_refused(account: TestAccount) -> None:
    assert "TOKEN" in look(account, config_profile="NOPE")[0][1]


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs OpenSSH")
def test_private_key_of_another_pair_is_refused(account: TestAccount, tmp_path: pathlib.Path) -> None:
    def make(name: str, passphrase: str = "") -> tuple[str, str]:
        path = tmp_path / name
        process.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-f", str(path)], timeout=20)
        return str(path), (tmp_path / f"{name}.pub").read_text()

    (one, one_pub), (other, _unused), (locked, locked_pub) = make("one"), make("other"), make("locked", "words words")
    assert look(account, ssh_private_key_file=one, ssh_public_key=one_pub) == []
    ((parameter, text),) = look(account, ssh_private_key_file=other, ssh_public_key=one_pub)
    assert parameter == "ssh_private_key_file"
    assert "is not the private key of" in text
    assert "passphrase" in look(account, ssh_private_key_file=locked, ssh_public_key=locked_pub)[0][1]
    (tmp_path / "one").chmod(0o640)
    assert "chmod 600" in look(account, ssh_private_key_file=one, ssh_public_key=one_pub)[0][1]
    assert "No such file" in look(account, ssh_private_key_file="/nowhere/key")[0][1]
