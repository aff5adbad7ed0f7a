#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Embedding and extracting by modality, on real images: bench/engine.py DATA [--each N].

DATA is a folder with a manifest.tsv (tests/README.md). Takes up to N greyscale images of each folder below it,
hands their samples to bench_dicomstego_engine, and prints medians by folder. Single-threaded.
"""
import argparse
import re
import statistics
import struct
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests" / "system")]

import compare  # noqa: E402
import hospital  # noqa: E402

MAGIC, NO_PADDING = 0x31474D49, -(1 << 31)
FOLDERS = ("ct/ge-hispeed", "ct/philips-ingenuity", "mr/siemens-prisma-t1", "mr/ge-signa-wrist",
           "mr/ge-mr750-fmri", "nm", "xa", "xray")
MEASURED = re.compile(r"^(\S+)\s+(\d+) bits:\s+([\d.]+) /\s+([\d.inf]+) dB, max\s+(\d+), .*"
                      r"embed\s+([\d.]+) MB/s, extract\s+([\d.]+) MB/s", re.MULTILINE)


def grey(ds):
    return (ds.get("SamplesPerPixel", 0) == 1 and 8 <= ds.get("BitsStored", 0) <= 16
            and str(ds.get("PhotometricInterpretation", "")).startswith("MONOCHROME"))


def dump(source, target):
    """One frame as the benchmark reads it; False when it is not for the engine."""
    try:
        ds = compare.native(source)
    except ValueError:
        return False
    if not grey(ds):
        return False
    frame = compare.samples(ds)[0]
    signed = int(ds.PixelRepresentation)
    half = 1 << (ds.BitsStored - 1)
    low, high = (-half, half - 1) if signed else (0, 2 * half - 1)
    padding = ds.get("PixelPaddingValue", NO_PADDING)
    header = struct.pack("<8i", MAGIC, ds.Columns, ds.Rows, ds.BitsStored, signed, low, high,
                         padding if isinstance(padding, int) else NO_PADDING)
    target.write_bytes(header + frame.astype("<i4").tobytes())
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--each", type=int, default=8)
    options = parser.parse_args()
    results = {}
    with hospital.Stage() as stage:
        dumps = []
        for folder in FOLDERS:
            files = sorted((options.data / folder).glob("*.dcm"))
            for path in files[::max(1, len(files) // options.each)]:
                target = stage.folder / f"{folder.replace('/', '+')}--{path.stem}.img"
                if dump(path, target):
                    dumps.append(target)
        done = subprocess.run([hospital.build_folder() / "bench" / "bench_dicomstego_engine", *dumps],
                              capture_output=True, text=True)
    print(done.stderr, end="", file=sys.stderr)
    for name, bits, _, dynamic, gap, embed, extract in MEASURED.findall(done.stdout):
        if "--" in name:
            key = (name.split("--")[0].replace("+", "/"), int(bits))
            results.setdefault(key, []).append((float(dynamic), int(gap), float(embed), float(extract)))
    print(f"{'series':<24}{'bits':>8}{'images':>8}{'PSNR dB':>9}{'max':>6}{'embed MB/s':>12}{'extract MB/s':>14}")
    for (folder, bits), rows in results.items():
        psnr, _, embed, extract = (statistics.median(column) for column in zip(*rows))
        print(f"{folder:<24}{bits:>8}{len(rows):>8}{psnr:>9.1f}{max(r[1] for r in rows):>6}{embed:>12.1f}{extract:>14.1f}")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
