# SPDX-License-Identifier: Apache-2.0
"""Peers that never answer, reset, stall, and answer everything that DICOM knows and some that it does not."""
import random
import time

import audit
import hospital
from flow import Flow, make_studies
from sink import Mood
from ward import Relay, add_sink, retry_failed

# PS3.4 B.2.3, PS3.7 C: what a receiver may answer to a C-STORE, and one that it may not.
SUCCESS, WARNINGS = (0x0000,), (0x0001, 0x0107, 0x0116, 0xB000, 0xB006, 0xB007)
FAILURES = (0xA700, 0xA7FF, 0xA900, 0xA9FF, 0xC000, 0xCFFF, 0x0110, 0x0111, 0x0117, 0x0122, 0x0124, 0x0210, 0x0211,
            0x0212, 0x1234, 0xFE00)


class Silent(Mood):
    def silent_at_association(self):
        return True


class Forgetful(Mood):
    """Takes the data and never answers, each time at another instance."""

    def __init__(self, seed):
        self.chance = random.Random(seed)

    def answer(self, uid):
        return None if self.chance.random() < 0.1 else (0, True)


class Resetting(Mood):
    """Each association ends in the middle of a PDU; an answer may be lost with it."""

    def __init__(self, seed):
        self.chance, self.resets = random.Random(seed), 0

    def reset_after(self):
        self.resets += 1
        return self.chance.randrange(10, 150000)


class Stalling(Mood):
    def __init__(self, seed):
        self.chance = random.Random(seed)

    def stall_after(self):
        return self.chance.randrange(1000, 200000)


class Answering(Mood):
    """The first time that an instance comes it is answered with what is next in the table, then with success."""

    def __init__(self):
        self.table = [*SUCCESS, *WARNINGS, *FAILURES]
        self.given = {}

    def answer(self, uid):
        if uid in self.given:
            return 0x0000, True
        status = self.given[uid] = self.table[len(self.given) % len(self.table)]
        return status, status in SUCCESS or status in WARNINGS


def finish(flow, ward, report, *notes, sink=None, sent_again=0):
    sink = sink or ward.sink
    flow.finish()
    audit.settle(flow, sink, ward.nodes)
    counts = audit.count(flow, sink, ward.nodes)
    counts.notes[:0] = notes
    report(counts)
    counts.hold(sent_again=sent_again)


def test_a_peer_that_accepts_and_never_answers_holds_up_nobody_else(stage, rng, scale, report):
    ward = Relay(stage)
    other = add_sink(stage, "OTHER").start()
    ward.a.peer("OTHER", ae_title="OTHER", host=hospital.LOOPBACK, port=other.port, associations=2)
    ward.a.rules[0]["send_to"] = ["SINK", "OTHER"]
    ward.sink.mood = Silent()
    ward.start()
    flow = Flow(make_studies(rng, scale.of(20, 4), 25), ward.targets()).start()
    flow.finish()
    audit.settle(flow, other, ward.nodes)
    counts = audit.count(flow, other, ward.nodes)
    counts.notes.insert(0, "at the peer beside the silent one")
    report(counts)
    counts.hold()
    assert ward.sink.arrivals() == 0
    ward.sink.mood = Mood()
    ward.sink.hang_up()
    finish(flow, ward, report, "at the silent one, when it speaks again")


def test_answers_that_never_come(stage, rng, scale, report):
    ward = Relay(stage)
    ward.sink.mood = Forgetful(rng.getrandbits(32))
    ward.start()
    flow = Flow(make_studies(rng, scale.of(20, 4), 25), ward.targets()).start()
    flow.finish()
    hospital.wait_for("the first instances", lambda: ward.sink.arrivals() > 0, 60)
    time.sleep(scale.of(20, 5))
    ward.sink.mood = Mood()
    finish(flow, ward, report)


def test_resets_in_the_middle_of_a_pdu(stage, rng, scale, report):
    ward = Relay(stage)
    ward.sink.mood = mood = Resetting(rng.getrandbits(32))
    ward.start()
    flow = Flow(make_studies(rng, scale.of(20, 4), 25), ward.targets(), pace_s=0.02).start()
    wanted = scale.of(30, 5)
    hospital.wait_for("resets", lambda: mood.resets >= wanted, 90, alive=ward.a.program)
    ward.sink.mood = Mood()
    # With a reset the answer to the instance before may be lost.
    finish(flow, ward, report, f"{mood.resets} resets", sent_again=mood.resets)


def test_a_peer_that_stalls_in_the_middle_of_a_pdu(stage, rng, scale, report):
    ward = Relay(stage)
    ward.sink.mood = Stalling(rng.getrandbits(32))
    ward.start()
    flow = Flow(make_studies(rng, scale.of(10, 2), 25), ward.targets()).start()
    flow.finish()
    hospital.wait_for("two stalled associations", lambda: ward.sink.associations >= 2, 60, alive=ward.a.program)
    time.sleep(scale.of(40, 3))
    ward.sink.mood = Mood()
    finish(flow, ward, report, sent_again=ward.sink.associations)


def test_every_class_of_status(stage, rng, scale, report):
    ward = Relay(stage)
    ward.sink.mood = mood = Answering()
    ward.start()
    studies = make_studies(rng, scale.of(20, 4), 25)
    flow = Flow(studies, ward.targets()).start()
    flow.finish()
    hospital.wait_for("an answer to each", lambda: len(mood.given) == len(flow.instances), 120,
                      alive=ward.a.program)
    # What failed for good waits for a person: with its status, and without holding up others.
    hospital.wait_for("all to be sent or failed", lambda: ward.a.psql(
        "SELECT count(*) FROM deliveries WHERE state NOT IN ('sent', 'committed', 'failed')") == [["0"]], 120,
        alive=ward.a.program)
    failed = int(ward.a.psql("SELECT count(*) FROM deliveries WHERE state = 'failed' AND dimse_status IS NOT NULL "
                             "AND cause <> ''")[0][0])
    assert failed == int(ward.a.psql("SELECT count(*) FROM deliveries WHERE state = 'failed'")[0][0]) > 0
    for uid, status in mood.given.items():
        assert (uid in ward.sink.uids()) or status in FAILURES
    retry_failed(ward.a)
    finish(flow, ward, report, f"{failed} failed for good and were sent again by the operator")
