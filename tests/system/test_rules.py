# SPDX-License-Identifier: Apache-2.0
"""What a rule does with what is no ordinary image, and with instances that come twice, changed or late.

One node that protects, a modality in front and a plain receiver behind, on real files; at the end two nodes.
"""
import shutil
from pathlib import Path

import pydicom
import pytest

import compare
import hospital
from test_two_hospitals import REPORT, Two, assert_restored, count, files_of, reports_of, sha256, study_uid

QUIET = "1 s"
IMAGES = ["0001.dcm", "0002.dcm", "0003.dcm"]
OBJECTS = {"KO": "key-object-selection.dcm", "PR": "gsps-presentation-state.dcm", "RTPLAN": "rtplan.dcm",
           "ECG": "waveform-ecg-12lead.dcm", "REG": "real-world-value-map.dcm"}
SR, DOSE, PET = "sr-basic-text.dcm", "rtdose-15frames-32bit.dcm", "pet-acrin-breast-1.dcm"


class One:
    """Node A between a modality and a receiver that keeps whatever comes, also under the same UID."""

    def __init__(self, stage, protect=True, **rule):
        self.node, self.receiver = stage.node("A", "CLINIC_A"), stage.storescp("BEHIND", options=("+B", "+uf"))
        self.node.peer("CT1", ae_title="CT1", hosts=["127.0.0.1"])
        self.node.peer("BEHIND", ae_title="BEHIND", host=hospital.LOOPBACK, port=self.receiver.port,
                       certificate=self.node.certificate)
        if protect:
            given = protect if isinstance(protect, dict) else {}
            rule["protect"] = {"payload": "report", "recipients": ["BEHIND"], **given}
        self.node.rule(name="on", study_complete_after=QUIET, **rule, send_to=["BEHIND"])

    def start(self, receiver=True):
        if receiver:
            self.receiver.start()
        self.node.start()
        hospital.wait_for("the database", lambda: "the database is there" in self.node.log.read_text(), 30,
                          alive=self.node.program)

    def send(self, files):
        hospital.storescu(files, self.node.port, "CLINIC_A")

    def planned(self, generation=1):
        hospital.wait_for(f"generation {generation}", lambda: count(
            self.node, f"SELECT count(*) FROM generations WHERE generation = {generation}") == 1, 60,
            alive=self.node.program)

    def settled(self, generation=1):
        """When every delivery has come to rest: {SOP class: [(state, action, note)]}."""
        self.planned(generation)
        hospital.wait_for("the deliveries", lambda: count(
            self.node, "SELECT count(*) FROM deliveries WHERE state IN ('ready', 'leased')") == 0, 60,
            alive=self.node.program)
        rows = self.node.psql("SELECT i.sop_class_uid, d.state, d.action, d.note FROM deliveries d "
                              "JOIN instances i ON i.id = d.instance_id ORDER BY d.id")
        out = {}
        for sop_class, state, action, note in rows:
            out.setdefault(sop_class, []).append((state, int(action), note))
        return out

    def events(self, kind):
        return self.node.psql(f"SELECT instance_id, detail->>'rule', detail->>'note' FROM events "
                              f"WHERE kind = '{kind}' ORDER BY id")

    def received(self):
        """{SOP Instance UID: the files that came under it}"""
        out = {}
        for path in self.receiver.files():
            uid = str(pydicom.dcmread(str(path), stop_before_pixels=True).SOPInstanceUID)
            out.setdefault(uid, []).append(path)
        return out


def into_study(source, target, study, **values):
    ds = pydicom.dcmread(str(source), force=True)
    ds.StudyInstanceUID = study
    for name, value in values.items():
        setattr(ds, name, value)
    if "SOPInstanceUID" in values:
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.save_as(str(target), write_like_original=True)
    return target


@pytest.fixture
def study(data, tmp_path):
    """A CT study with everything that a PACS has beside images: {what: file}."""
    ct = data / "ct" / "ge-hispeed"
    uid = study_uid(ct)
    files = {name: Path(shutil.copy(ct / name, tmp_path / name)) for name in IMAGES}
    for what, name in {**OBJECTS, "SR": SR, "DOSE": DOSE}.items():
        files[what] = into_study(data / "nonimage" / name, tmp_path / name, uid)
    files["PET"] = into_study(data / "nm" / PET, tmp_path / PET, uid)
    return files


def class_of(path):
    return str(pydicom.dcmread(str(path), stop_before_pixels=True, force=True).SOPClassUID)


def instance_of(path):
    return str(pydicom.dcmread(str(path), stop_before_pixels=True, force=True).SOPInstanceUID)


# ---- objects, reports, measurements ----


def test_by_default_objects_go_untouched_reports_sealed_and_measurements_pass(stage, study):
    one = One(stage)
    one.start()
    one.send(list(study.values()))
    settled = one.settled()
    assert [(s, a) for s, a, _ in settled[class_of(study["0001.dcm"])]] == [("sent", 1)] * 3
    for what in OBJECTS:
        assert settled[class_of(study[what])] == [("sent", 0, "it has no pixels")]
    for what in ("DOSE", "PET"):
        assert settled[class_of(study[what])] == [("sent", 0, "it feeds measurement, and its kind is not named")]
    assert class_of(study["SR"]) not in settled
    received = one.received()
    assert sum(len(files) for files in received.values()) == 10
    came = {instance_of(p): p for p in one.node.archive()}  # storescu rewrites some of them on its way
    for uid in [instance_of(study[what]) for what in [*OBJECTS, "DOSE", "PET"]]:
        assert compare.file_hash(received[uid][0]) == compare.file_hash(came[uid])
    assert instance_of(study["SR"]) not in received
    assert count(one.node, "SELECT count(*) FROM reports WHERE generation = 1") == 1


@pytest.mark.parametrize("protect", [True, False])
def test_objects_are_held_until_they_are_requeued(stage, study, protect):
    one = One(stage, protect=protect, objects="hold")
    one.start()
    one.send([study["KO"], study["ECG"], study["0001.dcm"]])
    settled = one.settled()
    for what in ("KO", "ECG"):
        assert settled[class_of(study[what])] == [("waiting", 0, "it has no pixels: the rule holds objects")]
    assert [s for s, _, _ in settled[class_of(study["0001.dcm"])]] == ["sent"]
    assert len(one.receiver.files()) == 1 and len(one.events("held")) == 2


@pytest.mark.parametrize("protect", [True, False])
def test_objects_are_dropped_with_an_event(stage, study, protect):
    one = One(stage, protect=protect, objects="drop")
    one.start()
    one.send([study["KO"], study["PR"], study["PET"], study["0001.dcm"]])
    settled = one.settled()
    assert class_of(study["KO"]) not in settled and class_of(study["PR"]) not in settled
    assert len(one.receiver.files()) == 2
    assert [(rule, note) for _, rule, note in one.events("dropped")] == [
        ("on", "it has no pixels: the rule drops objects")] * 2
    assert len(one.node.archive()) == 4  # what is not sent is kept


@pytest.mark.parametrize("protect, answer, state", [(True, "send", "sent"), (True, "hold", "waiting"),
                                                    (True, "drop", None), (False, "drop", None)])
def test_reports_travel_as_the_rule_answers(stage, study, protect, answer, state):
    one = One(stage, protect=protect, reports=answer)
    one.start()
    one.send([study["SR"], study["0001.dcm"]])
    settled = one.settled()
    found = settled.get(class_of(study["SR"]), [])
    assert [s for s, _, _ in found] == ([state] if state else [])
    assert len(one.events("dropped")) == (1 if answer == "drop" else 0)
    assert (instance_of(study["SR"]) in one.received()) == (answer == "send")
    # It is not hidden beside: what went as an instance, waits or was dropped is settled.
    assert count(one.node, "SELECT count(*) FROM reports WHERE generation IS NULL") == 0


def test_a_report_sealed_by_default_is_held_beside_an_integrity_token(stage, study):
    one = One(stage, protect={"payload": "integrity"})
    one.start()
    one.send([study["SR"], study["0001.dcm"]])
    assert [s for s, _, _ in one.settled()[class_of(study["SR"])]] == ["waiting"]
    assert instance_of(study["SR"]) not in one.received()


def test_a_measurement_that_the_rule_names_carries(stage, study):
    one = One(stage, protect={"measurement": ["pet"], "unsuitable": "hold"})
    one.start()
    one.send([study["PET"], study["DOSE"], study["0001.dcm"]])
    settled = one.settled()
    assert [(s, a) for s, a, _ in settled[class_of(study["PET"])]] == [("sent", 1)]
    assert [(s, a) for s, a, _ in settled[class_of(study["DOSE"])]] == [("sent", 0)]


def test_a_whole_study_arrives_at_the_other_hospital_with_all_that_is_no_image(stage, study):
    two = Two(stage)
    two.start()
    two.send(list(study.values()))
    others = {instance_of(p): p for p in assert_restored([study[name] for name in IMAGES], two.delivered(11))}
    for what in [*OBJECTS, "SR", "DOSE", "PET"]:
        assert compare.Comparison(study[what], others[instance_of(study[what])]).dataset, what


# ---- the same instance again ----


def changed(source, target, **values):
    return into_study(source, target, study_uid(source.parent), **values)


def test_the_same_bytes_are_counted_and_sent_once(stage, study):
    one = One(stage, protect=False)
    one.start()
    image = study["0001.dcm"]
    one.send([image, image])
    one.settled()
    one.send([image])
    hospital.wait_for("the duplicates", lambda: len(one.events("duplicate")) == 2, 30)
    assert "came again: it is not sent twice" in one.node.log.read_text()
    assert len(one.receiver.files()) == 1 and len(one.node.archive()) == 1
    assert count(one.node, "SELECT count(*) FROM generations") == 1


def test_the_same_data_set_in_another_encoding_is_kept_and_not_sent_again(stage, study, tmp_path):
    one = One(stage, protect=False)
    one.start()
    one.send([study["0001.dcm"]])
    one.settled()
    rle = tmp_path / "rle.dcm"
    hospital._send(["dcmcrle", study["0001.dcm"], rle])
    hospital.storescu(rle, one.node.port, "CLINIC_A", options=("-xr",))
    one.planned(2)
    assert len(one.node.archive()) == 2 and len(one.receiver.files()) == 1
    assert len(one.events("duplicate")) >= 1 and one.events("conflict") == []


@pytest.mark.parametrize("protect, policy, sent, waiting", [
    (True, "newest", ["B"], 0), (False, "newest", ["B"], 0), (True, "first", ["A"], 0), (False, "both", ["A", "B"], 0),
    (True, "hold", [], 2)])
def test_other_bytes_under_one_uid_go_as_the_rule_says(stage, study, tmp_path, protect, policy, sent, waiting):
    one = One(stage, protect=protect, collision=policy)
    one.start()
    image = study["0001.dcm"]
    (tmp_path / "b").mkdir()
    other = changed(image, tmp_path / "b" / "b.dcm", InstitutionName="B")
    one.send([image, study["0002.dcm"]])
    one.send([other])
    one.settled()
    uids = {instance_of(image)}
    got = []
    for path in one.receiver.files():
        ds = pydicom.dcmread(str(path))
        sources = [str(s.ReferencedSOPInstanceUID) for s in ds.get("SourceImageSequence", [])]
        if {str(ds.SOPInstanceUID), *sources} & uids:
            got.append("B" if ds.get("InstitutionName") == "B" else "A")
    assert sorted(got) == sent
    assert count(one.node, "SELECT count(*) FROM deliveries WHERE state = 'waiting'") == waiting
    assert len(one.node.archive()) == 3  # nothing was overwritten
    assert len(one.events("conflict")) == 1
    assert len(one.events("superseded")) == (1 if policy in ("newest", "first") else 0)


@pytest.mark.parametrize("policy, again", [("newest", True), ("first", False), ("both", True), ("hold", False)])
def test_other_bytes_after_the_first_were_sent(stage, study, tmp_path, policy, again):
    one = One(stage, protect=False, collision=policy)
    one.start()
    one.send([study["0001.dcm"]])
    one.settled()
    (tmp_path / "b").mkdir()
    one.send([changed(study["0001.dcm"], tmp_path / "b" / "b.dcm", InstitutionName="B")])
    one.settled(2)
    assert len(one.receiver.files()) == (2 if again else 1)
    assert len(one.node.archive()) == 2


def test_what_is_not_sent_yet_is_taken_back_when_a_newer_one_comes(stage, study, tmp_path):
    one = One(stage, protect=False)
    one.start(receiver=False)
    one.send([study["0001.dcm"]])
    one.planned()
    (tmp_path / "b").mkdir()
    one.send([changed(study["0001.dcm"], tmp_path / "b" / "b.dcm", InstitutionName="B")])
    one.planned(2)
    one.receiver.start()
    one.settled(2)
    states = one.node.psql("SELECT state FROM deliveries ORDER BY id")
    assert states == [["cancelled"], ["sent"]]
    assert [pydicom.dcmread(str(p)).InstitutionName for p in one.receiver.files()] == ["B"]


def test_both_contents_under_one_uid_come_back_at_the_other_hospital(stage, study, tmp_path):
    two = Two(stage)
    two.a.rules[0]["collision"] = "both"
    two.start()
    two.a.drop_report(f"{study_uid(study['0001.dcm'].parent)}.txt", REPORT)
    (tmp_path / "b").mkdir()
    other = changed(study["0001.dcm"], tmp_path / "b" / "b.dcm", InstitutionName="B")
    two.send([study["0001.dcm"], other])
    hospital.wait_for("the database", lambda: "the database is there" in two.b.log.read_text(), 30)
    hospital.wait_for("both to be restored", lambda: count(
        two.b, "SELECT count(*) FROM deliveries d JOIN instances i ON i.id = d.instance_id "
               "WHERE i.kind = 2 AND d.state = 'sent'") == 2, 90, alive=two.b.program)
    hashes = {row[0] for row in two.b.psql("SELECT encode(file_hash, 'hex') FROM instances WHERE kind = 2")}
    assert hashes == {compare.file_hash(study["0001.dcm"]), compare.file_hash(other)}


# ---- what comes late ----


def test_a_late_image_follows_in_a_capsule_of_its_own(stage, study):
    one = One(stage)
    one.start()
    one.node.drop_report(f"{study_uid(study['0001.dcm'].parent)}.txt", REPORT)
    one.send([study["0001.dcm"], study["0002.dcm"]])
    one.settled()
    one.send([study["0003.dcm"]])
    one.settled(2)
    assert len(one.receiver.files()) == 3
    assert one.node.psql("SELECT g.generation, count(DISTINCT d.capsule), count(*) FROM deliveries d "
                         "JOIN generations g ON g.id = d.generation_id WHERE d.state = 'sent' AND d.action = 1 "
                         "GROUP BY 1 ORDER BY 1") == [["1", "1", "2"], ["2", "1", "1"]]
    assert one.node.psql("SELECT generation FROM reports") == [["1"]]


@pytest.mark.parametrize("by_dicom", [False, True])
def test_a_late_report_follows_by_itself_and_no_image_is_delivered_twice(stage, study, by_dicom):
    two = Two(stage)
    two.start()
    images = [study[name] for name in IMAGES]
    two.a.drop_report(f"{study_uid(images[0].parent)}.txt", REPORT)
    two.send(images)
    others = assert_restored(images, two.delivered(4))
    assert len(others) == 1
    if by_dicom:
        two.send([study["SR"]])
    else:
        two.a.drop_report(f"{study_uid(images[0].parent)}--addendum.txt", REPORT + b"Addendum.\n")
    others = assert_restored(images, two.delivered(5))
    assert len(others) == 2
    if by_dicom:
        report = next(p for p in others if instance_of(p) == instance_of(study["SR"]))
        assert compare.Comparison(study["SR"], report).dataset
    # One image went again; the receiver knew it, and its PACS got the report alone.
    assert count(two.a, "SELECT count(*) FROM deliveries WHERE state = 'sent' AND action = 1") == 4
    assert count(two.b, "SELECT count(DISTINCT sop_uid) FROM instances WHERE kind = 1") == 4
    assert count(two.b, "SELECT count(*) FROM instances WHERE kind = 2") == 3
    assert count(two.b, "SELECT count(*) FROM deliveries d JOIN instances i ON i.id = d.instance_id "
                        "WHERE i.kind = 2") == 3
    assert len(reports_of(two.b)) == 2
    if not by_dicom:
        assert reports_of(two.b)[1][3] == sha256(REPORT + b"Addendum.\n")
    assert count(two.a, "SELECT count(*) FROM reports WHERE generation IS NULL") == 0
