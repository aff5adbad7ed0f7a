# SPDX-License-Identifier: Apache-2.0
"""What `cmake --install` puts down is complete: another program builds against the library and runs."""
import os
import re
import subprocess

import pytest

import hospital

USER = r"""
#include "dicomstego/capsule.h"
#include "dicomstego/engine.h"

#include <stdio.h>
#include <string.h>

int main(void)
{
    static const char text[] = "hidden by another program";
    struct stego_image image = {.columns = 64, .rows = 64, .frames = 1, .components = 1,
                                .bits_stored = 12};
    struct ds_bytes found = DS_BYTES_INIT(4096);
    struct ds_error err = {0};
    if (stego_image_new(&image, &err) != DS_OK) {
        return 1;
    }
    for (int i = 0; i < 64 * 64; i++) {
        image.samples[i] = 500 + (i % 64) + (i * 7919 % 5);
    }
    enum ds_status s = stego_embed(&image, (const uint8_t *)text, 8 * sizeof text, NULL, NULL, &err);
    if (s == DS_OK) {
        s = stego_extract(&image, NULL, &found, NULL, &err);
    }
    const int good = s == DS_OK && found.len == sizeof text && memcmp(found.data, text, found.len) == 0;
    puts(good ? "came back" : err.text);
    ds_bytes_free(&found);
    stego_image_free(&image);
    return good ? 0 : 1;
}
"""


def sanitizers():
    cache = (hospital.build_folder() / "CMakeCache.txt").read_text()
    found = re.search(r"^DICOMSTEGO_SANITIZE:\w+=(.+)$", cache, re.MULTILINE)
    return [f"-fsanitize={found.group(1)}"] if found else []


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prefix")
    build = hospital.build_folder()
    if not list(build.glob("libdicomstego.so*")):
        pytest.skip("the shared library was not built")
    subprocess.run(["cmake", "--install", str(build), "--prefix", str(folder)], check=True, capture_output=True)
    return folder


def test_the_programs_pages_samples_and_unit_are_there(prefix):
    names = {p.name for p in prefix.rglob("*") if p.is_file()}
    for name in ("dicomstegod", "dicomstego", "dicomstegod.8", "dicomstego.1", "dicomstego-delivery.1",
                 "dicomstego-peer.1", "dicomstego-quarantine.1", "dicomstego-study.1", "prometheus-alerts.yaml", "dicomstegod.service", "dicomstego.pc",
                 "sending-hospital.yaml", "receiving-hospital.yaml", "engine.h", "LICENSE"):
        assert any(n.startswith(name) for n in names), name


def test_another_program_hides_and_finds_with_the_library_alone(prefix, tmp_path):
    pc = next(prefix.rglob("dicomstego.pc"))
    library = next(prefix.rglob("libdicomstego.so")).parent
    source, program = tmp_path / "user.c", tmp_path / "user"
    source.write_text(USER)
    # The file names the prefix it was configured with; this installation lies elsewhere.
    flags = subprocess.run(["pkg-config", f"--define-variable=prefix={prefix}", "--cflags", "--libs", "dicomstego"],
                           env={**os.environ, "PKG_CONFIG_PATH": str(pc.parent)}, check=True,
                           capture_output=True, text=True).stdout.split()
    subprocess.run(["cc", "-std=c17", "-D_GNU_SOURCE", "-Wall", "-Werror", *sanitizers(), str(source), "-o",
                    str(program), *flags], check=True)
    done = subprocess.run([str(program)], env={**os.environ, "LD_LIBRARY_PATH": str(library)},
                          capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "came back\n"), done.stderr
