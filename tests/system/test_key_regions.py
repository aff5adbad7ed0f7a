# SPDX-License-Identifier: Apache-2.0
"""Key regions: what a QR reader sees on the exported 8-bit image, and what a key holder gets back.

The programs are found through DICOMSTEGO_BUILD (default build/release), images through DICOMSTEGO_TEST_DATA.
"""

import base64
import os
import pathlib
import shutil
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
    pytest.mark.skipif(shutil.which("zbarimg") is None or shutil.which("dcm2pnm") is None, reason="no zbarimg or dcm2pnm"),
]

CT = DATA / "ct" / "ge-hispeed" / "0014.dcm"
REPORT = "FINDINGS: an invented report.\n"


def run(*arguments, expect=0):
    done = subprocess.run([str(PROGRAM), *map(str, arguments)], capture_output=True, text=True, timeout=300)
    assert done.returncode == expect, f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    run("key", "new", "--name", "alice", "--key", folder / "alice.key", "--certificate", folder / "alice.pem")
    return folder


@pytest.fixture
def sealed(tmp_path, keys):
    (tmp_path / "report.txt").write_text(REPORT)
    return ["--report", tmp_path / "report.txt", "--to", keys / "alice.pem", "--origin", "CLINIC_A"]


def codes(path, tmp_path):
    """As DCMTK shows the first frame in its default window."""
    image = tmp_path / "shown.png"
    for window in (["--use-window", "1"], ["--min-max-window"]):
        done = subprocess.run(["dcm2pnm", "--write-png", *window, path, image], capture_output=True, timeout=60)
        if done.returncode == 0 and image.exists():
            break
    return subprocess.run(["zbarimg", "-q", "--raw", image], capture_output=True, text=True, timeout=60).stdout.split()


def comes_back(original, path, tmp_path, keys):
    run("recover", "-o", tmp_path / "back" / "o.dcm", "--key", keys / "alice.key", "--certificate", keys / "alice.pem", path)
    back, was = pydicom.dcmread(tmp_path / "back" / "o.dcm", force=True), pydicom.dcmread(original, force=True)
    assert back.PixelData == was.PixelData and back.SOPInstanceUID == was.SOPInstanceUID
    assert (tmp_path / "back" / "report.txt").read_text() == REPORT


# MONOCHROME1, signed, of 8, 12 and 16 bits, one frame and many.
@pytest.mark.parametrize("image,region", [
    ("ct/ge-hispeed/0014.dcm", "200,180,100,100"),
    ("mr/siemens-prisma-t1/0018.dcm", "0,0,82,82"),
    ("xa/xa1-uncompressed.dcm", "20,20,120,120"),
    ("xray/cr-chest-mono1-no-meta.dcm", "100,100,90,90"),
    ("xray/cr-panoramic-modality-lut.dcm", "20,20,240,240"),
    ("xray/rg3-cr-jpegls-lossless.dcm", "20,20,240,240"),
])
def test_a_code_scans_from_the_screen(tmp_path, keys, sealed, image, region):
    run("protect", "-o", tmp_path / "c.dcm", "--region", region, "--qr", *sealed, DATA / image)
    found = codes(tmp_path / "c.dcm", tmp_path)
    assert len(found) == 1 and found[0].startswith("DICOMSTEGO:") and found[0].split(":")[2] == "CLINIC_A"
    done = run("recover", "-o", tmp_path / "back" / "o.dcm", "--key", keys / "alice.key", "--certificate", keys / "alice.pem",
               tmp_path / "c.dcm")
    assert (tmp_path / "back" / "report.txt").read_text() == REPORT, done.stdout


def report_in(code, keys, tmp_path):
    (tmp_path / "code.der").write_bytes(base64.b64decode(code.split(":")[3]))
    done = subprocess.run(["openssl", "cms", "-decrypt", "-inform", "DER", "-in", tmp_path / "code.der", "-inkey",
                           keys / "alice.key", "-recip", keys / "alice.pem"], capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode(errors="replace")


@pytest.mark.parametrize("region", ["10,10,210,210", "0,0,512,130"])
def test_a_code_holds_the_sealed_report_where_there_is_room(tmp_path, keys, sealed, region):
    """The second is too low for one code: it takes several, which the reader puts together."""
    run("protect", "-o", tmp_path / "c.dcm", "--region", region, "--qr", *sealed, CT)
    found = codes(tmp_path / "c.dcm", tmp_path)
    assert len(found) == 1
    assert "an invented report" in report_in(found[0], keys, tmp_path)
    comes_back(CT, tmp_path / "c.dcm", tmp_path, keys)


def test_several_regions_have_a_code_each_and_come_back(tmp_path, keys, sealed):
    run("protect", "-o", tmp_path / "c.dcm", "--region", "10,10,100,100", "--region", "300,300,120,90", "--region",
        "20,380,84,84", "--qr", *sealed, CT)
    found = codes(tmp_path / "c.dcm", tmp_path)
    assert len(found) >= 1 and all(c.startswith("DICOMSTEGO:") for c in found)
    shown, was = pydicom.dcmread(tmp_path / "c.dcm").pixel_array, pydicom.dcmread(CT).pixel_array
    for x, y, w, h in ((10, 10, 100, 100), (300, 300, 120, 90), (20, 380, 84, 84)):
        assert len(np.unique(shown[y:y + h, x:x + w])) == 2
        assert len(np.unique(was[y:y + h, x:x + w])) > 2
    run("recover", "-o", tmp_path / "no.dcm", "--pixels-only", tmp_path / "c.dcm", expect=4)
    comes_back(CT, tmp_path / "c.dcm", tmp_path, keys)


def test_what_does_not_fit_is_refused_with_the_least_size(tmp_path, sealed):
    done = run("protect", "-o", tmp_path / "c.dcm", "--region", "10,10,60,60", "--qr", *sealed, CT, expect=2)
    assert "at least 82x82" in done.stderr
    done = run("protect", "-o", tmp_path / "c.dcm", "--region", "10,10,100,100", "--region", "109,109,90,90", "--qr", *sealed, CT,
               expect=2)
    assert "overlap" in done.stderr
    run("protect", "-o", tmp_path / "c.dcm", "--region", "0,0,512,512", "--qr", *sealed, CT, expect=6)
    assert not (tmp_path / "c.dcm").exists()


def test_regions_come_from_a_table(tmp_path, keys, sealed):
    table = DATA / "reports" / "key-regions.tsv"
    run("protect", "-o", tmp_path / "c.dcm", "--region-from", table, *sealed, CT)
    line = next(row.split("\t") for row in table.read_text().splitlines() if row.startswith("ct/ge-hispeed/0014.dcm"))
    x, y, w, h = map(int, line[2:6])
    shown = pydicom.dcmread(tmp_path / "c.dcm").pixel_array
    assert len(np.unique(shown[y:y + h, x:x + w])) == 1
    comes_back(CT, tmp_path / "c.dcm", tmp_path, keys)
    (tmp_path / "table.tsv").write_text("0015.dcm\t1\t1\t1\t9\t9\n")
    done = run("protect", "-o", tmp_path / "d.dcm", "--region-from", tmp_path / "table.tsv", *sealed, CT, expect=2)
    assert "marks nothing" in done.stderr
    (tmp_path / "table.tsv").write_text("0014.dcm\tx\t1\n")
    run("protect", "-o", tmp_path / "d.dcm", "--region-from", tmp_path / "table.tsv", *sealed, CT, expect=2)
    run("protect", "-o", tmp_path / "d.dcm", "--region-from", tmp_path / "none.tsv", *sealed, CT, expect=2)


def test_regions_come_from_a_presentation_state(tmp_path, keys, sealed):
    state = pydicom.dcmread(DATA / "nonimage" / "gsps-presentation-state.dcm", force=True)
    run("protect", "-o", tmp_path / "d.dcm", "--region-from", DATA / "nonimage" / "gsps-presentation-state.dcm", *sealed, CT,
        expect=2)
    uid = pydicom.dcmread(CT).SOPInstanceUID
    for item in state.GraphicAnnotationSequence:
        item.ReferencedImageSequence[0].ReferencedSOPInstanceUID = uid
    circle = pydicom.Dataset()
    circle.GraphicAnnotationUnits, circle.GraphicDimensions, circle.NumberOfGraphicPoints = "PIXEL", 2, 2
    circle.GraphicType, circle.GraphicFilled, circle.GraphicData = "CIRCLE", "N", [300.0, 300.0, 300.0, 320.5]
    state.GraphicAnnotationSequence[0].GraphicObjectSequence.append(circle)
    state.save_as(tmp_path / "state.dcm")
    run("protect", "-o", tmp_path / "c.dcm", "--region-from", tmp_path / "state.dcm", *sealed, CT)
    shown, was = pydicom.dcmread(tmp_path / "c.dcm").pixel_array, pydicom.dcmread(CT).pixel_array
    for x, y, right, bottom in ((100, 80, 160, 140), (279, 279, 321, 321)):
        assert len(np.unique(shown[y:bottom, x:right])) == 1 < len(np.unique(was[y:bottom, x:right]))
        assert abs(int(shown[y - 1, x]) - int(was[y - 1, x])) < 50
    comes_back(CT, tmp_path / "c.dcm", tmp_path, keys)
    state.GraphicAnnotationSequence[0].GraphicObjectSequence[0].GraphicAnnotationUnits = "DISPLAY"
    state.save_as(tmp_path / "state.dcm")
    run("protect", "-o", tmp_path / "d.dcm", "--region-from", tmp_path / "state.dcm", *sealed, CT, expect=1)
    assert not (tmp_path / "d.dcm").exists()


def test_regions_come_from_an_overlay(tmp_path, keys, sealed):
    d = pydicom.dcmread(CT)
    bits = np.zeros((d.Rows, d.Columns), dtype=np.uint8)
    bits[100, 200:300] = bits[180, 200:300] = 1
    d.add_new((0x6000, 0x0010), "US", d.Rows)
    d.add_new((0x6000, 0x0011), "US", d.Columns)
    d.add_new((0x6000, 0x0040), "CS", "G")
    d.add_new((0x6000, 0x0050), "SS", [1, 1])
    d.add_new((0x6000, 0x0100), "US", 1)
    d.add_new((0x6000, 0x0102), "US", 0)
    d.add_new((0x6000, 0x3000), "OW", np.packbits(bits.ravel(), bitorder="little").tobytes())
    d.save_as(tmp_path / "marked.dcm")
    run("protect", "-o", tmp_path / "c.dcm", "--region-from", "overlay", *sealed, tmp_path / "marked.dcm")
    shown = pydicom.dcmread(tmp_path / "c.dcm").pixel_array
    assert len(np.unique(shown[100:181, 200:300])) == 1 and shown[99, 250] != shown[100, 250]
    comes_back(tmp_path / "marked.dcm", tmp_path / "c.dcm", tmp_path, keys)
    run("protect", "-o", tmp_path / "d.dcm", "--region-from", "overlay", *sealed, CT, expect=2)
