# SPDX-License-Identifier: Apache-2.0
"""The provenance log of a running node, and administrators of its database who would have it otherwise.

Every way to change the tables is in tests/unit/db/test_log.c; here a node with its own thread, roles, files and restarts.
"""
import hashlib
import json
import shutil
import subprocess

import pytest

import hospital
import postgres
import rawarchive
from test_commitment import images, sending_node, start, states, wait_states
from test_two_hospitals import count

CHAIN = ["received", "indexed", "planned", "proven", "sent", "answered", "committed"]


def verify(node, code=0):
    """The kinds of what is found."""
    done = subprocess.run([hospital.binary("dicomstego"), "audit", "verify", "--json", "--config", node.config_path],
                          capture_output=True, text=True)
    assert done.returncode == code, done.stdout + done.stderr + node.log.read_text()[-2000:]
    rows = json.loads(done.stdout)
    rows = rows if isinstance(rows, list) else [rows]
    return [row["kind"] for row in rows if "kind" in row]


def waiting(node):
    return count(node, "SELECT count(*) FROM events e WHERE NOT EXISTS "
                       "(SELECT 1 FROM log_leaves f WHERE f.event_id = e.id)")


def wait_numbered(node):
    hospital.wait_for("numbers for all events", lambda: waiting(node) == 0, 60, alive=node.program)


@pytest.fixture
def busy(stage, data):
    """A node that has sent four images to an archive, which committed itself."""
    archive = rawarchive.Archive("ARCHIVE", "same")
    node = sending_node(stage, archive.port, commitment=True)
    node.provenance = {"tree_head_every": "1 s"}
    start(node)
    hospital.storescu(images(data, 4), node.port, "CLINIC_A")
    wait_states(node, {"committed": 4})
    wait_numbered(node)
    yield node
    archive.close()


def canonical(row):
    """The bytes of an event as docs/provenance.md has them, from the columns of its row."""
    def text(value):
        return "null" if value is None else json.dumps(value, ensure_ascii=False)

    def number(value):
        return "null" if value in (None, 0) else str(value)
    members = [("v", "1"), ("log", text(row["log_id"])), ("id", str(row["id"])), ("at", text(row["at_text"])),
               ("node", text(row["node"])), ("kind", text(row["kind"])), ("actor", text(row["actor"])),
               ("instance", number(row["instance_id"])), ("study", number(row["study_id"])),
               *((name, text(row[name])) for name in ("sop_uid", "study_uid", "peer", "outcome")),
               ("before", text(row["before_hex"])), ("after", text(row["after_hex"])),
               ("detail", "null" if row["detail_text"] is None else row["detail_text"])]
    return ("{" + ",".join(f'"{name}":{value}' for name, value in members) + "}").encode()


def rows(node):
    return [json.loads(line[0]) for line in node.psql(
        "SELECT row_to_json(x) FROM (SELECT e.*, encode(l.log_id, 'hex') AS log_id, encode(f.hash, 'hex') AS leaf_hex, "
        "to_char(e.at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') AS at_text, "
        "encode(before_hash, 'hex') AS before_hex, encode(after_hash, 'hex') AS after_hex, detail::text AS detail_text, "
        "f.leaf FROM events e JOIN logs l ON l.id = e.log JOIN log_leaves f ON f.event_id = e.id) x ORDER BY leaf")]


def root_of(leaves):
    """MTH of RFC 9162 2.1.1."""
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return hashlib.sha256(b"\1" + root_of(leaves[:k]) + root_of(leaves[k:])).digest()


def test_every_step_of_an_instance_is_a_row_that_another_program_can_hash(busy):
    """Leaves and roots are computed here once more, from the documentation."""
    seen = rows(busy)
    instance = next(row["instance_id"] for row in seen if row["kind"] == "committed")
    mine = [row for row in seen if row["instance_id"] == instance]
    assert sorted((row["kind"] for row in mine), key=CHAIN.index) == CHAIN
    assert len({(row["sop_uid"], row["study_uid"]) for row in mine}) == 1 and mine[0]["sop_uid"]
    assert {row["outcome"] for row in mine if row["kind"] == "answered"} == {"0000H"}
    assert all(row["peer"] == "ARCHIVE" for row in mine if row["kind"] in ("sent", "answered", "committed"))
    leaves = [hashlib.sha256(b"\0" + canonical(row)).digest() for row in seen]
    assert [leaf.hex() for leaf in leaves] == [row["leaf_hex"] for row in seen]
    assert [row["leaf"] for row in seen] == list(range(len(seen)))
    busy.stop()
    start(busy)
    heads = busy.psql("SELECT size, encode(root, 'hex') FROM log_heads ORDER BY size")
    assert heads and all(root_of(leaves[:int(size)]).hex() == root for size, root in heads if int(size) <= len(leaves))
    assert verify(busy) == []


# Each by somebody with every right in the database; what the verification calls it.
DEEDS = [
    ("UPDATE events SET outcome = 'FFFFH' WHERE kind = 'answered'", "row-changed"),
    ("UPDATE events SET at = at - interval '1 day' WHERE id = (SELECT min(id) FROM events)", "row-changed"),
    ("UPDATE events SET detail = (detail::jsonb || '{\"attempt\": 9}')::json WHERE kind = 'sent'", "row-changed"),
    ("DELETE FROM events WHERE id = (SELECT min(id) FROM events)", "row-missing"),
    ("DELETE FROM events WHERE id = (SELECT max(id) FROM events)", "row-missing"),
    ("DELETE FROM events WHERE kind = 'received'; DELETE FROM log_leaves f WHERE NOT EXISTS "
     "(SELECT 1 FROM events e WHERE e.id = f.event_id)", "leaves-missing"),
    ("DELETE FROM log_leaves WHERE leaf >= 10; DELETE FROM log_heads WHERE size > 10; DELETE FROM events e WHERE NOT "
     "EXISTS (SELECT 1 FROM log_leaves f WHERE e.id = f.event_id)", "leaves-missing"),
    ("UPDATE log_leaves SET leaf = leaf + 1000000 WHERE leaf IN (3, 4); UPDATE log_leaves SET leaf = 1000007 - leaf "
     "WHERE leaf > 999999", "head-wrong"),
    ("INSERT INTO events SELECT (SELECT max(id) + 9999 FROM events), log, clock_timestamp(), node, 'deleted', actor, "
     "instance_id, study_id, sop_uid, study_uid, peer, outcome, before_hash, after_hash, detail, tag FROM events LIMIT 1",
     "row-inserted"),
    ("UPDATE log_leaves SET hash = sha256('') WHERE leaf = 7", "leaf-changed"),
    ("UPDATE log_heads SET root = sha256('')", "head-wrong"),
    ("DELETE FROM log_heads", "head-missing"),
]
TABLES = ("events", "log_leaves", "log_heads")


def test_what_an_administrator_of_the_database_changes_is_found(busy):
    """While the node runs, one deed after the other; each is put back, and the log is right again."""
    busy.psql("; ".join(f"ALTER TABLE {t} DISABLE TRIGGER ALL; CREATE TABLE kept_{t} AS TABLE {t}" for t in TABLES))
    for deed, kind in DEEDS:
        busy.psql("BEGIN; " + "; ".join(
            f"DROP TABLE kept_{t}; CREATE TABLE kept_{t} AS TABLE {t}" for t in TABLES) + "; " + deed + "; COMMIT")
        assert kind in verify(busy, code=3), deed
        # The verification itself has added what it found: that stays.
        busy.psql("BEGIN; " + "; ".join(
            f"CREATE TEMP TABLE new_{t} ON COMMIT DROP AS SELECT * FROM {t} x WHERE {only}; DELETE FROM {t}; "
            f"INSERT INTO {t} SELECT * FROM kept_{t}; INSERT INTO {t} SELECT * FROM new_{t} ON CONFLICT DO NOTHING"
            for t, only in zip(TABLES, (
                "kind = 'log-damaged' AND id NOT IN (SELECT id FROM kept_events)",
                "event_id IN (SELECT id FROM new_events)",
                "size > (SELECT max(size) FROM kept_log_heads)"))) + "; COMMIT")
        assert verify(busy) == [], f"put back after: {deed}"
    log = busy.log.read_text()
    assert "finding=row-changed the provenance log is not as it was written" in log
    assert count(busy, "SELECT count(*) FROM events WHERE kind = 'log-damaged'") == len(DEEDS)
    metrics = busy.http("/metrics")[2]
    found = [line for line in metrics.splitlines() if line.startswith("dicomstego_log_findings_total ")]
    assert float(found[0].split()[1]) >= len(DEEDS)


def test_an_older_database_put_back_is_found_at_the_next_start(busy, data):
    """Rows, leaves, heads: all is as it was once. The node's own file knows better."""
    busy.stop()
    folder, kept = busy.state / "postgresql" / "data", busy.folder / "kept"
    subprocess.run(["cp", "-a", folder, kept], check=True)
    start(busy)
    hospital.storescu(images(data, 6), busy.port, "CLINIC_A")
    wait_states(busy, {"committed": 6})
    wait_numbered(busy)
    busy.stop()
    shutil.rmtree(folder)
    subprocess.run(["cp", "-a", kept, folder], check=True)
    start(busy)
    hospital.wait_for("an error in the log", lambda: "finding=leaves-missing" in busy.log.read_text(), 60,
                      alive=busy.program)
    found = verify(busy, code=3)
    assert "leaves-missing" in found and "head-missing" in found
    # And the log goes on behind the gap.
    hospital.storescu(images(data, 8)[6:], busy.port, "CLINIC_A")
    wait_states(busy, {"committed": 8} if states(busy).get("committed", 0) > 6 else {"committed": 6})
    wait_numbered(busy)


def test_an_edge_that_was_changed_is_said_and_the_log_goes_on(busy, data):
    busy.stop()
    edge, = (busy.state / "provenance").glob("edge-*")
    text = edge.read_text()
    edge.write_text(text[:-2] + ("0" if text[-2] != "0" else "1") + "\n")
    start(busy)
    assert "is not as it was written; the log goes on from the database's last head" in busy.log.read_text()
    hospital.storescu(images(data, 5)[4:], busy.port, "CLINIC_A")
    wait_states(busy, {"committed": 5})
    wait_numbered(busy)
    assert verify(busy) == []


def test_a_killed_node_gives_its_last_rows_their_numbers(stage, data):
    archive = rawarchive.Archive("ARCHIVE", "same")
    node = sending_node(stage, archive.port)
    start(node)
    for turn in range(3):
        hospital.storescu(images(data, 12)[4 * turn:4 * turn + 4], node.port, "CLINIC_A")
        hospital.wait_for("events", lambda: count(node, "SELECT count(*) FROM events WHERE kind = 'indexed'")
                          >= 4 * turn + 1, 60, alive=node.program)
        node.kill()
        start(node)
    wait_states(node, {"sent": 12})
    wait_numbered(node)
    assert verify(node) == []
    assert count(node, "SELECT count(*) FROM log_leaves") == count(node, "SELECT count(*) FROM events")
    archive.close()


def test_a_node_without_a_key_makes_one_for_its_log(stage, data):
    node = stage.node("A", "CLINIC_A")
    del node.node["key"], node.node["certificate"], node.node["dicom"]["tls_port"]
    node.peer("CT1", ae_title="CT1", hosts=["127.0.0.1"])
    node.peer("X", ae_title="X", host=hospital.LOOPBACK, port=1)
    node.rule(name="on", study_complete_after="1 h", send_to=["X"])
    for _ in range(2):
        start(node)
        hospital.storescu(images(data, 2), node.port, "CLINIC_A")
        hospital.wait_for("the index", lambda: count(node, "SELECT count(*) FROM events") >= 4, 60, alive=node.program)
        wait_numbered(node)
        assert verify(node) == []
        node.stop()
    assert (node.state / "provenance" / "log.key.pem").stat().st_mode & 0o77 == 0


def test_the_roles_of_a_database_of_ones_own(stage, data):
    """One role: it works, and the node warns. Two: the node's own can only add to the log."""
    server = postgres.Postgres(stage.folder / "pg").start()
    try:
        server.psql("CREATE ROLE owner LOGIN; CREATE ROLE working LOGIN", "postgres")
        server.psql("CREATE DATABASE hospital OWNER owner", "postgres")
        url = server.url("hospital")
        node = stage.node("A", "CLINIC_A")
        node.peer("CT1", ae_title="CT1", hosts=["127.0.0.1"])
        node.peer("X", ae_title="X", host=hospital.LOOPBACK, port=1)
        node.rule(name="on", study_complete_after="1 h", send_to=["X"])
        node.database_url = url.replace("postgres@", "owner@")
        start(node)
        assert "the database role could change the provenance log" in node.log.read_text()
        node.stop()
        node.log.unlink()
        node.database_url = url.replace("postgres@", "working@")
        node.migrate_url = url.replace("postgres@", "owner@")
        start(node)
        hospital.storescu(images(data, 2), node.port, "CLINIC_A")
        hospital.wait_for("the index", lambda: count(node, "SELECT count(*) FROM events") >= 4, 60, alive=node.program)
        wait_numbered(node)
        assert "could change the provenance log" not in node.log.read_text()
        for sql in ("DELETE FROM events", "UPDATE log_heads SET size = 1", "TRUNCATE log_leaves",
                    "ALTER TABLE events DISABLE TRIGGER ALL"):
            with pytest.raises(hospital.Failed, match="permission denied|must be owner"):
                node.psql(sql)
        assert verify(node) == []
        node.stop()
    finally:
        server.stop()
