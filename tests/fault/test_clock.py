# SPDX-License-Identifier: Apache-2.0
"""The clocks of the node and of its database jump, together and apart, forwards and back.

libfaketime stands between each program and the wall clock; the monotonic clock runs on, as it does when an administrator
or NTP steps the time. So this shows that nothing but dates hangs on the wall clock of the node, and that leases, pauses
and completion survive a database whose clock jumps.
"""
import os
import time
from pathlib import Path

import pytest

import audit
import hospital
from flow import Flow, make_studies
from postgres import Postgres
from ward import Relay

NAME = "dicomstego"
HOUR_S = 3600


def library():
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not found:
        pytest.skip("libfaketime is not installed (Debian package faketime)")
    return found[0]


class Clock:
    """A wall clock that a test may move; programs started with its environment see it."""

    def __init__(self, folder):
        self.offset, self.file = 0, folder
        self.move(0)
        self.environment = {"LD_PRELOAD": str(library()), "FAKETIME_TIMESTAMP_FILE": str(self.file),
                            "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                            "FAKETIME_DISABLE_SHM": "1",
                            # A sanitized program wants its own library first; the clock's calls are all that is caught.
                            "ASAN_OPTIONS": f"{os.environ.get('ASAN_OPTIONS', '')}:verify_asan_link_order=0"}

    def move(self, seconds):
        """Replaced at once: a reader must not see half a number."""
        self.offset += seconds
        part = self.file.with_suffix(".part")
        part.write_text(f"{self.offset:+d}\n")
        part.chmod(0o644)
        part.replace(self.file)


def test_clocks_jump(stage, rng, scale, report):
    of_node, of_database = Clock(stage.folder / "node.clock"), Clock(stage.folder / "database.clock")
    postgres = stage._add(Postgres(stage.folder / "postgres"))
    postgres.environment = of_database.environment
    postgres.start()
    ward = Relay(stage)
    ward.a.environment = of_node.environment
    ward.a.database_url = postgres.create(NAME)
    ward.start()
    flow = Flow(make_studies(rng, scale.of(20, 4), 25), ward.targets(), pace_s=scale.of(0.15, 0.1)).start()
    jumps = 0
    while flow.running():
        time.sleep(rng.uniform(0.2, 1.0))
        seconds = rng.choice((-24 * HOUR_S, -HOUR_S, -90, 90, HOUR_S, 24 * HOUR_S))
        for clock in rng.choice(((of_node,), (of_database,), (of_node, of_database))):
            clock.move(seconds)
        jumps += 1
    flow.finish()
    audit.settle(flow, ward.sink, ward.nodes)
    counts = audit.count(flow, ward.sink, ward.nodes)
    counts.notes.insert(0, f"{jumps} jumps")
    report(counts)
    counts.hold(sent_again=jumps * 64)


def test_the_library_moves_the_clock_of_a_running_program(tmp_path):
    """Else the test above would prove nothing."""
    clock = Clock(tmp_path / "clock")
    out = tmp_path / "out"
    program = hospital.Program("date", ["python3", "-c", "import select, time\nfor _ in range(40):\n"
                                        " print(int(time.time()), flush=True); select.select([], [], [], 0.1)"], out,
                               env=clock.environment)
    hospital.wait_for("a first line", lambda: out.read_text().strip())
    clock.move(HOUR_S)
    program.process.wait()
    seen = [int(line) for line in out.read_text().split()]
    assert seen[-1] - seen[0] > HOUR_S - 10
    program.stop()
