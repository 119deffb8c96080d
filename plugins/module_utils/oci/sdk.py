# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signed calls through Oracle's Python SDK, each sent exactly once.

Only the SDK's base client is used: it signs, sends and decodes. The generated clients would add 50 MB of models and one
second of import. They also repeat requests: a launch through them with the default retry strategy sends eight POSTs.
The package is imported when the first session is opened.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.oci import errors
from ansible_collections.onebox.stack.plugins.module_utils.oci.errors import Answer, CallFailed, OciError

AUTH_FORMS = ("auto", "api_key", "session_token", "instance_principal")
TIMEOUTS = (10.0, 60.0)  # seconds to connect, seconds for the answer
# Host, path below it; compute, network, block storage and work requests share one.
_SERVICES = {
    "iaas": ("https://iaas.{region}.{secondLevelDomain}", "/20160918"),
    "identity": ("https://identity.{region}.oci.{secondLevelDomain}", "/20160918"),
    "limits": ("https://limits.{region}.oci.{secondLevelDomain}", "/20190729"),
}
_NEVER_CONNECTED = ("NewConnectionError", "NameResolutionError", "ConnectTimeoutError", "ConnectTimeout")


@dataclass(frozen=True)
class Reply:
    """A successful answer: decoded JSON, and headers with lower-case names."""

    data: t.Any
    headers: t.Mapping[str, str]


@dataclass(frozen=True)
class Account:
    """The data for the authentication.

    ``auth`` is one of :data:`AUTH_FORMS`; ``auto`` takes a session token when the profile has one, else the API key.
    ``endpoint`` is ``scheme://host:port`` of a private or test endpoint, "" for Oracle's own.
    """

    config_file: str = "~/.oci/config"
    config_profile: str = "DEFAULT"
    auth: str = "auto"
    endpoint: str = ""


class Session:
    """An open account. ``region``, ``tenancy_id`` and ``user_id`` are "" if they are not known.

    Raises:
        OciError: the SDK is missing, or the account cannot be used; the text says how to fix it.
    """

    def __init__(self, account: Account, timeouts: tuple[float, float] = TIMEOUTS) -> None:
        if account.endpoint and not re.fullmatch(r"https?://[\w.-]+(:\d+)?/?", account.endpoint):
            raise OciError(f"endpoint must be http(s)://host[:port] without a path, not {account.endpoint!r}")
        self._oci = _import()
        self._timeouts = timeouts
        self.endpoint = account.endpoint.rstrip("/")
        self.config, self._signer = _sign_in(self._oci, account)
        self.region = str(self.config.get("region") or getattr(self._signer, "region", "") or "")
        self.tenancy_id = str(self.config.get("tenancy") or getattr(self._signer, "tenancy_id", "") or "")
        self.user_id = str(self.config.get("user") or "")
        self.place = self.endpoint or self.region
        self._clients: dict[str, t.Any] = {}
        # After a damaged header, the SDK would repeat a request by itself.
        os.environ["OCI_HEADER_PARSING_ERROR_MAX_RETRIES"] = "0"

    def call(
        self,
        method: str,
        path: str,
        *,
        query: t.Mapping[str, t.Any] | None = None,
        body: t.Any = None,
        headers: t.Mapping[str, str] | None = None,
        service: str = "iaas",
        text: bool = False,
    ) -> Reply:
        """Send one request, once. With ``text`` the answer is not JSON but bytes.

        Raises:
            CallFailed: it did not succeed.
            OciError: it cannot succeed from this machine.
        """
        client = self._client(service)
        # A connection can be dead after a quarter of an hour, and the outcome would be unknown without need.
        client.session.close()
        exceptions = self._oci.exceptions
        accept = "*/*" if text else "application/json"
        try:
            response = client.call_api(
                resource_path=path,
                method=method,
                query_params={key: value for key, value in (query or {}).items() if value is not None},
                header_params={
                    "accept": accept,
                    "content-type": "application/json",
                    **(headers or {}),
                },
                body=body,
                response_type="bytes" if text else "object",
            )
        except exceptions.ServiceError as error:
            raise CallFailed(_answer(error)) from error
        except (exceptions.ConnectTimeout, exceptions.RequestException) as error:
            raise CallFailed(_no_answer(error)) from error
        except ValueError as error:
            raise CallFailed(Answer(0, message=f"the answer is not JSON: {error}", how=errors.LOST)) from error
        return Reply(response.data, {str(key).lower(): str(value) for key, value in response.headers.items()})

    def pages(self, path: str, *, query: t.Mapping[str, t.Any], service: str = "iaas") -> list[dict[str, t.Any]]:
        """Every item of a list, page by page."""
        rows: list[dict[str, t.Any]] = []
        page = None
        while True:
            reply = self.call("GET", path, query={**query, "page": page}, service=service)
            rows += reply.data or []
            page = reply.headers.get("opc-next-page")
            if not page:
                return rows

    def _client(self, service: str) -> t.Any:
        if service not in self._clients:
            template, base = _SERVICES[service]
            options: dict[str, t.Any] = {
                "regional_client": True,
                "base_path": base,
                "service_endpoint_template": template,
                "endpoint_service_name": service,
                "service_endpoint_template_per_realm": {},
                "circuit_breaker_strategy": self._oci.circuit_breaker.NoCircuitBreakerStrategy(),
                "timeout": self._timeouts,
            }
            if self.endpoint:
                options["service_endpoint"] = self.endpoint
            try:
                self._clients[service] = self._oci.base_client.BaseClient(
                    service, self.config, self._signer, {}, **options
                )
            except (ValueError, self._oci.exceptions.ClientError) as error:
                raise OciError(_bad_config(error)) from error
        return self._clients[service]


def _import() -> t.Any:
    try:
        importlib.import_module("oci.base_client")
    except ImportError as error:
        raise OciError(
            f"Oracle's Python SDK is not installed for {sys.executable} ({error}). Install it on the controller: "
            f"{sys.executable} -m pip install -r requirements-oci.txt"
        ) from error
    return importlib.import_module("oci")


def _sign_in(oci: t.Any, account: Account) -> tuple[dict[str, t.Any], t.Any]:
    if account.auth not in AUTH_FORMS:
        raise OciError(f"auth must be one of {', '.join(AUTH_FORMS)}, not {account.auth!r}")
    if account.auth == "instance_principal":
        return {}, _instance_principal(oci, account)
    path = os.path.expanduser(account.config_file)
    where = f"profile {account.config_profile} of {path}"
    try:
        config = dict(oci.config.from_file(path, account.config_profile))
    except oci.exceptions.ConfigFileNotFound:
        raise OciError(
            f"config_file {path} does not exist. Create it with 'oci setup config', or copy the text of the console "
            "for a new API key (User settings, API keys)."
        ) from None
    except oci.exceptions.ProfileNotFound:
        raise OciError(f"config_profile {account.config_profile} is not in {path}") from None
    except (oci.exceptions.ClientError, ValueError) as error:
        raise OciError(f"{where}: {_bad_config(error)}") from error
    wants_token = account.auth == "session_token" or (account.auth == "auto" and config.get("security_token_file"))
    try:
        if wants_token:
            return config, _session_token(oci, config, where)
        oci.config.validate_config(config)
        return config, oci.signer.Signer(
            tenancy=config["tenancy"],
            user=config["user"],
            fingerprint=config["fingerprint"],
            private_key_file_location=config.get("key_file"),
            pass_phrase=config.get("pass_phrase"),
            private_key_content=config.get("key_content"),
        )
    except oci.exceptions.MissingPrivateKeyPassphrase:
        raise OciError(f"{where}: the key is encrypted. Add a line pass_phrase=… to the profile.") from None
    except (oci.exceptions.ClientError, ValueError, OSError) as error:
        raise OciError(f"{where}: {_bad_config(error)}") from error


def _session_token(oci: t.Any, config: t.Mapping[str, t.Any], where: str) -> t.Any:
    place = config.get("security_token_file")
    if not place:
        raise OciError(f"{where} has no security_token_file. Run 'oci session authenticate' first.")
    with open(os.path.expanduser(place), encoding="utf-8") as stream:
        token = stream.read().strip()
    key = oci.signer.load_private_key_from_file(str(config["key_file"]), config.get("pass_phrase"))
    return oci.auth.signers.SecurityTokenSigner(token, key)


def _instance_principal(oci: t.Any, account: Account) -> t.Any:
    options = {"federation_endpoint": f"{account.endpoint.rstrip('/')}/v1/x509"} if account.endpoint else {}
    try:
        return oci.auth.signers.InstancePrincipalsSecurityTokenSigner(**options)
    except (oci.exceptions.ServiceError, oci.exceptions.ClientError, ValueError, RuntimeError, OSError) as error:
        raise OciError(
            f"auth instance_principal does not work here ({_first_line(error)}): it needs to run on an instance of "
            "Oracle's cloud that belongs to a dynamic group with a policy. Elsewhere use an API key."
        ) from error


def _bad_config(error: Exception) -> str:
    details = error.args[0] if error.args else ""
    if isinstance(details, dict):
        return ", ".join(f"{key} is {what}" for key, what in details.items())
    return _first_line(error)


def _answer(error: t.Any) -> Answer:
    headers = {str(key).lower(): str(value) for key, value in (error.headers or {}).items()}
    after = headers.get("retry-after", "")
    return Answer(
        status=int(error.status),
        code=str(error.code or ""),
        message=str(error.message or ""),
        request_id=str(error.request_id or headers.get("opc-request-id") or ""),
        retry_after=float(after) if after.isdigit() else None,
        date=headers.get("date", ""),
    )


def _no_answer(error: Exception) -> Answer:
    """Decide by whether the request left this computer: repeat it, or find out its outcome first."""
    chain = _chain(error)
    text = _first_line(chain[-1])
    if any("CERTIFICATE_VERIFY_FAILED" in str(link) for link in chain):
        raise OciError(
            f"the server's certificate cannot be verified ({text}). Check for a proxy, and check the clock."
        ) from error
    unsent = any(type(link).__name__ in _NEVER_CONNECTED for link in chain)
    return Answer(0, message=text, how=errors.UNSENT if unsent else errors.LOST)


def _chain(error: BaseException) -> list[BaseException]:
    """The error and its causes, the last one last. The SDK turns the inner errors in ``args`` into text."""
    found: list[BaseException] = []
    link: t.Any = error
    while isinstance(link, BaseException) and link not in found:
        found.append(link)
        reason = getattr(link, "reason", None)
        link = reason if isinstance(reason, BaseException) else link.__cause__ or link.__context__
    return found


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__
