# SPDX-License-Identifier: Apache-2.0
"""Two nodes with mutual TLS between them, a modality in front and a PACS behind: what must hold.

Hospital A protects and sends, hospital B recovers and delivers. Everything that is compared is compared
by pydicom, numpy and hashlib.
"""
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pydicom
import pytest

import compare
import hospital
import phantom

SR_TEXT = "1.2.840.10008.5.1.4.1.1.88.11"
ENCAPSULATED_PDF = "1.2.840.10008.5.1.4.1.1.104.1"
REPORT = "Findings: a phantom.\nImpression: 1. It is round. 2. Größe 3 µm.\n".encode()
PDF = b"%PDF-1.4\n1 0 obj <</Type /Catalog>> endobj\ntrailer <</Root 1 0 R>>\n%%EOF\n"
QUIET = "2 s"


class Two:
    """Node A with a modality, node B with a PACS. Rules may be changed before start()."""

    def __init__(self, stage, **protect):
        self.stage = stage
        self.a, self.b = stage.node("A", "CLINIC_A"), stage.node("B", "CLINIC_B")
        self.pacs = stage.dcmqrscp("PACS")
        self.a.peer("CT1", ae_title="CT1", hosts=["127.0.0.1"])
        self.a.peer_node("CLINIC_B", self.b, associations=2)
        self.b.peer_node("CLINIC_A", self.a)
        # dcmqrscp mixes up what comes over two associations at once.
        self.b.peer("PACS", ae_title="PACS", host=hospital.LOOPBACK, port=self.pacs.port, associations=1)
        self.a.rule(name="to B", when={"calling_ae": ["CT1"]}, study_complete_after=QUIET,
                    report={"wait": "1 h", "otherwise": "send_without"},
                    protect={"payload": "report", "recipients": ["CLINIC_B"], "redundancy": "25 %",
                             "unsuitable": "sidecar", **protect},
                    send_to=["CLINIC_B"])
        self.b.rule(name="from A", when={"carrier": True}, study_complete_after=QUIET,
                    recover={"report_as": "dicom", "unrecoverable": "quarantine"}, send_to=["PACS"])

    def start(self):
        self.pacs.start()
        self.b.start()
        self.a.start()

    def send(self, source, **options):
        hospital.storescu(source, self.a.port, "CLINIC_A", **options)

    def delivered(self, count, timeout=90):
        hospital.wait_for(f"{count} objects in the PACS", lambda: len(self.pacs.files()) >= count,
                          timeout, alive=self.b.program)
        time.sleep(1)  # what comes too often would come now
        files = self.pacs.files()
        assert len(files) == count
        return files


def study_uid(folder):
    first = next(p for p in sorted(Path(folder).rglob("*.dcm")))
    return str(pydicom.dcmread(str(first), stop_before_pixels=True).StudyInstanceUID)


def assert_restored(originals, delivered):
    """Every original is there, equal in pixels, attributes and bytes. Returns what else is there."""
    by_uid = {compare.uid_of(p): p for p in delivered}
    for path in originals:
        result = compare.Comparison(path, by_uid.pop(compare.uid_of(path)))
        assert (result.pixel, result.dataset, result.file) == (True, True, True), (path, result.differing)
    return list(by_uid.values())


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def reports_of(node):
    """(name, media type, source, SHA-256) of every report in the node's database."""
    rows = node.psql("SELECT name, media_type, source, encode(sha256(data), 'hex') FROM reports ORDER BY id")
    return [tuple(r) for r in rows]


def count(node, sql):
    return int(node.psql(sql)[0][0])


@pytest.fixture(scope="session")
def small_study(tmp_path_factory):
    """Six slices of a phantom, for what does not depend on the images."""
    folder = tmp_path_factory.mktemp("phantom")
    phantom.write_study(folder, slices=6)
    return folder


def files_of(folder):
    return sorted(Path(folder).rglob("*.dcm"))


# ---- the whole job ----


@pytest.mark.parametrize("series", ["ct/ge-hispeed", "mr/siemens-prisma-t1"])
def test_a_real_series_arrives_bit_for_bit_with_its_report(stage, data, series):
    two = Two(stage)
    two.start()
    originals = files_of(data / series)
    two.a.drop_report(f"{study_uid(data / series)}.txt", REPORT)
    two.send(originals)
    others = assert_restored(originals, two.delivered(len(originals) + 1))
    known = compare.manifest(data)
    by_uid = {compare.uid_of(p): p for p in two.pacs.files()}
    for path in originals:
        delivered = by_uid[compare.uid_of(path)]
        assert compare.pixel_hash(delivered) == known[str(path.relative_to(data))]
    assert [pydicom.dcmread(str(p)).SOPClassUID for p in others] == [SR_TEXT]
    assert "Größe 3 µm" in "".join(i.get("TextValue", "") for i in pydicom.dcmread(str(others[0])).ContentSequence)
    assert reports_of(two.b) == [(f"{study_uid(data / series)}.txt", "text/plain; charset=utf-8",
                                  "recovered", sha256(REPORT))]
    # What travelled was a carrier each, proven and different from the original.
    assert count(two.a, "SELECT count(*) FROM deliveries WHERE state = 'sent' AND action IN (1, 2) "
                        "AND hidden_bits > 0") == len(originals)


def test_a_pdf_is_delivered_as_encapsulated_pdf(stage, small_study):
    two = Two(stage)
    two.start()
    two.a.drop_report(f"{study_uid(small_study)}--lab.pdf", PDF)
    two.send(small_study)
    others = assert_restored(files_of(small_study), two.delivered(7))
    report = pydicom.dcmread(str(others[0]))
    assert report.SOPClassUID == ENCAPSULATED_PDF
    assert report.EncapsulatedDocument.rstrip(b"\0") == PDF
    assert report.StudyInstanceUID == study_uid(small_study)
    assert (two.a.reports / "taken" / f"{study_uid(small_study)}--lab.pdf").read_bytes() == PDF


def test_a_report_that_comes_by_dicom_travels_sealed_and_arrives_as_it_was(stage, small_study, tmp_path):
    two = Two(stage)
    two.start()
    report = make_sr(small_study, tmp_path / "sr.dcm")
    two.send([report, *files_of(small_study)])
    assert_restored([report, *files_of(small_study)], two.delivered(7))
    assert count(two.a, "SELECT count(*) FROM deliveries") == 6
    assert reports_of(two.b)[0][1:3] == ("application/dicom", "recovered")


def make_sr(study, path):
    ds = pydicom.dcmread(str(files_of(study)[0]))
    for tag in [t for t in ds.keys() if t.group in (0x0018, 0x0028, 0x7FE0)]:
        del ds[tag]
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = SR_TEXT
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = str(ds.SOPInstanceUID)[:50] + ".77"
    ds.SeriesInstanceUID = str(ds.SeriesInstanceUID)[:50] + ".77"
    ds.Modality = "SR"
    ds.ValueType = "CONTAINER"
    ds.save_as(str(path), write_like_original=False)
    return path


# ---- what goes wrong ----


def test_the_database_is_killed_and_comes_back(stage, small_study):
    two = Two(stage)
    two.start()
    two.a.drop_report(f"{study_uid(small_study)}.txt", REPORT)
    postmaster = two.a.state / "postgresql" / "data" / "postmaster.pid"
    hospital.wait_for("the database", lambda: "the database is there" in two.a.log.read_text())
    os.kill(int(postmaster.read_text().split()[0]), signal.SIGKILL)
    two.send(small_study)  # every instance is answered 0000H, or storescu fails
    assert_restored(files_of(small_study), two.delivered(7))


def test_undelivered_work_survives_a_kill_and_is_done_once(stage, small_study):
    two = Two(stage)
    two.pacs.start()
    two.a.start()  # B is not there
    two.a.drop_report(f"{study_uid(small_study)}.txt", REPORT)
    two.send(small_study)
    hospital.wait_for("a failed delivery", lambda: "cannot be served, paused" in two.a.log.read_text(),
                      60, alive=two.a.program)
    two.a.kill()
    two.b.start()
    two.a.start()
    assert_restored(files_of(small_study), two.delivered(7, timeout=200))
    assert count(two.a, "SELECT count(*) FROM deliveries WHERE state = 'sent'") == 6


def test_a_kill_right_after_the_answer_loses_nothing(stage, small_study):
    two = Two(stage)
    two.start()
    two.send(small_study)
    two.a.kill()
    two.a.start()
    two.a.drop_report(f"{study_uid(small_study)}.txt", REPORT)
    assert_restored(files_of(small_study), two.delivered(7))


def test_a_study_sent_twice_is_delivered_once(stage, small_study):
    two = Two(stage)
    two.start()
    two.a.drop_report(f"{study_uid(small_study)}.txt", REPORT)
    two.send(small_study)
    two.delivered(7)
    two.send(small_study)
    hospital.wait_for("the duplicates",
                      lambda: count(two.a, "SELECT count(*) FROM events WHERE kind = 'duplicate'") == 6)
    time.sleep(4)
    two.delivered(7)
    assert list((two.a.state / "spool" / "new").iterdir()) == []


def test_sigterm_ends_a_node_within_ten_seconds_even_when_a_peer_stalls(stage, small_study):
    two = Two(stage)
    with socket.socket() as silent:
        silent.bind((hospital.LOOPBACK, 0))
        silent.listen()
        two.a.peers["CLINIC_B"]["port"] = silent.getsockname()[1]
        two.a.start()
        two.a.drop_report(f"{study_uid(small_study)}.txt", REPORT)
        two.send(small_study)
        connection, _ = silent.accept()  # and not a word
        begun = time.monotonic()
        assert two.a.stop(timeout=10) == 0
        assert time.monotonic() - begun < 10
        connection.close()


def test_sigterm_while_instances_arrive_keeps_every_answer(stage, small_study):
    two = Two(stage)
    two.a.start()
    sender = subprocess.Popen(["storescu", "+sd", "+r", "-R", "--repeat", "50", "-aet", "CT1", "-aec",
                               "CLINIC_A", hospital.LOOPBACK, str(two.a.port), str(small_study)],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(0.5)
    begun = time.monotonic()
    assert two.a.stop(timeout=10) == 0
    assert time.monotonic() - begun < 10
    sender.wait(30)
    assert list((two.a.state / "spool" / "tmp").iterdir()) == []


def test_a_bad_file_at_sighup_leaves_the_running_configuration_in_force(stage, small_study):
    two = Two(stage)
    two.start()
    good = two.a.config_path.read_text()
    two.a.config_path.write_text(good.replace("send_to", "sent_to"))
    two.a.program.signal(signal.SIGHUP)
    hospital.wait_for("the refusal",
                      lambda: "the running configuration stays in force" in two.a.log.read_text())
    assert "config.yaml:" in two.a.log.read_text()
    two.a.drop_report(f"{study_uid(small_study)}.txt", REPORT)
    two.send(small_study)
    assert_restored(files_of(small_study), two.delivered(7))


def test_sighup_brings_a_new_peer_and_a_new_rule_into_force(stage, small_study):
    two = Two(stage)
    receiver = stage.storescp("NEXT")
    two.start()
    receiver.start()
    two.a.peer("CT2", ae_title="CT2", hosts=["127.0.0.1"])
    two.a.peer("NEXT", ae_title="NEXT", host=hospital.LOOPBACK, port=receiver.port)
    two.a.rule(name="as it is", when={"calling_ae": ["CT2"]}, study_complete_after=QUIET, send_to=["NEXT"])
    assert not accepts(two.a.port, "CT2", "CLINIC_A")
    two.a.write_config()
    two.a.program.signal(signal.SIGHUP)
    hospital.wait_for("the reload", lambda: "was read again" in two.a.log.read_text())
    two.send(small_study, calling="CT2")
    hospital.wait_for("the copies", lambda: len(receiver.files()) == 6, 60, alive=two.a.program)
    assert_restored(files_of(small_study), receiver.files())
    assert two.pacs.files() == []


def test_a_missing_drop_folder_is_made(stage):
    two = Two(stage)
    assert not two.a.reports.exists()
    two.a.start()
    hospital.wait_for("the drop folder", two.a.reports.is_dir, 30, alive=two.a.program)


# ---- who may ----


def accepts(port, calling, called, *options):
    done = subprocess.run(["echoscu", "-aet", calling, "-aec", called, *options, hospital.LOOPBACK,
                           str(port)], capture_output=True)
    return done.returncode == 0


def test_a_mutual_peer_cannot_call_itself_another(stage):
    two = Two(stage)
    other = hospital.new_key(stage.folder, "other")
    two.a.peer("CLINIC_C", ae_title="CLINIC_C", tls="mutual", certificate=str(other[1]))
    two.a.start()
    tls = ["+tls", str(other[0]), str(other[1]), "+cf", str(two.a.certificate)]
    assert accepts(two.a.tls_port, "CLINIC_C", "CLINIC_A", *tls)
    assert not accepts(two.a.tls_port, "CLINIC_B", "CLINIC_A", *tls)


def test_a_modality_may_come_over_tls_without_a_certificate(stage):
    two = Two(stage)
    two.a.start()
    anonymous = ["+tla", "+cf", str(two.a.certificate)]
    assert accepts(two.a.tls_port, "CT1", "CLINIC_A", *anonymous)
    assert not accepts(two.a.tls_port, "CLINIC_B", "CLINIC_A", *anonymous)


def test_only_peers_are_admitted_and_a_mutual_peer_only_over_tls(stage):
    two = Two(stage)
    two.a.start()
    assert accepts(two.a.port, "CT1", "CLINIC_A")
    assert not accepts(two.a.port, "STRANGER", "CLINIC_A")
    assert not accepts(two.a.port, "CT1", "SOMEBODY_ELSE")
    assert not accepts(two.a.port, "CLINIC_B", "CLINIC_A")
    tls = ["+tls", str(two.b.key), str(two.b.certificate), "+cf", str(two.a.certificate)]
    assert accepts(two.a.tls_port, "CLINIC_B", "CLINIC_A", *tls)
    stranger = hospital.new_key(stage.folder, "stranger")
    tls = ["+tls", str(stranger[0]), str(stranger[1]), "+cf", str(two.a.certificate)]
    assert not accepts(two.a.tls_port, "CLINIC_B", "CLINIC_A", *tls)


# ---- carriers that come by another way, altered, late ----


class Apart(Two):
    """A delivers to a plain receiver; the test decides what of it reaches B, and when."""

    def __init__(self, stage, **protect):
        super().__init__(stage, **protect)
        self.between = stage.storescp("BETWEEN")
        self.a.peer("BETWEEN", ae_title="BETWEEN", host=hospital.LOOPBACK, port=self.between.port)
        self.a.rules[0]["send_to"] = ["BETWEEN"]
        self.b.peer("BETWEEN", ae_title="BETWEEN", hosts=["127.0.0.1"])

    def carriers(self, source, number):
        self.between.start()
        self.start()
        self.a.drop_report(f"{study_uid(source)}.txt", REPORT)
        self.send(source)
        hospital.wait_for("the carriers", lambda: len(self.between.files()) == number, 120,
                          alive=self.a.program)
        time.sleep(0.5)
        return self.between.files()

    def to_b(self, files):
        hospital.storescu(files, self.b.port, "CLINIC_B", calling="BETWEEN")


def test_an_altered_carrier_is_quarantined_and_the_others_are_delivered(stage, small_study):
    two = Apart(stage)
    carriers = two.carriers(small_study, 6)
    altered = pydicom.dcmread(str(carriers[0]))
    pixels = bytearray(altered.PixelData)
    pixels[len(pixels) // 2] ^= 1
    altered.PixelData = bytes(pixels)
    altered.save_as(str(carriers[0]))
    source = compare.source_uid(altered)
    two.to_b(carriers)
    delivered = two.delivered(6)  # five images and the report: a quarter of the shares may be lost
    wanted = [p for p in files_of(small_study) if compare.uid_of(p) != source]
    others = assert_restored(wanted, delivered)
    assert len(wanted) == 5 and len(others) == 1
    assert count(two.b, "SELECT count(*) FROM instances WHERE quarantined_at IS NOT NULL "
                        "AND quarantine_reason <> ''") == 1
    assert count(two.b, "SELECT count(*) FROM events WHERE kind = 'refused'") == 1


def test_a_carrier_of_a_signer_that_is_not_trusted_is_refused(stage, small_study):
    two = Apart(stage)
    del two.b.peers["CLINIC_A"]
    two.to_b(two.carriers(small_study, 6))
    hospital.wait_for("the quarantine", lambda: count(
        two.b, "SELECT count(*) FROM instances WHERE quarantined_at IS NOT NULL") == 6, 60)
    assert two.pacs.files() == []


def test_late_carriers_bring_the_report_with_the_shares_of_the_first(stage, small_study):
    two = Apart(stage)
    carriers = two.carriers(small_study, 6)
    two.to_b(carriers[:2])
    two.delivered(2)
    assert "the report is incomplete" in two.b.log.read_text()
    two.to_b(carriers[2:])
    others = assert_restored(files_of(small_study), two.delivered(7))
    assert len(others) == 1
    assert reports_of(two.b)[0][3] == sha256(REPORT)


def test_small_covers_wait_for_the_shares_that_hold_their_key(stage, data):
    two = Apart(stage)
    originals = files_of(data / "mr/ge-mr750-fmri")
    carriers = two.carriers(data / "mr/ge-mr750-fmri", len(originals))
    two.to_b(carriers[:20])
    hospital.wait_for("the first part to be looked at",
                      lambda: "shares" in two.b.log.read_text(), 60, alive=two.b.program)
    two.to_b(carriers[20:])
    others = assert_restored_images(originals, two.delivered(len(originals) + 1, timeout=180))
    assert len(others) == 1
    assert count(two.b, "SELECT count(*) FROM instances WHERE quarantined_at IS NOT NULL") == 0


def assert_restored_images(originals, delivered):
    by_uid = {compare.uid_of(p): p for p in delivered}
    for path in originals:
        result = compare.Comparison(path, by_uid.pop(compare.uid_of(path)))
        assert (result.pixel, result.dataset) == (True, True), (path, result.differing)
    return list(by_uid.values())


# ---- what is not an image, and what nobody wants ----


def test_an_instance_without_identity_is_kept_in_quarantine(stage, small_study, tmp_path):
    two = Two(stage)
    two.a.start()
    ds = pydicom.dcmread(str(files_of(small_study)[0]))
    del ds.StudyInstanceUID
    ds.save_as(str(tmp_path / "nameless.dcm"))
    two.send(tmp_path / "nameless.dcm")
    folder = two.a.state / "quarantine"
    hospital.wait_for("the quarantine", lambda: len(list(folder.glob("*.dcm"))) == 1)
    reason = next(folder.glob("*.reason")).read_text()
    assert "Study Instance UID" in reason
    assert list((two.a.state / "spool" / "new").iterdir()) == []


def test_reports_that_cannot_be_taken_are_refused_or_wait(stage, small_study):
    two = Two(stage)
    two.start()
    uid = study_uid(small_study)
    two.a.drop_report("NOBODY-KNOWS-THIS.txt", REPORT)
    two.a.drop_report(f"{uid}--empty.txt", b"")
    with open(two.a.reports / f"{uid}--large.bin", "wb") as large:
        large.truncate(33 << 20)
    two.send(small_study)
    refused = two.a.reports / "refused"
    hospital.wait_for("both refusals", lambda: len(list(refused.glob("*.reason"))) == 2, 60,
                      alive=two.a.program)
    assert (two.a.reports / "NOBODY-KNOWS-THIS.txt").read_bytes() == REPORT
    assert reports_of(two.a) == []
    two.a.drop_report(f"{uid}.txt", REPORT)
    assert_restored(files_of(small_study), two.delivered(7))


def test_files_and_folders_are_for_the_node_alone(stage, small_study):
    two = Two(stage)
    two.a.start()
    two.send(small_study)
    hospital.wait_for("the archive", lambda: len(two.a.archive()) == 6)
    for path in [two.a.state / "archive", two.a.state / "spool", *two.a.archive()]:
        assert path.stat().st_mode & 0o077 == 0, path
    assert shutil.which("dcmdump") is None or subprocess.run(
        ["dcmdump", "-q", str(two.a.archive()[0])], capture_output=True).returncode == 0
