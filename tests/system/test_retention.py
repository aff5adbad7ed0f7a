# SPDX-License-Identifier: Apache-2.0
"""Files go when every destination has them and their time is over, and never before."""
import os

import hospital
import rawarchive
from test_commitment import count, events, images, start, wait_states


def one_node(stage):
    node = stage.node("A", "CLINIC_A")
    for ct in ("CT1", "CT2"):
        node.peer(ct, ae_title=ct, hosts=["127.0.0.1"])
    return node


def to_archive(node, archive, calling, **rule):
    name = archive.ae_title
    node.peer(name, ae_title=name, host=hospital.LOOPBACK, port=archive.port, commitment=True,
              retry={"first": "200 ms", "cap": "1 s"})
    node.rule(name=f"to {name}", when={"calling_ae": [calling]}, study_complete_after="1 s", send_to=[name], **rule)


def deleted(node):
    return count(node, "SELECT count(*) FROM instances WHERE removed_at IS NOT NULL")


def wait_deleted(node, number):
    hospital.wait_for(f"{number} deletions", lambda: deleted(node) == number, 60, alive=node.program)


def test_what_is_committed_goes_and_what_is_only_sent_stays(stage, data):
    """One archive commits itself and one says nothing; a duplicate of what was deleted is known."""
    faithful, mute = rawarchive.Archive("FAITHFUL", "same"), rawarchive.Archive("MUTE", "never")
    node = one_node(stage)
    retention = {"keep": "1 s", "after": "committed"}
    to_archive(node, faithful, "CT1", retention=retention)
    to_archive(node, mute, "CT2", retention=retention)
    start(node)
    files = images(data, 3)
    ours = sorted((data / "mr" / "siemens-prisma-t1").glob("*.dcm"))[:2]
    hospital.storescu(ours, node.port, "CLINIC_A", calling="CT2")
    hospital.wait_for("the silent one", lambda: len(mute.asked) == 1, 60, alive=node.program)
    hospital.storescu(files, node.port, "CLINIC_A", calling="CT1")
    wait_deleted(node, 3)
    assert len(node.archive()) == 2
    assert events(node, "deleted") == 3
    assert count(node, "SELECT count(*) FROM events e JOIN instances i ON i.id = e.instance_id "
                       "WHERE e.kind = 'deleted' AND e.before_hash = i.file_hash") == 3
    hospital.storescu(files, node.port, "CLINIC_A", calling="CT1")
    hospital.wait_for("the duplicates", lambda: events(node, "duplicate") == 3, 60, alive=node.program)
    hospital.wait_for("an empty spool", lambda: not list((node.state / "spool" / "new").iterdir()), 60,
                      alive=node.program)
    assert len(node.archive()) == 2 and sum(faithful.times.values()) == 3
    faithful.close()
    mute.close()


def test_a_full_disk_takes_what_is_delivered_and_nothing_else(stage, data):
    """Free space is between the watermark and a quarter above it, whatever the machine has."""
    there, away = rawarchive.Archive("THERE", "same"), rawarchive.Archive("AWAY", "same")
    away.close()
    node = one_node(stage)
    to_archive(node, there, "CT1", retention={"keep": "30 d", "after": "sent"})
    to_archive(node, away, "CT2", retention={"keep": "30 d", "after": "sent"})
    start(node)
    files = images(data, 3)
    hospital.storescu(sorted((data / "mr" / "siemens-prisma-t1").glob("*.dcm"))[:2], node.port, "CLINIC_A",
                      calling="CT2")
    hospital.storescu(files, node.port, "CLINIC_A", calling="CT1")
    wait_states(node, {"committed": 3, "ready": 2})
    assert len(node.archive()) == 5
    node.stop()
    disk = os.statvfs(node.state)
    node.node["min_free"] = f"{int(disk.f_bavail * disk.f_frsize / 1.12)} B"
    node.node["disk_full"] = "delete_delivered"
    start(node)
    wait_deleted(node, 3)
    assert len(node.archive()) == 2
    assert {row[0] for row in node.psql("SELECT detail->>'cause' FROM events WHERE kind = 'deleted'")} == {
        "the disk is full"}
    there.close()
