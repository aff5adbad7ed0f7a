# SPDX-License-Identifier: Apache-2.0
"""Full disks: under the node's state, and under the database."""
import time

import pytest

import audit
import hospital
import rawdicom
import volume
from flow import Flow, make_studies
from postgres import Postgres
from ward import Relay

VOLUME_MIB = 768
NAME = "dicomstego"


@pytest.mark.parametrize("left", ["nothing", "a little"])
def test_the_spool_fills_up_and_is_emptied(stage, rng, scale, report, left):
    """nothing: the watermark is passed at once. a little: there is room above the watermark, and senders use it up
    within instances."""
    disk = volume.on(stage, "small", VOLUME_MIB)
    postgres = stage._add(Postgres(stage.folder / "postgres")).start()
    ward = Relay(stage)
    ward.a.state = disk.folder / "state"
    ward.a.node.update(state_dir=ward.a.state, min_free="1 MiB" if left == "nothing" else "4 KiB")
    ward.a.database_url = postgres.create(NAME)
    disk.stops_last(stage)
    ward.start()
    studies = make_studies(rng, scale.of(20, 4), 25)
    flow = Flow(studies, ward.targets(), pace_s=scale.of(0.03, 0.02)).start()
    flow.reach(0.2, alive=ward.a.program)
    disk.fill(0 if left == "nothing" else 200 * 1024)
    refusals = ("A700", f"ended by PDU {rawdicom.ASSOCIATE_RJ}")
    hospital.wait_for("a sender to be refused", lambda: any(flow.answers[r] for r in refusals), 30,
                      alive=ward.a.program)
    time.sleep(scale.of(5, 2))
    disk.empty()
    flow.finish()
    audit.settle(flow, ward.sink, ward.nodes)
    counts = audit.count(flow, ward.sink, ward.nodes)
    counts.notes.insert(0, f"{disk.kind}")
    report(counts)
    counts.hold()


def test_the_disk_of_the_database_fills_up(stage, rng, scale, report):
    disk = volume.on(stage, "small", 192)
    postgres = stage._add(Postgres(stage.folder / "postgres", disk.folder / "data")).start()
    ward = Relay(stage)
    ward.a.database_url = postgres.create(NAME)
    disk.stops_last(stage)
    ward.start()
    studies = make_studies(rng, scale.of(20, 4), 25)
    flow = Flow(studies, ward.targets(), pace_s=scale.of(0.06, 0.03)).start()
    flow.reach(0.2, alive=ward.a.program)
    disk.fill()
    with pytest.raises(hospital.Failed, match="No space left|closed the connection|refused"):
        postgres.psql("CREATE TABLE filler AS SELECT generate_series(1, 1000000)", NAME)
    before = len(flow.acknowledged)
    flow.reach(0.8, alive=ward.a.program)
    during = len(flow.acknowledged) - before
    ended = not postgres.running()
    disk.empty()
    if ended:  # it gives up when it cannot write its log; somebody starts it again
        postgres.stop()
        postgres.start()
    flow.finish()
    audit.settle(flow, ward.sink, ward.nodes)
    counts = audit.count(flow, ward.sink, ward.nodes)
    counts.notes.insert(0, f"{during} taken meanwhile, PostgreSQL {'gave up' if ended else 'stayed'}, {disk.kind}")
    report(counts)
    counts.hold(sent_again=64)
