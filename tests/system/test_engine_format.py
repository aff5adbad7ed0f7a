# SPDX-License-Identifier: Apache-2.0
"""docs/engine.md is enough: a reader written from the page takes out what bench/engine has hidden."""
import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import hospital

np = pytest.importorskip("numpy")
pydicom = pytest.importorskip("pydicom")

import engine_reader as reader  # noqa: E402

ENGINE = hospital.build_folder() / "bench" / "engine"
GOLDEN = Path(__file__).resolve().parents[1] / "vectors" / "engine"

needs_engine = pytest.mark.skipif(not ENGINE.exists(), reason=f"no program {ENGINE}")


@dataclass
class Case:
    name: str
    effort: str
    payload_bits: int
    codec: str  # that at least one plane is to have
    geometry: dict = field(default_factory=dict)  # what differs from 48x40, one plane, 8 bits
    texture: int = 6  # how many values the noise has
    dark: int = 0  # what lies below is 0, a flat background at the end of the range
    padding: int = None  # declared, in a corner
    speckled: bool = False  # ... and wherever chance has put it
    pattern: str = ""  # "tails": seldom far off; "blur": noise that neighbours share; "spikes": edges of the range
    options: tuple = ()

    @property
    def image(self):
        return reader.Image(**{"columns": 48, "rows": 40} | self.geometry)


CASES = [
    Case("fast, 8 bits", "fast", 300, "board"),
    Case("fast, flags near the end of the range", "fast", 700, "board", dark=60, texture=30),
    Case("fast, four passes", "fast", 2600, "board", texture=3),
    Case("fast, as much as fits", "fast", "max", "board", {"columns": 33, "rows": 31}),
    Case("fast, 12 bits signed", "fast", 400, "board", {"bits_stored": 12, "signed": True}),
    Case("fast, 16 bits, padding", "fast", 300, "board", {"bits_stored": 16, "signed": True}, padding=-2001),
    Case("fast, still pixels", "fast", 200, "board", {"columns": 61}, options=("--preserve", "5,5,20,9")),
    Case("fast, 32 bits", "fast", 200, "board", {"bits_stored": 32, "signed": True}),
    Case("fast, one column", "fast", 60, "board", {"columns": 1, "rows": 1500}),
    Case("fast, two rows", "fast", 60, "board", {"columns": 900, "rows": 2}),
    Case("balanced, 8 bits", "balanced", 100, "chain", texture=20),
    Case("balanced, 12 bits, dark end", "balanced", 300, "chain", {"bits_stored": 12}, dark=1400),
    Case("balanced, 16 bits, padding", "balanced", 250, "chain", {"bits_stored": 16, "signed": True}, padding=-2001),
    Case("balanced, flat background", "balanced", 200, "chain", dark=110),
    Case("balanced, much noise", "balanced", 300, "chain", {"columns": 80, "rows": 64, "bits_stored": 12},
         texture=200),
    Case("balanced, frames", "balanced", 2400, "chain",
         {"columns": 64, "rows": 48, "frames": 3, "bits_stored": 12}, texture=60, options=("--preserve", "0,0,9,9,1")),
    Case("balanced, colour", "balanced", 1500, "chain", {"columns": 64, "rows": 48, "components": 3}, texture=20),
    Case("balanced, half the chroma", "balanced", 1200, "chain",
         {"columns": 64, "rows": 48, "components": 3, "halved": True}, texture=40),
    Case("best, 8 bits", "best", 250, "chain", texture=20),
    Case("best, a longer way", "best", 1600, "chain", {"columns": 64}, texture=20),
    Case("best, no step above 2", "best", 300, "chain", {"columns": 64, "rows": 48}, pattern="blur", texture=60,
         options=("--max-difference", "2")),
    Case("best, long tails", "best", 60, "chain", pattern="tails"),
    Case("best, 8 neighbours", "best", 300, "chain", {"columns": 64, "rows": 48}, pattern="tails"),
    Case("best, 48 neighbours", "best", 300, "chain", pattern="blur", texture=60),
    Case("best, wide windows at the end of the range", "best", 300, "chain",
         {"columns": 64, "rows": 48, "bits_stored": 12, "signed": True}, texture=300, dark=-1700),
    Case("fast, spikes", "fast", 200, "board", {"bits_stored": 16}, pattern="spikes"),
    Case("balanced, spikes", "balanced", 60, "chain", {"columns": 64, "rows": 48, "bits_stored": 16, "signed": True},
         pattern="spikes"),
    Case("fast, padding here and there", "fast", 200, "board", {"bits_stored": 12}, padding=1001, speckled=True),
    Case("best, padding here and there", "best", 200, "chain", {"bits_stored": 12}, padding=1001, speckled=True),
    Case("best, 16 bits signed, still pixels", "best", 200, "chain", {"bits_stored": 16, "signed": True},
         padding=-2001, options=("--preserve", "30,0,18,18")),
]


def noise_of(case, rng, shape):
    if case.pattern == "tails":
        return rng.integers(-6, 7, shape) ** 3 // (1 + rng.integers(0, 40, shape))
    noise = rng.integers(0, case.texture, (shape[0] + 2, shape[1] + 2))
    if case.pattern == "spikes":
        return noise[2:, 2:] + (rng.integers(0, 30, shape) == 0) * rng.integers(-40000, 40000, shape)
    if case.pattern == "blur":
        return sum(noise[i:i + shape[0], j:j + shape[1]] for i in range(3) for j in range(3)) // 3
    return noise[2:, 2:]


def cover_of(case, seed):
    """A list of samples for each plane: slopes, noise, an edge."""
    image, rng = case.image, np.random.default_rng(seed)
    planes = []
    for index in range(image.frames * image.components):
        columns = image.plane_columns(index)
        y, x = np.mgrid[0:image.rows, 0:columns]
        v = 70 + x + (y * (1 + index % 3)) // 2 + 40 * (x + y > (columns + image.rows) * 2 // 3)
        v = v * (1 << max(min(image.bits_stored, 16) - 8, 0)) // 2 + noise_of(case, rng, x.shape)
        v = np.where(v < case.dark, 0, v)
        if case.padding is not None:
            v = np.where((x + 2 * y < 25) | (case.speckled & (y % 20 < 12) & (rng.integers(0, 9, x.shape) == 0)), case.padding, v)
        planes.append([int(s) for s in v.clip(image.low, image.high).ravel()])
    return planes


def frame_cells(image, planes):
    """Samples of a frame in the order of Pixel Data."""
    if image.components == 1:
        return planes[0]
    if not image.halved:
        return [v for cell in zip(*planes) for v in cell]
    y, cb, cr = planes
    return [v for i in range(len(cb)) for v in (y[2 * i], y[2 * i + 1], cb[i], cr[i])]


def frame_planes(image, cells):
    if image.components == 1:
        return [cells]
    if not image.halved:
        return [cells[i::3] for i in range(3)]
    return [[v for i in range(0, len(cells), 4) for v in cells[i:i + 2]], cells[2::4], cells[3::4]]


def kind_of(image):
    size = 1 if image.bits_stored <= 8 else 2 if image.bits_stored <= 16 else 4
    return np.dtype(f"<{'i' if image.signed else 'u'}{size}")


def write_dicom(path, case, planes):
    image, ds = case.image, pydicom.Dataset()
    kind = kind_of(image)
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "1.2.3.4"
    ds.Rows, ds.Columns, ds.NumberOfFrames = image.rows, image.columns, image.frames
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 8 * kind.itemsize, image.bits_stored, image.bits_stored - 1
    ds.PixelRepresentation, ds.SamplesPerPixel = int(image.signed), image.components
    ds.PhotometricInterpretation = ("MONOCHROME2" if image.components == 1 else
                                    "YBR_FULL_422" if image.halved else "RGB")
    if image.components > 1:
        ds.PlanarConfiguration = 0
    if case.padding is not None:
        ds.add_new("PixelPaddingValue", "SS" if image.signed else "US", case.padding)
    n = image.components
    cells = [frame_cells(image, planes[i:i + n]) for i in range(0, len(planes), n)]
    data = np.array(cells, np.int64).astype(kind).tobytes()
    ds.PixelData = data + bytes(len(data) % 2)
    ds["PixelData"].VR = "OW" if kind.itemsize > 1 else "OB"
    ds.file_meta = pydicom.dataset.FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    ds.is_little_endian, ds.is_implicit_VR = True, False
    pydicom.dcmwrite(path, ds, write_like_original=False)


def read_dicom(path, image):
    kind = kind_of(image)
    shared = 2 if image.halved else image.components
    count = image.columns * image.rows * image.frames * shared
    cells = np.frombuffer(pydicom.dcmread(path).PixelData, kind, count).reshape(image.frames, -1).tolist()
    return [plane for frame in cells for plane in frame_planes(image, frame)]


def payload_of(bits):
    """bench/engine's pseudo-random bits: Marsaglia's xorshift."""
    state, out = 0x2545F4914F6CDD1D, bytearray()
    for _ in range((bits + 7) // 8):
        state ^= state << 13 & reader.MASK64
        state ^= state >> 7
        state ^= state << 17 & reader.MASK64
        out.append(state >> 32 & 255)
    if bits % 8:
        out[-1] &= 0xFF << (8 - bits % 8) & 0xFF
    return bytes(out)


def embed(folder, case, planes):
    """The carrier's planes and how many bits are in them."""
    write_dicom(folder / "in.dcm", case, planes)
    done = subprocess.run([ENGINE, folder / "in.dcm", "--bits", str(case.payload_bits), "--effort", case.effort,
                           "--repeat", "1", "--json", "--carrier", folder / "out", *case.options],
                          capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    return read_dicom(told["carrier"], case.image), told["bits"]


@needs_engine
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_page_is_enough_to_restore_image_and_payload(tmp_path, case):
    cover = cover_of(case, seed=CASES.index(case))
    carrier, hidden = embed(tmp_path, case, cover)
    assert carrier != cover
    bits, planes = reader.read_image(case.image, carrier)
    assert reader.to_bytes(bits) == payload_of(hidden) and len(bits) == hidden
    assert carrier == cover
    assert case.codec in {plane.lead.codec for plane in planes}, "the other codec won: the case needs another payload"


@needs_engine
@pytest.mark.parametrize("effort", ["fast", "balanced"])
def test_the_reader_sees_a_bit_of_the_run_that_was_changed(tmp_path, effort):
    case = Case("", effort, 300, "")
    carrier, _ = embed(tmp_path, case, cover_of(case, seed=99))
    begin = reader.find_mark(carrier[0])
    for at in (begin + 20, begin + 65, begin + 90):
        altered = [list(plane) for plane in carrier]
        altered[0][at] ^= 1
        with pytest.raises(reader.Altered):
            reader.extract(case.image, altered)


def test_what_carries_nothing_is_not_called_altered():
    case = Case("", "fast", 0, "")
    with pytest.raises(reader.Nothing):
        reader.extract(case.image, cover_of(case, seed=1))


# tests/golden/carriers.c: what each is, and how many bits are in it.
GOLDEN_IMAGES = {
    "fast-8": (dict(columns=64, rows=48), 500),
    "fast-12-signed-full": (dict(columns=48, rows=48, bits_stored=12, signed=True), 1500),
    "fast-16-padding": (dict(columns=61, rows=63, bits_stored=16, signed=True), 100),
    "fast-colour": (dict(columns=40, rows=32, components=3), 700),
    "fast-32": (dict(columns=40, rows=40, bits_stored=32, signed=True), 200),
    "fast-dark": (dict(columns=64, rows=64), 300),
    "balanced-8": (dict(columns=64, rows=48), 500),
    "balanced-frames": (dict(columns=32, rows=32, frames=4, bits_stored=12), 900),
    "balanced-422": (dict(columns=48, rows=32, components=3, halved=True), 400),
    "best-8": (dict(columns=64, rows=48), 300),
    "best-16-preserve": (dict(columns=64, rows=48, bits_stored=16, signed=True), 600),
    "best-bright": (dict(columns=64, rows=64, bits_stored=10), 270),
}


@pytest.mark.parametrize("name", GOLDEN_IMAGES)
def test_golden_carriers_are_sound_to_the_reader(name):
    geometry, payload_bits = GOLDEN_IMAGES[name]
    image = reader.Image(**geometry)
    cells = np.frombuffer((GOLDEN / f"{name}.carrier").read_bytes(), kind_of(image)).tolist()
    planes, at = [], 0
    for index in range(image.frames * image.components):
        planes.append(cells[at:at + image.plane_columns(index) * image.rows])
        at += len(planes[-1])
    assert at == len(cells)
    _, bits = reader.extract(image, planes)
    assert bits == payload_bits


def test_every_golden_carrier_is_read():
    assert {path.stem for path in GOLDEN.glob("*.carrier")} == set(GOLDEN_IMAGES)
