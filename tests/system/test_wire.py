# SPDX-License-Identifier: Apache-2.0
"""Every transfer syntax is received, kept and forwarded to the byte, whether anybody here can decode it."""
import hashlib
import zlib
from collections import Counter

import pydicom
import pytest

import compare
import hospital
import rawdicom

DEFLATED = "1.2.840.10008.1.2.1.99"
PRIVATE_CLASS = "1.3.12.2.1107.5.9.1"
LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.7"
WORKLIST = "1.2.840.10008.5.1.4.31"
JPEG_XL = "1.2.840.10008.1.2.4.110"


def hash_of(data):
    return hashlib.sha256(data).hexdigest()


def kept(node):
    """The hash of each data set in the node's archive, by transfer syntax and instance."""
    found = {}
    for path in node.archive():
        meta = pydicom.filereader.read_file_meta_info(str(path))
        key = (str(meta.TransferSyntaxUID), str(meta.MediaStorageSOPInstanceUID))
        found[key] = hash_of(compare.data_set_bytes(path.read_bytes()))
    return found


class Sent:
    """One file as it will go over the wire."""

    def __init__(self, path):
        raw = path.read_bytes()
        meta = pydicom.filereader.read_file_meta_info(str(path))
        self.path, self.data = path, compare.data_set_bytes(raw)
        self.syntax = str(meta.TransferSyntaxUID)
        self.class_uid = str(meta.MediaStorageSOPClassUID)
        self.instance_uid = str(meta.MediaStorageSOPInstanceUID)

    def rename(self, number):
        """Another instance, the same length: the collection has one image in many syntaxes under one UID."""
        old, new = self.instance_uid, f"{self.instance_uid[:-3]}{100 + number}"
        if self.syntax == DEFLATED:
            plain = zlib.decompress(self.data, -15).replace(old.encode(), new.encode())
            packer = zlib.compressobj(6, zlib.DEFLATED, -15)
            self.data = packer.compress(plain) + packer.flush()
        else:
            self.data = self.data.replace(old.encode(), new.encode())
        self.data += b"\0" * (len(self.data) % 2)
        self.instance_uid = new

    @property
    def key(self):
        return self.syntax, self.instance_uid


def all_syntaxes(data):
    files = [Sent(p) for p in sorted((data / "syntaxes").rglob("*.dcm"))]
    often = Counter(f.instance_uid for f in files)
    for number, one in enumerate(files):
        if often[one.instance_uid] > 1:
            one.rename(number)
    return files


def pair(stage):
    """A forwards what it gets, as it is, to B; both are ours."""
    a, b = stage.node("A", "CLINIC_A"), stage.node("B", "CLINIC_B")
    a.peer("CT1", ae_title="CT1", hosts=["127.0.0.1"])
    a.peer("B", ae_title="CLINIC_B", host=hospital.LOOPBACK, port=b.port)
    b.peer("A", ae_title="CLINIC_A")
    a.rule(name="on", when={"calling_ae": ["CT1"]}, study_complete_after="1 s", send_to=["B"])
    return a, b


def test_every_syntax_is_received_kept_and_forwarded_to_the_byte(stage, data):
    files = all_syntaxes(data)
    assert len(files) >= 90 and len({f.syntax for f in files}) >= 25
    a, b = pair(stage)
    b.start()
    a.start()
    contexts = sorted({(f.class_uid, f.syntax) for f in files})
    with rawdicom.Association(a.port, "CLINIC_A", contexts=[(c, [s]) for c, s in contexts]) as sender:
        for one in files:
            number = 2 * contexts.index((one.class_uid, one.syntax)) + 1
            assert sender.accepted.get(number) == one.syntax, one.path
            assert sender.store(number, one.class_uid, one.instance_uid, one.data) == 0, one.path
        assert sender.release() == rawdicom.RELEASE_RP
    expected = {f.key: hash_of(f.data) for f in files}
    assert len(expected) == len(files)
    hospital.wait_for("all to be kept", lambda: len(a.archive()) == len(files), 120, alive=a.program)
    assert kept(a) == expected
    hospital.wait_for("all to be forwarded", lambda: len(b.archive()) == len(files), 120, alive=b.program)
    assert kept(b) == expected
    assert list((a.state / "quarantine").glob("*.dcm")) == []


def store_one(node, one, class_uid, syntax):
    with rawdicom.Association(node.port, node.ae_title, contexts=[(class_uid, [syntax])]) as sender:
        if 1 not in sender.accepted:
            return None
        return sender.store(1, class_uid, one.instance_uid, one.data)


@pytest.mark.parametrize("known_only", [False, True])
def test_a_class_that_nobody_knows_is_storage_unless_only_known_ones_are(stage, data, known_only):
    a, b = pair(stage)
    if known_only:
        a.node["dicom"]["sop_classes"] = "known"
    b.start()
    a.start()
    one = Sent(data / "syntaxes" / "made-mr12u" / "explicit-le.dcm")
    # The same length: UI values are padded to it.
    private = PRIVATE_CLASS.encode().ljust(26, b"\0")
    old = one.class_uid.encode() + b"\0" * (len(one.class_uid) % 2)
    assert len(old) == len(private) and one.data.count(old) >= 1
    one.data = one.data.replace(old, private)
    assert store_one(a, one, PRIVATE_CLASS, rawdicom.EXPLICIT_LE) == (None if known_only else 0)
    assert store_one(a, one, LABEL_MAP, rawdicom.EXPLICIT_LE) == 0xA900  # it says that it is private
    assert store_one(a, one, WORKLIST, rawdicom.EXPLICIT_LE) is None
    if not known_only:
        hospital.wait_for("it to be forwarded", lambda: len(b.archive()) == 1, alive=b.program)
        assert list(kept(b).values()) == [hash_of(one.data)]


def test_what_the_peer_does_not_take_compressed_goes_decoded_with_a_note(stage, data):
    """And what cannot be decoded here stays, with the reason."""
    a, b = pair(stage)
    b.node["dicom"]["transfer_syntaxes"] = [rawdicom.EXPLICIT_LE]
    b.start()
    a.start()
    names = ("rle.dcm", "jpeg-extended-12bit.dcm", "jpegxl-lossless.dcm")
    lossless, lossy, unread = (Sent(data / "syntaxes" / "made-mr12u" / n) for n in names)
    unread.rename(1)
    for one in (lossless, lossy, unread):
        assert store_one(a, one, one.class_uid, one.syntax) == 0
    hospital.wait_for("the decoded ones", lambda: len(b.archive()) == 2, 60, alive=b.program)
    arrived = {str(ds.SOPInstanceUID): ds for ds in map(pydicom.dcmread, map(str, b.archive()))}
    assert {str(ds.file_meta.TransferSyntaxUID) for ds in arrived.values()} == {rawdicom.EXPLICIT_LE}
    original = pydicom.dcmread(str(data / "syntaxes" / "made-mr12u" / "explicit-le.dcm"))
    assert arrived[lossless.instance_uid].PixelData == original.PixelData
    before = pydicom.dcmread(str(lossy.path), stop_before_pixels=True)
    assert before.get("LossyImageCompression") == "01"
    for keyword in ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod"):
        assert arrived[lossy.instance_uid].get(keyword) == before.get(keyword)

    def states():
        return sorted(a.psql("SELECT state, cause FROM deliveries"))
    rows = hospital.wait_for("all to be decided",
                             lambda: (r := states()) and all(s in ("sent", "failed") for s, _ in r) and r, 60)
    assert [s for s, _ in rows] == ["failed", "sent", "sent"]
    assert "no presentation context" in rows[0][1]
    assert all("decoded" in cause for _, cause in rows[1:])
    assert "JPEG Extended" in rows[1][1] and "RLE" in rows[2][1]
