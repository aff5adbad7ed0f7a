# SPDX-License-Identifier: Apache-2.0
"""A peer that answers success and keeps nothing: storage commitment finds out, and what is missing goes again."""
import random

import audit
import hospital
from flow import Flow, make_studies
from sink import Mood
from ward import Relay


class Liar(Mood):
    """Success for everything; three in ten are thrown away the first time that they come."""

    def __init__(self, seed):
        self.chance, self.seen, self.dropped = random.Random(seed), set(), set()

    def answer(self, uid):
        if uid not in self.seen:
            self.seen.add(uid)
            if self.chance.random() < 0.3:
                self.dropped.add(uid)
                return 0x0000, False
        return 0x0000, True


def test_what_was_answered_with_success_and_dropped_is_sent_again(stage, rng, scale, report):
    ward = Relay(stage, commitment="required", retry={"first": "200 ms", "cap": "1 s"})
    ward.sink.mood = liar = Liar(rng.getrandbits(32))
    ward.start()
    flow = Flow(make_studies(rng, scale.of(20, 4), 25), ward.targets()).start()
    flow.finish()
    audit.settle(flow, ward.sink, ward.nodes)
    counts = audit.count(flow, ward.sink, ward.nodes)
    counts.notes.insert(0, f"{len(liar.dropped)} answered with success and dropped")
    report(counts)
    assert liar.dropped
    counts.hold()
    hospital.wait_for("all to be committed", lambda: ward.a.psql(
        "SELECT state, count(*) FROM deliveries GROUP BY 1") == [["committed", str(len(flow.instances))]], 60,
        alive=ward.a.program)
