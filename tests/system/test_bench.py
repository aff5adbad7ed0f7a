# SPDX-License-Identifier: Apache-2.0
"""bench/engine says the truth: what it prints of a carrier is what numpy finds between the two files."""
import json
import math
import subprocess

import pytest

import compare
import hospital

np = pytest.importorskip("numpy")
pydicom = pytest.importorskip("pydicom")
Image = pytest.importorskip("PIL.Image")

DATA = hospital.data_folder()
ENGINE = hospital.build_folder() / "bench" / "engine"

pytestmark = pytest.mark.skipif(not ENGINE.exists(), reason=f"no program {ENGINE}")


def engine(*arguments, expect=0):
    done = subprocess.run([str(ENGINE), *map(str, arguments), "--json"], capture_output=True, text=True, timeout=300)
    assert done.returncode == expect, f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
    return [json.loads(line) for line in done.stdout.splitlines()]


def picture(columns, rows, depth, colour=False):
    """Slopes and a little noise, so that something fits."""
    rng = np.random.default_rng(7)
    y, x = np.mgrid[0:rows, 0:columns]
    top = 1 << depth
    planes = [(top // 4 + top * (x + (k + 1) * y) // (4 * (columns + rows)) + rng.integers(0, 4, (rows, columns)))
              for k in range(3 if colour else 1)]
    samples = np.stack(planes, axis=-1) if colour else planes[0]
    return samples.astype("uint8" if depth == 8 else "uint16")


def ssim_of(x, y, span):
    """Wang et al. 2004 with an 11 x 11 window, straight from the formula."""
    weights = np.exp(-(np.arange(11) - 5.0) ** 2 / (2 * 1.5 ** 2))
    weights /= weights.sum()

    def blur(a):
        for axis in (0, 1):
            a = np.apply_along_axis(np.convolve, axis, a, weights, "valid")
        return a

    low = min(x.min(), 0)
    x, y = x.astype(np.float64) - low, y.astype(np.float64) - low
    mx, my = blur(x), blur(y)
    vx, vy, cov = blur(x * x) - mx * mx, blur(y * y) - my * my, blur(x * y) - mx * my
    c1, c2 = (0.01 * span) ** 2, (0.03 * span) ** 2
    return float(np.mean((2 * mx * my + c1) * (2 * cov + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2))))


def agrees(told, cover, carrier, bits_stored, padding=None):
    """cover, carrier: planes as (count, rows, columns)."""
    gap = np.abs(carrier - cover)
    used = cover if padding is None else cover[cover != padding]
    span = float(used.max() - used.min())
    mse = float(np.mean(gap.astype(np.float64) ** 2))
    assert mse > 0 and told["changed_samples"] == np.count_nonzero(gap)
    assert told["max_difference"] == gap.max()
    assert told["psnr_db"] == pytest.approx(20 * math.log10((1 << bits_stored) - 1) - 10 * math.log10(mse), abs=1e-3)
    assert told["range_psnr_db"] == pytest.approx(20 * math.log10(span) - 10 * math.log10(mse), abs=1e-3)
    unlike = 1 - np.mean([ssim_of(x, y, span) for x, y in zip(cover, carrier)])
    assert 1 - told["ssim"] == pytest.approx(unlike, rel=1e-4, abs=1e-11)


@pytest.mark.parametrize("depth, colour", [(8, False), (16, False), (8, True)])
def test_a_png_differs_by_what_the_bench_says(tmp_path, depth, colour):
    path = tmp_path / "in.png"
    samples = picture(160, 120, depth, colour)
    # Pillow has no mode for 16-bit grey but this one.
    Image.fromarray(samples if depth == 8 else samples.astype("int32")).save(path)
    (told,) = engine(path, "--bits", 1000, "--effort", "fast", "--carrier", tmp_path / "out")
    cover, carrier = (np.asarray(Image.open(p)).astype(np.int64) for p in (path, told["carrier"]))
    planes = [np.moveaxis(a, -1, 0) if colour else a[np.newaxis] for a in (cover, carrier)]
    assert (told["columns"], told["rows"], told["components"]) == (160, 120, 3 if colour else 1)
    assert told["bits"] == 1000 and told["bits_stored"] == depth
    agrees(told, *planes, depth)


@pytest.mark.skipif(DATA is None, reason="no test images (DICOMSTEGO_TEST_DATA)")
@pytest.mark.parametrize("name", ["ct/ge-hispeed/0014.dcm", "mr/ge-signa-wrist/0008.dcm"])
def test_a_dicom_file_differs_by_what_the_bench_says_and_nowhere_else(tmp_path, name):
    (told,) = engine(DATA / name, "--bits", 4096, "--effort", "balanced", "--carrier", tmp_path)
    original, carrier = pydicom.dcmread(DATA / name), pydicom.dcmread(told["carrier"])
    assert compare.differences(original, carrier) == ["(7fe0,0010)"]
    padding = original.get("PixelPaddingValue")
    x, y = compare.samples(original), compare.samples(carrier)
    agrees(told, x, y, original.BitsStored, padding)
    if padding is not None:
        assert np.array_equal(x == padding, y == padding)


@pytest.mark.skipif(DATA is None, reason="no test images (DICOMSTEGO_TEST_DATA)")
def test_of_many_frames_those_that_carry_are_measured():
    (told,) = engine(DATA / "xa/angio-jpeg-baseline-96frames.dcm", "--bits", 1000, "--effort", "fast", "--repeat", 1)
    assert told["status"] == "ok" and told["columns"] * told["rows"] * told["frames"] == 8388608


@pytest.mark.skipif(DATA is None, reason="no test images (DICOMSTEGO_TEST_DATA)")
def test_known_figures_stand_beside_the_measured_ones(tmp_path):
    first, second = engine(DATA / "ct/ge-hispeed/0014.dcm", DATA / "ct/ge-hispeed/0001.dcm", "--bits", 65536,
                           "--effort", "fast", "--repeat", 1)
    assert first["prototype"] == {"method": "rhombus", "psnr_db": 101.7, "range_psnr_db": 74.39,
                                  "max_difference": 2}
    assert "prototype" not in second
    assert first["goal_psnr_db"] == second["goal_psnr_db"] == 103.0


def test_what_fits_is_told_to_the_bit(tmp_path):
    path = tmp_path / "in.png"
    Image.fromarray(picture(48, 40, 8)).save(path)
    (most,) = engine(path, "--bits", "max", "--effort", "fast", "--repeat", 1)
    assert most["status"] == "ok" and most["bits"] > 100
    (more,) = engine(path, "--bits", most["bits"] + 1, "--effort", "fast", "--repeat", 1, expect=6)
    assert more["status"] == "capacity"


def test_limits_and_preserved_pixels_are_honoured(tmp_path):
    path = tmp_path / "in.png"
    samples = picture(160, 120, 8)
    Image.fromarray(samples).save(path)
    (told,) = engine(path, "--bits", 2000, "--max-difference", 1, "--preserve", "20,30,50,40", "--repeat", 1,
                     "--carrier", tmp_path / "out")
    carrier = np.asarray(Image.open(told["carrier"]))
    assert np.array_equal(samples[30:70, 20:70], carrier[30:70, 20:70])
    assert told["max_difference"] == 1
    engine(path, "--bits", 2000, "--min-psnr", 90, "--repeat", 1, expect=6)


def test_a_study_on_two_threads_is_measured_against_one(tmp_path):
    names = [tmp_path / f"{i}.png" for i in range(3)]
    for name in names:
        Image.fromarray(picture(64, 64, 8)).save(name)
    *images, study = engine(*names, "--bits", 100, "--effort", "fast", "--threads", 2, "--repeat", 1)
    assert len(images) == 3 and study["study"] == 3 and study["threads"] == 2
    assert study["scaling"] > 0


def test_what_is_no_image_is_named_and_the_others_are_measured(tmp_path):
    (tmp_path / "no.png").write_bytes(b"no image")
    Image.fromarray(picture(64, 64, 8)).save(tmp_path / "yes.png")
    no, yes = engine(tmp_path / "no.png", tmp_path / "yes.png", "--bits", 100, "--repeat", 1, expect=1)
    assert no["status"] == "format" and no["why"]
    assert yes["status"] == "ok"
