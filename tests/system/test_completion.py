# SPDX-License-Identifier: Apache-2.0
"""When a study is complete: silence, and who may say it earlier. Silence is half an hour in these tests but for one,
so that what is planned was planned for another reason."""
import shutil

import pydicom
import pytest

import hospital
from test_two_hospitals import count

LONG = "30 min"


class Waiting:
    """A node that sends on what it gets, once it finds that complete."""

    def __init__(self, stage, data, **rule):
        self.node, self.receiver = stage.node("A", "CLINIC_A"), stage.storescp("BEHIND")
        self.node.peer("CT1", ae_title="CT1", hosts=["127.0.0.1"])
        self.node.peer("BEHIND", ae_title="BEHIND", host=hospital.LOOPBACK, port=self.receiver.port)
        self.node.rule(**{"name": "on", "study_complete_after": LONG, "study_complete_at_most": "1 h",
                          "send_to": ["BEHIND"], **rule})
        self.files = sorted((data / "ct" / "ge-hispeed").iterdir())[:4]
        self.study = str(pydicom.dcmread(str(self.files[0]), stop_before_pixels=True).StudyInstanceUID)

    def start(self):
        self.receiver.start()
        self.node.start()
        self.until("the database", lambda: self.said("the database is there"))

    def said(self, text):
        return text in self.node.log.read_text()

    def until(self, what, condition):
        hospital.wait_for(what, condition, 60, alive=self.node.program)

    def send(self, files):
        hospital.storescu(files, self.node.port, "CLINIC_A")

    def indexed(self, number):
        self.until(f"{number} instances", lambda: count(self.node, "SELECT count(*) FROM instances") == number)

    def generations(self):
        return count(self.node, "SELECT count(*) FROM generations")

    def arrived(self, number):
        self.until(f"{number} instances behind", lambda: len(self.receiver.files()) == number)


def with_archive(stage, data, kind):
    """The archive has the whole study, and the node may ask it."""
    archive = stage.orthanc("ARCHIVE") if kind == "orthanc" else stage.dcmqrscp("ARCHIVE")
    waiting = Waiting(stage, data, complete_on=["count"], count_from="ARCHIVE")
    waiting.node.peer("ARCHIVE", ae_title="ARCHIVE", host=hospital.LOOPBACK, port=archive.port)
    if kind == "orthanc":
        archive.modalities = {"asks": ["CLINIC_A", hospital.LOOPBACK, 104]}
    archive.start()
    hospital.storescu(waiting.files, archive.port, "ARCHIVE")
    return waiting


@pytest.mark.parametrize("kind", ["orthanc", "dcmqrscp"])
def test_a_study_is_complete_when_all_are_there_that_its_source_counts(data, kind):
    if kind == "orthanc" and shutil.which("Orthanc") is None:
        pytest.skip("Orthanc is not installed")
    with hospital.Stage() as stage:
        waiting = with_archive(stage, data, kind)
        waiting.start()
        waiting.send(waiting.files[:3])
        waiting.until("the source's answer", lambda: waiting.said("peer=ARCHIVE has 4 instances of it"))
        assert waiting.generations() == 0
        waiting.send(waiting.files[3:])
        waiting.arrived(4)
        assert waiting.generations() == 1


def test_a_source_that_does_not_answer_changes_nothing(data):
    with hospital.Stage() as stage:
        waiting = Waiting(stage, data, study_complete_after="3 s", complete_on=["count"], count_from="GONE")
        waiting.node.peer("GONE", ae_title="GONE", host=hospital.LOOPBACK, port=hospital.free_port())
        waiting.start()
        waiting.send(waiting.files[:2])
        waiting.arrived(2)
        assert waiting.said("peer=GONE does not say how many instances")


def test_the_arrival_of_the_report_completes_a_study(data):
    with hospital.Stage() as stage:
        waiting = Waiting(stage, data, complete_on=["report"])
        waiting.start()
        waiting.send(waiting.files[:2])
        waiting.indexed(2)
        waiting.node.drop_report(f"{waiting.study}.txt", b"the finding")
        waiting.arrived(2)


def test_a_study_that_trickles_goes_out_after_the_longest_time(data):
    with hospital.Stage() as stage:
        waiting = Waiting(stage, data, study_complete_after="2 s", study_complete_at_most="4 s")
        waiting.start()
        sent = 0
        for path in waiting.files * 20:  # the same again is no news; a new UID each time is
            ds = pydicom.dcmread(str(path))
            sent += 1
            ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.4.{sent}"
            one = waiting.node.folder / "one.dcm"
            ds.save_as(str(one))
            waiting.send([one])
            if waiting.generations() > 0:
                break
        pending = count(waiting.node, "SELECT count(*) FROM instances WHERE received_at > "
                        "clock_timestamp() - interval '2 s'")
        assert waiting.generations() > 0 and pending > 0  # it was not silence


def test_an_operators_word_completes_a_study(data):
    with hospital.Stage() as stage:
        waiting = Waiting(stage, data, report={"wait": "4 h", "otherwise": "hold"})
        waiting.start()
        waiting.send(waiting.files[:2])
        waiting.indexed(2)
        waiting.node.psql("INSERT INTO study_hints (study_uid, kind, made_at) "
                          f"VALUES ('{waiting.study}', 'operator', clock_timestamp()) RETURNING kind")
        waiting.arrived(2)


def test_without_silence_each_instance_goes_as_it_comes(data):
    with hospital.Stage() as stage:
        waiting = Waiting(stage, data, study_complete_after="0 s")
        waiting.start()
        for i, path in enumerate(waiting.files):
            waiting.send([path])
            waiting.arrived(i + 1)
        assert waiting.generations() == 4
