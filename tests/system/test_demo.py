# SPDX-License-Identifier: Apache-2.0
"""The demo as a user starts it: ends well, tells the truth, leaves nothing behind."""
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

import hospital

DEMO = hospital.ROOT / "scripts" / "demo"


def environment():
    # The build under test, not a fresh release.
    return {**os.environ, "DICOMSTEGO_BUILD": str(hospital.build_folder())}


def demo(tmp_path, *arguments):
    return subprocess.run([str(DEMO), "--pictures", str(tmp_path / "pictures"),
                           "--timeout", "120", *map(str, arguments)],
                          capture_output=True, text=True, env=environment(), timeout=600)


def assert_gone(output):
    folder = re.search(r"in (/\S*dicomstego-demo-\S+)", output).group(1)
    assert not Path(folder).exists()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                assert folder.encode() not in (entry / "cmdline").read_bytes()
            except OSError:
                continue


def cell(output, label):
    """The cells of one line of the table."""
    found = re.search(rf"^  {re.escape(label)}\s+(\d+)(.*)$", output, re.MULTILINE)
    assert found, f"no line '{label}' in\n{output}"
    return int(found.group(1)), re.findall(r"\d+ equal|\d+ of \d+", found.group(2))


def test_the_phantom_study_comes_back_bit_for_bit_and_nothing_is_left(tmp_path):
    done = demo(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert cell(done.stdout, "restored by hospital B") == (40, ["40 equal"] * 3)
    assert cell(done.stdout, "in the PACS of B (dcmqrscp)") == (40, ["40 equal"] * 3)
    assert "carriers: 40 in the pixels, 0 as sidecar, 0 untouched" in done.stdout
    assert "text equal" in done.stdout
    names = {p.name for p in (tmp_path / "pictures").iterdir()}
    assert names == {"cover.png", "carrier.png", "difference-x64.png", "restored.png"}
    pictures = tmp_path / "pictures"
    assert (pictures / "cover.png").read_bytes() == (pictures / "restored.png").read_bytes()
    assert_gone(done.stdout)


REAL = [("ct/ge-hispeed", 28), ("ct/philips-ingenuity", 54), ("mr/siemens-prisma-t1", 35),
        ("mr/ge-mr750-fmri", 150)]


@pytest.mark.parametrize("folder, number", REAL, ids=[f for f, _ in REAL])
def test_a_real_series_comes_back_as_an_independent_decoder_hashed_it(tmp_path, data, folder, number):
    done = demo(tmp_path, data / folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert cell(done.stdout, "restored by hospital B")[0] == number
    assert cell(done.stdout, "as an independent decoder hashed") == (number, [f"{number} equal"])
    assert_gone(done.stdout)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_an_interrupted_demo_leaves_nothing_running(tmp_path, number):
    process = subprocess.Popen([str(DEMO), "--pictures", str(tmp_path)], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, env=environment(),
                               start_new_session=True)
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("running:"):
            break
    time.sleep(2)
    # To the whole group, as a terminal does.
    os.killpg(process.pid, number)
    out, err = process.communicate(timeout=60 * hospital.slow())
    assert process.returncode != 0
    assert_gone("".join(lines) + out + err)


def test_kept_running_it_says_how_to_stop_and_that_works(tmp_path):
    done = demo(tmp_path, "--keep")
    assert done.returncode == 0, done.stdout + done.stderr
    stop = re.search(r"to stop it and remove its folder: (\S+)", done.stdout).group(1)
    port = int(re.search(r"node A: port (\d+)", done.stdout).group(1))
    try:
        assert hospital.listening(port)
        assert subprocess.run(["echoscu", "-aet", "CT1", "-aec", "CLINIC_A", "127.0.0.1", str(port)]).returncode == 0
    finally:
        assert subprocess.run([stop], timeout=60 * hospital.slow()).returncode == 0
    assert_gone(done.stdout)


def test_a_folder_without_dicom_is_refused_with_a_sentence(tmp_path):
    (tmp_path / "empty").mkdir()
    done = demo(tmp_path, tmp_path / "empty")
    assert done.returncode == 1
    assert "holds no DICOM instance" in done.stderr
