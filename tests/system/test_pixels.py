# SPDX-License-Identifier: Apache-2.0
"""Every kind of stored pixel through the command dicomstego, and the options that say how to hide in it.

What a carrier may change is measured here with pydicom and numpy, not with our code.
"""

import csv
import hashlib
import json
import math
import os
import pathlib
import subprocess

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

CT = DATA / "ct" / "philips-ingenuity" / "0001.dcm"
PADDED = DATA / "syntaxes" / "nema-ct1" / "uncompressed.dcm"
FRAMES = DATA / "nm" / "heart-13frames.dcm"


def run(*arguments, expect=0):
    done = subprocess.run([str(PROGRAM), *map(str, arguments)], capture_output=True, text=True, timeout=300)
    assert done.returncode == expect, f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done


def cells_of(path):
    """Pixel Data as it is stored, one number a cell."""
    ds = pydicom.dcmread(path, force=True)
    kind = np.dtype({8: "u1", 16: "<u2", 32: "<u4"}[ds.BitsAllocated])
    if ds.PixelRepresentation == 1:
        kind = np.dtype(kind.str.replace("u", "i"))
    if not ds.is_little_endian:
        kind = kind.newbyteorder(">")
    shared = ds.PhotometricInterpretation == "YBR_FULL_422"
    samples = 2 if shared else ds.SamplesPerPixel
    count = ds.Rows * ds.Columns * samples * int(ds.get("NumberOfFrames", 1) or 1)
    return np.frombuffer(ds.PixelData, kind, count).astype(np.int64)


def protected(tmp_path, image, *options):
    """The carrier of an integrity token, which anybody can restore."""
    run("protect", "-o", tmp_path / "c.dcm", *options, image)
    run("recover", "-o", tmp_path / "b.dcm", tmp_path / "c.dcm")
    assert (cells_of(tmp_path / "b.dcm") == cells_of(image)).all()
    return tmp_path / "c.dcm"


def difference(image, carrier):
    return cells_of(carrier) - cells_of(image)


def psnr(image, carrier):
    bits = pydicom.dcmread(image, stop_before_pixels=True).BitsStored
    return 10 * math.log10((2 ** bits - 1) ** 2 / np.mean(difference(image, carrier).astype(float) ** 2))


KINDS = ["us/us1-rgb-uncompressed.dcm", "us/epicard-rgb-bigendian.dcm", "us/ybr-full-422-uncompressed.dcm",
         "other/color-pl.dcm", "other/color-px.dcm", "other/test-pattern-rgb.dcm", "other/vl1-endoscopy-rgb.dcm",
         "other/overlay-16-planes.dcm", "xray/cr-chest-mono1-no-meta.dcm", "nm/heart-13frames.dcm",
         "xa/xa1-uncompressed.dcm", "other/made/signed-12-in-16.dcm", "other/made/signed-8bit.dcm"]


@pytest.fixture(scope="module")
def hashes():
    with open(DATA / "manifest.tsv", newline="") as f:
        return {row["path"]: row["pixel_sha256"] for row in csv.DictReader(f, delimiter="\t")}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_carries_and_comes_back(name, hashes, tmp_path):
    image = DATA / name
    carrier = protected(tmp_path, image)
    assert (difference(image, carrier) != 0).any()
    was, now = (pydicom.dcmread(p, force=True) for p in (image, carrier))
    for attribute in ("PhotometricInterpretation", "PlanarConfiguration", "BitsStored", "HighBit", "NumberOfFrames"):
        assert was.get(attribute) == now.get(attribute)
    back = cells_of(tmp_path / "b.dcm")
    little = back.astype({8: "u1", 16: "<u2", 32: "<u4"}[was.BitsAllocated])
    assert hashlib.sha256(little.tobytes()).hexdigest() == hashes[name]


COMPRESSED = [("syntaxes/made-us-rgb/rle.dcm", "RGB"), ("syntaxes/made-us-rgb/jpegls-lossless.dcm", "RGB"),
              ("syntaxes/made-us-rgb/jpeg-baseline-422.dcm", "YBR_FULL"), ("syntaxes/made-us-rgb/j2k-lossless.dcm", "RGB")]


@pytest.mark.parametrize("name, photometric", COMPRESSED)
def test_compressed_colour_becomes_a_native_carrier(name, photometric, tmp_path):
    run("protect", "-o", tmp_path / "c.dcm", DATA / name)
    carrier = pydicom.dcmread(tmp_path / "c.dcm")
    assert not carrier.file_meta.TransferSyntaxUID.is_compressed
    assert carrier.PhotometricInterpretation == photometric and carrier.PlanarConfiguration == 0


# What the originals come back as, and who else decodes it: DCMTK's tools, or None for Pillow behind pydicom.
AGAIN = [("syntaxes/made-us-rgb/rle.dcm", "dcmdrle"), ("syntaxes/made-mr12u/rle.dcm", "dcmdrle"),
         ("syntaxes/made-us-rgb/jpegls-lossless.dcm", "dcmdjpls"), ("syntaxes/made-mr12u/jpegls-lossless.dcm", "dcmdjpls"),
         ("syntaxes/made-ct16s/jpegls-lossless.dcm", "dcmdjpls"), ("syntaxes/made-multiframe/nm-heart-jpegls.dcm", "dcmdjpls"),
         ("syntaxes/made-us-rgb/jpeg-lossless-sv1.dcm", "dcmdjpeg"), ("syntaxes/made-ct16s/jpeg-lossless-sv1.dcm", "dcmdjpeg"),
         ("syntaxes/made-ct16s/deflated.dcm", "dcmconv"), ("syntaxes/made-us-rgb/j2k-lossless.dcm", None),
         ("syntaxes/made-mr12u/j2k-lossless.dcm", None)]


@pytest.mark.parametrize("name, tool", AGAIN)
def test_a_compressed_original_comes_back_in_its_own_syntax_that_others_decode(name, tool, hashes, tmp_path):
    run("protect", "-o", tmp_path / "c.dcm", DATA / name)
    run("recover", "-o", tmp_path / "b.dcm", tmp_path / "c.dcm")
    back = pydicom.dcmread(tmp_path / "b.dcm")
    assert back.file_meta.TransferSyntaxUID == pydicom.dcmread(DATA / name).file_meta.TransferSyntaxUID
    if tool is None:
        cells = back.pixel_array.tobytes()
    else:
        subprocess.run([tool, *(["+te"] if tool == "dcmconv" else []), tmp_path / "b.dcm", tmp_path / "n.dcm"], check=True)
        cells = pydicom.dcmread(tmp_path / "n.dcm").PixelData
    size = back.Rows * back.Columns * back.SamplesPerPixel * back.BitsAllocated // 8 * int(back.get("NumberOfFrames", 1) or 1)
    assert hashlib.sha256(cells[:size]).hexdigest() == hashes[name]


def test_a_bitstream_that_fits_comes_back_to_the_byte(tmp_path):
    image = DATA / "syntaxes" / "made-us-rgb" / "jpeg-baseline-422.dcm"
    (tmp_path / "r.txt").write_text("FINDINGS: invented.\n")
    (tmp_path / "p").write_text("a long and simple password\n")
    sealed = ["--report", tmp_path / "r.txt", "--password-file", tmp_path / "p"]
    run("protect", "-o", tmp_path / "c.dcm", "--keep-bitstream", *sealed, image)
    (tmp_path / "out").mkdir()
    run("recover", "-o", tmp_path / "out", "--password-file", tmp_path / "p", tmp_path / "c.dcm")
    assert (tmp_path / "out" / "c.dcm").read_bytes() == image.read_bytes()


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """A CT slice with 32 bits a pixel, stored values on both sides of 2^31."""
    path = tmp_path_factory.mktemp("wide") / "wide.dcm"
    ds = pydicom.dcmread(CT)
    values = ds.pixel_array.astype(np.int64) * 16 + (1 << 31) - 16000
    ds.PixelData = values.astype("<u4").tobytes()
    ds.BitsAllocated = ds.BitsStored = 32
    ds.HighBit, ds.PixelRepresentation = 31, 0
    ds["PixelData"].VR = "OW"
    ds.save_as(path)
    return path


def test_grey_of_32_bits_carries_and_comes_back_to_the_byte(wide, tmp_path):
    carrier = protected(tmp_path, wide)
    assert (difference(wide, carrier) != 0).any() and np.abs(difference(wide, carrier)).max() < 4096
    assert pydicom.dcmread(carrier).BitsStored == 32


def test_bits_above_high_bit_are_overlays_and_stay(tmp_path):
    image = DATA / "other" / "made" / "stored10-in-16-garbage-in-unused-bits.dcm"
    bits = pydicom.dcmread(image, stop_before_pixels=True).BitsStored
    carrier = protected(tmp_path, image)
    above = ~((1 << bits) - 1)
    assert ((cells_of(carrier) & above) == (cells_of(image) & above)).all()
    assert ((cells_of(image) & above) != 0).any()


@pytest.mark.parametrize("name, reason", [
    ("other/test-pattern-palette8.dcm", "palette"), ("other/liver.dcm", "1 bit"),
    ("other/parametric_map_float.dcm", "floating point"), ("other/parametric_map_double_float.dcm", "floating point"),
    ("syntaxes/made-mr12u/jpegxl-lossless.dcm", "no decoder")])
def test_what_cannot_carry_is_refused_with_the_reason(name, reason, tmp_path):
    named = ("--measurement", "segmentation", "--measurement", "parametric_map")
    assert reason in run("protect", "-o", tmp_path / "c.dcm", *named, DATA / name, expect=6).stderr
    assert reason in run("capacity", DATA / name, expect=6).stderr
    assert os.listdir(tmp_path) == []


# ---- options ----


@pytest.mark.parametrize("effort", ["fast", "balanced", "best"])
def test_every_effort_is_read_back_blindly(effort, tmp_path):
    carrier = protected(tmp_path, CT, "--effort", effort)
    assert (difference(CT, carrier) != 0).any()


def test_preserved_rectangles_and_masks_stay_as_they_are(tmp_path):
    from PIL import Image
    mask = np.zeros((512, 512), "u1")
    mask[300:340, 100:400] = 1
    Image.fromarray(mask).save(tmp_path / "mask.png")
    carrier = protected(tmp_path, CT, "--preserve", "200,180,100,90", "--preserve", "0,0,30,20,1", "--preserve-mask",
                        tmp_path / "mask.png")
    changed = (difference(CT, carrier) != 0).reshape(512, 512)
    assert changed.any()
    assert not changed[180:270, 200:300].any() and not changed[:20, :30].any() and not changed[mask != 0].any()


def test_a_rectangle_is_preserved_in_the_frame_that_is_named_or_in_all(tmp_path):
    plain = (difference(FRAMES, protected(tmp_path, FRAMES)) != 0).reshape(13, 64, 64)
    used = [int(i) for i in np.flatnonzero(plain.any(axis=(1, 2)))]
    (tmp_path / "one").mkdir()
    carrier = protected(tmp_path / "one", FRAMES, "--preserve", f"0,0,64,64,{used[0] + 1}")
    changed = (difference(FRAMES, carrier) != 0).reshape(13, 64, 64)
    assert not changed[used[0]].any() and changed.any()
    (tmp_path / "all").mkdir()
    carrier = protected(tmp_path / "all", FRAMES, "--preserve", "16,16,16,16")
    changed = (difference(FRAMES, carrier) != 0).reshape(13, 64, 64)
    assert not changed[:, 16:32, 16:32].any() and changed.any()


def test_limits_are_kept_or_it_is_exit_6_and_nothing_is_written(tmp_path):
    carrier = protected(tmp_path, CT, "--max-difference", "1", "--min-psnr", "80.5")
    assert np.abs(difference(CT, carrier)).max() == 1 and psnr(CT, carrier) >= 80.5
    for limit in (["--min-psnr", "150"], ["--max-difference", "1", "--min-psnr", "120"]):
        run("protect", "-o", tmp_path / "no.dcm", *limit, CT, expect=6)
    assert not (tmp_path / "no.dcm").exists()
    run("protect", "-o", tmp_path / "side.dcm", "--min-psnr", "150", "--unsuitable", "sidecar", CT)
    assert (tmp_path / "side.dcm").read_bytes() == CT.read_bytes()
    assert pydicom.dcmread(tmp_path / "side.sidecar.dcm").Modality == "OT"


def test_declared_padding_stays_and_none_is_made_unless_it_may_be_used(tmp_path):
    padding = pydicom.dcmread(PADDED, stop_before_pixels=True).PixelPaddingValue
    where = cells_of(PADDED) == padding
    assert where.any()
    carrier = protected(tmp_path, PADDED)
    assert ((cells_of(carrier) == padding) == where).all()
    (tmp_path / "used").mkdir()
    carrier = protected(tmp_path / "used", PADDED, "--use-padding")
    assert (difference(PADDED, carrier)[where] != 0).any()


def test_capacity_is_for_the_effort_and_the_limits_asked_for(tmp_path):
    def bits(*options):
        facts = json.loads(run("capacity", "--json", *options, CT).stdout)[0]
        assert facts["bytes"] == facts["bits"] // 8
        return facts["bits"]

    free = bits("--effort", "fast")
    assert f"{free} bits, {free // 8} bytes" in run("capacity", "--effort", "fast", CT).stdout
    assert 0 < bits("--effort", "fast", "--max-difference", "1") < free
    assert 0 < bits("--effort", "fast", "--min-psnr", "70") < free
    assert 0 < bits("--effort", "fast", "--preserve", "100,100,300,300") < free
    nothing = run("capacity", "--json", "--effort", "fast", "--preserve", "0,0,512,512", CT, expect=6)
    assert json.loads(nothing.stdout)[0]["bits"] == 0


@pytest.mark.parametrize("options", [
    ["--effort", "harder"], ["--max-difference", "0"], ["--max-difference", "-1"], ["--min-psnr", "0"],
    ["--min-psnr", "inf"], ["--min-psnr", "1e9"], ["--min-psnr", "70dB"], ["--preserve", "1,2,3"],
    ["--preserve", "1,2,0,4"], ["--preserve", "1,2,3,4,0"], ["--preserve", "1,2,3,4,5,6"],
    ["--preserve", "500,0,64,64"], ["--preserve", "0,0,4,4,2"], ["--preserve", "-1,0,4,4"]])
def test_options_that_make_no_sense_are_exit_2(options, tmp_path):
    run("protect", "-o", tmp_path / "c.dcm", *options, CT, expect=2)
    run("capacity", *options, CT, expect=2)
    assert os.listdir(tmp_path) == []


def test_a_mask_of_another_size_is_exit_2_and_one_that_cannot_be_read_exit_1(tmp_path):
    from PIL import Image
    Image.new("L", (64, 64)).save(tmp_path / "small.png")
    run("protect", "-o", tmp_path / "c.dcm", "--preserve-mask", tmp_path / "small.png", CT, expect=2)
    (tmp_path / "text.png").write_text("no picture")
    run("protect", "-o", tmp_path / "c.dcm", "--preserve-mask", tmp_path / "text.png", CT, expect=1)
    run("protect", "-o", tmp_path / "c.dcm", "--preserve-mask", tmp_path / "none.png", CT, expect=1)
    assert not (tmp_path / "c.dcm").exists()


def test_preserving_and_limits_hold_for_png_too(tmp_path):
    from PIL import Image
    image = next((DATA / "standard").rglob("camera-512-grey.png"), None)
    if image is None:
        pytest.skip("no camera-512-grey.png")
    run("protect", "-o", tmp_path / "c.png", "--preserve", "100,50,200,300", "--effort", "fast", "--min-psnr", "45", image)
    was, now = (np.asarray(Image.open(p)).astype(int) for p in (image, tmp_path / "c.png"))
    assert (was != now).any() and (was[50:350, 100:300] == now[50:350, 100:300]).all()
    assert 10 * math.log10(255 ** 2 / np.mean((was - now) ** 2.0)) >= 45
    run("recover", "-o", tmp_path / "b.png", tmp_path / "c.png")
    assert (np.asarray(Image.open(tmp_path / "b.png")) == was).all()
    run("protect", "-o", tmp_path / "no.png", "--min-psnr", "120", image, expect=6)
    assert not (tmp_path / "no.png").exists()


def test_recovering_says_which_frame_was_altered(tmp_path):
    run("protect", "-o", tmp_path / "c.dcm", FRAMES)
    ds = pydicom.dcmread(tmp_path / "c.dcm")
    changed = np.flatnonzero((difference(FRAMES, tmp_path / "c.dcm") != 0).reshape(13, -1).any(axis=1))
    frame = int(changed[-1])
    pixels = np.frombuffer(ds.PixelData, "<u2").copy().reshape(13, -1)
    pixels[frame, np.flatnonzero(difference(FRAMES, tmp_path / "c.dcm").reshape(13, -1)[frame])[0]] ^= 2
    ds.PixelData = pixels.tobytes()
    ds.save_as(tmp_path / "altered.dcm")
    done = run("recover", "-o", tmp_path / "b.dcm", tmp_path / "altered.dcm", expect=3)
    assert "altered" in done.stderr and not (tmp_path / "b.dcm").exists()
    if len(changed) > 1:
        assert f"in frame {frame + 1} of 13" in done.stderr
