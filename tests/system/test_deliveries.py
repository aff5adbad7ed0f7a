# SPDX-License-Identifier: Apache-2.0
"""Deliveries that repair themselves: peers that are away, instances that poison, hours, bandwidth, urgency, and
nodes that share a database.

Nodes that pass on what they get, and receivers that do what the test says (sink.py).
"""
import datetime
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

import hospital
import rawdicom
from flow import CALLING_AE, Flow, make_studies
from postgres import Postgres
from sink import Cut, Mood, Sink

DATABASE = "dicomstego"
SOON = {"first": "200 ms", "factor": 2, "cap": "1 s"}


@pytest.fixture
def rng():
    return random.Random(7)


class Moody(Mood):
    """Remembers the order in which instances came; some of them it treats badly."""

    def __init__(self, poison=(), busy=None, pause_s=0.0):
        """busy: {UID: how often it is answered A700}"""
        self.poison, self.busy, self.pause_s, self.order = set(poison), dict(busy or {}), pause_s, []

    def answer(self, uid):
        self.order.append(uid)
        time.sleep(self.pause_s)
        if uid in self.poison:
            raise Cut
        self.busy[uid] = self.busy.get(uid, 0) - 1
        return (0xA700, False) if self.busy[uid] >= 0 else (0x0000, True)


def sink(stage, node, name, **peer):
    """A receiver, and the node's peer for it."""
    one = stage._add(Sink(name))
    one.mood = Moody()
    node.peer(name, ae_title=name, host=hospital.LOOPBACK, port=one.port, **{"retry": SOON, **peer})
    return one


def passing(stage, name="A", **database):
    node = stage.node(name, f"CLINIC_{name}")
    node.database_url = database.get("url")
    node.peer("CT1", ae_title=CALLING_AE, hosts=[hospital.LOOPBACK])
    return node


def start(*nodes):
    """They take images at once; their tables are there a little later."""
    for node in nodes:
        node.start()
        hospital.wait_for("the database", lambda: "the database is there" in node.log.read_text(), 60,
                          alive=node.program)


def send(studies, node):
    flow = Flow(studies, [(node.port, node.ae_title)], senders=1).start()
    flow.finish()


def uids(*studies):
    return {i.uid for study in studies for i in study}


def command(node, *words):
    return subprocess.run([hospital.binary("dicomstego"), *words, "--config", node.config_path], capture_output=True,
                          text=True)


def one(rows):
    return rows[0][0]


def circuit(node, peer):
    rows = node.psql(f"SELECT state FROM peer_circuits WHERE peer = '{peer}'")
    return int(rows[0][0]) if rows else None


def delivered(receiver, expected, node, timeout=60):
    hospital.wait_for(f"{len(expected)} instances", lambda: receiver.uids() >= expected, timeout, alive=node.program)


def test_a_peer_that_is_away_costs_others_nothing_and_gets_all_when_it_is_back(stage, rng):
    node = passing(stage)
    away, there = sink(stage, node, "AWAY", circuit_after=2), sink(stage, node, "THERE")
    node.rule(name="on", study_complete_after="200 ms", send_to=["AWAY", "THERE"])
    there.start()
    start(node)
    studies = make_studies(rng, 2, 5)
    send(studies, node)
    delivered(there, uids(*studies), node)
    hospital.wait_for("the circuit to open", lambda: circuit(node, "AWAY") == 1, alive=node.program)
    # Nobody's delivery was tried, and none counts a failure.
    assert one(node.psql("SELECT count(*) FROM delivery_attempts a JOIN deliveries d ON d.id = a.delivery_id "
                         "WHERE d.peer = 'AWAY'")) == "0"
    assert one(node.psql("SELECT count(*) FROM deliveries WHERE peer = 'AWAY' AND state IN ('ready', 'leased')")) == "10"
    away.start()
    delivered(away, uids(*studies), node)
    hospital.wait_for("the circuit to close", lambda: circuit(node, "AWAY") == 0, alive=node.program)
    log = node.log.read_text()
    assert "peer=AWAY circuit=half-open" in log
    assert "peer=THERE circuit" not in log
    assert away.arrivals() == 10


def test_what_finds_no_place_in_the_archive_is_tried_again(stage, rng):
    """As when a folder has no room for one more name. Nothing may know of it before it has its place."""
    node = passing(stage)
    receiver = sink(stage, node, "SINK")
    node.rule(name="on", study_complete_after="200 ms", send_to=["SINK"])
    receiver.start()
    start(node)
    first, second = make_studies(rng, 2, 5)
    send([first], node)
    delivered(receiver, uids(first), node)
    archive, away = node.state / "archive", node.state / "archive.away"
    archive.rename(away)
    archive.write_bytes(b"")
    send([second], node)
    hospital.wait_for("a word about it", lambda: node.log.read_text().count("will be tried again") == 5,
                      alive=node.program)
    assert one(node.psql("SELECT count(*) FROM instances")) == "5"
    archive.unlink()
    away.rename(archive)
    delivered(receiver, uids(second), node)
    assert receiver.arrivals() == 10
    assert not any((node.state / "quarantine").iterdir())
    assert not any((node.state / "spool" / "new").iterdir())


def test_one_file_gone_from_the_archive_does_not_stop_its_study(stage, rng):
    node = passing(stage)
    receiver = sink(stage, node, "SINK")
    node.rule(name="on", study_complete_after="4 s", protect={"payload": "integrity"}, send_to=["SINK"])
    receiver.start()
    start(node)
    (study,) = make_studies(rng, 1, 5)
    send([study], node)
    hospital.wait_for("the index", lambda: one(node.psql("SELECT count(*) FROM instances")) == "5", alive=node.program)
    lost = one(node.psql("SELECT path FROM instances ORDER BY id LIMIT 1"))
    Path(lost).unlink()
    hospital.wait_for("the rest", lambda: receiver.arrivals() == 4, alive=node.program)
    assert "unable to open" in one(node.psql("SELECT quarantine_reason FROM instances WHERE quarantined_at IS NOT NULL"))


def test_a_peer_that_does_not_know_us_loses_nothing(stage, rng):
    node = passing(stage)
    other = stage.node("B", "CLINIC_B")  # knows one peer, which is not this node
    other.peer("NOBODY", ae_title="NOBODY", hosts=["192.0.2.1"])
    node.peer("BEHIND", ae_title="CLINIC_B", host=hospital.LOOPBACK, port=other.port, retry=SOON)
    node.rule(name="on", study_complete_after="200 ms", send_to=["BEHIND"])
    other.start()
    start(node)
    send(make_studies(rng, 1, 3), node)
    hospital.wait_for("the circuit to open", lambda: circuit(node, "BEHIND") == 1, alive=node.program)
    assert "association rejected for good" in one(node.psql("SELECT cause FROM peer_circuits WHERE state = 1"))
    assert one(node.psql("SELECT count(*) FROM deliveries WHERE state IN ('ready', 'leased')")) == "3"
    other.peer("A", ae_title="CLINIC_A", hosts=[hospital.LOOPBACK])
    other.stop()
    other.start()
    hospital.wait_for("delivery", lambda: one(node.psql(
        "SELECT count(*) FROM deliveries WHERE state = 'sent'")) == "3", 60, alive=node.program)


def test_poison_backs_off_alone_and_ends_as_a_dead_letter(stage, rng):
    node = passing(stage)
    receiver = sink(stage, node, "SINK", retry={**SOON, "attempts": 7}, associations=1)
    node.rule(name="on", study_complete_after="200 ms", send_to=["SINK"])
    first, second = make_studies(rng, 2, 6)
    poison, busy = first[0].uid, first[3].uid
    receiver.mood = Moody(poison=[poison], busy={busy: 2})
    receiver.start()
    start(node)
    send([first], node)
    delivered(receiver, uids(first) - {poison}, node)
    send([second], node)
    delivered(receiver, uids(second), node)

    def dead():
        return node.psql("SELECT i.sop_uid, d.cause FROM deliveries d JOIN instances i ON i.id = d.instance_id "
                         "WHERE d.state = 'failed'")
    hospital.wait_for("the dead letter", dead, alive=node.program)
    assert [uid for uid, _ in dead()] == [poison]
    assert dead()[0][1].startswith("given up after 7 attempts: ")
    tries = node.psql("SELECT i.sop_uid, count(*), count(a.dimse_status) FROM delivery_attempts a "
                      "JOIN deliveries d ON d.id = a.delivery_id JOIN instances i ON i.id = d.instance_id "
                      f"WHERE i.sop_uid IN ('{poison}', '{busy}') GROUP BY 1")
    assert {uid: (n, answered) for uid, n, answered in tries} == {poison: ("7", "0"), busy: ("3", "3")}
    assert circuit(node, "SINK") == 0
    assert "circuit=open" not in node.log.read_text()
    assert receiver.uids() == uids(first, second) - {poison}
    receiver.mood = Moody()  # somebody has mended it
    assert command(node, "delivery", "retry", "--peer", "SINK").returncode == 0
    delivered(receiver, {poison}, node)


def test_outside_of_the_hours_only_stat_goes(stage, rng):
    now = datetime.datetime.now()
    clock = [(now + datetime.timedelta(hours=h)).strftime("%H:00") for h in (2, 3)]
    node = passing(stage)
    node.peer("ER1", ae_title="ER1", hosts=[hospital.LOOPBACK])
    receiver = sink(stage, node, "NIGHT", send_window=["-".join(clock)])
    node.rule(name="urgent", when={"calling_ae": ["ER1"]}, priority="stat", study_complete_after="200 ms",
              send_to=["NIGHT"])
    node.rule(name="on", study_complete_after="200 ms", send_to=["NIGHT"])
    receiver.start()
    start(node)
    routine, urgent = make_studies(rng, 2, 3)
    send([routine], node)
    hospital.wait_for("the plan", lambda: node.psql("SELECT 1 FROM deliveries"), alive=node.program)
    send_as("ER1", urgent, node)
    delivered(receiver, uids(urgent), node)
    assert receiver.uids() == uids(urgent)
    node.peers["NIGHT"].pop("send_window")
    node.write_config()
    node.program.signal(signal.SIGHUP)
    delivered(receiver, uids(routine), node)


def send_as(calling, study, node):
    with rawdicom.Association(node.port, node.ae_title, calling) as association:
        for instance in study:
            assert association.store(1, rawdicom.CT, instance.uid, instance.data) == 0
        association.release()


def test_bandwidth_is_kept_over_all_associations(stage, rng):
    node = passing(stage)
    receiver = sink(stage, node, "THIN", bandwidth="50 kB/s", associations=3)
    node.rule(name="on", study_complete_after="200 ms", send_to=["THIN"])
    receiver.start()
    start(node)
    study, = make_studies(rng, 1, 8)
    begun = time.monotonic()
    send([study], node)
    delivered(receiver, uids(study), node)
    # What three associations send at first is paid for afterwards.
    assert time.monotonic() - begun >= sum(len(i.data) for i in study[:-3]) / 50e3


def test_a_stat_study_overtakes_what_waits(stage, rng):
    node = passing(stage)
    node.peer("ER1", ae_title="ER1", hosts=[hospital.LOOPBACK])
    receiver = sink(stage, node, "SLOW", associations=1)
    receiver.mood = Moody(pause_s=0.1)
    node.rule(name="urgent", when={"calling_ae": ["ER1"]}, priority="stat", study_complete_after="1 ms",
              send_to=["SLOW"])
    node.rule(name="on", study_complete_after="200 ms", send_to=["SLOW"])
    receiver.start()
    start(node)
    routine, urgent = make_studies(rng, 1, 80)[0], make_studies(rng, 1, 2)[0]
    send([routine], node)
    hospital.wait_for("the first", lambda: receiver.mood.order, alive=node.program)
    send_as("ER1", urgent, node)
    delivered(receiver, uids(routine, urgent), node)
    order = receiver.mood.order
    assert len(order) == 82  # what was given back in between went once
    assert max(order.index(i.uid) for i in urgent) < 60  # a batch is 64
    assert one(node.psql("SELECT count(*) FROM delivery_attempts")) == "82"


def test_a_killed_node_goes_on_at_once(stage, rng):
    node = passing(stage)
    receiver = sink(stage, node, "SLOW", associations=2)
    receiver.mood = Moody(pause_s=0.1)
    node.rule(name="on", study_complete_after="200 ms", send_to=["SLOW"])
    receiver.start()
    start(node)
    study, = make_studies(rng, 1, 40)
    send([study], node)
    hospital.wait_for("some", lambda: len(receiver.mood.order) > 4, alive=node.program)
    node.kill()
    node.start()
    delivered(receiver, uids(study), node)
    hospital.wait_for("the outcomes", lambda: one(node.psql(
        "SELECT count(*) FROM deliveries WHERE state = 'sent'")) == "40", alive=node.program)
    # Without a lease running out: it takes longer than all of this.
    assert "were on their way when the node ended" in node.log.read_text()
    assert one(node.psql("SELECT max(attempts) FROM deliveries")) in ("1", "2")
    assert receiver.arrivals() <= 40 + 2 * 8  # what was sent in the moment before, and not yet written


def test_two_nodes_on_one_database_deliver_what_they_have(stage, rng):
    postgres = stage._add(Postgres(stage.folder / "postgres")).start()
    url = postgres.create(DATABASE)
    a, b = passing(stage, "A", url=url), passing(stage, "B", url=url)
    receiver = sink(stage, a, "SINK")
    b.peers["SINK"] = a.peers["SINK"]
    for node in (a, b):
        node.rule(name="on", study_complete_after="500 ms", send_to=["SINK"])
    receiver.start()
    start(a, b)
    ours, theirs, common = make_studies(rng, 3, 6)
    send([ours], a)
    send([theirs], b)
    send([common[:3]], a)
    send([common[3:]], b)
    everything = uids(ours, theirs, common)
    delivered(receiver, everything, a)
    assert receiver.arrivals() == len(everything)

    def states():
        return postgres.psql("SELECT state, count(*) FROM deliveries GROUP BY 1", DATABASE)
    hospital.wait_for("the outcomes", lambda: states() == [["sent", str(len(everything))]], alive=a.program)
    who = dict(postgres.psql("SELECT DISTINCT i.sop_uid, a.node FROM delivery_attempts a JOIN deliveries d "
                             "ON d.id = a.delivery_id JOIN instances i ON i.id = d.instance_id", DATABASE))
    assert {who[i.uid] for i in ours + common[:3]} == {"CLINIC_A"}
    assert {who[i.uid] for i in theirs + common[3:]} == {"CLINIC_B"}


def test_with_a_shared_archive_one_node_delivers_what_the_other_left(stage, rng):
    postgres = stage._add(Postgres(stage.folder / "postgres")).start()
    url = postgres.create(DATABASE)
    a, b = passing(stage, "A", url=url), passing(stage, "B", url=url)
    receiver = sink(stage, a, "SINK")
    b.peers["SINK"] = a.peers["SINK"]
    for node in (a, b):
        node.node["shared_archive"] = "ward"
        node.rule(name="on", study_complete_after="200 ms", send_to=["SINK"])
    start(a)
    study, = make_studies(rng, 1, 6)
    send([study], a)
    hospital.wait_for("the files", lambda: len(a.archive()) == 6, alive=a.program)
    hospital.wait_for("the plan", lambda: postgres.psql("SELECT 1 FROM deliveries", DATABASE), alive=a.program)
    a.kill()
    start(b)
    receiver.start()
    delivered(receiver, uids(study), b, 120)
    assert receiver.arrivals() == 6
