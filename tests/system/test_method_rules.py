# SPDX-License-Identifier: Apache-2.0
"""Methods in a rule, between two hospitals: what comes back is delivered, what does not is kept apart and said so."""
import shutil
import subprocess

import compare
import hospital
from test_two_hospitals import REPORT, Two, count, reports_of, sha256, study_uid


def alone(data, name, folder):
    """A folder with one image."""
    folder.mkdir()
    shutil.copy(data / name, folder / "image.dcm")
    return folder


def test_with_the_replaced_bits_the_original_is_delivered(stage, data, tmp_path):
    two = Two(stage, method="lsb", planes=4, reversible=True, dna_rule=3)
    two.a.node["hash"] = "blake3"
    two.start()
    study = alone(data, "us/us1-rgb-uncompressed.dcm", tmp_path / "study")
    two.a.drop_report(f"{study_uid(study)}.txt", REPORT)
    two.send(study)
    restored = [p for p in two.delivered(2) if compare.uid_of(p) == compare.uid_of(study / "image.dcm")]
    result = compare.Comparison(study / "image.dcm", restored[0], two.a.archive()[0])
    assert (result.pixel, result.dataset, result.file) == (True, True, True), result.differing
    assert reports_of(two.b)[0][2:] == ("recovered", sha256(REPORT))
    assert count(two.b, "SELECT count(*) FROM instances WHERE quarantined_at IS NOT NULL") == 0


def test_what_cannot_be_restored_is_never_passed_off_as_the_original(stage, data, tmp_path):
    two = Two(stage, method="lsb", allow_irreversible=True)
    two.start()
    for node in (two.a, two.b):
        hospital.wait_for("the database", lambda: "the database is there" in node.log.read_text(), alive=node.program)
    study = alone(data, "ct/philips-ingenuity/0001.dcm", tmp_path / "study")
    two.a.drop_report(f"{study_uid(study)}.txt", REPORT)
    two.send(study)

    def reasons():
        return [r[0] for r in two.b.psql("SELECT quarantine_reason FROM instances WHERE quarantined_at IS NOT NULL")]

    hospital.wait_for("the quarantine", lambda: len(reasons()) == 1, 60, alive=two.b.program)
    assert "not restorable" in reasons()[0]
    assert count(two.b, "SELECT count(*) FROM instances WHERE kind = 2") == 0
    assert count(two.a, "SELECT count(*) FROM deliveries WHERE state = 'sent'") == 1
    assert two.pacs.files() == []
    hospital.wait_for("the report", lambda: reports_of(two.b), 30, alive=two.b.program)
    assert reports_of(two.b)[0][2:] == ("recovered", sha256(REPORT))


def test_a_rule_that_loses_originals_unasked_is_refused(stage):
    two = Two(stage, method="lsb")
    two.a.write_config()
    said = subprocess.run([str(hospital.binary("dicomstego")), "config", "check", str(two.a.config_path)],
                          capture_output=True, text=True)
    assert said.returncode == 2
    assert "allow_irreversible" in said.stderr
