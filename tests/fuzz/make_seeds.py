#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make_seeds.py FOLDER: small DICOM files to begin fuzzing with, one for each way to encode a data set.

Made with pydicom and DCMTK's compressors, so that no seed comes from anybody's image. After 'fuzz_... -merge=1' the
shortest of what was found from them lie in seeds/.
"""
import subprocess
import sys
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ExplicitVRLittleEndian,
                         ImplicitVRLittleEndian)

ROOT_UID = "2.25.1"
COMPRESSORS = {"rle": ["dcmcrle"], "jpegls": ["dcmcjpls"], "jpegls-near": ["dcmcjpls", "+en"],
               "jpeg-lossless": ["dcmcjpeg"], "jpeg-process14": ["dcmcjpeg", "+el"],
               "jpeg-baseline": ["dcmcjpeg", "+eb"]}


def image(bits=16, samples=1, frames=1, signed=0):
    """8 columns, 6 rows, a ramp; the attributes that a reader needs and few others."""
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", f"{ROOT_UID}.{bits}.{samples}.{frames}"
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.Modality = f"{ROOT_UID}.1", f"{ROOT_UID}.2", "OT"
    ds.SpecificCharacterSet, ds.PatientName = "ISO_IR 100", "Seed^M\u00fcller"
    ds.Rows, ds.Columns, ds.SamplesPerPixel = 6, 8, samples
    ds.PhotometricInterpretation = "RGB" if samples == 3 else "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = bits, bits, bits - 1, signed
    if samples == 3:
        ds.PlanarConfiguration = 0
    if frames > 1:
        ds.NumberOfFrames = frames
    count = 6 * 8 * samples * frames * bits // 8
    ds.add_new(0x7fe00010, "OW" if bits > 8 else "OB", bytes(i * 5 % 251 for i in range(count)))
    return ds


def nested():
    """Sequences in sequences, a private block, what is unknown, and an overlay."""
    ds = image()
    inner = Dataset()
    inner.CodeValue, inner.CodingSchemeDesignator = "1", "99SEED"
    outer = Dataset()
    outer.PurposeOfReferenceCodeSequence = Sequence([inner])
    outer.ReferencedSOPInstanceUID = f"{ROOT_UID}.9"
    ds.SourceImageSequence = Sequence([outer, Dataset()])
    ds["SourceImageSequence"].is_undefined_length = True
    block = ds.private_block(0x0011, "SEED", create=True)
    block.add_new(1, "UN", b"\x01\x02")
    block.add_new(2, "SQ", Sequence([inner]))
    ds.add_new(0x60000010, "US", 4)
    ds.add_new(0x60000011, "US", 4)
    ds.add_new(0x60003000, "OW", b"\x0f\xf0")
    ds.add_new(0x00080000, "UL", 0)
    return ds


def save(ds, path, syntax=ExplicitVRLittleEndian, bare=False):
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    ds.is_implicit_VR = syntax == ImplicitVRLittleEndian
    ds.is_little_endian = syntax != ExplicitVRBigEndian
    if bare:
        del ds.file_meta
        pydicom.dcmwrite(path, ds)
    else:
        ds.save_as(path, write_like_original=False)


def main():
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    for name, syntax in (("explicit", ExplicitVRLittleEndian), ("implicit", ImplicitVRLittleEndian),
                         ("big-endian", ExplicitVRBigEndian), ("deflated", DeflatedExplicitVRLittleEndian)):
        save(image(), out / f"{name}.dcm", syntax)
        save(nested(), out / f"nested-{name}.dcm", syntax)
    save(nested(), out / "bare.dcm", ImplicitVRLittleEndian, bare=True)
    for name, ds in (("grey8", image(8)), ("signed", image(16, signed=1)), ("rgb", image(8, 3)),
                     ("frames", image(8, frames=3)), ("wide", image(32))):
        save(ds, out / f"{name}.dcm")
    for name, tool in COMPRESSORS.items():
        for source in ("grey8", "rgb", "frames", "explicit"):
            subprocess.run([*tool, out / f"{source}.dcm", out / f"{name}-{source}.dcm"], capture_output=True,
                           check=False)  # JPEG has no 16 bit baseline: that one is not made


if __name__ == "__main__":
    main()
