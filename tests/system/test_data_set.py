# SPDX-License-Identifier: Apache-2.0
"""The data set around the pixels: it comes back exactly, and what carriers say of themselves is valid DICOM.

By default one file of each folder of series, and all others; DICOMSTEGO_EVERY_FILE=1 takes every file of the manifest.
Files are compared as bytes, and checked by dciodvfy (dicom3tools) and dcmsign (DCMTK), not with the code under test.
"""
import collections
import csv
import os
import pathlib
import shutil
import subprocess
import time

import compare
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("DICOMSTEGO_BUILD", ROOT / "build" / "release"))
DATA = pathlib.Path(os.environ.get("DICOMSTEGO_TEST_DATA", ROOT.parent / "shared" / "data"))
PROGRAM = BUILD / "dicomstego"
EVERY_FILE = os.environ.get("DICOMSTEGO_EVERY_FILE", "") not in ("", "0")
KINDS = ("ct", "enhanced", "mr", "nm", "other", "us", "xa", "xray")

pytestmark = [
    pytest.mark.skipif(not PROGRAM.exists(), reason=f"no program {PROGRAM}"),
    pytest.mark.skipif(not DATA.exists(), reason="no test images (DICOMSTEGO_TEST_DATA)"),
]

# Errors that a carrier has and its original has not, with the reason. YBR_FULL_422 and YBR_PARTIAL_420 exist only in
# the bitstream: what was decoded is YBR_FULL, which some SOP classes do not list, and RGB could not be turned back.
COLOUR = ("Unrecognized enumerated value <YBR_FULL> for value 1 of attribute <Photometric Interpretation>",
          "Unrecognized enumerated value <0> for value 1 of attribute <Planar Configuration>")


def files(kinds):
    """Paths of the manifest; of a folder with the slices of a series only the first."""
    found, seen = [], set()
    if not DATA.exists():
        return found
    with open(DATA / "manifest.tsv", newline="") as manifest:
        for row in csv.DictReader(manifest, delimiter="\t"):
            path = pathlib.PurePath(row["path"])
            is_slice = path.stem.isdigit()
            if path.parts[0] in kinds and path.suffix == ".dcm" and (
                    EVERY_FILE or not is_slice or path.parent not in seen):
                found.append(str(path))
            seen.add(path.parent)
    return found


def run(*arguments):
    return subprocess.run([str(a) for a in arguments], capture_output=True, text=True, errors="replace", timeout=300)


def protected(name, tmp_path):
    """The carrier, with nothing but the restore record to come back by; skips what cannot carry."""
    carrier = tmp_path / "carrier.dcm"
    done = run(PROGRAM, "protect", "-o", carrier, "--effort", "fast", "--attributes", "changed", "--origin", "CLINIC_A",
               DATA / name)
    if done.returncode == 6:
        pytest.skip("cannot carry")
    assert done.returncode == 0, done.stderr
    return carrier


def recovered(carrier, tmp_path):
    restored = tmp_path / "restored.dcm"
    done = run(PROGRAM, "recover", "-o", restored, carrier)
    assert done.returncode == 0, done.stderr
    return restored


@pytest.mark.parametrize("name", files(KINDS))
def test_the_data_set_comes_back_by_its_record_alone(name, tmp_path):
    original = DATA / name
    restored = recovered(protected(name, tmp_path), tmp_path)
    native = compare.transfer_syntax(compare.read(original)) in (*compare.NATIVE, "1.2.840.10008.1.2.2")
    if native:
        assert compare.data_set_bytes(restored.read_bytes()) == compare.data_set_bytes(original.read_bytes())
    else:
        a, b = compare.read(original), compare.read(restored)
        # Of a compressed original only how its colour lay in the bitstream differs, and its pixels' coding.
        known = {"(7fe0,0010)", "(0028,0004)", "(0028,0006)"} if a.get("SamplesPerPixel", 1) > 1 else {"(7fe0,0010)"}
        assert set(compare.differences(a, b)) <= known


def errors(path):
    """What dciodvfy calls an error; the original deflated, which it does not read, is inflated before."""
    lines = run("dciodvfy", path).stderr.splitlines()
    return collections.Counter(line[8:] for line in lines if line.startswith("Error - "))


def inflated(path, tmp_path):
    if compare.transfer_syntax(compare.read(path)) != "1.2.840.10008.1.2.1.99":
        return path
    out = tmp_path / "inflated.dcm"
    assert run("dcmconv", "+te", path, out).returncode == 0
    return out


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="no dciodvfy")
@pytest.mark.parametrize("name", files(KINDS))
def test_a_carrier_has_no_error_that_its_original_has_not(name, tmp_path):
    carrier = protected(name, tmp_path)
    original = inflated(DATA / name, tmp_path)
    new = errors(carrier) - errors(original)
    if not compare.is_native(compare.read(original)) and compare.read(carrier).get("SamplesPerPixel", 1) > 1:
        for reason in COLOUR:
            new.pop(reason, None)
    assert not new


# ---- digital signatures ----

@pytest.fixture(scope="module")
def signer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("signer")
    done = run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=A signer", "-days", "30",
               "-keyout", folder / "key.pem", "-out", folder / "certificate.pem")
    assert done.returncode == 0, done.stderr
    time.sleep(1.1)  # in the certificate's first second nothing can be signed: its start has no fraction
    return folder


def verifies(path, signer):
    return run("dcmsign", "--verify", "+rg", "+cf", signer / "certificate.pem", path).returncode == 0


@pytest.mark.skipif(shutil.which("dcmsign") is None, reason="no dcmsign")
@pytest.mark.parametrize("name", [
    "ct/ge-hispeed/0001.dcm",
    "mr/siemens-prisma-t1/0001.dcm",
    "syntaxes/ctimage/LittleEndianImplicit_1.2.840.10008.1.2.dcm",
    "syntaxes/ctimage/BigEndianExplicit_1.2.840.10008.1.2.2.dcm",
    "us/esopecho-rgb-planar.dcm",
])
def test_a_signed_original_verifies_again_after_recovery(name, signer, tmp_path):
    signed = tmp_path / "signed.dcm"
    done = run("dcmsign", "+m2", "+s", signer / "key.pem", signer / "certificate.pem", DATA / name, signed)
    assert done.returncode == 0, done.stderr
    before = compare.read(signed)
    assert 0xFFFAFFFA in before and 0x4FFE0001 in before
    assert verifies(signed, signer)

    carrier = protected(signed, tmp_path)
    claims = compare.read(carrier)
    assert 0xFFFAFFFA not in claims and 0x4FFE0001 not in claims

    restored = recovered(carrier, tmp_path)
    assert compare.data_set_bytes(restored.read_bytes()) == compare.data_set_bytes(signed.read_bytes())
    assert verifies(restored, signer)
