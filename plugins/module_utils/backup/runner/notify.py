# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Notify the webhook of a stack. Failures are returned, not raised, and their text does not contain the URL."""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.configuration import WebhookSpec
from ansible_collections.onebox.stack.plugins.module_utils.core import http, webhook

_FAILED = "could not notify the webhook"


def send(spec: WebhookSpec, title: str, text: str, sleep: t.Callable[[float], None]) -> str:
    """Send a message to the URL in ``spec.url_file``. Returns the reason of a failure, "" on success.

    Args:
        sleep: waits that many seconds between two attempts.
    """
    try:
        with open(spec.url_file, encoding="utf-8") as file:
            url = file.read().strip()
        http.check_url(url)
    except OSError as error:
        return f"{_FAILED}: {spec.url_file} cannot be read: {error.strerror}"
    except (UnicodeDecodeError, http.UrlError):
        return f"{_FAILED}: {spec.url_file} holds no http or https URL"
    outcome = webhook.deliver(url, webhook.message(spec.style, text, title, tag="floppy_disk"), sleep)
    return "" if outcome.delivered else f"{_FAILED}: {outcome.reason}"
