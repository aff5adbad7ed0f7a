#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Makes a CT study of a phantom that never existed: phantom.py FOLDER [--slices N] [--seed N].

A water cylinder with bone-like and air inserts, a table under it, noise as a scanner has it. A complete
CT Image IOD; the same arguments give the same bytes.
"""
import argparse
import hashlib
import sys
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence

SIZE = 512
PIXEL_MM = 0.7
SLICE_MM = 2.5
AIR = -1000
PADDING = -2000  # outside of the scanner's circle of reconstruction, as several makers write it
CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
DETECTOR_NOISE_HU = 11.0


def uid(*parts):
    """A UID of the 2.25 form, the same for the same parts."""
    digest = hashlib.sha256("|".join(["dicomstego phantom", *map(str, parts)]).encode()).digest()
    number = int.from_bytes(digest[:16], "big")
    number = number & ~(0xF << 76) | 5 << 76  # version and variant bits, as a name-based UUID has them
    number = number & ~(3 << 62) | 2 << 62
    return f"2.25.{number}"


def ellipse(x, y, cx, cy, rx, ry):
    return ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 <= 1


def anatomy(z):
    """Hounsfield units of the slice at z in -1..1, without noise."""
    axis = (np.arange(SIZE) - SIZE / 2 + 0.5) / (SIZE / 2)
    x, y = np.meshgrid(axis, axis)
    swell = np.sqrt(1 - 0.35 * z * z)
    hu = np.full((SIZE, SIZE), AIR, np.float64)
    hu[ellipse(x, y, 0, 0.78, 0.75, 0.05)] = -650          # table
    hu[ellipse(x, y, 0, 0, 0.72 * swell, 0.60 * swell)] = -90   # fat
    hu[ellipse(x, y, 0, 0, 0.67 * swell, 0.55 * swell)] = 45    # soft tissue
    for side in (-1, 1):
        hu[ellipse(x, y, side * 0.33, -0.05, 0.24 * swell, 0.36 * swell)] = -820  # lungs
        for rib in range(4):
            angle = 0.5 + 0.5 * rib + 0.35 * z
            hu[ellipse(x, y, side * 0.62 * swell * np.sin(angle), -0.5 * swell * np.cos(angle),
                       0.035, 0.025)] = 520
    hu[ellipse(x, y, -0.08 + 0.05 * z, -0.12, 0.17 * swell, 0.20)] = 60       # heart
    hu[ellipse(x, y, 0.02, 0.36, 0.10, 0.09)] = 380                           # spine
    hu[ellipse(x, y, 0.02, 0.36, 0.06, 0.05)] = 180
    hu[ellipse(x, y, 0.30, 0.04, 0.035 * (1 - abs(z)) + 0.005, 0.035)] = 30   # the finding
    return hu, x * x + y * y > 1


def blur(image):
    """A short reconstruction kernel: noise and edges of a scanner are not those of a ruler."""
    for axis in (0, 1):
        image = 0.25 * np.roll(image, 1, axis) + 0.5 * image + 0.25 * np.roll(image, -1, axis)
    return image


def pixels(index, slices, seed):
    """Stored values: signed 16 bit, slope 1, intercept 0."""
    rng = np.random.Generator(np.random.PCG64([seed, index]))
    z = 2 * index / max(slices - 1, 1) - 1
    hu, outside = anatomy(z)
    noise = blur(rng.standard_normal((SIZE, SIZE))) * 2.7 * DETECTOR_NOISE_HU
    image = np.clip(np.rint(blur(hu) + noise), -1024, 3071)
    image[outside] = PADDING
    return image.astype("<i2")


def code(value, scheme, meaning):
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def patient_and_study(ds, seed):
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.PatientName = "Phantom^Thorax"
    ds.PatientID = f"PHANTOM-{seed:04d}"
    ds.PatientBirthDate = "19700101"
    ds.PatientSex = "O"
    ds.PatientAge = "054Y"
    ds.PatientWeight = "70"
    ds.StudyInstanceUID = uid(seed, "study")
    ds.StudyDate, ds.StudyTime = "20240102", "081500"
    ds.ReferringPhysicianName = "Nobody^N"
    ds.StudyID = str(seed)
    ds.AccessionNumber = f"DEMO{seed:04d}"
    ds.StudyDescription = "CT chest (phantom)"


def series_and_equipment(ds, seed):
    ds.Modality = "CT"
    ds.SeriesInstanceUID = uid(seed, "series")
    ds.SeriesNumber = 2
    ds.SeriesDate, ds.SeriesTime = "20240102", "081700"
    ds.SeriesDescription = "Thorax 2.5 mm"
    ds.BodyPartExamined = "CHEST"
    ds.PatientPosition = "HFS"
    ds.FrameOfReferenceUID = uid(seed, "frame of reference")
    ds.PositionReferenceIndicator = ""
    ds.Manufacturer = "dicomstego phantom"
    ds.InstitutionName = "Example Hospital"
    ds.ManufacturerModelName = "Cylinder"
    ds.DeviceSerialNumber = "0"
    ds.SoftwareVersions = "1"


def image_and_plane(ds, index, slices, seed):
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.SOPClassUID = CT_IMAGE_STORAGE
    ds.SOPInstanceUID = uid(seed, "image", index)
    ds.AcquisitionNumber = 1
    ds.InstanceNumber = index + 1
    ds.AcquisitionDate, ds.AcquisitionTime = "20240102", "081710"
    ds.ContentDate, ds.ContentTime = "20240102", f"0818{index % 60:02d}"
    position = SLICE_MM * (index - (slices - 1) / 2)
    corner = -PIXEL_MM * (SIZE - 1) / 2
    ds.PixelSpacing = [str(PIXEL_MM), str(PIXEL_MM)]
    ds.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    ds.ImagePositionPatient = [f"{corner:g}", f"{corner:g}", f"{position:g}"]
    ds.SliceThickness = str(SLICE_MM)
    ds.SliceLocation = f"{position:g}"
    ds.LossyImageCompression = "00"
    ds.BurnedInAnnotation = "NO"


def ct(ds):
    ds.ScanOptions = "HELICAL MODE"
    ds.KVP = "120"
    ds.DataCollectionDiameter = "500"
    ds.ReconstructionDiameter = f"{SIZE * PIXEL_MM:g}"
    ds.DistanceSourceToDetector = "1040"
    ds.DistanceSourceToPatient = "570"
    ds.GantryDetectorTilt = "0"
    ds.TableHeight = "160"
    ds.RotationDirection = "CW"
    ds.ExposureTime = 500
    ds.XRayTubeCurrent = 200
    ds.Exposure = 100
    ds.FilterType = "BODY FILTER"
    ds.FocalSpots = "1.2"
    ds.ConvolutionKernel = "STANDARD"
    ds.ProtocolName = "Thorax"
    ds.ExposureModulationType = "NONE"
    ds.AnatomicRegionSequence = Sequence([code("51185008", "SCT", "Chest")])


def pixel_module(ds, samples):
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.Rows, ds.Columns = SIZE, SIZE
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
    ds.add_new(0x00280120, "SS", PADDING)
    ds.WindowCenter, ds.WindowWidth = "40", "400"
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = "0", "1", "HU"
    ds.PixelData = samples.tobytes()
    ds["PixelData"].VR = "OW"


def instance(index, slices, seed):
    ds = Dataset()
    patient_and_study(ds, seed)
    series_and_equipment(ds, seed)
    image_and_plane(ds, index, slices, seed)
    ct(ds)
    pixel_module(ds, pixels(index, slices, seed))
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    ds.file_meta.ImplementationClassUID = uid("implementation")
    ds.is_little_endian, ds.is_implicit_VR = True, False
    ds.preamble = b"\0" * 128
    return ds


def write_study(folder, slices=40, seed=1):
    """Returns the paths, in slice order."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for index in range(slices):
        path = folder / f"{index + 1:04d}.dcm"
        pydicom.dcmwrite(str(path), instance(index, slices, seed), write_like_original=False)
        paths.append(path)
    return paths


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("--slices", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    paths = write_study(options.folder, options.slices, options.seed)
    print(f"{len(paths)} slices in {options.folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
