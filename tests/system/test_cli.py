# SPDX-License-Identifier: Apache-2.0
"""The command dicomstego from outside: files in, files out, exit codes, and what other programs make of it.

The programs are found through DICOMSTEGO_BUILD (default build/release), images through DICOMSTEGO_TEST_DATA.
"""

import hashlib
import json
import os
import pathlib
import shutil
import subprocess

import pytest

import compare

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("DICOMSTEGO_BUILD", ROOT / "build" / "release"))
DATA = pathlib.Path(os.environ.get("DICOMSTEGO_TEST_DATA", ROOT.parent / "shared" / "data"))
PROGRAM = BUILD / "dicomstego"

pydicom = pytest.importorskip("pydicom")

pytestmark = [
    pytest.mark.skipif(not PROGRAM.exists(), reason=f"no program {PROGRAM}"),
    pytest.mark.skipif(not DATA.exists(), reason="no test images (DICOMSTEGO_TEST_DATA)"),
]

CT = DATA / "ct" / "ge-hispeed"
MR = DATA / "mr" / "siemens-prisma-t1"
PHILIPS = DATA / "ct" / "philips-ingenuity"
REPORT = "FINDINGS: an invented report.\nIMPRESSION: it comes back as it was, \u00e4\u00f6\u00fc.\n"


def run(*arguments, expect=0):
    done = subprocess.run([str(PROGRAM), *map(str, arguments)], capture_output=True, text=True, timeout=300)
    assert done.returncode == expect, f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done


def tool(*command):
    if shutil.which(command[0]) is None:
        pytest.skip(f"no program {command[0]}")
    done = subprocess.run([str(c) for c in command], capture_output=True, timeout=120)
    assert done.returncode == 0, f"{command}: {done.stderr.decode(errors='replace')}"
    return done.stdout


def pixels_of(path):
    """Native cells, read without our code."""
    return pydicom.dcmread(path, force=True).PixelData


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    for name, kind in (("alice", "ec"), ("bob", "rsa"), ("eve", "ec")):
        run("key", "new", "--type", kind, "--name", name, "--key", folder / f"{name}.key",
            "--certificate", folder / f"{name}.pem")
    (folder / "password").write_text("correct horse\n")
    (folder / "wrong-password").write_text("battery staple\n")
    return folder


@pytest.fixture
def report(tmp_path):
    path = tmp_path / "report.txt"
    path.write_text(REPORT)
    return path


def sealed_for(keys, name):
    return ["--key", keys / f"{name}.key", "--certificate", keys / f"{name}.pem"]


def signed_by(keys, name):
    return ["--sign", keys / f"{name}.key", "--certificate", keys / f"{name}.pem"]


@pytest.fixture(scope="module")
def carrier(tmp_path_factory, keys):
    """One CT slice with a report for alice, signed by bob."""
    folder = tmp_path_factory.mktemp("carrier")
    (folder / "report.txt").write_text(REPORT)
    run("protect", "-o", folder / "c.dcm", "--report", folder / "report.txt", "--to", keys / "alice.pem",
        *signed_by(keys, "bob"), "--origin", "CLINIC_A", CT / "0001.dcm")
    return folder / "c.dcm"


@pytest.fixture(scope="module")
def study(tmp_path_factory, keys):
    """28 CT slices with a report, redundancy 25 %."""
    folder = tmp_path_factory.mktemp("study")
    (folder / "report.txt").write_text(REPORT)
    run("protect", "-o", folder / "out", "--report", folder / "report.txt", "--to", keys / "alice.pem",
        "--redundancy", "25", CT)
    return folder / "out"


def test_a_study_comes_back_to_the_byte_with_its_report(study, keys, tmp_path):
    run("recover", "-o", tmp_path / "back", *sealed_for(keys, "alice"), study)
    for original in sorted(CT.glob("*.dcm")):
        assert (tmp_path / "back" / original.name).read_bytes() == original.read_bytes()
    assert (tmp_path / "back" / "report.txt").read_text() == REPORT


def test_one_slice_alone_comes_back_to_the_byte(carrier, keys, tmp_path):
    run("recover", "-o", tmp_path / "b.dcm", *sealed_for(keys, "alice"), "--trust", keys / "bob.pem", carrier)
    assert (tmp_path / "b.dcm").read_bytes() == (CT / "0001.dcm").read_bytes()
    assert (tmp_path / "report.txt").read_text() == REPORT


def test_a_carrier_says_what_was_done_to_it(carrier):
    original, made = pydicom.dcmread(CT / "0001.dcm"), pydicom.dcmread(carrier)
    assert made.SOPInstanceUID.startswith("2.25.") and made.SeriesInstanceUID.startswith("2.25.")
    assert made.StudyInstanceUID == original.StudyInstanceUID
    assert list(made.ImageType) == ["DERIVED", *list(original.ImageType)[1:]]
    source = made.SourceImageSequence[-1]
    assert source.ReferencedSOPInstanceUID == original.SOPInstanceUID
    assert source.PurposeOfReferenceCodeSequence[0].CodeValue == "121322"
    equipment = made.ContributingEquipmentSequence[-1]
    assert equipment.PurposeOfReferenceCodeSequence[0].CodeValue == "109103"
    assert equipment.StationName == "CLINIC_A"
    assert "reversibly" in made.DerivationDescription
    assert made.PixelData != original.PixelData


def test_a_tenth_of_the_carriers_lost_at_redundancy_25_still_gives_the_report(study, keys, tmp_path):
    kept = tmp_path / "kept"
    shutil.copytree(study, kept)
    for lost in ("0003.dcm", "0011.dcm", "0027.dcm"):
        (kept / lost).unlink()
    run("recover", "-o", tmp_path / "back", *sealed_for(keys, "alice"), kept)
    assert (tmp_path / "back" / "report.txt").read_text() == REPORT
    assert len(list((tmp_path / "back").glob("*.dcm"))) == 25


def test_too_few_carriers_restore_themselves_and_say_how_many_are_missing(study, keys, tmp_path):
    done = run("recover", "-o", tmp_path / "back", *sealed_for(keys, "alice"), study / "0001.dcm", study / "0002.dcm",
               expect=1)
    assert "19" in done.stderr and "report" in done.stderr
    assert pixels_of(tmp_path / "back" / "0001.dcm") == pixels_of(CT / "0001.dcm")
    assert not (tmp_path / "back" / "report.txt").exists()


def flip_a_pixel(source, target):
    data = bytearray(source.read_bytes())
    data[len(data) - 512 * 512] ^= 1
    target.write_bytes(bytes(data))


def test_a_flipped_pixel_is_exit_3_and_nothing_is_written(carrier, keys, tmp_path):
    flip_a_pixel(carrier, tmp_path / "altered.dcm")
    run("verify", tmp_path / "altered.dcm", expect=3)
    run("recover", "-o", tmp_path / "b.dcm", *sealed_for(keys, "alice"), tmp_path / "altered.dcm", expect=3)
    assert os.listdir(tmp_path) == ["altered.dcm"]


def test_of_several_the_good_are_written_and_the_worst_decides(study, keys, tmp_path):
    mixed = tmp_path / "mixed"
    shutil.copytree(study, mixed)
    flip_a_pixel(study / "0005.dcm", mixed / "0005.dcm")
    done = run("recover", "-o", tmp_path / "back", *sealed_for(keys, "alice"), mixed, expect=3)
    assert "0005.dcm" in done.stderr
    assert len(list((tmp_path / "back").glob("*.dcm"))) == 27
    assert (tmp_path / "back" / "report.txt").read_text() == REPORT


@pytest.mark.parametrize("who", [None, "eve", "bob"])
def test_without_the_right_key_it_is_exit_4_and_nothing_is_written(carrier, keys, tmp_path, who):
    key = sealed_for(keys, who) if who else []
    run("recover", "-o", tmp_path / "b.dcm", *key, carrier, expect=4)
    assert os.listdir(tmp_path) == []


def test_pixels_only_needs_no_key(carrier, tmp_path):
    refused = run("recover", "-o", tmp_path / "none.dcm", carrier, expect=4)
    assert "--pixels-only" in refused.stderr and "--password-file" in refused.stderr
    done = run("recover", "-o", tmp_path / "b.dcm", "--pixels-only", carrier)
    assert "pixels only" in done.stdout
    assert pixels_of(tmp_path / "b.dcm") == pixels_of(CT / "0001.dcm")
    assert os.listdir(tmp_path) == ["b.dcm"]


def test_a_password_opens_and_a_wrong_one_does_not(keys, report, tmp_path):
    run("protect", "-o", tmp_path / "c.dcm", "--report", report, "--password-file", keys / "password",
        CT / "0002.dcm")
    run("recover", "-o", tmp_path / "no.dcm", "--password-file", keys / "wrong-password", tmp_path / "c.dcm",
        expect=4)
    run("recover", "-o", tmp_path / "back" / "b.dcm", "--password-file", keys / "password", tmp_path / "c.dcm")
    assert (tmp_path / "back" / "b.dcm").read_bytes() == (CT / "0002.dcm").read_bytes()
    assert (tmp_path / "back" / "report.txt").read_text() == REPORT


def test_each_of_several_recipients_can_open(keys, report, tmp_path):
    run("protect", "-o", tmp_path / "c.dcm", "--report", report, "--to", keys / "alice.pem", "--to",
        keys / "bob.pem", CT / "0002.dcm")
    for who in ("alice", "bob"):
        run("recover", "-o", tmp_path / who / "b.dcm", *sealed_for(keys, who), tmp_path / "c.dcm")
        assert (tmp_path / who / "b.dcm").read_bytes() == (CT / "0002.dcm").read_bytes()


def test_a_signer_who_is_not_trusted_is_exit_3(carrier, keys, tmp_path):
    assert "verified" in run("verify", "--trust", keys / "bob.pem", carrier).stdout
    run("verify", "--trust", keys / "eve.pem", carrier, expect=3)
    run("recover", "-o", tmp_path / "b.dcm", *sealed_for(keys, "alice"), "--trust", keys / "eve.pem", carrier,
        expect=3)
    assert os.listdir(tmp_path) == []


def test_an_integrity_token_restores_for_anybody(keys, tmp_path):
    run("protect", "-o", tmp_path / "c.dcm", *signed_by(keys, "bob"), CT / "0001.dcm")
    run("verify", "--trust", keys / "bob.pem", tmp_path / "c.dcm")
    run("recover", "-o", tmp_path / "b.dcm", tmp_path / "c.dcm")
    assert pixels_of(tmp_path / "b.dcm") == pixels_of(CT / "0001.dcm")


def test_a_plain_image_is_exit_5(keys, tmp_path):
    for verb in (["verify"], ["inspect"], ["recover", "-o", tmp_path / "b.dcm", *sealed_for(keys, "alice")]):
        run(*verb, CT / "0001.dcm", expect=5)
    assert os.listdir(tmp_path) == []


def test_what_is_not_dicom_or_is_cut_off_is_exit_1(tmp_path, keys):
    (tmp_path / "text.dcm").write_text("this is no image\n" * 50)
    (tmp_path / "cut.dcm").write_bytes((CT / "0001.dcm").read_bytes()[:200_000])
    (tmp_path / "empty.dcm").write_bytes(b"")
    for name in ("text.dcm", "cut.dcm", "empty.dcm"):
        assert name in run("recover", "-o", tmp_path / "o", *sealed_for(keys, "alice"), tmp_path / name,
                           expect=1).stderr
        assert name in run("protect", "-o", tmp_path / "o", tmp_path / name, expect=1).stderr
        assert not (tmp_path / "o").exists()


def test_an_output_that_exists_stays_as_it_is_without_force(carrier, keys, tmp_path):
    out = tmp_path / "b.dcm"
    out.write_text("mine")
    assert "exists" in run("recover", "-o", out, *sealed_for(keys, "alice"), carrier, expect=1).stderr
    assert "exists" in run("protect", "-o", out, CT / "0001.dcm", expect=1).stderr
    assert out.read_text() == "mine" and os.listdir(tmp_path) == ["b.dcm"]
    run("recover", "--force", "-o", out, *sealed_for(keys, "alice"), carrier)
    assert out.read_bytes() == (CT / "0001.dcm").read_bytes()


def test_a_report_that_exists_stops_the_whole_run(carrier, keys, tmp_path):
    (tmp_path / "report.txt").write_text("mine")
    done = run("recover", "-o", tmp_path / "b.dcm", *sealed_for(keys, "alice"), carrier, expect=1)
    assert "report.txt exists" in done.stderr and "nothing written" in done.stderr
    assert os.listdir(tmp_path) == ["report.txt"] and (tmp_path / "report.txt").read_text() == "mine"


def test_usage_errors_are_exit_2_and_say_what_to_do(report, tmp_path):
    done = run("protect", "-o", tmp_path / "o", "--report", report, CT / "0001.dcm", expect=2)
    assert "--to" in done.stderr
    run("protect", CT / "0001.dcm", expect=2)
    run("protect", "-o", tmp_path / "o", "--region", "1,2,3", CT / "0001.dcm", expect=2)
    run("nonsense", expect=2)
    run(expect=2)
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize("verb", ["protect", "recover", "inspect", "capacity", "verify", "key", "config", "cipher",
                                  "decipher", "stats"])
def test_every_verb_has_help_and_the_manual_names_its_options(verb):
    text = run(verb, "--help").stdout
    manual = (ROOT / "docs" / "man" / "dicomstego.1").read_text().replace("\\-", "-")
    for word in text.replace("[", " ").replace("]", " ").replace(",", " ").split():
        if word.startswith("--"):
            assert word.lstrip("-").rstrip(".;:)") in manual, f"{word} is not in the manual"


def test_a_report_larger_than_the_images_hold_is_exit_6(keys, tmp_path):
    big = tmp_path / "big.bin"
    big.write_bytes(os.urandom(3_000_000))
    run("protect", "-o", tmp_path / "o", "--report", big, "--to", keys / "alice.pem", CT / "0001.dcm", expect=6)
    assert not (tmp_path / "o").exists()


def test_what_cannot_carry_is_refused_passed_or_given_a_sidecar(keys, report, tmp_path):
    palette = DATA / "other" / "test-pattern-palette8.dcm"
    inputs = [CT / "0001.dcm", palette]
    done = run("protect", "-o", tmp_path / "refuse", "--report", report, "--to", keys / "alice.pem", *inputs, expect=6)
    assert palette.name in done.stderr and "palette" in done.stderr and not (tmp_path / "refuse").exists()
    for how in ("pass", "sidecar"):
        run("protect", "-o", tmp_path / how, "--unsuitable", how, "--report", report, "--to", keys / "alice.pem",
            *inputs)
    for how in ("pass", "sidecar"):
        assert (tmp_path / how / palette.name).read_bytes() == palette.read_bytes()
    assert sorted(os.listdir(tmp_path / "sidecar")) == ["0001.dcm", palette.name, beside_name(palette)]
    run("recover", "-o", tmp_path / "back", *sealed_for(keys, "alice"), tmp_path / "sidecar")
    for original in inputs:
        assert (tmp_path / "back" / original.name).read_bytes() == original.read_bytes()
    assert (tmp_path / "back" / report.name).read_bytes() == report.read_bytes()


NO_IMAGES = ["nonimage/sr-basic-text", "nonimage/sr-basic-text-deflated", "nonimage/sr-basic-text-japanese-utf8",
             "nonimage/key-object-selection", "nonimage/encapsulated-pdf-r01", "nonimage/rtplan",
             "nonimage/waveform-ecg-12lead", "other/parametric_map_float", "us/echo-palette-rle-10frames",
             "other/test-pattern-palette8"]


def test_what_refers_to_carriers_follows_them_and_comes_back_to_the_byte(keys, report, tmp_path):
    """Without a word about what cannot carry: a Key Object is no image to be held."""
    folder = tmp_path / "study"
    folder.mkdir()
    slices = [folder / f"{n}.dcm" for n in range(2)]
    for path, source in zip(slices, sorted(CT.glob("*.dcm"))):
        shutil.copy(source, path)
    uids = [compare.uid_of(p) for p in slices]
    ds = pydicom.dcmread(str(DATA / "nonimage/key-object-selection.dcm"))
    named = [e for e in ds.iterall() if e.tag == 0x00081155]
    for number, element in enumerate(named):
        element.value = uids[number % 2]
    ds.save_as(str(folder / "key.dcm"))
    run("protect", "-o", tmp_path / "out", "--report", report, "--to", keys / "alice.pem", folder)
    new = [compare.uid_of(tmp_path / "out" / p.name) for p in slices]
    sent = pydicom.dcmread(str(tmp_path / "out" / "key.dcm"))
    assert [str(e.value) for e in sent.iterall() if e.tag == 0x00081155] == [new[n % 2] for n in range(len(named))]
    assert str(sent.SOPInstanceUID) != str(ds.SOPInstanceUID)
    run("recover", "-o", tmp_path / "back", *sealed_for(keys, "alice"), tmp_path / "out")
    for path in (*slices, folder / "key.dcm"):
        assert (tmp_path / "back" / path.name).read_bytes() == path.read_bytes()


def beside_name(original):
    return f"{original.stem}.sidecar.dcm"


@pytest.fixture
def paired(keys, report, tmp_path):
    """Originals that cannot carry, each with its sidecar, in one folder."""
    originals = [DATA / f"{n}.dcm" for n in NO_IMAGES]
    run("protect", "-o", tmp_path / "paired", "--unsuitable", "sidecar", "--report", report, "--to", keys / "alice.pem",
        "--sign", keys / "bob.key", "--certificate", keys / "bob.pem", *originals)
    return tmp_path / "paired", originals


def test_what_is_no_image_comes_back_to_the_byte_with_its_report(paired, keys, report, tmp_path):
    folder, originals = paired
    run("verify", "--trust", keys / "bob.pem", folder)
    done = run("recover", "-o", tmp_path / "back", *sealed_for(keys, "alice"), folder)
    assert f"{len(originals)} restored, {len(originals)} of them to the byte" in done.stdout
    assert sorted(os.listdir(tmp_path / "back")) == sorted([o.name for o in originals] + [report.name])
    for original in originals:
        assert (tmp_path / "back" / original.name).read_bytes() == original.read_bytes()
    assert (tmp_path / "back" / report.name).read_bytes() == report.read_bytes()


def test_inspect_tells_which_belong_together_and_what_is_missing(paired):
    folder, originals = paired
    facts = {pathlib.Path(f["file"]).name: f for f in json.loads(run("inspect", "--json", folder).stdout)}
    for original in originals:
        sidecar = facts[beside_name(original)]
        assert sidecar["placement"] == "sidecar" and sidecar["beside"] == str(folder / original.name)
        assert sidecar["belongs_to"] == str(pydicom.dcmread(original).SOPInstanceUID)
        assert facts[original.name]["sidecar"] == str(folder / beside_name(original))
    alone = json.loads(run("inspect", "--json", folder / beside_name(originals[0])).stdout)[0]
    assert "missing" in alone["beside"]


def test_a_sidecar_alone_is_told_what_is_missing_and_the_others_are_restored(paired, keys, tmp_path):
    folder, originals = paired
    lost = folder / originals[0].name
    lost.unlink()
    done = run("recover", "-o", tmp_path / "back", *sealed_for(keys, "alice"), folder, expect=1)
    assert "is missing" in done.stderr and str(pydicom.dcmread(originals[0]).SOPInstanceUID) in done.stderr
    assert not (tmp_path / "back" / originals[0].name).exists()
    for original in originals[1:]:
        assert (tmp_path / "back" / original.name).read_bytes() == original.read_bytes()
    assert "is missing" in run("verify", folder, expect=1).stderr


@pytest.mark.parametrize("which", ["pixels", "sidecar"])
def test_what_was_altered_in_a_pair_is_exit_3_and_not_written(paired, keys, tmp_path, which):
    folder, originals = paired
    victim = DATA / "other/test-pattern-palette8.dcm"
    path = folder / (beside_name(victim) if which == "sidecar" else victim.name)
    if which == "pixels":
        ds = pydicom.dcmread(path)
        cells = bytearray(ds.PixelData)
        cells[1000] ^= 1
        ds.PixelData = bytes(cells)
        ds.save_as(path)
    else:
        raw = bytearray(path.read_bytes())
        raw[-150] ^= 1
        path.write_bytes(bytes(raw))
    run("verify", folder, expect=3)
    done = run("recover", "-o", tmp_path / "back", *sealed_for(keys, "alice"), folder, expect=3)
    assert "altered" in done.stderr or "not those" in done.stderr
    assert not (tmp_path / "back" / victim.name).exists()
    assert len(list((tmp_path / "back").glob("*.dcm"))) == len(originals) - 1


def relabel(path):
    ds = pydicom.dcmread(path)
    ds.RTPlanLabel, ds.AccessionNumber = "another", "4711"
    ds.save_as(path)


def test_altered_attributes_of_a_pair_are_noticed_and_put_right_by_the_capsule(paired, keys, tmp_path):
    folder, originals = paired
    relabel(folder / "rtplan.dcm")
    assert "attributes" in run("verify", folder, expect=3).stderr
    run("recover", "-o", tmp_path / "back", *sealed_for(keys, "alice"), folder)
    for original in originals:
        assert (tmp_path / "back" / original.name).read_bytes() == original.read_bytes()


def test_altered_attributes_of_a_pair_without_envelopes_are_refused(keys, tmp_path):
    run("protect", "-o", tmp_path / "p.dcm", "--unsuitable", "sidecar", "--attributes", "changed",
        "--to", keys / "alice.pem", DATA / "nonimage/rtplan.dcm")
    relabel(tmp_path / "p.dcm")
    done = run("recover", "-o", tmp_path / "back", *sealed_for(keys, "alice"), tmp_path / "p.dcm",
               tmp_path / "p.sidecar.dcm", expect=3)
    assert "attributes" in done.stderr and not (tmp_path / "back").exists()


def test_a_sidecar_is_not_protected_again(paired, keys, tmp_path):
    folder, originals = paired
    done = run("protect", "-o", tmp_path / "again", "--unsuitable", "sidecar", folder / beside_name(originals[0]), expect=1)
    assert "a sidecar already" in done.stderr


def anonymise(path):
    """As an anonymiser does: new UIDs, no patient, no private groups, descriptions gone."""
    ds = pydicom.dcmread(path)
    ds.remove_private_tags()
    for element in list(ds):
        if element.tag.group == 0x0010 or element.keyword.endswith(("Date", "Time", "Description", "Name")):
            del ds[element.tag]
        elif element.VR == "SQ":
            del ds[element.tag]
    ds.SOPInstanceUID = pydicom.uid.generate_uid()
    ds.SeriesInstanceUID = ds.StudyInstanceUID = pydicom.uid.generate_uid()
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.PatientName, ds.PatientID, ds.AccessionNumber = "NOBODY", "0", ""
    ds.ImageType = ["DERIVED", "SECONDARY"]
    ds.save_as(path)


def test_a_carrier_with_all_attributes_replaced_gives_the_very_file_back(carrier, keys, tmp_path):
    shutil.copy(carrier, tmp_path / "c.dcm")
    anonymise(tmp_path / "c.dcm")
    run("recover", "-o", tmp_path / "b.dcm", *sealed_for(keys, "alice"), tmp_path / "c.dcm")
    assert (tmp_path / "b.dcm").read_bytes() == (CT / "0001.dcm").read_bytes()


def test_a_whole_anonymised_study_gives_the_very_files_back(study, keys, tmp_path):
    shutil.copytree(study, tmp_path / "in")
    for path in (tmp_path / "in").glob("*.dcm"):
        anonymise(path)
    run("recover", "-o", tmp_path / "back", *sealed_for(keys, "alice"), tmp_path / "in")
    for original in CT.glob("*.dcm"):
        assert (tmp_path / "back" / original.name).read_bytes() == original.read_bytes()


def test_altered_attributes_with_too_few_shares_are_exit_3_and_named(study, keys, tmp_path):
    shutil.copy(study / "0001.dcm", tmp_path / "c.dcm")
    anonymise(tmp_path / "c.dcm")
    done = run("recover", "-o", tmp_path / "b.dcm", *sealed_for(keys, "alice"), tmp_path / "c.dcm", expect=3)
    assert "20 more shares" in done.stderr
    assert os.listdir(tmp_path) == ["c.dcm"]


@pytest.mark.parametrize("original", [CT / "0001.dcm", PHILIPS / "0010.dcm"])
def test_a_carrier_survives_transcoding(original, keys, report, tmp_path):
    run("protect", "-o", tmp_path / "c.dcm", "--attributes", "all", "--report", report, "--to", keys / "alice.pem",
        original)
    tool("dcmconv", "+ti", tmp_path / "c.dcm", tmp_path / "1.dcm")
    tool("dcmconv", "+te", tmp_path / "1.dcm", tmp_path / "2.dcm")
    tool("dcmcjpls", tmp_path / "2.dcm", tmp_path / "3.dcm")
    run("recover", "-o", tmp_path / "compressed" / "b.dcm", *sealed_for(keys, "alice"), tmp_path / "3.dcm")
    tool("dcmdjpls", tmp_path / "3.dcm", tmp_path / "4.dcm")
    run("recover", "-o", tmp_path / "native" / "b.dcm", *sealed_for(keys, "alice"), tmp_path / "4.dcm")
    for way in ("compressed", "native"):
        assert (tmp_path / way / "b.dcm").read_bytes() == original.read_bytes()
        assert (tmp_path / way / "report.txt").read_text() == REPORT


def test_a_key_region_is_covered_by_a_readable_code_and_comes_back(keys, report, tmp_path):
    from PIL import Image
    run("protect", "-o", tmp_path / "c.dcm", "--region", "200,180,128,128", "--qr", "--origin", "CLINIC_A",
        "--report", report, "--to", keys / "alice.pem", CT / "0010.dcm")
    made, original = pydicom.dcmread(tmp_path / "c.dcm"), pydicom.dcmread(CT / "0010.dcm")
    region = (slice(180, 308), slice(200, 328))
    assert (made.pixel_array[region] != original.pixel_array[region]).mean() > 0.9
    shown = made.pixel_array[region].astype(float)
    grey = 255 * (shown - shown.min()) / (shown.max() - shown.min())
    Image.fromarray(grey.astype("uint8")).resize((512, 512)).save(tmp_path / "code.png")
    facts = json.loads(run("inspect", "--json", tmp_path / "c.dcm").stdout)[0]
    code = tool("zbarimg", "-q", "--raw", tmp_path / "code.png").decode().strip()
    assert code == f"DICOMSTEGO:{facts['capsule']}:CLINIC_A"
    assert facts["key_region"] == "200,180,128,128"
    run("recover", "-o", tmp_path / "no.dcm", "--pixels-only", tmp_path / "c.dcm", expect=4)
    run("recover", "-o", tmp_path / "back" / "b.dcm", *sealed_for(keys, "alice"), tmp_path / "c.dcm")
    assert (tmp_path / "back" / "b.dcm").read_bytes() == (CT / "0010.dcm").read_bytes()


def test_a_region_outside_the_image_or_too_small_for_the_code_is_exit_2(tmp_path):
    run("protect", "-o", tmp_path / "o", "--region", "500,0,64,64", CT / "0001.dcm", expect=2)
    run("protect", "-o", tmp_path / "o", "--region", "0,0,10,10", "--qr", CT / "0001.dcm", expect=2)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["camera-512-grey.png", "moon-512-grey.png", "astronaut-512-rgb.png"])
def test_png_goes_both_ways(name, keys, report, tmp_path):
    from PIL import Image, ImageChops
    found = sorted((DATA / "standard").rglob(name))
    if not found:
        pytest.skip(f"no {name}")
    run("protect", "-o", tmp_path / "c.png", "--report", report, "--to", keys / "alice.pem", found[0])
    run("verify", tmp_path / "c.png")
    run("recover", "-o", tmp_path / "back" / "b.png", *sealed_for(keys, "alice"), tmp_path / "c.png")
    original, back = Image.open(found[0]), Image.open(tmp_path / "back" / "b.png")
    assert original.mode == back.mode and ImageChops.difference(original, back).getbbox() is None
    assert ImageChops.difference(original, Image.open(tmp_path / "c.png")).getbbox() is not None
    assert (tmp_path / "back" / "report.txt").read_text() == REPORT
    run("recover", "-o", tmp_path / "no.png", *sealed_for(keys, "eve"), tmp_path / "c.png", expect=4)
    run("verify", found[0], expect=5)


def test_sixteen_bit_png_goes_both_ways_and_alpha_is_refused(keys, report, tmp_path):
    from PIL import Image
    array = pydicom.dcmread(MR / "0018.dcm").pixel_array.astype("uint16")
    Image.fromarray(array).save(tmp_path / "in.png")
    run("protect", "-o", tmp_path / "c.png", "--report", report, "--to", keys / "alice.pem", tmp_path / "in.png")
    run("recover", "-o", tmp_path / "back" / "b.png", *sealed_for(keys, "alice"), tmp_path / "c.png")
    assert Image.open(tmp_path / "back" / "b.png").tobytes() == Image.open(tmp_path / "in.png").tobytes()
    Image.new("RGBA", (64, 64)).save(tmp_path / "alpha.png")
    run("protect", "-o", tmp_path / "o.png", tmp_path / "alpha.png", expect=1)


def test_openssl_alone_opens_what_was_exported(study, keys, tmp_path):
    run("inspect", "--export", tmp_path / "ex", study)
    opened = tool("openssl", "cms", "-decrypt", "-inform", "DER", "-in", tmp_path / "ex" / "sealed.cms", "-recip",
                  keys / "alice.pem", "-inkey", keys / "alice.key")
    import lzma
    text = lzma.decompress(opened) if opened[:6] == b"\xfd7zXZ\x00" else opened
    assert REPORT.encode() in text
    key = tool("openssl", "cms", "-decrypt", "-inform", "DER", "-in", tmp_path / "ex" / "key.cms", "-recip",
               keys / "alice.pem", "-inkey", keys / "alice.key")
    assert len(key) == 32


def test_inspect_capacity_and_verify_speak_json(carrier, tmp_path):
    facts = json.loads(run("inspect", "--json", carrier).stdout)[0]
    original = pydicom.dcmread(CT / "0001.dcm")
    assert facts["pixel_hash"] == hashlib.sha256(original.PixelData).hexdigest()
    assert facts["origin"] == "CLINIC_A" and facts["carries"] is True
    room = json.loads(run("capacity", "--json", CT / "0001.dcm").stdout)[0]
    assert room["bytes"] > 4096 and room["bytes"] == room["bits"] // 8 and room["effort"] == "balanced"
    assert json.loads(run("verify", "--json", carrier).stdout)[0]["verifies"] is True


def test_inspect_prints_the_hashes_of_any_file(carrier, tmp_path):
    palette, coded = DATA / "other" / "test-pattern-palette8.dcm", DATA / "nonimage" / "sr-basic-text.dcm"
    facts = json.loads(run("inspect", "--json", "--hashes", CT / "0001.dcm", palette, coded, carrier).stdout)
    for fact, path in zip(facts, (CT / "0001.dcm", palette)):
        assert fact["pixel_hash"] == hashlib.sha256(pydicom.dcmread(path).PixelData).hexdigest()
    assert facts[0]["file_hash"] == compare.file_hash(CT / "0001.dcm")
    assert facts[2]["no_pixel_hash"] == "no Pixel Data" and "pixel_hash" not in facts[2]
    assert facts[3]["pixel_hash"] != facts[0]["pixel_hash"], "of the carrier as it is, not of its original"
    assert "dataset_hash" in run("inspect", "--hashes", CT / "0001.dcm").stdout
    run("inspect", "--hashes", "--export", tmp_path / "ex", carrier, expect=2)


def test_what_cannot_be_read_is_named_and_left_out_of_the_study(carrier, keys, report, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("0001.dcm", "0002.dcm"):
        shutil.copy(CT / name, folder)
    shutil.copy(carrier, folder / "0000.dcm")
    (folder / "0003.dcm").write_bytes((CT / "0003.dcm").read_bytes()[:100000])
    done = run("protect", "-o", tmp_path / "out", "--report", report, "--to", keys / "alice.pem", folder, expect=1)
    assert "0000.dcm: is a carrier already" in done.stderr and "0003.dcm: " in done.stderr
    assert done.stderr.count("\n") == 2
    run("recover", "-o", tmp_path / "back", *sealed_for(keys, "alice"), tmp_path / "out")
    assert sorted(os.listdir(tmp_path / "back")) == ["0001.dcm", "0002.dcm", "report.txt"]
    assert (tmp_path / "back" / "0002.dcm").read_bytes() == (CT / "0002.dcm").read_bytes()
    run("protect", "-o", tmp_path / "none", folder / "0000.dcm", folder / "0003.dcm", expect=1)
    assert not (tmp_path / "none").exists()


def test_folders_keep_their_structure_and_leave_out_other_files(keys, tmp_path):
    tree = tmp_path / "in" / "a" / "b"
    tree.mkdir(parents=True)
    shutil.copy(CT / "0001.dcm", tree / "slice")
    shutil.copy(CT / "0002.dcm", tmp_path / "in" / "other.dcm")
    (tmp_path / "in" / "README").write_text("no image\n")
    assert "README" in run("protect", "-o", tmp_path / "out", tmp_path / "in").stderr
    names = sorted(str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*") if p.is_file())
    assert names == ["a/b/slice", "other.dcm"]


def test_what_feeds_measurement_is_changed_only_when_it_is_named(tmp_path):
    pet = DATA / "nm" / "pet-acrin-breast-1.dcm"
    refused = run("protect", "-o", tmp_path / "pet.dcm", pet, expect=6)
    assert "feeds measurement" in refused.stderr and not (tmp_path / "pet.dcm").exists()
    run("protect", "-o", tmp_path / "pet.dcm", "--measurement", "rt_dose", pet, expect=6)
    wrong = run("protect", "-o", tmp_path / "pet.dcm", "--measurement", "dose", pet, expect=2)
    assert "--measurement" in wrong.stderr
    run("protect", "-o", tmp_path / "both", "--unsuitable", "pass", CT / "0001.dcm", pet)
    assert (tmp_path / "both" / pet.name).read_bytes() == pet.read_bytes()
    run("protect", "-o", tmp_path / "pet.dcm", "--measurement", "rt_dose", "--measurement", "pet", pet)
    assert pixels_of(tmp_path / "pet.dcm") != pixels_of(pet)
    run("recover", "-o", tmp_path / "back.dcm", tmp_path / "pet.dcm")
    assert pixels_of(tmp_path / "back.dcm") == pixels_of(pet)



def test_config_check_answers_with_file_line_and_column(tmp_path):
    bad = tmp_path / "bad.yaml"
    bad.write_text("node:\n  ae_title: A\n  no_such_key: 1\n")
    assert "bad.yaml:3" in run("config", "check", bad, expect=2).stderr
