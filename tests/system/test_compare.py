# SPDX-License-Identifier: Apache-2.0
"""The measure itself: the phantom is sound, and the comparison sees what it should see."""
import hashlib
import shutil
import subprocess
import types

import pydicom
import pytest

import compare
import evidence
import phantom


@pytest.fixture(scope="module")
def slices(tmp_path_factory):
    return phantom.write_study(tmp_path_factory.mktemp("phantom"), slices=3)


def changed(path, tmp_path, change):
    ds = pydicom.dcmread(str(path))
    change(ds)
    out = tmp_path / "changed.dcm"
    ds.save_as(str(out))
    return compare.Comparison(path, out)


def verdict(c):
    return c.pixel, c.dataset, c.file


def test_the_phantom_is_the_same_every_time(slices, tmp_path):
    again = phantom.write_study(tmp_path, slices=3)
    assert [p.read_bytes() for p in slices] == [p.read_bytes() for p in again]


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dicom3tools is not installed")
def test_the_phantom_is_a_ct_image_without_an_error(slices):
    for path in slices:
        done = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True)
        assert "Error" not in done.stdout + done.stderr
        assert "CTImage" in done.stdout + done.stderr


def test_a_copy_is_equal_in_everything(slices, tmp_path):
    copy = shutil.copy(slices[0], tmp_path)
    assert verdict(compare.Comparison(slices[0], copy)) == (True, True, True)


def test_another_transfer_syntax_changes_the_file_only(slices, tmp_path):
    out = tmp_path / "implicit.dcm"
    subprocess.run(["dcmconv", "+ti", str(slices[0]), str(out)], check=True)
    assert verdict(compare.Comparison(slices[0], out)) == (True, True, False)


def test_one_bit_of_one_pixel_is_seen(slices, tmp_path):
    def flip(ds):
        data = bytearray(ds.PixelData)
        data[len(data) // 2] ^= 1
        ds.PixelData = bytes(data)
    assert verdict(changed(slices[0], tmp_path, flip)) == (False, False, False)


def test_a_changed_attribute_is_seen_also_in_a_sequence(slices, tmp_path):
    c = changed(slices[0], tmp_path, lambda ds: setattr(ds.AnatomicRegionSequence[0], "CodeMeaning", "Hip"))
    assert verdict(c) == (True, False, False)
    assert c.differing == ["(0008,2218)[0](0008,0104)"]


def test_a_missing_and_an_added_attribute_are_seen(slices, tmp_path):
    def swap(ds):
        del ds.KVP
        ds.ImageComments = "added"
    assert changed(slices[0], tmp_path, swap).differing == ["(0018,0060)", "(0020,4000)"]


def test_one_value_of_one_grey_level_is_a_distortion_of_one(slices):
    a, b = compare.read(slices[0]), compare.read(slices[0])
    data = bytearray(b.PixelData)
    data[2 * (512 * 256 + 256)] ^= 1
    b.PixelData = bytes(data)
    psnr, greatest = compare.distortion(a, b)
    assert greatest == 1 and 100 < psnr < 200


def test_the_pixel_hash_is_that_of_an_independent_decoder(data):
    known = compare.manifest(data)
    for name in ("ct/ge-hispeed/0001.dcm", "syntaxes/nema-ct1/jlsl.dcm", "syntaxes/made-ct16s/rle.dcm"):
        if name in known:
            assert compare.pixel_hash(data / name) == known[name], name


def test_the_file_hash_leaves_group_0002_out(slices):
    ds = pydicom.dcmread(str(slices[0]))
    whole = slices[0].read_bytes()
    start = 132 + 12 + ds.file_meta.FileMetaInformationGroupLength
    assert compare.file_hash(slices[0]) == hashlib.sha256(whole[start:]).hexdigest()


def test_one_changed_byte_in_the_pacs_makes_the_demo_fail(slices, tmp_path, capsys):
    def flip(ds):
        ds.PixelData = bytes([ds.PixelData[0] ^ 1]) + ds.PixelData[1:]
    original = types.SimpleNamespace(path=slices[0], compressed=False)
    found = types.SimpleNamespace(study={"1": original}, carriers={})
    for change, good in ((lambda ds: None, True), (flip, False)):
        verdict = evidence.Verdict(None, found, "", [], {})
        verdict.hashes("in the PACS", {"1": changed(slices[0], tmp_path, change)}, True)
        assert verdict.ok() is good
    assert "0001.dcm: pixels differ" in capsys.readouterr().out
