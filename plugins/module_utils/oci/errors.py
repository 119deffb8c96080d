# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Oracle's answers and their meaning: a table that is read from top to bottom. The first match counts.

The rules come from answers that users recorded in public issue trackers, with the status, code and message that Oracle
sent. The message is checked before the status: Oracle sends "Out of host capacity" as a plain 500 InternalError, and
"shape … not found" as the 404 that it also sends for missing permissions.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError

# No capacity now: next availability domain, then wait.
CAPACITY = "capacity"
# Too many requests of this user: no other domain either, wait longer each time.
THROTTLE = "throttle"
# This availability domain does not have the shape: skip it for a day.
SKIP = "skip"
# The request did not reach Oracle, or a read failed temporarily: try again soon.
NETWORK = "network"
# Another client changes the same resource: try again, a limited number of times.
BUSY = "busy"
# A new resource is not known everywhere yet: one more try.
SETTLING = "settling"
# Unknown whether an instance was created: find out before the next request. State files contain the value.
UNKNOWN_OUTCOME = "doubt"
# A limit, real or not: read the list of instances, then decide.
VERIFY = "verify"
# The resource created with this retry token is gone: read the list, then continue with a new token.
TOKEN_SPENT = "token_spent"
# Another attempt cannot succeed.
ABORT = "abort"

# How a call failed: Oracle answered; the request never left; it left and no answer came back.
ANSWERED = "answered"
UNSENT = "unsent"
LOST = "lost"


@dataclass(frozen=True)
class Answer:
    """One failed call.

    ``status`` is 0 and ``how`` is not ``answered`` when no HTTP answer came. ``retry_after`` and ``date`` are the
    headers: seconds (None without one) and the server's clock as RFC 5322 text.
    """

    status: int
    code: str = ""
    message: str = ""
    request_id: str = ""
    retry_after: float | None = None
    date: str = ""
    how: str = ANSWERED

    def __str__(self) -> str:
        if self.how != ANSWERED:
            return f"no answer ({self.message})" if self.message else "no answer"
        words = " ".join(self.message.split())
        shown = words if len(words) <= 240 else words[:240] + "…"
        return " ".join(part for part in (str(self.status), self.code, shown) if part)

    def as_result(self) -> dict[str, t.Any]:
        """The form in which modules return it."""
        return {
            "status": self.status,
            "code": self.code,
            "message": self.message,
            "opc_request_id": self.request_id,
        }


class OciError(OneboxError):
    """An error for the user. The text names the problem, its place and the fix.

    Attributes:
        answer: Oracle's answer, when that is the reason.
    """

    def __init__(self, message: str, answer: Answer | None = None) -> None:
        super().__init__(message)
        self.answer = answer


class FinalAnswer(OciError):
    """An answer to a launch request that ends the launch loop. Only a user can continue."""


class CallFailed(OneboxError):
    """A call failed. ``answer`` has the details."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(str(answer))
        self.answer = answer


@dataclass(frozen=True)
class Rule:
    """One rule. Empty ``statuses``, ``codes`` or ``text`` match anything; ``text`` is a case-insensitive regex.

    ``launch`` is the verdict when the call was LaunchInstance (or says why a launch failed later), ``read`` when it
    was any other call. ``fix`` is added to the message when the verdict stops the run. ``seen`` names public sources.
    """

    name: str
    launch: str
    read: str
    statuses: tuple[int, ...] = ()
    codes: tuple[str, ...] = ()
    text: str = ""
    fix: str = ""
    seen: str = ""

    def matches(self, answer: Answer) -> bool:
        return (
            (not self.statuses or answer.status in self.statuses)
            and (not self.codes or answer.code in self.codes)
            and (not self.text or re.search(self.text, answer.message, re.IGNORECASE) is not None)
        )


RULES: tuple[Rule, ...] = (
    Rule(
        "out of capacity",
        CAPACITY,
        NETWORK,
        text=r"out of (host )?capacity",
        seen="hitrov/oci-arm-host-capacity#119, #142; clusterinthecloud/terraform#29; clementalo9/n8n_oci#46",
    ),
    Rule(
        "out of capacity, by code",
        CAPACITY,
        NETWORK,
        codes=("OutOfHostCapacity", "OutOfCapacity"),
        seen="only in the code of other tools, never in a log: kept to be on the safe side",
    ),
    Rule(
        "shape not in this domain",
        SKIP,
        ABORT,
        statuses=(404,),
        text=r"^shape \S+ not found",
        fix="No availability domain of this region has the shape. Choose another shape or region.",
        seen="hitrov/oci-arm-host-capacity#96, #119, #142; oracle-quickstart/oci-cloudnative#20",
    ),
    Rule(
        "volume not found",
        ABORT,
        ABORT,
        statuses=(404,),
        text=r"available volume matching id .* not found",
        fix="The boot volume to start from is gone or in use. Choose an image, or wait until the volume is detached.",
        seen="mosesman831/OCI-OcC-Fix#11",
    ),
    Rule(
        "not authorised or not found",
        ABORT,
        ABORT,
        statuses=(404,),
        codes=("NotAuthorizedOrNotFound",),
        fix=(
            "Oracle does not say which: check that subnet_id is a subnet (not a VCN), that image_id belongs to this "
            "region, that compartment_id is right, and that the user may manage instances there. oci_preflight checks "
            "each of them."
        ),
        seen="hitrov/oci-arm-host-capacity#2, #32, #66; mohankumarpaluru/oracle-freetier-instance-creation#5, #34, #70",
    ),
    Rule(
        "related resource not known",
        SETTLING,
        ABORT,
        statuses=(400,),
        codes=("RelatedResourceNotAuthorizedOrNotFound",),
        fix="A network or policy of the request does not exist or cannot be used. Check subnet_id and policies.",
        seen="OCI API errors page; the Terraform provider retries it for four minutes",
    ),
    Rule(
        "limit exceeded",
        VERIFY,
        ABORT,
        statuses=(400,),
        codes=("LimitExceeded",),
        fix=(
            "The tenancy's service limit is used up. Terminate unused instances, also in other compartments, "
            "or request less with ocpus, memory_gb and boot_volume_gb."
        ),
        seen="hitrov/oci-arm-host-capacity#35, #48, #55, #104; mohankumarpaluru/oracle-freetier-instance-creation#15",
    ),
    Rule(
        "quota exceeded",
        ABORT,
        ABORT,
        statuses=(400,),
        codes=("QuotaExceeded",),
        fix="A quota of the tenancy's administrator forbids it. Contact the administrator, or use another compartment.",
        seen="OCI API errors page",
    ),
    Rule(
        "too many requests",
        THROTTLE,
        THROTTLE,
        statuses=(429,),
        seen="oci-go-sdk#303; oci-python-sdk#227; hitrov/oci-arm-host-capacity#87; mosesman831/OCI-OcC-Fix#29",
    ),
    Rule(
        "not authenticated",
        ABORT,
        ABORT,
        statuses=(401,),
        fix=(
            "Check in this order: this machine's clock (more than 5 minutes off is refused), the fingerprint in the "
            "config file against the key in the console, whether the key was added a moment ago (wait a minute), and "
            "with a session token whether it has expired (oci session refresh)."
        ),
        seen="OCI request signing documentation",
    ),
    Rule(
        "not allowed",
        ABORT,
        ABORT,
        statuses=(403,),
        fix=(
            "Permission denied. Always Free compute exists only in the home region of the tenancy: set region "
            "in the config file. Otherwise request the missing policy."
        ),
        seen="OCI API errors page; nightscout/nocturne's installer",
    ),
    Rule(
        "bad parameter",
        ABORT,
        ABORT,
        statuses=(400,),
        codes=("InvalidParameter", "MissingParameter", "CannotParseRequest"),
        fix="Oracle's message names the parameter. Check mode (ansible-playbook --check) shows the exact request.",
        seen="hitrov/oci-arm-host-capacity README; OCI API errors page",
    ),
    Rule(
        "retry token spent",
        TOKEN_SPENT,
        ABORT,
        statuses=(409,),
        codes=("InvalidatedRetryToken",),
        seen="OCI API errors page: use a different token",
    ),
    Rule(
        "busy",
        BUSY,
        NETWORK,
        statuses=(409,),
        fix="Another client keeps changing the same resource. Find it in the console, then run again.",
        seen="OCI Python SDK's list of retryable codes; mosesman831/OCI-OcC-Fix#11",
    ),
    Rule(
        "refused",
        ABORT,
        ABORT,
        statuses=(400, 404, 405, 412, 413, 422, 431, 501),
        fix="Another try cannot help. Oracle's message gives the reason.",
        seen="OCI API errors page",
    ),
    Rule(
        "server error",
        UNKNOWN_OUTCOME,
        NETWORK,
        statuses=tuple(status for status in range(500, 600) if status != 501),
        seen="mohankumarpaluru/oracle-freetier-instance-creation (502 with HTML); OCI retry token documentation",
    ),
)

_UNKNOWN = Rule(
    "unknown",
    ABORT,
    ABORT,
    fix="This answer is unknown, so the request was not repeated. Please report it with the request id.",
)


def classify(answer: Answer, *, launch: bool) -> tuple[str, Rule]:
    """The verdict on an answer, and its row of the table.

    Args:
        answer: what came back, or did not.
        launch: the call was LaunchInstance, so that an unknown outcome may mean an instance.
    """
    if answer.how == UNSENT:
        return NETWORK, _TRANSPORT
    if answer.how == LOST:
        return (UNKNOWN_OUTCOME if launch else NETWORK), _TRANSPORT
    for rule in RULES:
        if rule.matches(answer):
            return (rule.launch if launch else rule.read), rule
    return ABORT, _UNKNOWN


_TRANSPORT = Rule(
    "no answer",
    UNKNOWN_OUTCOME,
    NETWORK,
    seen="mohankumarpaluru/oracle-freetier-instance-creation#11, #55, #61",
)


def explain(answer: Answer, rule: Rule, doing: str) -> str:
    """One text for the user: the action, Oracle's answer and the fix."""
    parts = [f"{doing}: Oracle answered {answer}."]
    if rule.fix:
        parts.append(rule.fix)
    if answer.request_id:
        parts.append(f"Request id for Oracle's support: {answer.request_id}.")
    return " ".join(parts)
