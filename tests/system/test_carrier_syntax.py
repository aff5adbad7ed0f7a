# SPDX-License-Identifier: Apache-2.0
"""In which transfer syntax carriers go out, and that their originals come back from each."""
import subprocess

import pydicom
import pytest

import compare
import hospital

LOSSLESS = {
    "implicit-le": "1.2.840.10008.1.2", "explicit-be": "1.2.840.10008.1.2.2", "deflated": "1.2.840.10008.1.2.1.99",
    "jpeg-ls-lossless": "1.2.840.10008.1.2.4.80", "jpeg-2000-lossless": "1.2.840.10008.1.2.4.90",
    "jpeg-lossless-sv1": "1.2.840.10008.1.2.4.70", "rle": "1.2.840.10008.1.2.5",
    "htj2k-lossless": "1.2.840.10008.1.2.4.201", "deflated-frame": "1.2.840.10008.1.2.8.1",
    "encapsulated": "1.2.840.10008.1.2.1.98"}
JPEG_LS = LOSSLESS["jpeg-ls-lossless"]


def run(*arguments):
    return subprocess.run([hospital.binary("dicomstego"), *map(str, arguments)], capture_output=True, text=True)


def syntax_of(path):
    return str(pydicom.filereader.read_file_meta_info(str(path)).TransferSyntaxUID)


@pytest.mark.parametrize("source", ["made-mr12u/explicit-le.dcm", "made-ct16s/implicit-le.dcm",
                                    "made-us-rgb/jpegls-lossless.dcm"])
def test_the_command_writes_carriers_in_each_lossless_syntax(tmp_path, data, source):
    original = data / "syntaxes" / source
    key, certificate = hospital.new_key(tmp_path, "one")
    for keyword, uid in LOSSLESS.items():
        carrier, back = tmp_path / f"{keyword}.dcm", tmp_path / f"{keyword}-back.dcm"
        done = run("protect", "-o", carrier, "--syntax", keyword, "--effort", "fast", "--sign", key,
                   "--certificate", certificate, original)
        assert done.returncode == 0, (keyword, done.stderr)
        assert syntax_of(carrier) == uid
        done = run("recover", "-o", back, "--trust", certificate, carrier)
        assert done.returncode == 0, (keyword, done.stderr)
        result = compare.Comparison(original, back)
        assert (result.pixel, result.dataset) == (True, True), (keyword, result.differing)


@pytest.mark.parametrize("named", ["jpeg-baseline", "1.2.840.10008.1.2.4.91", "jpeg-xl-lossless", "jpeg"])
def test_the_command_takes_no_syntax_that_may_lose_or_is_not_written(tmp_path, data, named):
    done = run("protect", "-o", tmp_path / "x.dcm", "--syntax", named,
               data / "syntaxes" / "made-mr12u" / "explicit-le.dcm")
    assert done.returncode == 2 and "--syntax" in done.stderr
    assert not (tmp_path / "x.dcm").exists()


@pytest.mark.parametrize("peer_takes, expected", [(None, JPEG_LS), (["1.2.840.10008.1.2"], "1.2.840.10008.1.2")])
def test_rule_and_peer_choose_the_carriers_syntax(stage, data, peer_takes, expected):
    a, b = stage.node("A", "CLINIC_A"), stage.node("B", "CLINIC_B")
    pacs = stage.dcmqrscp("PACS")
    if peer_takes is not None:
        b.node["dicom"]["transfer_syntaxes"] = peer_takes
    a.peer("CT1", ae_title="CT1", hosts=["127.0.0.1"])
    a.peer_node("CLINIC_B", b)
    b.peer_node("CLINIC_A", a)
    b.peer("PACS", ae_title="PACS", host=hospital.LOOPBACK, port=pacs.port, associations=1)
    a.rule(name="to B", when={"calling_ae": ["CT1"]}, study_complete_after="1 s",
           protect={"payload": "integrity", "recipients": ["CLINIC_B"],
                    "carrier_syntax": ["jpeg-ls-lossless", "explicit-le"]}, send_to=["CLINIC_B"])
    b.rule(name="from A", when={"carrier": True}, study_complete_after="1 s",
           recover={"report_as": "none", "unrecoverable": "quarantine"}, send_to=["PACS"])
    for one in (pacs, b, a):
        one.start()
    original = data / "syntaxes" / "made-mr12u" / "explicit-le.dcm"
    hospital.storescu([original], a.port, "CLINIC_A")
    delivered = hospital.wait_for("the original in the PACS", pacs.files, 90, alive=b.program)
    carriers = b.psql("SELECT transfer_syntax FROM instances WHERE kind = 1")
    assert carriers == [[expected]]
    result = compare.Comparison(original, delivered[0])
    assert (result.pixel, result.dataset) == (True, True), result.differing


def test_a_rule_with_a_lossy_syntax_is_refused_where_it_stands(tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text("node: {ae_title: A, key: k.pem, certificate: c.pem}\n"
                      "peers:\n  P: {ae_title: P, host: localhost, port: 104, certificate: p.pem}\n"
                      "rules:\n- name: r\n  send_to: P\n"
                      "  protect: {recipients: P, carrier_syntax: [rle, jpeg-baseline]}\n")
    done = run("config", "check", config)
    assert done.returncode == 2
    assert "config.yaml:7:50:" in done.stderr and "jpeg-baseline" in done.stderr
