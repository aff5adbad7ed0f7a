# SPDX-License-Identifier: Apache-2.0
"""With Orthanc, another maker's archive: in the PACS's place, and between the two nodes."""
import shutil

import pytest

from test_demo import assert_gone, cell, demo

pytestmark = pytest.mark.skipif(shutil.which("Orthanc") is None, reason="Orthanc is not installed")


def test_orthanc_as_the_pacs_and_dcmsend_as_the_modality(tmp_path):
    done = demo(tmp_path, "--pacs", "orthanc", "--sender", "dcmsend")
    assert done.returncode == 0, done.stdout + done.stderr
    number, cells = cell(done.stdout, "in the PACS of B (orthanc)")
    assert number == 40 and cells[:2] == ["40 equal", "40 equal"]
    assert cell(done.stdout, "restored by hospital B") == (40, ["40 equal"] * 3)
    assert_gone(done.stdout)


def test_through_a_plain_archive_that_knows_nothing_of_us(tmp_path):
    done = demo(tmp_path, "--through", "orthanc")
    assert done.returncode == 0, done.stdout + done.stderr
    assert cell(done.stdout, "restored by hospital B") == (40, ["40 equal"] * 3)
    assert "carriers: 40 in the pixels" in done.stdout
    assert_gone(done.stdout)


@pytest.mark.parametrize("folder, number", [("ct/ge-hispeed", 28), ("mr/siemens-prisma-t1", 35)])
def test_a_real_series_through_a_plain_archive_into_orthanc(tmp_path, data, folder, number):
    done = demo(tmp_path, data / folder, "--through", "orthanc", "--pacs", "orthanc", "--sender", "dcmsend")
    assert done.returncode == 0, done.stdout + done.stderr
    assert cell(done.stdout, "as an independent decoder hashed") == (number, [f"{number} equal"])
    assert_gone(done.stdout)
