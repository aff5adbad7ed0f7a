# SPDX-License-Identifier: Apache-2.0
"""What other objects of a study say of its images, where these travel as carriers under new UIDs.

A Key Object, a presentation state and a segmentation that name the slices of a CT series, the presentation state after
the series was sent, and a waveform that names none: what is on the way is looked at with pydicom, what arrives is compared with what was sent.
"""
import time

import pydicom
import pytest

import compare
import hospital
from test_sidecars import STUDY, assert_originals, gather, send, sidecars, to_b, with_receiver
from test_two_hospitals import Apart, count

SLICES = 4
OBJECTS = ["nonimage/key-object-selection", "nonimage/gsps-presentation-state", "other/seg_image_ct_binary",
           "nonimage/waveform-ecg-12lead"]
REFERRING = 3  # so many of them


def references(ds):
    """Values of Referenced SOP Instance UID, at any depth."""
    return [str(e.value) for e in ds.iterall() if e.tag == 0x00081155]


def refer(ds, uids):
    """Lets all that ds refers to be these, one after another."""
    for number, element in enumerate(e for e in ds.iterall() if e.tag == 0x00081155):
        element.value = uids[number % len(uids)]


def study(data, folder):
    """Paths of slices and objects; the first three objects name slices."""
    files = gather(data, OBJECTS, folder, slices=SLICES)
    objects, slices = files[:len(OBJECTS)], files[len(OBJECTS):]
    uids = [compare.uid_of(p) for p in slices]
    for path in objects[:REFERRING]:
        ds = pydicom.dcmread(str(path))
        assert references(ds)
        refer(ds, uids)
        ds.save_as(str(path))
    return slices, objects


def sent(two, number):
    hospital.wait_for("the first", lambda: two.between.files(), 60, alive=two.a.program)  # the database is up then
    hospital.wait_for(f"{number} deliveries", lambda: count(
        two.a, "SELECT count(*) FROM deliveries WHERE state = 'sent'") == number, 90, alive=two.a.program)
    time.sleep(0.5)
    return two.between.files()


def by_source(files):
    """New UID of each carrier, by the UID of its original."""
    carriers = [pydicom.dcmread(str(p), stop_before_pixels=True) for p in files]
    return {compare.source_uid(ds): str(ds.SOPInstanceUID) for ds in carriers if ds.get("Modality") == "CT"}


@pytest.mark.parametrize("unsuitable", ["pass", "hold", "sidecar"])
def test_references_follow_the_carriers_and_come_back(stage, data, tmp_path, unsuitable):
    two = Apart(stage, unsuitable=unsuitable)
    with_receiver(two)
    del two.a.rules[0]["report"]  # the second generation has none to wait for
    two.between.start()
    two.start()
    slices, objects = study(data, tmp_path / "study")

    # The presentation state comes when all else was sent: it names carriers of an earlier generation.
    early = [*slices, objects[0], *objects[2:]]
    send(two, early)
    sent(two, len(early))
    hospital.dcmsend([objects[1]], two.a.port, "CLINIC_A")
    files = sent(two, len(slices) + len(objects))

    new = by_source(files)
    assert sorted(new) == sorted(compare.uid_of(p) for p in slices)
    beside = sidecars(files)
    assert len(beside) == (len(objects) if unsuitable == "sidecar" else REFERRING)
    untouched = compare.uid_of(objects[-1])
    on_the_way = {str(ds.SOPClassUID): ds for ds in (pydicom.dcmread(str(p)) for p in files if p not in beside)}
    for path in objects[:REFERRING]:
        original = pydicom.dcmread(str(path))
        ds = on_the_way[str(original.SOPClassUID)]
        assert references(ds) == [new[uid] for uid in references(original)]
        assert str(ds.SOPInstanceUID).startswith("2.25.") and str(ds.StudyInstanceUID) == STUDY
        assert ds.ContributingEquipmentSequence[-1].StationName == "CLINIC_A"
    assert untouched in {str(ds.SOPInstanceUID) for ds in on_the_way.values()}

    to_b(two, files)
    originals = [*slices, *objects]
    assert len(assert_originals(two, originals, two.delivered(len(originals) + 1))) == 1  # and the report
    assert count(two.b, "SELECT count(*) FROM instances WHERE quarantined_at IS NOT NULL") == 0


def test_a_peer_that_keeps_uids_gets_references_as_they_are(stage, data, tmp_path):
    two = Apart(stage)
    with_receiver(two)
    two.a.peers["BETWEEN"]["retain_uids"] = True
    two.between.start()
    two.start()
    slices, objects = study(data, tmp_path / "study")
    send(two, [*slices, *objects])
    files = sent(two, len(slices) + len(objects))
    received = {str(ds.SOPInstanceUID): ds for ds in (pydicom.dcmread(str(p)) for p in files)}
    for path in (*slices, *objects):
        original = pydicom.dcmread(str(path))
        assert references(received[compare.uid_of(path)]) == references(original) or path in slices
