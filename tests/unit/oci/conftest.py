"""The simulated cloud of the testbed, importable."""

import pathlib
import sys

TESTBED = str(pathlib.Path(__file__).resolve().parents[2] / "testbed" / "oci")
if TESTBED not in sys.path:
    sys.path.insert(0, TESTBED)
