# SPDX-License-Identifier: Apache-2.0
"""What is held back, by every way into quarantine: listed, looked at, let go or discarded, and what a crash leaves."""
import hashlib
import json
from pathlib import Path

import pydicom

import compare
import hospital
from test_operator import Operator
from test_rules import One, changed
from test_two_hospitals import Apart, assert_restored, count, files_of, small_study  # noqa: F401 a fixture

WHY = ("--reason", "the test says so")


def held(do, number, **conditions):
    options = [word for name, value in conditions.items() for word in (f"--{name}", value)]

    def look():
        rows = do.json("quarantine", "list", *options)
        return rows if len(rows) == number else None
    return hospital.wait_for(f"{number} in quarantine", look, 60, alive=do.node.program)


def events(node, kind):
    return [(actor, json.loads(detail)) for actor, detail in
            node.psql(f"SELECT actor, detail FROM events WHERE kind = '{kind}' ORDER BY id")]


def start_again(node):
    before = node.log.read_text().count("the database is there")
    node.start()
    hospital.wait_for("the database", lambda: node.log.read_text().count("the database is there") > before, 30,
                      alive=node.program)


def ids_of(rows):
    return [row["id"] for row in rows]


def test_carriers_of_nobody_we_trust_are_forwarded_as_they_are_and_restored_once_we_do(stage, small_study):
    two = Apart(stage)
    stranger = two.b.peers.pop("CLINIC_A")
    carriers = two.carriers(small_study, 6)
    two.to_b(carriers)
    do = Operator(two.b)
    rows = held(do, 6)
    assert {r["class"] for r in rows} == {"unverified"} and {r["sender"] for r in rows} == {"BETWEEN"}
    assert all(r["reason"] and r["held"] for r in rows)
    shown = do.json("quarantine", "show", rows[0]["id"])
    judged = shown["inspection"]["carrier"]
    assert judged["carries"] and not judged["verifies"] and judged["says"]
    assert judged["claims"]["origin"] == "CLINIC_A" and judged["claims"]["signature"] == "signed, not checked"
    patient = pydicom.dcmread(str(files_of(small_study)[0]))
    assert str(patient.PatientName) not in json.dumps(shown)
    # The bytes, as they came; an event says who took them.
    out = two.b.folder / "looked.dcm"
    do("quarantine", "show", rows[0]["id"], "--output", out)
    assert compare.file_hash(out) == shown["file_hash"]
    do("quarantine", "show", rows[0]["id"], "--output", out, code=1)
    assert len(events(two.b, "exported")) == 1
    # One goes as it is, and is not called restored.
    do("quarantine", "release", rows[0]["id"], code=2)  # without a reason
    do("quarantine", "release", rows[0]["id"], *WHY)
    arrived = two.delivered(1)
    assert compare.uid_of(arrived[0]) == rows[0]["instance"]
    assert count(two.b, "SELECT count(*) FROM instances WHERE kind = 2") == 0
    [(actor, detail)] = events(two.b, "released")
    assert actor.startswith("operator ") and detail["reason"] == WHY[1] and detail["how"] == "as it is"
    # The certificate comes; the others are judged again, and are restored.
    two.b.peers["CLINIC_A"] = stranger
    two.b.stop()
    start_again(two.b)
    assert do.json("quarantine", "show", rows[1]["id"])["inspection"]["carrier"]["verifies"]
    do("quarantine", "release", *ids_of(rows[1:]), *WHY, "--retry")
    delivered = two.delivered(7)  # five images, the report, and the one that went as it was
    source = compare.source_uid(pydicom.dcmread(str(arrived[0])))
    wanted = [p for p in files_of(small_study) if compare.uid_of(p) != source]
    assert len(assert_restored(wanted, delivered)) == 2
    assert do.json("quarantine", "list") == []
    assert len(do.json("quarantine", "list", "--state", "released")) == 6


def test_an_altered_carrier_that_is_discarded_is_gone_and_may_be_sent_again(stage, small_study):
    two = Apart(stage)
    carriers = two.carriers(small_study, 6)
    altered = pydicom.dcmread(str(carriers[0]))
    pixels = bytearray(altered.PixelData)
    pixels[len(pixels) // 2] ^= 1
    altered.PixelData = bytes(pixels)
    altered.save_as(str(carriers[0]))
    two.to_b(carriers)
    do = Operator(two.b)
    [row] = held(do, 1)
    path = do.json("quarantine", "show", row["id"])["file"]
    assert Path(path).exists()
    do("quarantine", "discard", row["id"], *WHY)
    assert not Path(path).exists()
    two.delivered(6)  # the others, and the report
    [(actor, detail)] = events(two.b, "discarded")
    assert actor.startswith("operator ") and detail["reason"] == WHY[1]
    do("quarantine", "discard", row["id"], *WHY, code=1)
    # The same bytes again are not taken for what is gone.
    two.to_b([carriers[0]])
    [again] = held(do, 1)
    assert again["id"] != row["id"] and again["class"] == "unverified"


def nameless(source, folder):
    ds = pydicom.dcmread(str(source))
    uid = ds.StudyInstanceUID
    del ds.StudyInstanceUID
    path = folder / "nameless.dcm"
    ds.save_as(str(path))
    return path, uid


def test_what_cannot_be_read_is_listed_kept_read_again_and_discarded(stage, small_study, tmp_path):
    one = One(stage, protect=False)
    one.start()
    path, _ = nameless(files_of(small_study)[0], tmp_path)
    one.send([path])
    do = Operator(one.node)
    [row] = held(do, 1)
    assert row["class"] == "unreadable" and row["sender"] == "CT1" and "Study Instance UID" in row["reason"]
    assert row["study"] is None
    shown = do.json("quarantine", "show", row["id"])
    assert not shown["inspection"]["reads"] and "Study Instance UID" in shown["inspection"]["says"]
    assert shown["file_hash"] == compare.file_hash(path)
    # As it is it cannot be sent; read again it is as unreadable as before, under its number.
    assert "cannot be read" in do("quarantine", "release", row["id"], *WHY, code=1)
    do("quarantine", "release", row["id"], *WHY, "--retry")
    hospital.wait_for("the second refusal", lambda: len(events(one.node, "quarantined")) == 2, 30)
    [same] = held(do, 1)
    assert same["id"] == row["id"]
    # A file that was mended by hand, as an administrator may, is taken in.
    [kept] = (one.node.state / "quarantine").glob("*.dcm")
    ds = pydicom.dcmread(str(kept))
    ds.StudyInstanceUID = "1.2.826.0.1.3680043.9.4245.77"
    ds.save_as(str(kept))
    do("quarantine", "release", row["id"], *WHY, "--retry")
    hospital.wait_for("the instance", lambda: len(one.receiver.files()) == 1, 60, alive=one.node.program)
    assert do.json("quarantine", "list") == [] and list((one.node.state / "quarantine").iterdir()) == []
    one.send([path])
    [other] = held(do, 1)
    do("quarantine", "discard", other["id"], *WHY)
    assert list((one.node.state / "quarantine").iterdir()) == []
    metrics = one.node.http("/metrics")[2]
    assert 'dicomstego_quarantined_instances_total{class="unreadable"} 3' in metrics


def test_what_collided_is_listed_and_sent_when_it_is_released(stage, data, tmp_path):
    one = One(stage, protect=False, collision="hold")
    one.start()
    image = data / "ct" / "ge-hispeed" / "0001.dcm"
    (tmp_path / "b").mkdir()
    one.send([image, changed(image, tmp_path / "b" / "b.dcm", InstitutionName="B")])
    do = Operator(one.node)
    rows = held(do, 2, **{"class": "collision"})
    assert one.receiver.files() == []
    do("quarantine", "release", rows[1]["id"], *WHY)
    hospital.wait_for("the one", lambda: len(one.receiver.files()) == 1, 60, alive=one.node.program)
    assert ids_of(do.json("quarantine", "list")) == [rows[0]["id"]]
    do("quarantine", "discard", rows[0]["id"], *WHY)
    assert len(one.node.archive()) == 1
    # Who retries the delivery itself has decided as well.
    assert do.json("quarantine", "list") == []


def test_files_without_rows_and_decisions_without_deeds_are_settled_at_the_next_start(stage, small_study, tmp_path):
    """What a crash leaves between a row and a file, made by hand."""
    one = One(stage, protect=False)
    one.start()
    path, uid = nameless(files_of(small_study)[0], tmp_path)
    one.send([path])
    do = Operator(one.node)
    [row] = held(do, 1)
    folder = one.node.state / "quarantine"
    [kept] = folder.glob("*.dcm")
    data = kept.read_bytes()
    # An entry whose row was never written, and one that was discarded while its file is still there.
    lost = folder / "0001790000000000-1f2e3d4c.dcm"
    lost.write_bytes(data)
    lost.with_suffix(".reason").write_text("of an earlier day")
    one.node.psql("UPDATE quarantine SET state = 'discarded'")
    one.node.kill()
    start_again(one.node)
    [found] = held(do, 1)
    assert found["reason"] == "of an earlier day" and found["class"] == "unreadable"
    assert found["bytes"] == len(data) and found["sender"] == "CT1"
    hospital.wait_for("the discarded file to go", lambda: not kept.exists(), 30)
    assert lost.exists()
    # Released, and killed before the file went back: it goes back, is read, and is held again.
    one.node.psql("UPDATE quarantine SET state = 'released' WHERE entry = '0001790000000000-1f2e3d4c'")
    one.node.kill()
    start_again(one.node)
    [again] = held(do, 1)
    assert again["id"] == found["id"] and "Study Instance UID" in again["reason"]
    assert hashlib.sha256(lost.read_bytes()).digest() == hashlib.sha256(data).digest()
