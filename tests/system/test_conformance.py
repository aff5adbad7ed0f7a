# SPDX-License-Identifier: Apache-2.0
"""docs/conformance.md is what the programs do: compared with a fresh run, and nothing in it is unexplained.

DICOMSTEGO_TEST_ALL=1 runs every file (tens of minutes); otherwise a sample of every kind.
"""
import os

import pytest

import compare
import conformance
import conformance_page

SAMPLE_EVERY = 19
SAMPLE_BYTES = 400_000  # an image of 28 MB takes a minute, and shows nothing that a small one does not
REASONS = {name for name, _, _ in conformance_page.REASONS}
STATUSES = {"A700H", "A900H", "C000H", "0110H", "0117H", "0122H"}
ALLOWED = {
    "received": {"yes", "quarantine", "not accepted", "not sendable", "no DICOM"} | STATUSES,
    "decoded": {"", "equal", "alone", "rounded", "disputed"} | REASONS,
    "protected": {"", "pixels"} | REASONS | {f"beside: {r}" for r in REASONS},
    "recovered": {"", "yes"},
    "pixel": {"", "=", "(=)", "none"},
    "dataset": {"", "=", "(=)", "(~)"},
    "file": {"", "=", "no"},
}


@pytest.fixture(scope="module")
def rows(data):
    return conformance_page.rows(data)


@pytest.fixture(scope="module")
def page():
    return conformance_page.read(conformance.PAGE.read_text())


def test_every_file_has_a_line_and_no_cell_is_unexplained(rows, page):
    for row in rows:
        found = conformance_page.outcome(page, row.path)
        assert found is not None, f"{row.path} is not in docs/conformance.md"
        for column, cell in found._asdict().items():
            assert cell in ALLOWED[column], f"{row.path}: {column} is {cell!r}"
        assert (found.recovered == "yes") == (found.protected == "pixels" or found.protected.startswith("beside"))


def test_sound_files_are_kept_and_what_is_protected_comes_back(rows, page):
    for row in rows:
        found = conformance_page.outcome(page, row.path)
        if not conformance_page.is_dicom(row) or row.path.startswith("malformed/"):
            continue
        assert found.received in ("yes", "quarantine", "not sendable"), row.path
        assert found.dataset != "(~)", row.path
        assert found.recovered == "yes" or found.protected in REASONS, row.path


def test_the_page_says_what_a_fresh_run_says(data, rows, page):
    chosen = rows
    if not os.environ.get("DICOMSTEGO_TEST_ALL"):
        chosen = [r for r in rows[::SAMPLE_EVERY] if int(r.facts["bytes"]) < SAMPLE_BYTES]
    fresh = conformance.outcomes(data, chosen)
    changed = {path: (conformance_page.outcome(page, path), now) for path, now in fresh.items()
               if conformance_page.outcome(page, path) != now}
    assert not changed, "tests/system/conformance.py --write makes the page anew"


def test_a_page_is_read_back_as_it_was_written(rows):
    found = {r.path: conformance_page.Outcome("yes", "equal", "pixels", "yes", "=", "=", "no") for r in rows}
    found[rows[5].path] = conformance_page.Outcome("yes", "equal", "beside: palette", "yes", "=", "=", "=")
    page = conformance_page.read(conformance_page.text(rows, found))
    assert all(conformance_page.outcome(page, r.path) == found[r.path] for r in rows)


def test_what_differs_is_seen(data, rows, tmp_path):
    """The judge itself: a byte of the pixels, an attribute, another file."""
    row = next(r for r in rows if r.path == "other/CT_small.dcm")
    original = data / row.path
    before = conformance.hashes([original])[str(original)]
    assert conformance.judge(row, original, original, before) == ["=", "=", "="]
    ds = compare.read(original)
    ds.PixelData = ds.PixelData[:-1] + bytes([ds.PixelData[-1] ^ 1])
    ds.save_as(tmp_path / "pixel.dcm")
    assert conformance.judge(row, original, tmp_path / "pixel.dcm", before) == ["DIFFERS", "DIFFERS", "no"]
    ds = compare.read(original)
    ds.PatientID = "another"
    ds.save_as(tmp_path / "attribute.dcm")
    assert conformance.judge(row, original, tmp_path / "attribute.dcm", before) == ["=", "DIFFERS", "no"]


def test_a_refusal_of_a_new_kind_fails_the_run():
    assert conformance.reason_of("cannot carry: palette colour: the pixels are numbers") == "palette"
    with pytest.raises(AssertionError):
        conformance.reason_of("the moon is full")
