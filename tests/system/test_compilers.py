# SPDX-License-Identifier: Apache-2.0
"""The hiding engine makes and reads the same carriers whoever compiled it and whatever the processor can do."""
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

GOLDEN = Path(__file__).resolve().parents[1] / "golden"


@pytest.mark.skipif(not (shutil.which("gcc") and shutil.which("clang")), reason="needs gcc and clang")
def test_every_compiler_makes_and_reads_the_golden_carriers(tmp_path):
    done = subprocess.run([sys.executable, GOLDEN / "compilers.py", tmp_path], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
