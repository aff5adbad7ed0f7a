# SPDX-License-Identifier: Apache-2.0
"""What was answered with 0000H is there after the worst moment to end, whole and once; a full disk is said early."""
import io
import random
import threading
import time

import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset

import compare
import hospital
import rawdicom
from rawdicom import CT, EXPLICIT_LE, Association, Refused, Wire

SENDERS = 4
KILLS = 3
# Rows and columns: a few blocks of the journal, an ordinary slice, and one that is longer than the journal takes.
SIZES = (16, 128, 512, 128, 300, 1100)


def instance(sender, number):
    """A data set's UID and bytes, made up; the pixels differ from one to the next."""
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = CT, f"2.25.77.{sender}.{number}"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = f"2.25.77.{sender}", f"2.25.77.{sender}.0"
    ds.PatientID, ds.PatientName, ds.Modality = f"P{sender}", "Intake^Test", "CT"
    side = SIZES[number % len(SIZES)]
    ds.Rows = ds.Columns = side
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    chance = random.Random(sender * 100000 + number)
    row = bytes(b & 0x0F if i % 2 else b for i, b in enumerate(chance.randbytes(2 * side)))
    ds.PixelData = row * side
    ds.is_implicit_VR, ds.is_little_endian = False, True
    out = io.BytesIO()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = EXPLICIT_LE
    pydicom.dcmwrite(out, ds, write_like_original=False)
    return str(ds.SOPInstanceUID), compare.data_set_bytes(out.getvalue())


class Sender(threading.Thread):
    """Sends until its association breaks; remembers what was answered with success."""

    def __init__(self, port, number, first):
        super().__init__()
        self.port, self.number, self.next = port, number, first
        self.acknowledged = {}

    def run(self):
        try:
            with Association(self.port, "CLINIC_A") as association:
                while True:
                    uid, data = instance(self.number, self.next)
                    self.next += 1
                    assert association.store(1, CT, uid, data) == 0
                    self.acknowledged[uid] = data
        except (Refused, OSError):
            pass  # the node was killed


def node_on(stage, **settings):
    node = stage.node("A", "CLINIC_A")
    node.node.update(settings)
    node.peer("CT1", ae_title="CT1", hosts=["127.0.0.1"])
    return node


def test_what_was_acknowledged_survives_kills_while_four_send(stage):
    node = node_on(stage)
    acknowledged, first = {}, [0] * SENDERS
    for _ in range(KILLS):
        node.start()
        senders = [Sender(node.port, i, first[i]) for i in range(SENDERS)]
        for sender in senders:
            sender.start()
        time.sleep(random.uniform(0.3, 2.0))
        node.kill()
        for i, sender in enumerate(senders):
            sender.join()
            first[i] = sender.next
            acknowledged.update(sender.acknowledged)
    assert len(acknowledged) > SENDERS * KILLS
    node.start()

    def indexed():
        try:
            return {row[0] for row in node.psql("SELECT sop_uid FROM instances")}
        except (hospital.Failed, OSError):
            return set()  # the database is not up again yet

    hospital.wait_for("every acknowledged instance", lambda: acknowledged.keys() <= indexed(), 60, alive=node.program)
    hospital.wait_for("an empty spool", lambda: not any((node.state / "spool" / "new").iterdir()), 60,
                      alive=node.program)
    # Once each: as a row, as a file, and nobody took one for a second.
    rows = node.psql("SELECT sop_uid, count(*) FROM instances GROUP BY sop_uid")
    assert {count for _, count in rows} == {"1"}
    assert node.psql("SELECT count(*) FROM events WHERE kind IN ('duplicate', 'conflict')") == [["0"]]
    files = node.archive()
    assert len(files) == len(rows)
    kept = {str(compare.read(f).SOPInstanceUID): compare.data_set_bytes(f.read_bytes()) for f in files}
    assert len(kept) == len(files)
    for uid, data in acknowledged.items():
        assert kept[uid] == data
    # What came whole without an answer is one per sender and kill at most.
    assert len(files) <= len(acknowledged) + SENDERS * KILLS
    assert not any((node.state / "quarantine").iterdir())


def test_below_the_watermark_associations_are_rejected_for_now(stage):
    node = node_on(stage, min_free="900 TiB")
    node.start()
    with Wire(node.port) as wire:
        wire.send_pdu(rawdicom.ASSOCIATE_RQ, rawdicom.associate_rq("CLINIC_A", "CT1", [(1, CT, [EXPLICIT_LE])]))
        kind, body = wire.receive()
    # PS3.8 9.3.4: transient, by the presentation service provider, local limit exceeded.
    assert (kind, tuple(body[1:4])) == (rawdicom.ASSOCIATE_RJ, (2, 3, 2))
    with pytest.raises(Refused):
        Association(node.port, "CLINIC_A")
    assert node.log.read_text().count("below the watermark") == 1
    node.stop()
    node.node["min_free"] = "64 MiB"
    node.start()
    uid, data = instance(9, 1)
    with Association(node.port, "CLINIC_A") as association:
        assert association.store(1, CT, uid, data) == 0
