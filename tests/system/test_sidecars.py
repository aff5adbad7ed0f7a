# SPDX-License-Identifier: Apache-2.0
"""What cannot carry in its pixels, between two hospitals: the original untouched, a sidecar beside it.

Real files that are no images the engine takes (palette, float, key objects, plans, waveforms) alone, mixed with
a CT series, through a plain archive, with losses and with forgeries.
"""
import shutil
import subprocess
import time

import pydicom
import pytest

import compare
import hospital
from test_two_hospitals import REPORT, Apart, Two, count, reports_of, sha256

UNSUITABLE = ["us/echo-palette-rle-single", "us/echo-palette-rle-10frames", "us/echo-palette-jpegls-10frames",
              "other/test-pattern-palette8", "other/parametric_map_float", "nonimage/key-object-selection",
              "nonimage/rtplan", "nonimage/waveform-ecg-12lead", "nonimage/gsps-presentation-state"]
# What feeds measurement passes without a sidecar where the rule does not name it.
NAMED = {"measurement": ["parametric_map"]}
STUDY = "1.2.826.0.1.3680043.9.4245.20261121.1"


def gather(data, names, folder, slices=0):
    """One study of these files and so many slices of a CT series; paths of all of them."""
    folder.mkdir()
    sources = [data / f"{n}.dcm" for n in names]
    sources += sorted((data / "ct/ge-hispeed").glob("*.dcm"))[:slices]
    for number, source in enumerate(sources):
        ds = pydicom.dcmread(str(source))
        ds.StudyInstanceUID = STUDY
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"{STUDY}.{number}"
        ds.save_as(str(folder / f"{number:03}.dcm"))
    return sorted(folder.iterdir())


def send(two, files):
    two.a.drop_report(f"{STUDY}.txt", REPORT)
    hospital.dcmsend(files, two.a.port, "CLINIC_A")


def with_receiver(two):
    """A PACS that takes every transfer syntax and keeps the very bytes."""
    two.pacs = two.stage.storescp("KEEPER")
    two.b.peer("PACS", ae_title="KEEPER", host=hospital.LOOPBACK, port=two.pacs.port, associations=1)
    return two


def assert_originals(two, originals, delivered):
    """Each is there once, as it was before it was sent, to the byte as it came to A (dcmsend writes sequences in
    its own way). Returns what else is there."""
    received = {compare.uid_of(p): p for p in two.a.archive()}
    others = list(delivered)
    for path in originals:
        same = [p for p in others if compare.uid_of(p) == compare.uid_of(path)]
        assert len(same) == 1, (path, len(same))
        result = compare.Comparison(path, same[0], received[compare.uid_of(path)])
        assert (result.pixel, result.dataset, result.file) == (True, True, True), (path, result.differing)
        others.remove(same[0])
    return others


def sidecars(files):
    return [p for p in files if compare.is_sidecar(pydicom.dcmread(str(p), stop_before_pixels=True))]


def assert_sent_once(two, number):
    """Nothing twice: a second copy would lie in the PACS under the same name."""
    assert count(two.b, "SELECT count(*) FROM deliveries WHERE state = 'sent'") == number
    assert count(two.b, "SELECT count(*) FROM deliveries") == number


def quarantined(node):
    return sorted(r[0] for r in node.psql("SELECT quarantine_reason FROM instances WHERE quarantined_at IS NOT NULL"))


def test_a_study_without_any_image_brings_its_report_and_itself(stage, data, tmp_path):
    two = with_receiver(Two(stage, **NAMED))
    two.start()
    originals = gather(data, UNSUITABLE, tmp_path / "study")
    send(two, originals)
    others = assert_originals(two, originals, two.delivered(len(originals) + 1))
    assert len(others) == 1
    assert reports_of(two.b)[0][2:] == ("recovered", sha256(REPORT))
    assert_sent_once(two, len(originals) + 1)
    proven = count(two.b, "SELECT count(*) FROM instances WHERE kind = 2")
    assert proven == len(originals)
    assert count(two.a, "SELECT count(*) FROM deliveries WHERE state = 'sent' AND action = 2 "
                        "AND hidden_bits > 0 AND sent_sop_uid LIKE '2.25.%'") == len(originals)
    assert count(two.b, "SELECT count(*) FROM instances WHERE generation IS NULL OR quarantined_at IS NOT NULL") == 0


def test_a_mixed_study_takes_both_roads(stage, data, tmp_path):
    two = with_receiver(Two(stage, **NAMED))
    two.start()
    originals = gather(data, UNSUITABLE[:6], tmp_path / "study", slices=8)
    send(two, originals)
    others = assert_originals(two, originals, two.delivered(len(originals) + 1))
    assert len(others) == 1
    assert reports_of(two.b)[0][2:] == ("recovered", sha256(REPORT))
    assert_sent_once(two, len(originals) + 1)
    for action, number in ((1, 8), (2, 6)):
        assert count(two.a, f"SELECT count(*) FROM deliveries WHERE state = 'sent' AND action = {action}") == number


@pytest.mark.skipif(shutil.which("Orthanc") is None, reason="Orthanc is not installed")
def test_both_travel_through_an_archive_that_knows_nothing_of_us(stage, data, tmp_path):
    two = with_receiver(Two(stage, **NAMED))
    archive = stage.orthanc("ARCHIVE")
    archive.forward_to("CLINIC_B", two.b.port)
    two.a.peer("ARCHIVE", ae_title="ARCHIVE", host=hospital.LOOPBACK, port=archive.port, associations=1)
    two.b.peer("ARCHIVE", ae_title="ARCHIVE", hosts=["127.0.0.1"])
    two.a.rules[0]["send_to"] = ["ARCHIVE"]
    archive.start()
    two.start()
    originals = gather(data, UNSUITABLE, tmp_path / "study", slices=4)
    send(two, originals)
    others = assert_originals(two, originals, two.delivered(len(originals) + 1, timeout=120))
    assert len(others) == 1 and reports_of(two.b)[0][3] == sha256(REPORT)
    assert count(two.b, "SELECT count(*) FROM instances WHERE kind = 2") == len(originals)


def error_lines(path):
    done = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True)
    return [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")]


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dicom3tools are not installed")
def test_sidecars_are_valid_raw_data_instances(stage, data, tmp_path):
    two = Apart(stage, **NAMED)
    with_receiver(two)
    originals = gather(data, UNSUITABLE, tmp_path / "study")
    two.between.start()
    two.start()
    send(two, originals)
    hospital.wait_for("both of each", lambda: len(two.between.files()) == 2 * len(originals), 60,
                      alive=two.a.program)
    time.sleep(0.5)
    files = two.between.files()
    beside = sidecars(files)
    assert len(beside) == len(originals)
    assert_originals(two, originals, [p for p in files if p not in beside])
    first = pydicom.dcmread(str(beside[0]))
    for path in beside:
        ds = pydicom.dcmread(str(path))
        named = str(ds.ReferencedInstanceSequence[0].ReferencedSOPInstanceUID)
        original = next(p for p in originals if compare.uid_of(p) == named)
        known = error_lines(original)  # what its patient and study have wrong, the sidecar inherits
        assert [e for e in error_lines(path) if e not in known] == [], original
        assert ds.SeriesInstanceUID == first.SeriesInstanceUID and ds.StudyInstanceUID == STUDY
        assert ds.Modality == "OT" and ds.ContributingEquipmentSequence[-1].StationName == "CLINIC_A"


def carriers_of(two, files):
    """What A sent for them, taken from between the two."""
    two.between.start()
    two.start()
    send(two, files)
    hospital.wait_for("both of each", lambda: len(two.between.files()) >= len(files) + 1, 60, alive=two.a.program)
    hospital.wait_for("all", lambda: count(
        two.a, "SELECT count(*) FROM deliveries WHERE state <> 'sent'") == 0 and
        count(two.a, "SELECT count(*) FROM deliveries") == len(files), 90, alive=two.a.program)
    time.sleep(0.5)
    return two.between.files()


def to_b(two, files):
    hospital.dcmsend(files, two.b.port, "CLINIC_B", calling="BETWEEN")


def test_a_tenth_of_what_carries_may_be_lost(stage, data, tmp_path):
    two = with_receiver(Apart(stage, **NAMED))
    originals = gather(data, [*UNSUITABLE, *UNSUITABLE[5:6]], tmp_path / "study")[:9]
    files = carriers_of(two, originals)
    lost = sidecars(files)[0]
    to_b(two, [p for p in files if p != lost])
    others = assert_originals(two, originals, two.delivered(len(originals) + 1))
    assert len(others) == 1 and reports_of(two.b)[0][3] == sha256(REPORT)
    # The one whose sidecar was lost came, and nobody says that it is proven.
    assert count(two.b, "SELECT count(*) FROM instances WHERE kind = 2") == len(originals) - 1


def test_an_altered_sidecar_and_its_instance_are_refused_and_the_others_delivered(stage, data, tmp_path):
    two = with_receiver(Apart(stage, **NAMED))
    originals = gather(data, UNSUITABLE[5:9], tmp_path / "study", slices=3)
    files = carriers_of(two, originals)
    bad = sidecars(files)[0]
    named = str(pydicom.dcmread(str(bad)).ReferencedInstanceSequence[0].ReferencedSOPInstanceUID)
    raw = bytearray(bad.read_bytes())
    raw[-200] ^= 1
    bad.write_bytes(bytes(raw))
    to_b(two, files)
    wanted = [p for p in originals if compare.uid_of(p) != named]
    assert len(assert_originals(two, wanted, two.delivered(len(wanted) + 1))) == 1
    reasons = quarantined(two.b)
    assert len(reasons) == 2 and sum("refused with its sidecar" in r for r in reasons) == 1


@pytest.mark.parametrize("attributes", ["changed", "auto"])
def test_an_altered_instance_beside_a_sidecar_is_put_right_or_refused(stage, data, tmp_path, attributes):
    two = with_receiver(Apart(stage, attributes=attributes, **NAMED))
    originals = gather(data, ["nonimage/rtplan", "other/test-pattern-palette8", "nonimage/key-object-selection"],
                       tmp_path / "study")
    files = carriers_of(two, originals)
    for path in files:
        ds = pydicom.dcmread(str(path))
        if "PALETTE COLOR" in str(ds.get("PhotometricInterpretation", "")):
            pixels = bytearray(ds.PixelData)
            pixels[77] ^= 1
            ds.PixelData = bytes(pixels)
        elif ds.Modality == "RTPLAN":
            ds.RTPlanLabel = "another"
        else:
            continue
        ds.save_as(str(path))
    to_b(two, files)
    good = ["KO"] if attributes == "changed" else ["KO", "RTPLAN"]
    wanted = [p for p in originals if pydicom.dcmread(str(p)).Modality in good]
    assert len(assert_originals(two, wanted, two.delivered(len(wanted) + 1))) == 1  # the report
    reasons = quarantined(two.b)
    assert len(reasons) == 2 * (len(originals) - len(wanted))
    assert any("pixels are not those" in r for r in reasons)
    assert any("attributes" in r for r in reasons) == (attributes == "changed")
    assert_sent_once(two, len(wanted) + 1)


def test_sidecar_and_instance_may_come_in_either_order_and_apart(stage, data, tmp_path):
    two = with_receiver(Apart(stage, **NAMED))
    originals = gather(data, UNSUITABLE[5:7], tmp_path / "study")
    files = carriers_of(two, originals)
    beside = sidecars(files)
    to_b(two, beside)
    hospital.wait_for("the sidecars to wait", lambda: "wait for more of the study" in two.b.log.read_text(), 60,
                      alive=two.b.program)
    assert two.pacs.files() == [] and quarantined(two.b) == []
    to_b(two, [p for p in files if p not in beside])
    assert len(assert_originals(two, originals, two.delivered(len(originals) + 1))) == 1


NO_RAW_DATA = """[[TransferSyntaxes]]
[Any]
TransferSyntax1 = LittleEndianExplicit
TransferSyntax2 = LittleEndianImplicit
[[PresentationContexts]]
[Few]
PresentationContext1 = RTPlanStorage\\Any
[[Profiles]]
[Few]
PresentationContexts = Few
"""


def test_a_peer_that_takes_no_raw_data_gets_neither_of_the_two(stage, data, tmp_path):
    two = Apart(stage, **NAMED)
    config = tmp_path / "few.cfg"
    config.write_text(NO_RAW_DATA)
    two.between.options = ("+B", "-xf", str(config), "Few")
    two.between.start()
    two.start()
    send(two, gather(data, ["nonimage/rtplan"], tmp_path / "study"))
    hospital.wait_for("the database", lambda: "the database is there" in two.a.log.read_text(), alive=two.a.program)
    hospital.wait_for("the failure", lambda: two.a.psql("SELECT cause FROM deliveries WHERE state = 'failed'"), 60,
                      alive=two.a.program)
    assert "Raw Data" in two.a.psql("SELECT cause FROM deliveries")[0][0]
    assert two.between.files() == []


def test_a_late_sidecar_proves_what_was_delivered_and_delivers_it_once(stage, data, tmp_path):
    two = with_receiver(Apart(stage, **NAMED))
    two.b.rule(name="plain", study_complete_after="2 s", when={"calling_ae": ["BETWEEN"]}, send_to=["PACS"])
    originals = gather(data, UNSUITABLE[5:7], tmp_path / "study")
    files = carriers_of(two, originals)
    beside = sidecars(files)
    to_b(two, [p for p in files if p not in beside])
    assert_originals(two, originals, two.delivered(len(originals)))
    to_b(two, beside)
    hospital.wait_for("the proof", lambda: count(two.b, "SELECT count(*) FROM instances WHERE kind = 2") == 2, 60,
                      alive=two.b.program)
    assert len(assert_originals(two, originals, two.delivered(len(originals) + 1))) == 1  # the report
    assert_sent_once(two, len(originals) + 1)


def test_a_sidecar_whose_instance_never_comes_ends_in_quarantine(stage, data, tmp_path):
    two = with_receiver(Apart(stage, **NAMED))
    files = carriers_of(two, gather(data, UNSUITABLE[5:6], tmp_path / "study"))
    to_b(two, sidecars(files))
    hospital.wait_for("the sidecar to wait", lambda: "wait for more of the study" in two.b.log.read_text(), 60,
                      alive=two.b.program)
    two.b.psql("UPDATE instances SET received_at = received_at - interval '25 hours'")
    two.b.psql("UPDATE instances SET indexed_at = indexed_at - interval '25 hours'")
    hospital.wait_for("the quarantine", lambda: quarantined(two.b), 90, alive=two.b.program)
    assert "did not come" in quarantined(two.b)[0]
    assert two.pacs.files() == []
