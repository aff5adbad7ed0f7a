# SPDX-License-Identifier: Apache-2.0
"""Two nodes on one database share the work; one of them is killed with leases held."""
import time

import audit
import hospital
from flow import Flow, make_studies
from postgres import Postgres
from sink import Mood
from ward import Relay

NAME = "dicomstego"


class Slow(Mood):
    """So slow that leases are held when the knife falls."""

    def answer(self, uid):
        time.sleep(0.05)
        return 0, True


def leased_by(postgres, node):
    return int(postgres.psql(f"SELECT count(*) FROM deliveries WHERE state = 'leased' AND leased_by LIKE "
                             f"'{node.ae_title}:%'", NAME)[0][0])


def two(stage):
    postgres = stage._add(Postgres(stage.folder / "postgres")).start()
    url = postgres.create(NAME)
    ward = Relay(stage, nodes=("A", "B"))
    for node in ward.nodes:
        node.database_url = url
    ward.sink.mood = Slow()
    return ward, postgres


def kill_with_leases(victim, postgres):
    """How many it held."""
    held = hospital.wait_for("leases", lambda: leased_by(postgres, victim), 60, 0.02, alive=victim.program)
    victim.kill()
    return held


def finish(flow, ward, postgres, report, note, kills):
    flow.finish()
    audit.settle(flow, ward.sink, [n for n in ward.nodes if n.program is not None])
    counts = audit.count(flow, ward.sink)
    counts.notes.insert(0, note)
    report(counts)
    counts.hold(sent_again=kills * 64)
    hospital.wait_for("all to be sent", lambda: postgres.psql(
        "SELECT state, count(*) FROM deliveries GROUP BY 1", NAME) == [["sent", str(len(flow.instances))]], 30)


def test_two_nodes_share_a_database_and_are_killed_in_turns(stage, rng, scale, report):
    """Each has an archive of its own: what the dead one owes waits until it is back."""
    ward, postgres = two(stage)
    ward.start()
    flow = Flow(make_studies(rng, scale.of(20, 6), 25), ward.targets(), pace_s=0.05).start()
    kills, held = scale.of(4, 1), 0
    for _ in range(kills):
        victim = rng.choice(ward.nodes)
        held += kill_with_leases(victim, postgres)
        time.sleep(rng.uniform(1, 4))
        victim.start(wait=False)
    finish(flow, ward, postgres, report, f"{kills} kills with {held} leases held", kills)


def test_the_other_node_takes_over_what_a_dead_one_owes(stage, rng, scale, report):
    """They share the archive; the dead one comes back only for what it had accepted and not yet indexed."""
    ward, postgres = two(stage)
    for node in ward.nodes:
        node.node["shared_archive"] = "ward"
    ward.start()
    flow = Flow(make_studies(rng, scale.of(20, 6), 25), ward.targets(), pace_s=0.03).start()
    flow.reach(0.5, alive=ward.b.program)
    held = kill_with_leases(ward.a, postgres)
    flow.finish()
    owed = "SELECT count(*) FROM deliveries WHERE state <> 'sent'"
    # A lease runs for two minutes; then the other node has it.
    hospital.wait_for("the other node to take over", lambda: postgres.psql(owed, NAME) == [["0"]], 200, 0.5,
                      alive=ward.b.program)
    taken_over = int(postgres.psql("SELECT count(DISTINCT delivery_id) FROM delivery_attempts a JOIN deliveries d "
                                   "ON d.id = a.delivery_id WHERE d.attempts > 1 AND a.node = 'CLINIC_B'", NAME)[0][0])
    assert taken_over > 0
    ward.a.start()
    finish(flow, ward, postgres, report, f"{held} leases held, {taken_over} taken over by the other node", 1)
