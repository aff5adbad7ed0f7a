# SPDX-License-Identifier: Apache-2.0
"""kill -9 at random moments: of the node that protects and of the one that restores."""
import time

import audit
from flow import Flow, make_studies
from ward import Pair

# What a node may have sent without knowing it when it is killed: what its workers have under way, and
# outcomes that are written once a second.
UNKNOWN_EACH = 64


def strike(node, flow, rng):
    """At a random moment between the first breath after a start and well into the work; half of the times right
    after an answer, when what was acknowledged is nowhere but where the answer says that it is."""
    if rng.random() < 0.5:
        time.sleep(rng.uniform(0.0, 1.0))
        flow.await_another(3)
        time.sleep(rng.choice((0.0, rng.uniform(0.0, 0.05))))
    else:
        time.sleep(rng.choice((rng.uniform(0.0, 0.3), rng.uniform(0.3, 3.0))))
    node.kill()
    node.start(wait=False)


def test_kill_9_at_random_moments(stage, rng, scale, report):
    kills = scale.of(50, 8)
    studies = make_studies(rng, scale.of(20, 4), 25)
    ward = Pair(stage)
    ward.drop_reports(studies)
    ward.start()
    # The flow should last as long as the killing.
    flow = Flow(studies, ward.targets(), senders=4, pace_s=scale.of(0.9, 0.5), burst=5).start()
    for _ in range(kills):
        strike(rng.choice((ward.a, ward.a, ward.b)), flow, rng)
    flow.finish()
    audit.settle(flow, ward.sink, ward.nodes)
    counts = audit.count(flow, ward.sink, ward.nodes)
    counts.notes.insert(0, f"{kills} kills")
    report(counts)
    counts.hold(sent_again=kills * UNKNOWN_EACH, reports=len(studies))
