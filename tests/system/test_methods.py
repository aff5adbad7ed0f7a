# SPDX-License-Identifier: Apache-2.0
"""The methods beside the reversible engine, from outside: least significant bits and the DNA code, on real images.

What is compared here is read by pydicom, zlib and openssl, not by our code.
"""

import json
import os
import pathlib
import struct
import subprocess
import zlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("DICOMSTEGO_BUILD", ROOT / "build" / "release"))
DATA = pathlib.Path(os.environ.get("DICOMSTEGO_TEST_DATA", ROOT.parent / "shared" / "data"))
PROGRAM = BUILD / "dicomstego"

pydicom = pytest.importorskip("pydicom")
np = pytest.importorskip("numpy")

pytestmark = [
    pytest.mark.skipif(not PROGRAM.exists(), reason=f"no program {PROGRAM}"),
    pytest.mark.skipif(not DATA.exists(), reason="no test images (DICOMSTEGO_TEST_DATA)"),
]

MADE = DATA / "other" / "made"
IMAGES = {
    "grey 12 of 16": DATA / "ct" / "philips-ingenuity" / "0001.dcm",
    "grey 16 signed": DATA / "ct" / "ge-hispeed" / "0001.dcm",
    "grey 12 signed": MADE / "signed-12-in-16.dcm",
    "grey 8": MADE / "odd-511x513-8bit.dcm",
    "grey 8 signed": MADE / "signed-8bit.dcm",
    "grey 10, garbage above": MADE / "stored10-in-16-garbage-in-unused-bits.dcm",
    "grey 32": MADE / "mono-32bit-unsigned.dcm",
    "RGB 8": DATA / "us" / "us1-rgb-uncompressed.dcm",
    "RGB 8, planar": DATA / "us" / "esopecho-rgb-planar.dcm",
    "RGB 16": DATA / "other" / "SC_rgb_16bit.dcm",
    "YBR 422": DATA / "us" / "ybr-full-422-uncompressed.dcm",
}
REPORT = b"FINDINGS: an invented report.\nIMPRESSION: it comes back as it was.\n"


def run(*arguments, expect=0):
    done = subprocess.run([str(PROGRAM), *map(str, arguments)], capture_output=True, text=True, timeout=300)
    assert done.returncode == expect, f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done


@pytest.fixture
def here(tmp_path):
    (tmp_path / "report.txt").write_bytes(REPORT)
    for name in ("right", "wrong"):
        (tmp_path / name).write_text(f"{name} horse\n")
    return tmp_path


def protect(here, image, *options, expect=0):
    return run("protect", "-o", here / "carrier", "--report", here / "report.txt", "--password-file",
               here / "right", "--method", "lsb", *options, image, expect=expect)


def stored(path):
    """The stored values within BitsStored, and the bits of the cells outside."""
    data = pydicom.dcmread(path)
    width = data.BitsAllocated // 8
    cells = np.frombuffer(data.PixelData, {1: "u1", 2: "<u2", 4: "<u4"}[width]).astype(np.uint64)
    shift = data.HighBit + 1 - data.BitsStored
    mask = ((1 << data.BitsStored) - 1) << shift
    return (cells & mask) >> shift, cells & ~np.uint64(mask)


def bits(text):
    return ["--planes", str(text)]


WAYS = [
    bits(1), bits(4) + ["--order", "keyed"], bits(2) + ["--delimiter", "#####"],
    bits(3) + ["--code", "dna", "--dna-rule", "7"],
    bits(1) + ["--order", "keyed", "--delimiter", "END", "--code", "dna"],
]


@pytest.mark.parametrize("name, options", [
    (name, WAYS[(i + k) % len(WAYS)]) for i, name in enumerate(IMAGES) for k in (0, 3)
], ids=str)
def test_a_report_comes_back_and_only_low_bits_change(here, name, options):
    image = IMAGES[name]
    protect(here, image, *options)
    before, outside_before = stored(image)
    after, outside_after = stored(here / "carrier")
    assert (before >> int(options[1]) == after >> int(options[1])).all()
    assert (before != after).any()
    if "garbage" not in name:
        assert (outside_before == outside_after).mean() > 0.99  # where they copy the sign they follow it
    (here / "out").mkdir()
    said = run("recover", "-o", here / "out" / "x", "--password-file", here / "right", here / "carrier", expect=1)
    assert "not restorable" in said.stderr
    assert os.listdir(here / "out") == ["report.txt"]
    assert (here / "out" / "report.txt").read_bytes() == REPORT
    run("recover", "-o", here / "out" / "x", "--reports-only", "--force", "--password-file", here / "right",
        here / "carrier")


def hashes_of(path):
    return json.loads(run("inspect", "--hashes", "--json", path).stdout)


@pytest.mark.parametrize("name, order", [
    ("RGB 8", "sequential"), ("RGB 8", "keyed"), ("RGB 8, planar", "sequential"), ("RGB 8, planar", "keyed"),
    ("RGB 16", "sequential"), ("RGB 16", "keyed"), ("grey 16 signed", "sequential"),
])
def test_with_the_replaced_bits_the_file_comes_back(here, name, order):
    protect(here, IMAGES[name], "--planes", "4", "--reversible", "--order", order)
    facts = json.loads(run("inspect", "--json", here / "carrier", expect=4 if order == "keyed" else 0).stdout)
    if order == "sequential":
        assert facts[0]["method"] == "lsb" and facts[0]["restorable"] == "yes"
    run("recover", "-o", here / "original.dcm", "--password-file", here / "right", "--force", here / "carrier")
    was, is_ = hashes_of(IMAGES[name])[0], hashes_of(here / "original.dcm")[0]
    assert {k: v for k, v in was.items() if k != "file"} == {k: v for k, v in is_.items() if k != "file"}
    assert pydicom.dcmread(here / "original.dcm").PixelData == pydicom.dcmread(IMAGES[name]).PixelData


def test_what_does_not_come_back_is_said_everywhere(here):
    protect(here, IMAGES["grey 12 of 16"])
    assert json.loads(run("inspect", "--json", here / "carrier").stdout)[0]["restorable"] == "no"
    assert json.loads(run("verify", "--json", here / "carrier").stdout)[0]["pixels_proven"] is False
    assert "cannot be restored" in pydicom.dcmread(here / "carrier").DerivationDescription
    run("recover", "-o", here / "x.dcm", "--pixels-only", here / "carrier", expect=4)
    assert not (here / "x.dcm").exists()


@pytest.mark.parametrize("options", [[], ["--order", "keyed"], ["--code", "dna"]], ids=str)
def test_a_wrong_password_opens_nothing(here, options):
    protect(here, IMAGES["grey 12 of 16"], *options)
    (here / "out").mkdir()
    run("recover", "-o", here / "out" / "x", "--password-file", here / "wrong", here / "carrier", expect=4)
    assert os.listdir(here / "out") == []


@pytest.mark.parametrize("options", [[], ["--planes", "4", "--reversible"], ["--delimiter", "##"]], ids=str)
def test_changed_pixels_are_seen(here, options):
    image = IMAGES["RGB 8"]
    protect(here, image, *options)
    before, _ = stored(image)
    after, _ = stored(here / "carrier")
    changed = np.flatnonzero(before != after)
    (here / "out").mkdir()
    for place in changed[:: max(1, len(changed) // 12)]:
        data = pydicom.dcmread(here / "carrier")
        cells = bytearray(data.PixelData)
        cells[place] ^= 8 if "4" in options else 1  # the first of a pixel's bits to be used: the last may be free
        data.PixelData = bytes(cells)
        data.save_as(here / "altered")
        run("recover", "-o", here / "out" / "x", "--password-file", here / "right", here / "altered", expect=3)
        assert os.listdir(here / "out") == []


@pytest.mark.parametrize("name, expect", [
    ("one-pixel-8bit.dcm", 6), ("flat-all-zero-512.dcm", 0), ("saturated-all-max-512.dcm", 0),
    ("single-column-4097x1-8bit.dcm", 6), ("single-row-1x4097-16bit.dcm", 6), ("float-pixel-data.dcm", 6),
    ("noise-uniform-8bit-256.dcm", 0), ("two-level-checkerboard-8bit.dcm", 0),
])
def test_edge_cases_carry_or_say_that_they_cannot(here, name, expect):
    protect(here, MADE / name, expect=expect)
    assert (here / "carrier").exists() == (expect == 0)
    if expect == 0:
        run("recover", "-o", here / "x", "--reports-only", "--force", "--password-file", here / "right",
            here / "carrier")


@pytest.mark.parametrize("name", ["single-column-4097x1-8bit.dcm", "single-row-1x4097-16bit.dcm"])
def test_a_line_of_pixels_carries_an_integrity_token(here, name):
    run("protect", "-o", here / "carrier", "--method", "lsb", "--planes", "4", MADE / name)
    run("verify", here / "carrier")


def png(path, width, height, depth, colour):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rng = np.random.default_rng(1)
    line = width * (3 if colour == 2 else 1) * depth // 8
    rows = b"".join(b"\0" + (bytes(line) if y < height // 2 else rng.bytes(line)) for y in range(height))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
                     + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


@pytest.mark.parametrize("depth, colour", [(8, 0), (16, 0), (8, 2), (16, 2)])
@pytest.mark.parametrize("options", [["--reversible"], ["--order", "keyed"], ["--code", "dna", "--reversible"]], ids=str)
def test_png_carries_too(here, depth, colour, options):
    png(here / "in.png", 200, 160, depth, colour)
    protect(here, here / "in.png", "--planes", "2", *options)
    (here / "out").mkdir()
    reversible = "--reversible" in options
    run("recover", "-o", here / "out" / "back.png", "--password-file", here / "right", here / "carrier",
        expect=0 if reversible else 1)
    assert (here / "out" / "report.txt").read_bytes() == REPORT
    assert (here / "out" / "back.png").exists() == reversible
    if reversible:
        assert hashes_of(here / "in.png")[0]["pixel_hash"] == hashes_of(here / "out" / "back.png")[0]["pixel_hash"]


def test_recipients_and_a_shared_key(here):
    for name in ("alice", "eve"):
        run("key", "new", "--name", name, "--key", here / f"{name}.key", "--certificate", here / f"{name}.pem")
    run("protect", "-o", here / "carrier", "--report", here / "report.txt", "--to", here / "alice.pem", "--method",
        "lsb", "--order", "keyed", "--shared-key", here / "right", IMAGES["RGB 8"])
    (here / "out").mkdir()

    def recover(who, key, expect):
        run("recover", "-o", here / "out" / "x", "--reports-only", "--key", here / f"{who}.key", "--certificate",
            here / f"{who}.pem", *key, here / "carrier", expect=expect)
        assert os.listdir(here / "out") == (["report.txt"] if expect == 0 else [])

    recover("alice", [], 4)
    recover("alice", ["--shared-key", here / "wrong"], 4)
    recover("eve", ["--shared-key", here / "right"], 4)
    recover("alice", ["--shared-key", here / "right"], 0)


def test_options_that_do_not_go_together_are_refused(here):
    for wrong in (["--planes", "5"], ["--dna-rule", "9"], ["--effort", "best"], ["--min-psnr", "70"],
                  ["--region", "1,1,20,20"], ["--order", "random"], ["--delimiter", ""]):
        protect(here, IMAGES["RGB 8"], *wrong, expect=2)
    run("protect", "-o", here / "carrier", "--method", "magic", IMAGES["RGB 8"], expect=2)
    run("protect", "-o", here / "carrier", "--planes", "2", IMAGES["RGB 8"], expect=2)
    run("protect", "-o", here / "carrier", "--method", "lsb", "--order", "keyed", IMAGES["RGB 8"], expect=2)


def test_capacity_is_told_for_each_number_of_planes(here):
    told = [json.loads(run("capacity", "--json", "--method", "lsb", "--planes", n, IMAGES["grey 12 of 16"]).stdout)
            for n in (1, 2, 4)]
    size = [t[0]["bytes"] for t in told]
    assert size[0] > 30000 and abs(size[1] - 2 * size[0]) < 100 and abs(size[2] - 4 * size[0]) < 400
    (here / "report.txt").write_bytes(os.urandom(size[0] - 1500))
    protect(here, IMAGES["grey 12 of 16"])
    (here / "report.txt").write_bytes(os.urandom(size[0]))
    protect(here, IMAGES["grey 12 of 16"], "--force", expect=6)


# ---- dna ----

LETTERS = {1: "ACGT", 2: "AGCT", 3: "CATG", 4: "CTAG", 5: "GATC", 6: "GTAC", 7: "TCGA", 8: "TGCA"}


@pytest.mark.parametrize("rule", LETTERS)
def test_the_letters_are_those_of_the_rule(here, rule):
    run("dna", "encode", "--rule", rule, "-o", here / "r.dna", here / "report.txt")
    want = "".join(LETTERS[rule][(byte >> shift) & 3] for byte in REPORT for shift in (6, 4, 2, 0))
    assert (here / "r.dna").read_text() == want + "\n"
    run("dna", "decode", "--rule", rule, "-o", here / "back", here / "r.dna")
    assert (here / "back").read_bytes() == REPORT


def test_fasta_is_sealed_and_says_its_rule(here):
    run("dna", "encode", "--rule", 6, "--fasta", "--width", 60, "--password-file", here / "right", "-o",
        here / "r.fasta", here / "report.txt")
    lines = (here / "r.fasta").read_text().splitlines()
    assert lines[0].startswith(">") and {len(line) for line in lines[1:-1]} == {60}
    assert set("".join(lines[1:])) == set("ACGT")
    (here / "lower.fasta").write_text(lines[0] + "\r\n" + "\r\n".join(lines[1:]).lower())
    run("dna", "decode", "--password-file", here / "right", "-o", here / "back", here / "lower.fasta")
    assert (here / "back").read_bytes() == REPORT
    run("dna", "decode", "--password-file", here / "wrong", "-o", here / "none", here / "r.fasta", expect=3)
    swapped = lines[-2].translate(str.maketrans("ACGT", "CGTA"))
    (here / "altered").write_text("\n".join(lines[:-2] + [swapped] + lines[-1:]))
    run("dna", "decode", "--password-file", here / "right", "-o", here / "none", here / "altered", expect=3)
    assert not (here / "none").exists()


def test_a_wrong_letter_is_named_with_its_place(here):
    (here / "bad").write_text(">title\nACGT\nACNT\n")
    said = run("dna", "decode", "-o", here / "none", here / "bad", expect=1).stderr
    assert "'N' is no base: base 7, line 3, column 3" in said
    assert not (here / "none").exists()
