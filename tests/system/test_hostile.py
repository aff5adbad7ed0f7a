# SPDX-License-Identifier: Apache-2.0
"""Broken and malicious files, given to every verb of the command: a clear line, the right exit code, nothing left behind.

Worth most on a build with sanitizers. DICOMSTEGO_TEST_ALL=1 takes every file; otherwise a sample of every kind.
"""
import concurrent.futures
import os
import shutil
import subprocess
import time

import pytest

import compare
import conformance
import hospital

SAMPLE_EVERY = 12
LIMIT_S = 10
VERBS = {"inspect": ["--json"], "capacity": ["--effort", "fast"], "verify": [],
         "protect": ["--effort", "fast"], "recover": []}
# 3: the proof before writing failed. 5: carries nothing. 6: cannot carry.
CODES = {"inspect": {1, 5}, "capacity": {0, 1, 6}, "verify": {1, 5}, "protect": {0, 1, 3, 6}, "recover": {1, 5}}


@pytest.fixture(scope="module")
def broken(data):
    files = sorted(p for p in (data / "malformed").rglob("*") if p.is_file() and p.suffix != ".tsv")
    assert len(files) > 350
    return files if os.environ.get("DICOMSTEGO_TEST_ALL") else files[::SAMPLE_EVERY]


def run(verb, out, *inputs, limit=LIMIT_S, options=()):
    """(exit code, lines on standard error, seconds). A finding of a sanitizer fails here."""
    where = ["-o", out] if verb in ("protect", "recover") else []
    began = time.monotonic()
    done = subprocess.run([hospital.binary("dicomstego"), verb, *VERBS[verb], *options, *map(str, where), *map(str, inputs)],
                          capture_output=True, text=True, errors="replace", timeout=limit * hospital.slow(), check=False)
    assert "Sanitizer" not in done.stderr and "runtime error" not in done.stderr, done.stderr[:3000]
    return done.returncode, done.stderr.splitlines(), time.monotonic() - began


def check_one(verb, path, folder):
    out = folder / f"{verb}-{path.name}"
    code, lines, _ = run(verb, out, path)
    assert code in CODES[verb], f"{verb} {path}: {code} {lines}"
    assert out.exists() == (verb == "protect" and code == 0), f"{verb} {path}: {code}"
    if code == 0:
        assert lines == [], f"{verb} {path}: {lines}"
    else:
        assert len(lines) == 1 and lines[0].startswith(f"dicomstego: {path}: "), f"{verb} {path}: {lines}"
        assert len(lines[0]) > len(f"dicomstego: {path}: "), f"{verb} {path}: no reason"
    assert [p.name for p in folder.iterdir() if ".dicomstego-" in p.name] == [], "a temporary file is left"
    if out.exists():
        out.unlink()


@pytest.mark.parametrize("verb", VERBS)
def test_each_broken_file_gets_one_line_and_the_right_code(verb, broken, tmp_path):
    # A worker of its own folder each: what one leaves behind is not another's.
    folders = [tmp_path / str(i) for i in range(2)]
    for folder in folders:
        folder.mkdir()

    def work(i):
        for path in broken[i::2]:
            check_one(verb, path, folders[i])

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(work, range(2)))
    assert all(list(folder.iterdir()) == [] for folder in folders)


@pytest.fixture(scope="module")
def folder(data, broken, tmp_path_factory):
    """The broken files and two sound ones in one folder, with the paths that they have in the collection."""
    folder = tmp_path_factory.mktemp("hostile") / "in"
    for path in broken:
        target = folder / path.relative_to(data / "malformed")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    for name in ("0001.dcm", "0002.dcm"):
        shutil.copyfile(data / "ct" / "ge-hispeed" / name, folder / name)
    return folder


@pytest.mark.parametrize("verb", ["inspect", "capacity", "verify", "recover"])
def test_a_folder_of_them_is_gone_through_and_each_is_named(verb, folder, tmp_path):
    out = tmp_path / "out"
    count = sum(1 for p in folder.rglob("*") if p.is_file())
    code, lines, _ = run(verb, out, folder, limit=count * LIMIT_S / 2)
    assert code in CODES[verb] - {0}
    assert all(line.startswith(f"dicomstego: {folder}/") for line in lines), lines
    named = [line.removeprefix("dicomstego: ").split(": ")[0] for line in lines]
    assert len(set(named)) == len(named), "named once"
    assert not out.exists()


def test_a_study_of_them_is_protected_without_the_unreadable_and_comes_back(folder, tmp_path):
    out, back = tmp_path / "out", tmp_path / "back"
    files = sorted(p.relative_to(folder) for p in folder.rglob("*") if p.is_file())
    (tmp_path / "report.txt").write_bytes(conformance.REPORT)
    (tmp_path / "password").write_bytes(conformance.PASSWORD)
    options = ["--unsuitable", "sidecar", "--report", str(tmp_path / "report.txt"), "--password-file",
               str(tmp_path / "password")]
    code, lines, _ = run("protect", out, folder, limit=len(files) * LIMIT_S, options=options)
    assert code == 1, lines
    assert len(lines) > 3
    named = {line.removeprefix(f"dicomstego: {folder}/").split(": ")[0] for line in lines}
    code, lines, _ = run("recover", back, out, limit=len(files) * LIMIT_S,
                         options=["--password-file", str(tmp_path / "password")])
    # What has no name that a sidecar could give went untouched.
    assert code in (0, 5) and all(line.endswith(": carries nothing") for line in lines), lines
    untouched = {line.removeprefix(f"dicomstego: {out}/").split(": ")[0] for line in lines}
    assert all(compare.file_hash(out / name) == compare.file_hash(folder / name) for name in untouched)
    assert (back / "report.txt").read_bytes() == conformance.REPORT
    restored = {str(p.relative_to(back)) for p in back.rglob("*") if p.is_file()} - {"report.txt"}
    assert restored == {str(f) for f in files} - named - untouched
    assert compare.file_hash(back / "0001.dcm") == compare.file_hash(folder / "0001.dcm")
