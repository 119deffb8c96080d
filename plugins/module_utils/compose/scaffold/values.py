# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the secrets among the variables of a stack: by name, by form, and by the use the compose file makes of them."""

from __future__ import annotations

import math
import re
import secrets
import string
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.compose.model import interpolation
from ansible_collections.onebox.stack.plugins.module_utils.core import mask

_NAME = re.compile(
    r"PASS(?!IVE|THROUGH)|PASSWD|PWD|SECRET|TOKEN|(?<![A-Z])KEY(?![A-Z])|APIKEY|CREDENTIAL|SALT|DSN|WEBHOOK|LICENSE"
    r"|_AUTH$|^AUTH$|_PW$"
)
_NOT_SECRET = re.compile(
    r"(?:_FILE|_PATH|_DIR|_LENGTH|_TTL|_EXPIRY|_EXPIRES|_NAME|_ID|_ENABLED?)$|PUBLIC_?KEY|^(?:DISABLE|ENABLE|ALLOW|USE)_"
)
# Others issue these: a random one is of no use.
_ISSUED = re.compile(
    r"TOKEN|API_?KEY|ACCESS_?KEY|LICENSE|WEBHOOK|DSN|SMTP|MAIL|CLOUDFLARE|AWS|AZURE|OPENAI|TELEGRAM|GITHUB|OAUTH|CLIENT"
)
_PLACEHOLDER = re.compile(
    r"<.*>|\[.*\]|x{3,}|\*{3,}|\.{3,}|.*(?:change[_-]?me|change[_-]?this|replace|example|placeholder|todo|fixme|your|insert"
    r"|supersecret|pl(?:ea)?se|generate).*|(?:my|a|the|some|super|very)?[_-]?"
    r"(?:secret|password|passw0rd|passwd|pass|token|key|admin|root|test|default)\d*",
    re.IGNORECASE,
)
# An option whose value is a secret, in front of the variable.
_OPTION = re.compile(
    r"(?:requirepass|masterauth|--?(?:password|passwd|pass|token|secret|auth|api-key)|-a)[=\s]+[\"']?$"
)
_IN_URL = re.compile(r"://[^\s/:@]*:$")
_LEAST_LENGTH = 16
_LEAST_BITS = 3.4


@dataclass(frozen=True)
class Judged:
    """One variable.

    Attributes:
        secret: it belongs into the vault.
        reason: how that is known, and what its value is; "" for a plain value.
        value: the value to write; "" is a slot that a person fills.
        open: only a person knows the value.
    """

    secret: bool
    reason: str
    value: str
    open: bool = False


def positions(document: t.Any) -> dict[str, str]:
    """Variables that a parsed compose file uses where a secret goes, and where that is."""
    found: dict[str, str] = {}
    for service, body in ((document or {}).get("services") or {}).items():
        pairs = (body or {}).get("environment") or {}
        rows = pairs.items() if isinstance(pairs, dict) else (str(row).partition("=")[::2] for row in pairs)
        for name, text in rows:
            if by_name(str(name)):
                for variable, _operator, _operand in interpolation.wanted(str(text)):
                    if str(text).startswith("$"):
                        found.setdefault(variable, f"it is {name} of service {service}")
    for text in interpolation.strings(document):
        for match in re.finditer(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)", text):
            before = text[: match.start()]
            if _IN_URL.search(before):
                found.setdefault(match[1], "it is the password in a URL")
            elif _OPTION.search(before):
                found.setdefault(match[1], "it follows an option for a password")
    return found


def by_name(name: str) -> bool:
    """Whether ``name`` is one that secrets have."""
    upper = re.sub(r"([a-z])([A-Z])", r"\1_\2", name).upper()
    return bool(_NAME.search(upper)) and not _NOT_SECRET.search(upper)


def by_form(value: str) -> str:
    """Why ``value`` is a secret by its form; "" when it is not."""
    if mask.password(value) if "://" in value else []:
        return "its value is a URL with a password"
    if "PRIVATE KEY-----" in value:
        return "its value is a private key"
    plain = re.fullmatch(r"[A-Za-z0-9+/_=.\-]+", value) and not value.startswith(("/", "."))
    if not plain or len(value) < _LEAST_LENGTH or ("/" in value and "." in value) or value.count(".") > 2:
        return ""
    mixed = re.search(r"\d", value) and re.search(r"[A-Za-z]", value)
    counts = [value.count(letter) / len(value) for letter in set(value)]
    bits = -sum(share * math.log2(share) for share in counts)
    return f"its value seems random ({bits:.1f} bits a character)" if mixed and bits >= _LEAST_BITS else ""


def judge(name: str, value: str | None, position: str, public: bool) -> Judged:
    """Judge one variable.

    Args:
        value: as the origin has it; None without one.
        position: how the compose file uses it, see :func:`positions`.
        public: the value is from an example that everybody can read.
    """
    reason = position or ("its name says so" if by_name(name) else "")
    flag = (value or "").strip().lower() in ("true", "false", "yes", "no", "on", "off", "0", "1")
    if not reason and value and not public:
        reason = by_form(value)
    if not reason or (flag and not position) or name.upper().endswith("_FILE"):
        return Judged(False, "", value or "", open=value is None)
    if value and not public and not _PLACEHOLDER.fullmatch(value):
        return Judged(True, f"secret: {reason}. Copied from the origin", value)
    why = (
        "it has no value"
        if value is None
        else "the origin leaves it empty"
        if not value
        else "the example's value is public"
    )
    if _ISSUED.search(name.upper()):
        # Many are optional: one that the origin leaves empty may stay so.
        return Judged(True, f"secret: {reason}. Fill it in: {why}, and only its issuer has one", "", open=value is None)
    return Judged(True, f"secret: {reason}. A new random one: {why}", random_value())


def random_value(length: int = 32) -> str:
    """A random value that needs no quoting in a URL, a shell or YAML."""
    letters = string.ascii_letters + string.digits
    return secrets.choice(string.ascii_letters) + "".join(secrets.choice(letters) for unused in range(length - 1))
