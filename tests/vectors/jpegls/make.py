#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes charls.txt: what CharLS (Debian: libcharls2) makes of the pictures of tests/unit/carrier/test_jpegls.c.

One line for each depth and kind: depth, kind, bytes, SHA-256 of the scans of all sizes, one behind the other. A scan
is what lies between the SOS segment and EOI. The test codes the pictures itself and compares.
"""
import ctypes
import hashlib
from pathlib import Path

KINDS = "slope", "dots", "noise", "edges"
SIZES = (1, 1), (1, 40), (23, 17), (150, 12)
DEPTHS = 2, 3, 7, 8, 10, 12, 16


def picture(kind, depth, columns, rows):
    """Values in raster order."""
    seed, mask, values = 2024, (1 << depth) - 1, []
    for y in range(rows):
        for x in range(columns):
            seed = (seed * 1664525 + 1013904223) & 0xFFFFFFFF
            if kind == "slope":
                v = 3 * x + 5 * y + (seed >> 30)
            elif kind == "dots":
                v = seed >> 8 if seed >> 26 == 0 else mask >> 1
            elif kind == "noise":
                v = seed >> (32 - depth)
            else:
                v = (mask if (x // 9 + y // 5) % 2 else 0) ^ (seed >> 31)
            values.append(v & mask)
    return values


class FrameInfo(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint32) for name in ("width", "height", "bits", "components")]


def coded(charls, values, depth, columns, rows):
    """The whole JPEG-LS file."""
    cells = (ctypes.c_uint8 if depth <= 8 else ctypes.c_uint16) * len(values)
    cells = cells(*values)
    out = ctypes.create_string_buffer(8 * len(values) + 1024)
    written = ctypes.c_size_t()
    charls.charls_jpegls_encoder_create.restype = ctypes.c_void_p
    encoder = ctypes.c_void_p(charls.charls_jpegls_encoder_create())
    info = FrameInfo(columns, rows, depth, 1)
    size = ctypes.c_size_t
    for status in (
        charls.charls_jpegls_encoder_set_frame_info(encoder, ctypes.byref(info)),
        charls.charls_jpegls_encoder_set_destination_buffer(encoder, out, size(len(out))),
        charls.charls_jpegls_encoder_encode_from_buffer(encoder, cells, size(ctypes.sizeof(cells)), 0),
        charls.charls_jpegls_encoder_get_bytes_written(encoder, ctypes.byref(written)),
    ):
        assert status == 0, status
    charls.charls_jpegls_encoder_destroy(encoder)
    return out.raw[:written.value]


def scan(charls, kind, depth, columns, rows):
    file = coded(charls, picture(kind, depth, columns, rows), depth, columns, rows)
    assert file.endswith(b"\xff\xd9")
    return file[file.index(b"\xff\xda") + 10:-2]


def main():
    charls = ctypes.CDLL("libcharls.so.2")
    lines = []
    for depth in DEPTHS:
        for kind in KINDS:
            scans = b"".join(scan(charls, kind, depth, *size) for size in SIZES)
            lines.append(f"{depth} {kind} {len(scans)} {hashlib.sha256(scans).hexdigest()}\n")
    Path(__file__).with_name("charls.txt").write_text("".join(lines))


if __name__ == "__main__":
    main()
