# SPDX-License-Identifier: Apache-2.0
"""What the node must survive: kill -9, a database that goes, full disks, peers that stall or lie.

Every scenario runs real nodes under senders that do what a modality does (what was not acknowledged is sent
again), breaks something, mends it, and ends with the same audit (audit.py). Its line of counts is printed at the
end. DICOMSTEGO_FAULTS=full takes every scenario at full length (scripts/check --faults), else the short form.
DICOMSTEGO_FAULTS_SEED repeats a run's random choices; it is printed with each count.
"""
import os
import random
import sys
import time
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "system"), str(HERE.parents[1] / "scripts")]

import hospital  # noqa: E402

COUNTS = "counts"


class Scale:
    """How long a scenario is."""

    def __init__(self):
        self.full = os.environ.get("DICOMSTEGO_FAULTS") == "full"

    def of(self, full, short):
        return full if self.full else short


@pytest.fixture(scope="session")
def scale():
    return Scale()


@pytest.fixture
def rng():
    """Drawn choices of one scenario; the seed is in its line of counts."""
    seed = int(os.environ.get("DICOMSTEGO_FAULTS_SEED") or random.SystemRandom().randrange(1 << 31))
    chosen = random.Random(seed)
    chosen.seed_shown = seed
    print(f"DICOMSTEGO_FAULTS_SEED={seed}")
    return chosen


@pytest.fixture
def stage():
    """As in the system tests: whatever is started on it is stopped, and nothing may be left."""
    with hospital.Stage() as one:
        yield one
        one.stop()
        assert one.left_behind() == []


@pytest.fixture
def report(request, rng):
    """Takes the counts of the scenario; they are shown whether it passes or fails."""
    def take(counts):
        line = f"{request.node.name}: {counts} (seed {rng.seed_shown})"
        request.node.user_properties.append((COUNTS, line))
        print(line)
    return take


def pytest_runtest_setup(item):
    """scripts/check has a time limit: what would start too late is skipped, and so named in its counts."""
    until = os.environ.get("DICOMSTEGO_TEST_UNTIL")
    if until and time.time() > float(until):
        pytest.skip("no time left")


def pytest_terminal_summary(terminalreporter):
    lines = [value for reports in terminalreporter.stats.values() for one in reports
             if getattr(one, "when", "") == "call"
             for name, value in getattr(one, "user_properties", []) if name == COUNTS]
    if lines:
        terminalreporter.section("faults")
        for line in lines:
            terminalreporter.write_line(line)
