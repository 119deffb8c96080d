"""Each way a mount comes off, provoked for real on each engine; where the fix is a restart, the restart is done."""

from __future__ import annotations

from conftest import Lab  # noqa: F401  (replaced below)
