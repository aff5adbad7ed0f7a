# SPDX-License-Identifier: Apache-2.0
"""What every system test may ask for."""
import os
import sys
import time
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[2] / "scripts")]

import hospital  # noqa: E402


@pytest.fixture
def stage():
    """An empty stage; whatever a test starts on it is stopped afterwards, and nothing may be left."""
    with hospital.Stage() as one:
        yield one
        one.stop()
        assert one.left_behind() == []


@pytest.fixture(scope="session")
def data():
    """The real test data; the test is skipped where there is none."""
    folder = hospital.data_folder()
    if folder is None:
        pytest.skip("no real images: set DICOMSTEGO_TEST_DATA")
    return folder


def pytest_runtest_setup(item):
    """scripts/check has a time limit: what would start too late is skipped, and so named in its counts."""
    until = os.environ.get("DICOMSTEGO_TEST_UNTIL")
    if until and time.time() > float(until):
        pytest.skip("no time left")
