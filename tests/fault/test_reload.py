# SPDX-License-Identifier: Apache-2.0
"""SIGHUP under load, with configurations that are sound and some that are not."""
import signal
import time

import audit
from flow import Flow, make_studies
from ward import Pair


def reload(node, broken):
    sound = node.config_path.read_text()
    if broken:
        node.config_path.write_text(sound.replace("rules:", "ruels:"))
    node.program.signal(signal.SIGHUP)
    time.sleep(0.1)
    node.config_path.write_text(sound)


def test_sighup_under_load(stage, rng, scale, report):
    ward = Pair(stage)
    studies = make_studies(rng, scale.of(20, 4), 25)
    ward.drop_reports(studies)
    ward.start()
    flow = Flow(studies, ward.targets(), pace_s=scale.of(0.15, 0.1)).start()
    signals = 0
    while flow.running():
        time.sleep(rng.uniform(0.0, 0.4))
        reload(rng.choice(ward.nodes), broken=rng.random() < 0.3)
        signals += 1
    flow.finish()
    audit.settle(flow, ward.sink, ward.nodes)
    counts = audit.count(flow, ward.sink, ward.nodes)
    counts.notes.insert(0, f"{signals} signals")
    report(counts)
    # Nothing breaks: no answer is lost, no sender is refused.
    assert not flow.answers, flow.answers
    counts.hold(reports=len(studies))
