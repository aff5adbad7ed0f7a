# SPDX-License-Identifier: Apache-2.0
"""C-MOVE and C-GET over what the node holds, asked for by other makers' programs and held against dcmqrscp."""
import json
import shutil
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

import compare
import hospital
from sink import Mood, Sink
from retrieve import NATIVE, getscu, movescu, real_instances, sent

pytestmark = pytest.mark.skipif(shutil.which("movescu") is None, reason="DCMTK's tools are not installed")


def wait_indexed(node, count):
    """The UIDs that the node knows, once there are so many."""
    def look():
        try:
            found = {row[0] for row in node.psql("SELECT sop_uid FROM instances")}
        except (hospital.Failed, OSError):  # it is still on its way
            return None
        return found if len(found) == count else None
    return hospital.wait_for("the index", look, 120, alive=node.program)


class Archive:
    """A node and a dcmqrscp that hold the same real instances, and where they may send them."""

    def __init__(self, stage, rows):
        self.stage = stage
        self.node, self.other = stage.node("N", "ARCHIVE"), stage.dcmqrscp("QRSCP")
        self.dest = stage.storescp("DEST", options=("+B", "+xa"))
        self.implicit = stage.storescp("IMPLICIT", options=("-d", "+B", "+xi"))
        self.slow = Sink("SLOW").start()
        self.orthanc = stage.orthanc("ORTHANC") if shutil.which("Orthanc") else None
        n = self.node
        n.peer("CT1", ae_title="CT1", hosts=["127.0.0.1"])
        n.peer("ASKER", ae_title="ASKER", hosts=["127.0.0.1"], may=["echo", "move", "get"])
        n.peer("STORER", ae_title="STORER", hosts=["127.0.0.1"], may=["echo", "store"])
        for receiver in (self.dest, self.implicit):
            n.peer(receiver.ae_title, ae_title=receiver.ae_title, host=hospital.LOOPBACK, port=receiver.port)
            self.other.move_to(receiver.ae_title, receiver.port)
        n.peer("SLOW", ae_title="SLOW", host=hospital.LOOPBACK, port=self.slow.port, timeout="5 s")
        if self.orthanc is not None:
            n.peer("ORTHANC", ae_title="ORTHANC", host=hospital.LOOPBACK, port=self.orthanc.port,
                   hosts=["127.0.0.1"], may=["echo", "find", "move"])
            self.orthanc.modalities = {"node": ["ARCHIVE", hospital.LOOPBACK, n.port]}
            self.orthanc.start()
        n.peer("DOWN", ae_title="DOWN", host=hospital.LOOPBACK, port=hospital.free_port(), timeout="5 s")
        for thing in (self.dest, self.implicit, self.other, n):
            thing.start()
        for port, title in ((self.other.port, self.other.ae_title), (n.port, n.ae_title)):
            count = sent(hospital.dcmsend([r.path for r in rows], port, title))
        indexed = wait_indexed(n, count)
        self.rows = [r for r in rows if r.uid in indexed]
        assert len(self.rows) >= 300
        self.hashes = dict(n.psql("SELECT sop_uid, encode(file_hash, 'hex') FROM instances"))

    def events(self, kind):
        return int(self.node.psql(f"SELECT count(*) FROM events WHERE kind = '{kind}'")[0][0])

    def study(self, folder):
        """The instances of the study of the first file in the folder."""
        first = next(r for r in self.rows if folder in str(r.path))
        return [r for r in self.rows if r.study == first.study]


@pytest.fixture(scope="module")
def archive(data):
    with hospital.Stage() as stage:
        one = Archive(stage, real_instances(data))
        yield one
        one.slow.stop()
        stage.stop()
        assert stage.left_behind() == []


@pytest.fixture
def received(archive):
    """What arrives during the test, by UID, at any of the receivers."""
    for receiver in (archive.dest, archive.implicit):
        for path in receiver.files():
            path.unlink()

    def look(receiver=archive.dest):
        return {compare.uid_of(p): p for p in receiver.files()}
    return look


def assert_same(archive, found, rows):
    assert set(found) == {r.uid for r in rows}
    for r in rows:
        # As stored is byte for byte; decoders of lossy images differ among each other.
        if compare.file_hash(found[r.uid]) != archive.hashes[r.uid]:
            assert r.pixels != "-" and compare.pixel_hash(found[r.uid]) == r.pixels, r.path


def test_every_study_moves_whole_and_with_its_pixels(archive, received):
    before = archive.events("retrieved")
    studies = sorted({r.study for r in archive.rows})
    for study in studies:
        rows = [r for r in archive.rows if r.study == study]
        answer = movescu(archive.node, "DEST", "STUDY", study=study)
        assert (answer.returncode, answer.status) == (0, "0000"), answer.text[-3000:]
        assert (answer.completed, answer.failed, answer.warning) == (len(rows), 0, 0)
        assert answer.remaining is None
    assert_same(archive, received(), archive.rows)
    assert archive.events("retrieved") - before == len(archive.rows)
    told = archive.node.psql("SELECT DISTINCT actor, peer, outcome, detail->>'by' FROM events WHERE kind = 'retrieved'")
    assert told == [["ASKER", "DEST", "0000", "C-MOVE"]]


def test_what_dcmqrscp_moves_moves_from_the_node_too(archive, received):
    """dcmqrscp proposes no compressed syntax as it is shipped, and fails for compressed instances."""
    rows = [r for r in archive.rows if r.syntax in NATIVE and ("ct/" in str(r.path) or "mr/" in str(r.path))]
    for study in sorted({r.study for r in rows}):
        movescu(archive.other, "DEST", "STUDY", study=study)
    theirs = {uid: compare.file_hash(path) for uid, path in received().items()}
    for path in archive.dest.files():
        path.unlink()
    for study in sorted({r.study for r in rows}):
        assert movescu(archive.node, "DEST", "STUDY", study=study).status == "0000"
    ours = {uid: compare.file_hash(path) for uid, path in received().items()}
    wanted = {r.uid for r in rows}
    assert wanted <= set(theirs) and wanted <= set(ours)
    assert {u: ours[u] for u in wanted} == {u: theirs[u] for u in wanted}


def test_each_level_gets_what_it_names(archive, tmp_path):
    rows = archive.study("ct/philips-ingenuity")
    one = rows[0]
    series = [r for r in rows if r.series == one.series]
    two = sorted(r.uid for r in series)[:2]
    asked = [({"level": "STUDY", "study": one.study}, rows), ({"level": "SERIES", "study": one.study, "series": one.series}, series),
             ({"level": "IMAGE", "study": one.study, "series": one.series, "uid": "\\".join(two)},
              [r for r in series if r.uid in two]),
             ({"level": "IMAGE", "study": one.study, "series": one.series, "uid": "1.2.3.4"}, [])]
    for number, (keys, wanted) in enumerate(asked):
        answer = getscu(archive.node, tmp_path / str(number), **keys)
        assert (answer.returncode, answer.status, answer.completed) == (0, "0000", len(wanted)), answer.text[-3000:]
        assert_same(archive, {compare.uid_of(p): p for p in (tmp_path / str(number)).iterdir()}, wanted)
    answer = getscu(archive.node, tmp_path / "patient", "PATIENT", model="-P", patient=one.patient)
    assert answer.status == "0000"
    assert {compare.uid_of(p) for p in (tmp_path / "patient").iterdir()} == \
        {r.uid for r in archive.rows if r.patient == one.patient}


def test_who_takes_no_compression_gets_it_decoded(archive, received, tmp_path):
    rows = [r for r in archive.rows if "syntaxes/" in str(r.path) and r.pixels != "-" and r.syntax not in NATIVE]
    assert len({r.syntax for r in rows}) >= 6
    for r in rows:
        answer = movescu(archive.node, "IMPLICIT", "IMAGE", study=r.study, series=r.series, uid=r.uid)
        assert (answer.status, answer.completed) == ("0000", 1), (r.path, answer.text[-2000:])
        answer = getscu(archive.node, tmp_path / "got", "IMAGE", study=r.study, series=r.series, uid=r.uid)
        assert (answer.status, answer.completed) == ("0000", 1), (r.path, answer.text[-2000:])
    moved = received(archive.implicit)
    assert_same(archive, moved, rows)
    assert {compare.transfer_syntax(compare.read(p)) for p in moved.values()} == {"1.2.840.10008.1.2"}
    assert_same(archive, {compare.uid_of(p): p for p in (tmp_path / "got").iterdir()}, rows)


def test_what_cannot_be_asked_for_is_refused(archive, received):
    study = archive.rows[0].study
    cases = [(movescu(archive.node, "NOWHERE", "STUDY", study=study), "a801"),
             (movescu(archive.node, "ASKER", "STUDY", study=study), "a801"),  # it has no host
             (movescu(archive.node, "DEST", "STUDY"), "a900"),
             (movescu(archive.node, "DEST", "PATIENT", patient="X"), "a900"),  # of the study root there is none
             (movescu(archive.node, "DEST", "SERIES", series=archive.rows[0].series), "a900"),
             (movescu(archive.node, "DEST", "IMAGE", model="-P", study=study), "a900"),
             (movescu(archive.node, "DEST", "STUDY", study="not a UID"), "a900")]
    for answer, status in cases:
        assert answer.status == status, answer.text[-2000:]
    assert received() == {}


def test_a_destination_that_is_down_fails_all_of_it_at_once(archive):
    rows = archive.study("ct/philips-ingenuity")
    answer = movescu(archive.node, "DOWN", "STUDY", study=rows[0].study)
    assert (answer.status, answer.completed, answer.failed) == ("a702", 0, len(rows)), answer.text[-2000:]


def test_who_may_not_is_not_even_talked_to_about_it(archive, tmp_path):
    study = archive.rows[0].study
    for calling in ("STORER", "CT1"):
        for answer in (movescu(archive.node, "DEST", "STUDY", calling=calling, study=study),
                       getscu(archive.node, tmp_path / calling, "STUDY", calling=calling, study=study)):
            assert answer.returncode != 0 and answer.status is None
            assert "No adequate Presentation Contexts" in answer.text or \
                "No Acceptable Presentation Contexts" in answer.text, answer.text[-2000:]
    assert list((tmp_path / "CT1").iterdir()) == []


def test_four_at_once_get_all_of_it(archive, tmp_path):
    rows = archive.study("ct/philips-ingenuity")
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda n: getscu(archive.node, tmp_path / str(n), "STUDY", study=rows[0].study), range(4)))
    for number, answer in enumerate(answers):
        assert (answer.status, answer.completed) == ("0000", len(rows))
        assert_same(archive, {compare.uid_of(p): p for p in (tmp_path / str(number)).iterdir()}, rows)


class Leisurely(Mood):
    def answer(self, uid):
        time.sleep(0.1)
        return 0x0000, True


class Mute(Mood):
    def answer(self, uid):
        return None


def test_a_cancel_in_the_middle_ends_it_with_the_right_counts(archive):
    rows = archive.study("ct/philips-ingenuity")
    archive.slow.mood = Leisurely()
    answer = movescu(archive.node, "SLOW", "STUDY", study=rows[0].study, options=("--cancel", "2"))
    assert answer.status == "fe00", answer.text[-2000:]
    assert 0 < answer.completed < len(rows) and answer.failed == 0
    assert answer.completed + answer.remaining == len(rows)
    assert len(archive.slow.uids()) == answer.completed


def test_a_mute_destination_holds_nobody_else(archive, tmp_path):
    rows = archive.study("ct/philips-ingenuity")
    archive.slow.mood = Mute()
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(movescu, archive.node, "SLOW", "STUDY", study=rows[0].study)
        time.sleep(1)
        answer = getscu(archive.node, tmp_path / "got", "STUDY", study=rows[0].study)
        assert (answer.status, answer.completed) == ("0000", len(rows))
        assert not held.done()
        answer = held.result()
    assert (answer.status, answer.completed, answer.failed) == ("a702", 0, len(rows)), answer.text[-2000:]


def test_the_destination_learns_who_asked(archive, received):
    r = archive.study("ct/philips-ingenuity")[0]
    movescu(archive.node, "IMPLICIT", "IMAGE", study=r.study, series=r.series, uid=r.uid)
    log = (archive.implicit.folder / "storescp.log").read_text(errors="replace")
    assert "Move Originator AE Title" in log and "ASKER" in log.split("Move Originator AE Title")[-1][:40]


def test_orthanc_asks_and_receives(archive):
    if archive.orthanc is None:
        pytest.skip("Orthanc is not installed")
    studies = [archive.study(name) for name in ("ct/philips-ingenuity", "nm/", "xray/")]
    for rows in studies:
        body = {"Level": "Study", "Resources": [{"StudyInstanceUID": rows[0].study}], "TargetAet": "ORTHANC",
                "Synchronous": True}
        request = urllib.request.Request(f"http://127.0.0.1:{archive.orthanc.http}/modalities/node/move",
                                         json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=60 * hospital.slow()) as reply:
            assert reply.status == 200
    assert_same(archive, {compare.uid_of(p): p for p in archive.orthanc.files()}, [r for rows in studies for r in rows])


def test_a_damaged_file_stays_at_home(archive, tmp_path):
    """Last of those that share the archive: a bit of one file is turned over, and it is the only one that fails."""
    rows = archive.study("ct/ge-hispeed")
    victim = rows[3]
    path, instance = archive.node.psql(f"SELECT path, id FROM instances WHERE sop_uid = '{victim.uid}'")[0]
    whole = Path(path).read_bytes()
    damaged = bytearray(whole)
    damaged[-1000] ^= 1
    Path(path).write_bytes(damaged)
    try:
        answer = getscu(archive.node, tmp_path / "got", "STUDY", study=victim.study)
        assert (answer.status, answer.completed, answer.failed) == ("b000", len(rows) - 1, 1), answer.text[-2000:]
        assert_same(archive, {compare.uid_of(p): p for p in (tmp_path / "got").iterdir()}, [r for r in rows if r != victim])
        event = archive.node.psql("SELECT actor, peer, outcome, detail->>'cause' FROM events "
                                  f"WHERE kind = 'retrieve-failed' AND instance_id = {instance}")
        assert event == [["ASKER", "ASKER", "none", "the file in the archive is not the one that was indexed"]]
        assert f"instance={instance}" in archive.node.log.read_text()
    finally:
        Path(path).write_bytes(whole)


def test_what_is_in_quarantine_is_not_there(archive, tmp_path):
    rows = archive.study("ct/ge-hispeed")
    where = f"WHERE sop_uid = '{rows[0].uid}'"
    archive.node.psql(f"UPDATE instances SET quarantined_at = now(), quarantine_reason = 'test' {where}")
    try:
        answer = getscu(archive.node, tmp_path / "got", "STUDY", study=rows[0].study)
        assert (answer.status, answer.completed) == ("0000", len(rows) - 1)
    finally:
        archive.node.psql(f"UPDATE instances SET quarantined_at = NULL, quarantine_reason = NULL {where}")


def test_a_node_stops_though_a_destination_is_mute(stage, data):
    rows = real_instances(data, 3)
    mute = Sink("MUTE").start()
    mute.mood = Mute()
    node = stage.node("N", "ARCHIVE")
    node.peer("CT1", ae_title="CT1", hosts=["127.0.0.1"], may=["echo", "store", "move"])
    node.peer("MUTE", ae_title="MUTE", host=hospital.LOOPBACK, port=mute.port, timeout="600 s")
    node.start()
    hospital.dcmsend([r.path for r in rows], node.port, "ARCHIVE")
    wait_indexed(node, 3)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(movescu, node, "MUTE", "STUDY", calling="CT1", study=rows[0].study)
        hospital.wait_for("the destination to be called", lambda: mute.associations > 0)
        assert node.stop() == 0
        assert asked.result().status != "0000"
    mute.stop()


def test_views_are_retrieved_by_the_called_title(stage, data, tmp_path):
    rows = real_instances(data, 2)
    node = stage.node("N", "ARCHIVE")
    node.peer("CT1", ae_title="CT1", hosts=["127.0.0.1"], may=["echo", "store", "get"])
    node.query = {"views": {"carriers": ["ARCHIVE_C"]}}
    node.start()
    hospital.dcmsend([r.path for r in rows], node.port, "ARCHIVE")
    wait_indexed(node, 2)
    for title, count in (("ARCHIVE", 2), ("ARCHIVE_C", 0)):
        scp = SimpleNamespace(ae_title=title, port=node.port)
        answer = getscu(scp, tmp_path / title, "STUDY", calling="CT1", study=rows[0].study)
        assert (answer.status, answer.completed) == ("0000", count), answer.text[-2000:]
