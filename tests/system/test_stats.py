# SPDX-License-Identifier: Apache-2.0
"""'dicomstego stats': its figures against numpy's, and what it says of ciphers and of replaced bits.

The programs are found through DICOMSTEGO_BUILD (default build/release), images through DICOMSTEGO_TEST_DATA.
"""

import json
import math
import os
import pathlib
import shutil
import struct
import subprocess
import zlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("DICOMSTEGO_BUILD", ROOT / "build" / "release"))
DATA = pathlib.Path(os.environ.get("DICOMSTEGO_TEST_DATA", ROOT.parent / "shared" / "data"))
PROGRAM = BUILD / "dicomstego"

np = pytest.importorskip("numpy")
pydicom = pytest.importorskip("pydicom")

pytestmark = [
    pytest.mark.skipif(not PROGRAM.exists(), reason=f"no program {PROGRAM}"),
    pytest.mark.skipif(not DATA.exists(), reason="no test images (DICOMSTEGO_TEST_DATA)"),
]

CT = sorted((DATA / "ct" / "ge-hispeed").glob("*.dcm"))[0]


def run(*arguments, expect=0, env=None):
    done = subprocess.run([str(PROGRAM), *map(str, arguments)], capture_output=True, text=True, timeout=300, env=env)
    assert done.returncode == expect, f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done


def stats(*arguments):
    return json.loads(run("stats", "--json", *arguments).stdout)


def write_png(path, image):
    bits = 8 * image.dtype.itemsize
    raw = b"".join(b"\0" + row.astype(image.dtype.newbyteorder(">")).tobytes() for row in image)

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", image.shape[1], image.shape[0], bits, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b""))


def entropy(values):
    p = np.bincount(values) / len(values)
    p = p[p > 0]
    return -(p * np.log2(p)).sum()


def ssim(a, b):
    """Wang 2004, straight from the definition: a window at a time."""
    w = np.exp(-((np.arange(11) - 5) ** 2) / (2 * 1.5**2))
    w = np.outer(w, w) / np.outer(w, w).sum()
    span = max(1, a.max() - a.min())
    c1, c2 = (0.01 * span) ** 2, (0.03 * span) ** 2
    total = []
    for y in range(a.shape[0] - 10):
        for x in range(a.shape[1] - 10):
            p, q = a[y:y + 11, x:x + 11], b[y:y + 11, x:x + 11]
            mp, mq = (w * p).sum(), (w * q).sum()
            vp, vq, c = (w * (p - mp) ** 2).sum(), (w * (q - mq) ** 2).sum(), (w * (p - mp) * (q - mq)).sum()
            total.append((2 * mp * mq + c1) * (2 * c + c2) / ((mp * mp + mq * mq + c1) * (vp + vq + c2)))
    return np.mean(total)


@pytest.mark.parametrize("bits", [8, 16])
def test_figures_are_those_of_numpy(tmp_path, bits):
    rng = np.random.default_rng(bits)
    y, x = np.mgrid[0:48, 0:60]
    top = 2**bits - 1
    a = ((np.sin(x / 9) + np.cos(y / 7) + 2) / 4 * top * 0.9 + rng.integers(0, 20, x.shape)).astype(int)
    b = np.clip(a + rng.integers(-3, 4, a.shape), 0, top)
    dtype = np.uint8 if bits == 8 else np.uint16
    write_png(tmp_path / "a.png", a.astype(dtype))
    write_png(tmp_path / "b.png", b.astype(dtype))
    s = stats(tmp_path / "a.png", tmp_path / "b.png")
    c = s["cover"]
    stored = np.frombuffer(a.astype(dtype).tobytes(), dtype=np.uint8)
    assert c["entropy_bits_per_sample"] == pytest.approx(entropy(a.ravel()))
    assert c["entropy_bits_per_byte"] == pytest.approx(entropy(stored))
    for name, p, q in (("horizontal", a[:, 1:], a[:, :-1]), ("vertical", a[1:], a[:-1]), ("diagonal", a[1:, 1:], a[:-1, :-1])):
        assert c["correlation"][name] == pytest.approx(np.corrcoef(p.ravel(), q.ravel())[0, 1])
    counts = np.bincount(stored, minlength=256)
    expected = counts.sum() / 256
    assert c["histogram"]["chi_square"] == pytest.approx(((counts - expected) ** 2 / expected).sum())
    k = s["comparison"]
    assert k["same_geometry"] and k["compared"] == a.size
    assert k["npcr_percent"] == pytest.approx(100 * (a != b).mean())
    assert k["uaci_percent"] == pytest.approx(100 * np.abs(a - b).mean() / top)
    mse = ((a - b) ** 2).mean()
    assert k["mse"] == pytest.approx(mse)
    assert k["psnr_db"] == pytest.approx(10 * math.log10(top * top / mse))
    assert k["max_difference"] == np.abs(a - b).max()
    assert k["ssim"] == pytest.approx(ssim(a.astype(float), b.astype(float)), abs=1e-7)


def test_two_ciphers_of_nearly_the_same_image_differ_as_noise_does(tmp_path):
    run("key", "new", "--name", "a", "--key", tmp_path / "a.key", "--certificate", tmp_path / "a.pem")
    d = pydicom.dcmread(CT)
    cells = bytearray(d.PixelData)
    cells[len(cells) // 2] ^= 1
    d.PixelData = bytes(cells)
    d.save_as(tmp_path / "other.dcm")
    for name, image in (("1", CT), ("2", tmp_path / "other.dcm")):
        run("cipher", "-o", tmp_path / f"{name}.dcm", "--to", tmp_path / "a.pem", image)
    s = stats(tmp_path / "1.dcm", tmp_path / "2.dcm")
    assert s["comparison"]["npcr_percent"] > 99.9
    assert s["comparison"]["uaci_percent"] == pytest.approx(33.33, abs=0.3)
    assert s["cover"]["entropy_bits_per_byte"] > 7.99
    assert all(abs(r) < 0.01 for r in s["cover"]["correlation"].values())
    assert s["cover"]["histogram"]["p"] > 1e-6
    s = stats(CT, tmp_path / "1.dcm")
    assert s["comparison"]["npcr_percent"] > 99.5 and s["comparison"]["psnr_db"] is None
    assert s["stages"]["lzma"] < s["stages"]["pixels"]


def test_replaced_bits_are_seen(tmp_path):
    rng = np.random.default_rng(3)
    d = pydicom.dcmread(CT)
    a = d.pixel_array.astype(int)
    a = (np.clip(a - a.min(), 0, 4095) // 16).astype(np.uint8)
    full = (a & 0xFE) | rng.integers(0, 2, a.shape, dtype=np.uint8)
    half = np.where(rng.random(a.shape) < 0.5, full, a)
    write_png(tmp_path / "a.png", a)
    write_png(tmp_path / "full.png", full)
    write_png(tmp_path / "half.png", half)
    s = stats(tmp_path / "a.png", tmp_path / "full.png")
    assert max(s["cover"]["lsb"]["chi_square_attack"]) < 1e-3
    assert s["other"]["lsb"]["chi_square_attack"][-1] > 1e-3
    assert abs(s["cover"]["lsb"]["rs_length"]) < 0.2
    assert stats(tmp_path / "a.png", tmp_path / "half.png")["other"]["lsb"]["rs_length"] == pytest.approx(0.5, abs=0.15)


@pytest.mark.parametrize("name", ["one-pixel-8bit.dcm", "flat-all-zero-512.dcm", "saturated-all-max-512.dcm",
                                  "single-row-1x4097-16bit.dcm", "single-column-4097x1-8bit.dcm"])
def test_edge_cases_have_figures_or_null(name):
    image = DATA / "other" / "made" / name
    s = stats(image, image)
    assert s["comparison"]["npcr_percent"] == 0 and s["comparison"]["psnr_db"] is None
    run("stats", image, image)


@pytest.mark.skipif(shutil.which("gnuplot") is None, reason="no gnuplot")
def test_a_plot_is_a_png(tmp_path):
    for name, other in (("same", CT), ("other", DATA / "other" / "CT_small.dcm")):
        run("stats", "--plot", tmp_path / f"{name}.png", CT, other)
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    run("stats", "--plot", tmp_path / "same.png", CT, CT, expect=1)
    run("stats", "--force", "--plot", tmp_path / "same.png", CT, CT)


def test_without_gnuplot_it_says_so(tmp_path):
    done = run("stats", "--plot", tmp_path / "p.png", CT, CT, expect=1, env={"PATH": str(tmp_path)})
    assert "gnuplot" in done.stderr
    assert not (tmp_path / "p.png").exists()
