"""Oracle's refusals as people recorded them: status, code, exact message. Never invent one: a launcher that is tested
with made-up codes passes its tests and misreads the real ones."""

from __future__ import annotations

import typing as t


class Refusal(t.NamedTuple):
    """One recorded answer. ``body`` is sent as it is; ``content_type`` is not JSON where a gateway answered."""

    status: int
    body: t.Any
    content_type: str = "application/json"


def _error(status: int, code: str, message: str) -> Refusal:
    return Refusal(status, {"code": code, "message": message})


REFUSALS: dict[str, Refusal] = {
    # hitrov/oci-arm-host-capacity#119, #142
    "cap": _error(500, "InternalError", "Out of host capacity."),
    # clementalo9/n8n_oci#46
    "cap-console-text": _error(
        500,
        "InternalError",
        "Out of capacity for shape VM.Standard.A1.Flex in availability domain AD-1. Create the instance in a different "
        "availability domain or try again later. If you specified a fault domain, try creating the instance without "
        "specifying a fault domain.",
    ),
    # oracle/oci-go-sdk#303; oracle/oci-python-sdk#227
    "429": _error(429, "TooManyRequests", "Too many requests for the user"),
    # hitrov/oci-arm-host-capacity#142
    "404-shape": _error(404, "NotAuthorizedOrNotFound", "shape VM.Standard.A1.Flex not found"),
    # hitrov/oci-arm-host-capacity#66
    "404-auth": _error(404, "NotAuthorizedOrNotFound", "Authorization failed or requested resource not found."),
    # mosesman831/OCI-OcC-Fix#11
    "404-volume": _error(
        404, "NotAuthorizedOrNotFound", "Available volume matching id ocid1.bootvolume.oc1.x.y not found"
    ),
    "409-volume": _error(
        409, "Conflict", "One or more of the specified volumes are not found or not in an available state"
    ),
    # hitrov/oci-arm-host-capacity#104
    "limit": _error(
        400,
        "LimitExceeded",
        "The following service limits were exceeded: standard-a1-memory-count, standard-a1-memory-regional-count, "
        "standard-a1-core-count, standard-a1-core-regional-count. Request a service limit increase from the service "
        "limits page in the console.",
    ),
    # OCI API errors page
    "quota": _error(400, "QuotaExceeded", "The resource quota has been exceeded."),
    "400-related": _error(
        400, "RelatedResourceNotAuthorizedOrNotFound", "Authorization failed or requested resource not found."
    ),
    # MehediEhteshum#1; hitrov README
    "400-key": _error(400, "InvalidParameter", "Invalid ssh public key; must be in base64 format"),
    "400-parse": _error(400, "CannotParseRequest", "Unable to parse message body"),
    "401": _error(
        401,
        "NotAuthenticated",
        "The required information to complete authentication was not provided or was incorrect.",
    ),
    # OCI API errors page
    "403-home": _error(
        403, "NotAllowed", "Please go to your home region to execute CREATE, UPDATE and DELETE operations."
    ),
    "409-token": _error(
        409,
        "InvalidatedRetryToken",
        "The provided retry token was used in an earlier request that resulted in a system update, but a subsequent "
        "operation invalidated the token.",
    ),
    "409-state": _error(409, "IncorrectState", "The requested state conflicts with the state of the resource."),
    # OCI API errors page
    "412-etag": _error(412, "NoEtagMatch", "The ETag provided does not match the ETag of the resource."),
    "500-other": _error(500, "InternalError", "Internal error occurred."),
    # mohankumarpaluru/oracle-freetier-instance-creation main.py
    "502-html": Refusal(
        502,
        b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n"
        b"<center><h1>502 Bad Gateway</h1></center>\r\n</body>\r\n</html>\r\n",
        "text/html",
    ),
    "504-empty": Refusal(504, b"", "text/plain"),
}
