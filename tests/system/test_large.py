# SPDX-License-Identifier: Apache-2.0
"""Objects of many frames, eight at once: the nodes' memory is bounded by a few frames, not by the objects.

DICOMSTEGO_TEST_LARGE_FRAMES: frames of 512x512 pixels in each of the eight, else 128 (64 MiB each); 2000 are
a gigabyte each. The bound is the same for every size.
"""
import hashlib
import mmap
import os
import threading
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

import compare
import hospital

ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
FRAMES = int(os.environ.get("DICOMSTEGO_TEST_LARGE_FRAMES", "128"))
SIDE = 512
OBJECTS = 8
BOUND_BYTES = 512 << 20
REPORT = b"Findings: many frames.\n"


def frame_group(i):
    """One item of the Per-frame Functional Groups (PS3.3 C.7.6.16)."""
    item, plane, content = Dataset(), Dataset(), Dataset()
    plane.ImagePositionPatient = [0, 0, i * 0.5]
    item.PlanePositionSequence = [plane]
    content.InStackPositionNumber, content.DimensionIndexValues = i + 1, [1, i + 1]
    item.FrameContentSequence = [content]
    return item


def enhanced_ct(path, frames, number, study):
    """Frames are written one by one behind the attributes. Returns the pixel hash."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = ENHANCED_CT
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = generate_uid()
    ds.StudyInstanceUID, ds.SeriesInstanceUID = study, generate_uid()
    ds.Modality, ds.PatientName, ds.PatientID = "CT", "Large^Object", "L1"
    ds.StudyDate, ds.StudyTime, ds.InstanceNumber = "20260101", "120000", number
    ds.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.NumberOfFrames, ds.Rows, ds.Columns = frames, SIDE, SIDE
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.PerFrameFunctionalGroupsSequence = [frame_group(i) for i in range(frames)]
    ds.add_new(compare.PIXEL_DATA, "OW", b"")
    ds.save_as(str(path), write_like_original=False)
    digest = hashlib.sha256()
    rng = np.random.default_rng(number)
    noise = rng.integers(-20, 21, (8, SIDE, SIDE))
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    with open(path, "r+b") as file:
        file.seek(-4, os.SEEK_END)
        file.write((frames * SIDE * SIDE * 2).to_bytes(4, "little"))
        for i in range(frames):
            smooth = 1200 + 500 * np.sin(x / 40 + i / 50 + number) + 300 * np.cos(y / 60)
            cells = (smooth.astype(np.int32) + noise[i % 8]).clip(0, 4095).astype("<u2").tobytes()
            digest.update(cells)
            file.write(cells)
    return digest.hexdigest()


def pixel_hash(path):
    """Without reading the file whole: its native cells are the end of it."""
    ds = pydicom.dcmread(str(path), stop_before_pixels=True)
    size = ds.NumberOfFrames * ds.Rows * ds.Columns * ds.SamplesPerPixel * ds.BitsAllocated // 8
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return hashlib.sha256(memoryview(data)[len(data) - size:]).hexdigest()


def peak_bytes(node):
    """The most memory that the process ever had (proc(5), VmHWM)."""
    status = Path(f"/proc/{node.program.pid}/status").read_text()
    return 1024 * int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])


def two_nodes(stage):
    a, b = stage.node("A", "CLINIC_A"), stage.node("B", "CLINIC_B")
    pacs = stage.storescp("PACS")
    a.peer("CT1", ae_title="CT1", hosts=["127.0.0.1"])
    a.peer_node("CLINIC_B", b, associations=2)
    b.peer_node("CLINIC_A", a)
    b.peer("PACS", ae_title="PACS", host=hospital.LOOPBACK, port=pacs.port)
    a.rule(name="to B", when={"calling_ae": ["CT1"]}, study_complete_after="5 s",
           report={"wait": "1 h", "otherwise": "send_without"},
           protect={"payload": "report", "recipients": ["CLINIC_B"], "unsuitable": "sidecar"},
           send_to=["CLINIC_B"])
    b.rule(name="from A", when={"carrier": True}, study_complete_after="5 s",
           recover={"report_as": "none", "unrecoverable": "quarantine"}, send_to=["PACS"])
    # AddressSanitizer keeps 256 MiB of what was freed from being used again: that is not the node's memory.
    for node in (a, b):
        node.environment["ASAN_OPTIONS"] = f"{os.environ.get('ASAN_OPTIONS', '')}:quarantine_size_mb=16"
    for one in (pacs, b, a):
        one.start()
    return a, b, pacs


def send_at_once(paths, node):
    failures = []

    def send(path):
        try:
            hospital.storescu(path, node.port, node.ae_title)
        except hospital.Failed as failed:
            failures.append(str(failed))

    threads = [threading.Thread(target=send, args=(p,)) for p in paths]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert failures == []


def delivered(a, b, pacs, count):
    timeout = 120 + OBJECTS * FRAMES / 2
    hospital.wait_for(f"{count} objects in the PACS",
                      lambda: len([p for p in pacs.files() if p.suffix != ".part"]) >= count, timeout,
                      alive=b.program)
    hospital.wait_for("the last answer", lambda: not b.psql(
        "select 1 from deliveries where state in ('ready', 'leased', 'waiting')"), 60)
    print(f"peak: A {peak_bytes(a) >> 20} MiB, B {peak_bytes(b) >> 20} MiB")
    return pacs.files()


def test_eight_large_objects_at_once_stay_within_the_bound(stage):
    a, b, pacs = two_nodes(stage)
    study = generate_uid()
    originals = {}
    for number in range(OBJECTS):
        path = stage.folder / f"large-{number}.dcm"
        originals[path] = enhanced_ct(path, FRAMES, number, study)
    a.drop_report(f"{study}.txt", REPORT)
    send_at_once(list(originals), a)
    files = delivered(a, b, pacs, OBJECTS)
    by_uid = {compare.uid_of(p): p for p in files}
    assert len(by_uid) == OBJECTS
    for path, want in originals.items():
        back = by_uid[compare.uid_of(path)]
        assert pixel_hash(back) == want
        assert back.stat().st_size > 0
    sent = a.psql("select count(*) from deliveries where action = 1")
    assert sent == [[str(OBJECTS)]], "every object carries in its pixels"
    assert peak_bytes(a) < BOUND_BYTES
    assert peak_bytes(b) < BOUND_BYTES


@pytest.mark.parametrize("name", ["xa/angio-jpeg-baseline-96frames.dcm",
                                  "us/ybr-full-422-jpeg-baseline-30frames.dcm",
                                  "other/jpeg-baseline-colour-140frames.dcm"])
def test_a_real_object_of_many_frames_comes_back(stage, data, name):
    a, b, pacs = two_nodes(stage)
    source = stage.folder / "source.dcm"
    ds = compare.read(data / name)
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID"):  # one of the files has none
        if not ds.get(keyword):
            setattr(ds, keyword, generate_uid())
    ds.save_as(str(source))
    a.drop_report(f"{ds.StudyInstanceUID}.txt", REPORT)
    hospital.dcmsend(source, a.port, a.ae_title)
    back, = delivered(a, b, pacs, 1)
    assert b.psql("select pixel_hash, dataset_hash from instances where kind = 2") == \
        a.psql("select pixel_hash, dataset_hash from instances where kind = 0")
    assert compare.uid_of(back) == compare.uid_of(source)
    assert max(peak_bytes(a), peak_bytes(b)) < BOUND_BYTES
