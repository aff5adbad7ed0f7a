# SPDX-License-Identifier: Apache-2.0
"""'dicomstego cipher' and 'decipher' from outside: every kind of image comes back, and nothing that was touched does.

The programs are found through DICOMSTEGO_BUILD (default build/release), images through DICOMSTEGO_TEST_DATA.
"""

import hashlib
import json
import os
import pathlib
import subprocess

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
MR = sorted((DATA / "mr" / "siemens-prisma-t1").glob("*.dcm"))[0]
REAL = [CT, MR, DATA / "other" / "SC_rgb.dcm", DATA / "other" / "SC_rgb_16bit_2frame.dcm", DATA / "other" / "CT_small.dcm",
        DATA / "other" / "MR_small_bigendian.dcm", DATA / "other" / "JPEG2000.dcm", DATA / "enhanced" / "emri-small.dcm",
        DATA / "xray" / "cr-chest-mono1-no-meta.dcm", *sorted((DATA / "other" / "made").glob("*.dcm"))]


def run(*arguments, expect=0):
    done = subprocess.run([str(PROGRAM), *map(str, arguments)], capture_output=True, text=True, timeout=300)
    assert done.returncode == expect, f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    for name, kind in (("alice", "ec"), ("koblitz", "secp256k1"), ("eve", "ec"), ("rsa", "rsa")):
        run("key", "new", "--type", kind, "--name", name, "--key", folder / f"{name}.key",
            "--certificate", folder / f"{name}.pem")
    return folder


def cipher_cells(path):
    d = pydicom.dcmread(path)
    return np.frombuffer(d.PixelData, dtype="<u2").reshape(d.Rows, d.Columns)


@pytest.mark.parametrize("image", REAL, ids=lambda p: p.name)
def test_any_image_comes_back_byte_for_byte(tmp_path, keys, image):
    run("cipher", "-o", tmp_path / "c.dcm", "--to", keys / "alice.pem", image)
    run("decipher", "-o", tmp_path / "back", "--key", keys / "alice.key", tmp_path / "c.dcm")
    assert (tmp_path / "back").read_bytes() == image.read_bytes()


@pytest.mark.parametrize("left_out", ["--no-duplicates", "--no-rle", "--no-lzma", "--no-padding", "--no-henon", "all"])
@pytest.mark.parametrize("aead", ["chacha20-poly1305", "aes-256-gcm"])
def test_each_stage_can_be_left_out(tmp_path, keys, left_out, aead):
    options = ["--no-duplicates", "--no-rle", "--no-lzma", "--no-padding", "--no-henon"] if left_out == "all" else [left_out]
    done = run("cipher", *options, "--aead", aead, "--json", "-o", tmp_path / "c.png", "--to", keys / "koblitz.pem", CT)
    sizes = json.loads(done.stdout)
    if left_out == "--no-padding":
        assert sizes["cipher"] < sizes["pixels"] / 2
    run("decipher", "-o", tmp_path / "back", "--key", keys / "koblitz.key", "--key-file", tmp_path / "c.png.json",
        tmp_path / "c.png")
    assert (tmp_path / "back").read_bytes() == CT.read_bytes()


def test_the_key_file_tells_nothing_secret(tmp_path, keys):
    run("cipher", "-o", tmp_path / "c.png", "--to", keys / "alice.pem", CT)
    text = (tmp_path / "c.png.json").read_text()
    form = json.loads(text)
    assert form["curve"] == "P-256" and form["aead"] == "ChaCha20-Poly1305" and form["henon"] == {"a": 1.4, "b": 0.3}
    assert set(form) == {"format", "curve", "kdf", "aead", "recipient", "ephemeral_key", "salt", "stages", "henon", "image"}
    assert hashlib.sha256(CT.read_bytes()).hexdigest() not in text
    assert hashlib.sha256(pydicom.dcmread(CT).PixelData).hexdigest() not in text


def test_no_two_cipher_images_are_alike(tmp_path, keys):
    for name in ("1", "2"):
        run("cipher", "-o", tmp_path / f"{name}.dcm", "--to", keys / "alice.pem", CT)
    first, second = cipher_cells(tmp_path / "1.dcm"), cipher_cells(tmp_path / "2.dcm")
    assert (first != second).mean() > 0.999
    assert pydicom.dcmread(tmp_path / "1.dcm").PatientID == ""


@pytest.mark.parametrize("image", [CT, MR, DATA / "other" / "made" / "flat-all-zero-512.dcm", DATA / "other" / "SC_rgb.dcm"],
                         ids=lambda p: p.name)
def test_a_cipher_image_is_noise(tmp_path, keys, image):
    run("cipher", "-o", tmp_path / "c.dcm", "--to", keys / "alice.pem", image)
    cells = cipher_cells(tmp_path / "c.dcm")
    counts = np.bincount(np.frombuffer(cells.tobytes(), dtype=np.uint8), minlength=256)
    p = counts / counts.sum()
    assert -(p * np.log2(p)).sum() > 7.99
    for a, b in ((cells[:, 1:], cells[:, :-1]), (cells[1:], cells[:-1]), (cells[1:, 1:], cells[:-1, :-1])):
        assert abs(np.corrcoef(a.ravel().astype(float), b.ravel().astype(float))[0, 1]) < 0.01


def test_who_has_another_key_gets_nothing(tmp_path, keys):
    run("cipher", "-o", tmp_path / "c.dcm", "--to", keys / "alice.pem", CT)
    for name in ("eve", "koblitz"):
        run("decipher", "-o", tmp_path / "back", "--key", keys / f"{name}.key", tmp_path / "c.dcm", expect=4)
    assert not (tmp_path / "back").exists()
    run("cipher", "-o", tmp_path / "d.dcm", "--to", keys / "rsa.pem", CT, expect=2)


@pytest.mark.parametrize("place", [0.3, 0.5, 0.99])
def test_a_changed_pixel_gives_nothing(tmp_path, keys, place):
    run("cipher", "-o", tmp_path / "c.dcm", "--to", keys / "alice.pem", CT)
    data = bytearray((tmp_path / "c.dcm").read_bytes())
    data[int(len(data) * place)] ^= 1
    (tmp_path / "c.dcm").write_bytes(data)
    run("decipher", "-o", tmp_path / "back", "--key", keys / "alice.key", tmp_path / "c.dcm", expect=3)
    assert not (tmp_path / "back").exists()


def test_any_changed_byte_of_png_or_key_file_gives_nothing(tmp_path, keys):
    run("cipher", "-o", tmp_path / "c.png", "--to", keys / "alice.pem", MR)
    for name in ("c.png", "c.png.json"):
        good = (tmp_path / name).read_bytes()
        step = 1 if name.endswith("json") else len(good) // 40
        for at in range(0, len(good), 7 * step if step == 1 else step):
            bad = bytearray(good)
            bad[at] ^= 1
            (tmp_path / name).write_bytes(bad)
            done = subprocess.run([PROGRAM, "decipher", "-o", tmp_path / "back", "--key", keys / "alice.key", "--key-file",
                                   tmp_path / "c.png.json", tmp_path / "c.png"], capture_output=True, timeout=60)
            assert done.returncode in (3, 4), f"{name} byte {at}: {done.stderr}"
            assert not (tmp_path / "back").exists()
        (tmp_path / name).write_bytes(good)
    run("decipher", "-o", tmp_path / "back", "--key", keys / "alice.key", "--key-file", tmp_path / "c.png.json", tmp_path / "c.png")


@pytest.mark.parametrize("photo", sorted((DATA / "photos").glob("*.png"))[:3], ids=lambda p: p.name)
def test_a_png_comes_back_sample_for_sample(tmp_path, keys, photo):
    done = subprocess.run([PROGRAM, "cipher", "-o", tmp_path / "c.png", "--to", keys / "alice.pem", photo], capture_output=True)
    if b"neither grey nor RGB" in done.stderr:
        pytest.skip("not a PNG of the kinds that are read")
    run("decipher", "-o", tmp_path / "back.png", "--key", keys / "alice.key", "--key-file", tmp_path / "c.png.json",
        tmp_path / "c.png")
    image = pytest.importorskip("PIL.Image")
    assert np.array_equal(np.asarray(image.open(photo)), np.asarray(image.open(tmp_path / "back.png")))


def test_other_files_are_refused_by_name(tmp_path, keys):
    (tmp_path / "text").write_text("no image")
    run("cipher", "-o", tmp_path / "c.png", "--to", keys / "alice.pem", tmp_path / "text", expect=1)
    assert not (tmp_path / "c.png").exists()
    run("cipher", "-o", tmp_path / "c.png", CT, expect=2)
    run("cipher", "--henon", "3,0.3", "-o", tmp_path / "c.png", "--to", keys / "alice.pem", CT, expect=2)
