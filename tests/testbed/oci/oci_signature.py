"""Keys of a test account, and the check that a request was signed with one of them.

The scheme is draft-cavage-http-signatures-08 as Oracle's "Request Signatures" page restricts it: version 1,
rsa-sha256, ``date (request-target) host`` always, ``content-length content-type x-content-sha256`` with a body, five
minutes of skew.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime
import email.utils
import hashlib
import json
import pathlib
import re
import typing as t

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID
from oci_world import TENANCY

USER = "ocid1.user.oc1..aaaatest"
SKEW_SECONDS = 300.0
_ALWAYS = {"date", "(request-target)", "host"}
_WITH_BODY = {"content-length", "content-type", "x-content-sha256"}


def verify(
    keys: t.Mapping[str, rsa.RSAPublicKey],
    method: str,
    target: str,
    headers: t.Mapping[str, str],
    body: bytes,
    now: float,
    need_host: bool = True,
) -> str:
    """Why the request is refused, "" if its signature is valid. ``headers`` have lower-case names."""
    authorization = headers.get("authorization", "")
    if not authorization.lower().startswith("signature "):
        return "no signature"
    parts = dict(re.findall(r'(\w+)="([^"]*)"', authorization[len("Signature ") :]))
    key = keys.get(parts.get("keyId", ""))
    if key is None:
        return f"unknown key {parts.get('keyId')}"
    if parts.get("algorithm") != "rsa-sha256" or parts.get("version") != "1":
        return "algorithm must be rsa-sha256, version 1"
    signed = parts.get("headers", "").split()
    needed = set(_ALWAYS if need_host else _ALWAYS - {"host"})
    if method in ("POST", "PUT", "PATCH"):
        needed |= _WITH_BODY
        if headers.get("x-content-sha256") != base64.b64encode(hashlib.sha256(body).digest()).decode():
            return "x-content-sha256 is not the hash of the body"
    if not needed <= set(signed):
        return f"not signed: {sorted(needed - set(signed))}"
    if abs(email.utils.parsedate_to_datetime(headers["date"]).timestamp() - now) > SKEW_SECONDS:
        return "the date is too far off"
    lines = []
    for name in signed:
        value = f"{method.lower()} {target}" if name == "(request-target)" else headers.get(name, "")
        lines.append(f"{name}: {value}")
    try:
        key.verify(
            base64.b64decode(parts.get("signature", "")),
            "\n".join(lines).encode(),
            padding.PKCS1v15(),
            hashes.SHA256(),
        )
    except (InvalidSignature, ValueError):
        return "the signature does not fit"
    return ""


def new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem(key: rsa.RSAPrivateKey, passphrase: str = "") -> bytes:
    protection: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:
        protection = serialization.BestAvailableEncryption(passphrase.encode())
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, protection)


def fingerprint(key: rsa.RSAPrivateKey) -> str:
    """MD5 of the public key's DER form, as Oracle's console shows it."""
    der = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    digest = hashlib.md5(der, usedforsecurity=False).hexdigest()
    return ":".join(digest[at : at + 2] for at in range(0, 32, 2))


@dataclasses.dataclass
class TestAccount:
    """A config file with the profiles DEFAULT (API key) and TOKEN (session token), and what the server must know."""

    __test__ = False
    config_file: pathlib.Path
    key_file: pathlib.Path
    keys: dict[str, rsa.RSAPublicKey]
    fingerprint: str


def make_account(folder: pathlib.Path, region: str = "ap-chuncheon-1") -> TestAccount:
    """Write keys and a config file below ``folder``."""
    key, session_key = new_key(), new_key()
    key_file, session_file = folder / "key.pem", folder / "session.pem"
    token = make_token(3600)
    for path, content in ((key_file, pem(key)), (session_file, pem(session_key)), (folder / "token", token.encode())):
        path.touch(mode=0o600)
        path.write_bytes(content)
    config = folder / "config"
    config.touch(mode=0o600)
    config.write_text(
        f"[DEFAULT]\nuser={USER}\nfingerprint={fingerprint(key)}\ntenancy={TENANCY}\nregion={region}\n"
        f"key_file={key_file}\n\n[TOKEN]\nsecurity_token_file={folder / 'token'}\nkey_file={session_file}\n"
        f"fingerprint={fingerprint(session_key)}\n"
    )
    keys = {f"{TENANCY}/{USER}/{fingerprint(key)}": key.public_key(), f"ST${token}": session_key.public_key()}
    return TestAccount(config, key_file, keys, fingerprint(key))


def make_token(lifetime: float) -> str:
    """An unsigned JWT with the claims the SDK reads."""
    now = int(datetime.datetime.now(datetime.timezone.utc).timestamp())

    def part(data: dict[str, t.Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(data).encode()).decode().rstrip("=")

    return f"{part({'alg': 'RS256'})}.{part({'iat': now, 'exp': now + int(lifetime), 'tenant': TENANCY})}.c2ln"


class MachineIdentity:
    """The certificate an instance finds in its metadata service, as Oracle's cloud would put it there."""

    def __init__(self) -> None:
        self.key = new_key()
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.COMMON_NAME, "ocid1.instance.oc1..launcher"),
                x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, f"opc-tenant:{TENANCY}"),
            ]
        )
        now = datetime.datetime.now(datetime.timezone.utc)
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(self.key.public_key())
            .serial_number(1)
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(hours=1))
            .sign(self.key, hashes.SHA256())
        )

    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def key_id(self) -> str:
        """The name of the certificate in the request for a token."""
        digest = self.certificate.fingerprint(hashes.SHA1()).hex().upper()
        return f"{TENANCY}/fed-x509/{':'.join(digest[at : at + 2] for at in range(0, 40, 2))}"
