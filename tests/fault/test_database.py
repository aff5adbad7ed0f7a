# SPDX-License-Identifier: Apache-2.0
"""The database stops, restarts, crashes, and its connections are cut or swallowed: modalities go on sending."""
import os
import signal
import time

import audit
from flow import Flow, make_studies
from postgres import Postgres, Proxy
from ward import Pair, Relay

# Outcomes that a worker could not write down before it gave the batch up.
UNKNOWN = 64
NAME = "dicomstego"


def of_its_own(stage):
    """A PostgreSQL that is not the node's child."""
    return stage._add(Postgres(stage.folder / "postgres")).start()


def relay_over(stage, url):
    ward = Relay(stage)
    ward.a.database_url = url
    ward.start()
    return ward


def finish(flow, ward, report, *notes, sent_again=UNKNOWN):
    flow.finish()
    audit.settle(flow, ward.sink, ward.nodes)
    counts = audit.count(flow, ward.sink, ward.nodes)
    counts.notes[:0] = notes
    report(counts)
    counts.hold(sent_again=sent_again)


def test_the_database_is_stopped_for_half_of_the_flow(stage, rng, scale, report):
    postgres = of_its_own(stage)
    ward = relay_over(stage, postgres.create(NAME))
    studies = make_studies(rng, scale.of(20, 4), 25)
    flow = Flow(studies, ward.targets(), pace_s=scale.of(0.1, 0.15)).start()
    flow.reach(0.25, alive=ward.a.program)
    postgres.stop()
    before = len(flow.acknowledged)
    flow.reach(0.75, alive=ward.a.program)
    during = len(flow.acknowledged) - before
    postgres.start()
    assert during > 0
    finish(flow, ward, report, f"{during} taken without a database")


def test_the_database_restarts_again_and_again(stage, rng, scale, report):
    postgres = of_its_own(stage)
    ward = relay_over(stage, postgres.create(NAME))
    studies = make_studies(rng, scale.of(20, 4), 25)
    flow = Flow(studies, ward.targets(), pace_s=scale.of(0.2, 0.1)).start()
    restarts = scale.of(10, 3)
    for turn in range(restarts):
        time.sleep(rng.uniform(0.1, 2.0))
        if turn % 2:
            postgres.kill()
        else:
            postgres.stop()
        postgres.start()
    finish(flow, ward, report, f"{restarts} restarts, each second one kill -9", sent_again=restarts * UNKNOWN)


def test_connections_are_cut_by_the_administrator(stage, rng, scale, report):
    postgres = of_its_own(stage)
    ward = relay_over(stage, postgres.create(NAME))
    studies = make_studies(rng, scale.of(20, 4), 25)
    flow = Flow(studies, ward.targets(), pace_s=scale.of(0.1, 0.06)).start()
    cuts, connections = scale.of(40, 10), 0
    for _ in range(cuts):
        time.sleep(rng.uniform(0.05, 0.5))
        connections += postgres.cut_connections(NAME)
    finish(flow, ward, report, f"{connections} connections cut in {cuts} turns", sent_again=cuts * UNKNOWN)


def test_a_firewall_drops_and_then_swallows_connections(stage, rng, scale, report):
    postgres = of_its_own(stage)
    postgres.create(NAME)
    proxy = stage._add(Proxy(postgres.port)).start()
    ward = relay_over(stage, postgres.url(NAME, proxy.port))
    studies = make_studies(rng, scale.of(20, 4), 25)
    flow = Flow(studies, ward.targets(), pace_s=scale.of(0.1, 0.06)).start()
    for _ in range(scale.of(10, 3)):
        time.sleep(rng.uniform(0.05, 0.8))
        proxy.drop()
    # Nobody learns of it but by a deadline.
    held_s = scale.of(40, 10)
    proxy.holding = True
    time.sleep(held_s)
    proxy.drop()
    proxy.holding = False
    finish(flow, ward, report, f"{proxy.dropped} dropped, then swallowed for {held_s} s", sent_again=20 * UNKNOWN)


def postmaster(node):
    return int((node.state / "postgresql" / "data" / "postmaster.pid").read_text().split()[0])


def test_the_private_database_is_killed_under_both_nodes(stage, rng, scale, report):
    ward = Pair(stage)
    studies = make_studies(rng, scale.of(20, 3), 25)
    ward.drop_reports(studies)
    ward.start()
    flow = Flow(studies, ward.targets(), pace_s=scale.of(0.25, 0.15)).start()
    kills = scale.of(8, 2)
    for _ in range(kills):
        time.sleep(rng.uniform(0.5, 3.0))
        node = rng.choice(ward.nodes)
        try:
            os.kill(postmaster(node), signal.SIGKILL)
        except (OSError, IndexError):
            pass  # it is just starting
    flow.finish()
    audit.settle(flow, ward.sink, ward.nodes)
    counts = audit.count(flow, ward.sink, ward.nodes)
    counts.notes.insert(0, f"{kills} times kill -9 of the postmaster")
    report(counts)
    counts.hold(sent_again=kills * UNKNOWN, reports=len(studies))
