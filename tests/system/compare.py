# SPDX-License-Identifier: Apache-2.0
"""Is this instance the original? Answered with pydicom and numpy alone, not with the code under test.

The three hashes of an instance, and what hiding did to its pixels. Where an image is compressed, its
frames are decoded by pydicom's own handlers, or by DCMTK's command line tools where it has none.
"""
import hashlib
import math
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataelem import RawDataElement

PIXEL_DATA = 0x7FE00010
SOURCE_IMAGE_SEQUENCE = 0x00082112
EXPLICIT_LE = "1.2.840.10008.1.2.1"
IMPLICIT_LE = "1.2.840.10008.1.2"
NATIVE = (IMPLICIT_LE, EXPLICIT_LE)
DECOMPRESSORS = (("dcmdjpls",), ("dcmdjpeg",), ("dcmdrle",), ("dcmconv", "+te"))
RAW_DATA = "1.2.840.10008.5.1.4.1.1.66"
SIDECAR_CREATOR = "DICOMSTEGO 1.0"


def read(path):
    return pydicom.dcmread(str(path), force=True)


def transfer_syntax(ds):
    return str(getattr(ds.file_meta, "TransferSyntaxUID", IMPLICIT_LE))


def data_set_bytes(data):
    """What follows group 0002: the bytes that the file hash is taken over."""
    position = 132 if data[128:132] == b"DICM" else 0  # some writers leave the preamble out
    while data[position:position + 2] == b"\x02\x00":
        vr = data[position + 4:position + 6]
        if vr in (b"OB", b"UN", b"OW", b"SQ", b"UT"):
            length = int.from_bytes(data[position + 8:position + 12], "little")
            position += 12 + length
        else:
            position += 8 + int.from_bytes(data[position + 6:position + 8], "little")
    return data[position:]


def file_hash(path):
    return hashlib.sha256(data_set_bytes(Path(path).read_bytes())).hexdigest()


def native(path):
    """The data set with its pixels decoded through DCMTK's tools; as it is where they have no decoder (the
    bitstreams are then compared: nobody on the way can have decoded them either)."""
    ds = read(path)
    if is_native(ds) or PIXEL_DATA not in ds:
        return ds
    with tempfile.TemporaryDirectory(prefix="dicomstego-") as folder:
        out = Path(folder) / "native.dcm"
        for tool in DECOMPRESSORS:
            done = subprocess.run([*tool, str(path), str(out)], capture_output=True)
            if done.returncode == 0:
                decoded = read(out)
                if is_native(decoded):
                    decoded.PixelData  # read before the folder goes
                    return decoded
    return ds


def pixel_bytes(ds):
    """Frames as stored values, little endian, frame by frame, without the padding byte."""
    if PIXEL_DATA not in ds:
        return b""
    if not is_native(ds):
        return bytes(ds.PixelData)
    frames = int(ds.get("NumberOfFrames", 1) or 1)
    bits = ds.Rows * ds.Columns * frames * ds.SamplesPerPixel * ds.BitsAllocated
    return bytes(ds.PixelData)[:(bits + 7) // 8]


def is_native(ds):
    return transfer_syntax(ds) in NATIVE


def pixel_hash_of(ds):
    return hashlib.sha256(pixel_bytes(ds)).hexdigest()


def pixel_hash(path):
    return pixel_hash_of(native(path))


def samples(ds):
    """Stored values as numbers, high bits above BitsStored cut off, sign extended: (frames, rows, columns)."""
    kind = "<u2" if ds.BitsAllocated == 16 else "u1"
    values = np.frombuffer(pixel_bytes(ds), kind).astype(np.int64)
    shift = ds.HighBit + 1 - ds.BitsStored
    values = (values >> shift) & ((1 << ds.BitsStored) - 1)
    if ds.PixelRepresentation == 1:
        values = np.where(values >> (ds.BitsStored - 1), values - (1 << ds.BitsStored), values)
    return values.reshape(-1, ds.Rows, ds.Columns)


def _raw(element):
    return isinstance(element, RawDataElement) and element.is_little_endian


def differences(a, b, where=""):
    """Tags in which two data sets differ, element by element.

    Group 0002 and group lengths are left out, and Data Set Trailing Padding (FFFC,FFFC), which senders leave behind:
    it pads files on media (PS3.10 7.2).
    """
    tags = {t for ds in (a, b) for t in ds.keys() if t.element != 0 and t.group != 0xfffc}
    found = []
    for tag in sorted(tags):
        name = f"{where}({tag.group:04x},{tag.element:04x})"
        if tag not in a or tag not in b:
            found.append(name)
        elif tag == PIXEL_DATA and not where:
            if pixel_bytes(a) != pixel_bytes(b):
                found.append(name)
        else:
            found += _element_differences(a, b, tag, name)
    return found


def _element_differences(a, b, tag, name):
    one, other = a.get_item(tag), b.get_item(tag)
    # Bytes where both have them: pydicom's values leave padding out.
    as_bytes = _raw(one) and _raw(other)
    if as_bytes and (one.value or b"") == (other.value or b""):
        return []
    one, other = a[tag], b[tag]
    if one.VR == "SQ" and other.VR == "SQ":
        if len(one.value) != len(other.value):
            return [name]
        return [d for i, (x, y) in enumerate(zip(one.value, other.value))
                for d in differences(x, y, f"{name}[{i}]")]
    return [] if not as_bytes and one.value == other.value else [name]


class Comparison:
    """One delivered instance against its original."""

    def __init__(self, original, delivered, received=None):
        """received: the instance as it arrived at the first node, when a sender rewrote it on the way."""
        a, b = native(original), native(delivered)
        self.pixel = pixel_bytes(a) == pixel_bytes(b)
        self.differing = differences(a, b)
        self.dataset = not self.differing
        self.file = file_hash(delivered) in {file_hash(p) for p in (original, received) if p}


def distortion(original, carrier):
    """(PSNR in dB, greatest difference) between two native data sets; PSNR is inf when they are equal.

    The peak is the range of values that the image uses, padding left out, so that a 12 bit image in 16 bits is
    not flattered.
    """
    x, y = samples(original), samples(carrier)
    gap = np.abs(x - y)
    mse = float(np.mean(gap.astype(np.float64) ** 2))
    padding = original.get("PixelPaddingValue")
    used = x[x != padding] if isinstance(padding, int) and (x != padding).any() else x
    peak = max(float(used.max() - used.min()), 1.0)
    psnr = math.inf if mse == 0 else 10 * math.log10(peak * peak / mse)
    return psnr, int(gap.max())


def uid_of(path):
    return str(pydicom.dcmread(str(path), stop_before_pixels=True, force=True).SOPInstanceUID)


def source_uid(ds):
    """The SOP Instance UID of what this one says it was derived from or stands beside, or None."""
    if is_sidecar(ds):
        return str(ds.ReferencedInstanceSequence[0].ReferencedSOPInstanceUID)
    if SOURCE_IMAGE_SEQUENCE not in ds or not ds[SOURCE_IMAGE_SEQUENCE].value:
        return None
    return str(ds[SOURCE_IMAGE_SEQUENCE].value[-1].get("ReferencedSOPInstanceUID", "")) or None


def is_sidecar(ds):
    return str(ds.get("SOPClassUID", "")) == RAW_DATA and ds.get((0x0099, 0x0010)) is not None and \
        ds[0x0099, 0x0010].value == SIDECAR_CREATOR


def manifest(data):
    """pixel_sha256 by path, relative to the data folder."""
    lines = (Path(data) / "manifest.tsv").read_text().splitlines()
    names = lines[0].split("\t")
    path, value = names.index("path"), names.index("pixel_sha256")
    return {c[path]: c[value] for c in (line.split("\t") for line in lines[1:])}
