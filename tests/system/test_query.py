# SPDX-License-Identifier: Apache-2.0
"""C-FIND: the same 300 real instances in our node and in dcmqrscp, the same questions, the same answers.

Where dcmqrscp departs from the standard it is not asked, or the difference is named with the clause.
"""
import json
import shutil
import subprocess
import time
import urllib.request

import pydicom
import pytest

import hospital
import phantom
import querying
from test_commitment import start
from test_two_hospitals import REPORT, Two, study_uid

FOLDERS = ("us", "xa", "xray", "nm", "ct", "other/charset", "mr/siemens-prisma-t1", "mr/ge-signa-wrist",
           "nonimage", "mr/ge-mr750-fmri")
INSTANCES = 300
# dcmsend cannot send these: no meta header, or UIDs and syntaxes that it does not know.
UNSENDABLE = {"colour-doppler-jpegxl-recompression-27frames.dcm", "cr-chest-mono1-no-meta.dcm", "heart-13frames.dcm",
              "rtimage.dcm", "rtstruct-no-preamble.dcm"}
STUDY_KEYS = ("StudyInstanceUID", "PatientID", "PatientName", "StudyDate", "StudyTime", "AccessionNumber",
              "StudyID", "StudyDescription")
SERIES_KEYS = ("SeriesInstanceUID", "Modality", "SeriesNumber")
IMAGE_KEYS = ("SOPInstanceUID", "InstanceNumber")


def chosen(data):
    """Files with UIDs of their own, and what is in each."""
    found, seen = [], set()
    for folder in FOLDERS:
        for path in sorted((data / folder).rglob("*.dcm")):
            if path.name in UNSENDABLE:
                continue
            d = pydicom.dcmread(path, stop_before_pixels=True, force=True)
            uid = d.get("SOPInstanceUID")
            if uid and d.get("StudyInstanceUID") and d.get("SeriesInstanceUID") and uid not in seen:
                seen.add(uid)
                found.append((path, d))
    assert len(found) >= INSTANCES
    return found[:INSTANCES]


def load(node, instances):
    hospital.dcmsend([p for p, _ in instances], node.port, node.ae_title)
    hospital.wait_for("the index", lambda: node.psql(
        "SELECT count(*) FROM instances") == [[str(len(instances))]], 60, alive=node.program)


def querying_node(stage, **query):
    node = stage.node("A", "CLINIC_A")
    node.peer("CT1", ae_title="CT1", hosts=[hospital.LOOPBACK], may=["echo", "store", "find"])
    node.peer("CT2", ae_title="CT2", hosts=[hospital.LOOPBACK])
    node.query = query
    start(node)
    return node


@pytest.fixture(scope="module")
def archives(data):
    """The node and the reference, with the same instances."""
    with hospital.Stage() as stage:
        instances = chosen(data)
        reference = stage.dcmqrscp("REF")
        copies = []
        for n, (path, _) in enumerate(instances):
            copies.append(reference.storage / f"{n:04}.dcm")
            shutil.copyfile(path, copies[-1])
        subprocess.run(["dcmqridx", reference.storage, *copies], check=True, capture_output=True)
        reference.start()
        node = querying_node(stage, views={"carriers": ["CARRIERS"], "restored": ["RESTORED"]})
        load(node, instances)
        yield node, reference, [d for _, d in instances]


def both(archives, keys, compare, model="-S"):
    """Asks both; returns our answer when the two are the same."""
    node, reference, _ = archives
    ours = querying.find(node.port, "CLINIC_A", keys, model)
    theirs = querying.find(reference.port, "REF", keys, model)
    assert theirs.status == 0 and ours.status == 0, keys
    assert ours.tuples(*compare) == theirs.tuples(*compare), keys
    return ours


def studies(instances):
    return {d.StudyInstanceUID: d for d in instances}


def level(name, *keys):
    return [f"QueryRetrieveLevel={name}", *keys]


def values(instances, keyword):
    return sorted({str(d.get(keyword) or "") for d in instances} - {""})


def test_all_studies_and_each_by_its_uid(archives):
    _, _, instances = archives
    everything = both(archives, level("STUDY", *STUDY_KEYS), ["StudyInstanceUID", "PatientID"])
    assert len(everything) == len(studies(instances))
    for uid in sorted(studies(instances))[:10]:
        assert len(both(archives, level("STUDY", f"StudyInstanceUID={uid}", "PatientID"),
                        ["StudyInstanceUID", "PatientID"])) == 1


def test_lists_of_uids(archives):
    _, _, instances = archives
    uids = sorted(studies(instances))
    for count in (2, 7, len(uids)):
        some = "\\".join(uids[:count])
        assert len(both(archives, level("STUDY", f"StudyInstanceUID={some}"), ["StudyInstanceUID"])) == count


@pytest.mark.parametrize("keyword", ["PatientID", "AccessionNumber", "StudyID", "StudyDate"])
def test_single_values(archives, keyword):
    _, _, instances = archives
    for value in values(studies(instances).values(), keyword)[:8]:
        if not set(value) & set("*?\\"):
            assert both(archives, level("STUDY", "StudyInstanceUID", f"{keyword}={value}"), ["StudyInstanceUID"])


def test_wildcards(archives):
    _, _, instances = archives
    found = 0
    for keyword in ("PatientID", "StudyDescription", "StudyID"):
        for value in values(studies(instances).values(), keyword)[:6]:
            if not value.isascii() or set(value) & set("*?\\"):
                continue
            for pattern in (value[:3] + "*", "*" + value[-2:], "*" + value[1:-1] + "*", "?" + value[1:],
                            value[:1] + "*" + value[-1:]):
                found += len(both(archives, level("STUDY", "StudyInstanceUID", f"{keyword}={pattern}"),
                                  ["StudyInstanceUID"]))
    assert found > 30


def test_dates_in_ranges(archives):
    _, _, instances = archives
    dates = [d for d in values(studies(instances).values(), "StudyDate") if len(d) == 8]
    middle = dates[len(dates) // 2]
    found = [len(both(archives, level("STUDY", "StudyInstanceUID", f"StudyDate={r}"), ["StudyInstanceUID"]))
             for r in (f"{dates[0]}-{dates[-1]}", f"{middle}-", f"-{middle}", f"{middle}-{middle}", "19000101-19000102")]
    assert found[0] > found[1] > 0 and found[2] > 0 and found[3] > 0 and found[4] == 0


def test_times_in_ranges(archives):
    for r in ("000000-115959", "120000-235959", "093425-171715", "-120000", "120000-"):
        both(archives, level("STUDY", "StudyInstanceUID", f"StudyTime={r}"), ["StudyInstanceUID"])


def test_patients_and_the_way_down(archives):
    _, _, instances = archives
    for patient in [p for p in values(instances, "PatientID") if not set(p) & set("*?\\")][:6]:
        assert len(both(archives, level("PATIENT", f"PatientID={patient}", "PatientName"), ["PatientID"], "-P")) == 1
        below = both(archives, level("STUDY", f"PatientID={patient}", "StudyInstanceUID"), ["StudyInstanceUID"], "-P")
        for study in below[:2]:
            uid = study.StudyInstanceUID
            for s in both(archives, level("SERIES", f"PatientID={patient}", f"StudyInstanceUID={uid}", *SERIES_KEYS),
                          SERIES_KEYS, "-P")[:2]:
                assert both(archives, level("IMAGE", f"PatientID={patient}", f"StudyInstanceUID={uid}",
                                            f"SeriesInstanceUID={s.SeriesInstanceUID}", *IMAGE_KEYS),
                            IMAGE_KEYS, "-P")


def test_series_and_images_of_every_study(archives):
    _, _, instances = archives
    images = 0
    for uid in sorted(studies(instances))[:25]:
        for s in both(archives, level("SERIES", f"StudyInstanceUID={uid}", *SERIES_KEYS), SERIES_KEYS):
            images += len(both(archives, level("IMAGE", f"StudyInstanceUID={uid}",
                                               f"SeriesInstanceUID={s.SeriesInstanceUID}", *IMAGE_KEYS), IMAGE_KEYS))
    assert images > 50


def test_what_the_reference_does_not_know_is_counted_from_the_files(archives):
    """Modalities in Study and the numbers (PS3.4 C.3.4), which dcmqrscp does not offer."""
    node, _, instances = archives
    answer = querying.find(node.port, "CLINIC_A", level(
        "STUDY", "StudyInstanceUID", "ModalitiesInStudy", "SOPClassesInStudy", "NumberOfStudyRelatedSeries",
        "NumberOfStudyRelatedInstances"))
    expected = []
    for uid in studies(instances):
        of = [d for d in instances if d.StudyInstanceUID == uid]
        expected.append((uid, "\\".join(sorted({d.Modality for d in of} - {""})),
                         "\\".join(sorted({d.SOPClassUID for d in of})),
                         str(len({d.SeriesInstanceUID for d in of})), str(len(of))))
    assert answer.tuples("StudyInstanceUID", "ModalitiesInStudy", "SOPClassesInStudy", "NumberOfStudyRelatedSeries",
                         "NumberOfStudyRelatedInstances") == sorted(expected)
    for modality in ("CT", "MR", "US"):
        found = querying.find(node.port, "CLINIC_A", level("STUDY", "StudyInstanceUID", f"ModalitiesInStudy={modality}"))
        assert {m.StudyInstanceUID for m in found} == {
            d.StudyInstanceUID for d in instances if d.Modality == modality}


def test_names_whatever_their_case_and_script(archives):
    node, _, instances = archives

    def ask(name, *options):
        return {m.StudyInstanceUID for m in querying.find(
            node.port, "CLINIC_A", level("STUDY", "StudyInstanceUID", f"PatientName={name}", *options))}
    for wanted, name in (("HEAD", "head"), ("HEAD", "h?aD*")):
        expected = {d.StudyInstanceUID for d in instances if str(d.get("PatientName", "")).upper() == wanted}
        assert expected and ask(name) == expected
    # One of three component groups, asked for in UTF-8.
    japanese = {d.StudyInstanceUID for d in instances if d.get("StudyID") in ("H31EXAMPLE", "H32EXAMPLE")}
    assert japanese <= ask("山田^太郎", "SpecificCharacterSet=ISO_IR 192") and japanese
    assert japanese <= ask("山*", "SpecificCharacterSet=ISO_IR 192")


def test_answers_in_the_character_set_of_the_question(archives):
    node, _, _ = archives
    for charset, study in (("ISO_IR 100", "X1"), ("ISO_IR 144", "X5"), ("ISO_IR 192", "X5"), ("", "X5")):
        keys = level("STUDY", "StudyInstanceUID", "PatientName=*")
        answer = querying.find(node.port, "CLINIC_A", keys + ([f"SpecificCharacterSet={charset}"] if charset else []))
        for m in answer:
            name = (m.PatientName or pydicom.valuerep.PersonName("")).original_string or b""
            declared = m.get("SpecificCharacterSet", "")
            assert name.isascii() or declared in (charset, "ISO_IR 192"), study
            name.decode({"ISO_IR 100": "latin-1", "ISO_IR 144": "iso8859-5"}.get(declared, "utf-8"))


def test_keys_that_are_not_supported_come_back_empty_with_a_warning(archives):
    node, _, _ = archives
    answer = querying.find(node.port, "CLINIC_A", level("STUDY", "StudyInstanceUID", "(0040,2016)", "SOPInstanceUID"))
    assert answer.pending == ["0xff01"] and answer.status == 0
    assert all(m[0x00402016].is_empty and m.SOPInstanceUID == "" for m in answer) and answer
    assert querying.find(node.port, "CLINIC_A", level("STUDY", "StudyInstanceUID")).pending == ["0xff00"]


@pytest.mark.parametrize("model, keys, status", [
    ("-S", ["QueryRetrieveLevel=PATIENT", "PatientID"], 0xa900),
    ("-S", ["QueryRetrieveLevel=", "PatientID"], 0xa900),
    ("-S", ["QueryRetrieveLevel=FRAME", "PatientID"], 0xa900),
    ("-S", ["QueryRetrieveLevel=SERIES", "SeriesInstanceUID"], 0xa900),
    ("-S", ["QueryRetrieveLevel=IMAGE", "StudyInstanceUID=1.2", "SOPInstanceUID"], 0xa900),
    ("-S", ["QueryRetrieveLevel=SERIES", "StudyInstanceUID=1.2\\1.3", "SeriesInstanceUID"], 0xa900),
    ("-P", ["QueryRetrieveLevel=STUDY", "StudyInstanceUID"], 0xa900),
    ("-S", ["QueryRetrieveLevel=STUDY", "StudyDate=2020", "StudyInstanceUID"], 0xc000),
    ("-S", ["QueryRetrieveLevel=STUDY", "StudyInstanceUID=abc"], 0xc000),
])
def test_questions_that_cannot_be_answered(archives, model, keys, status):
    node, _, _ = archives
    answer = querying.find(node.port, "CLINIC_A", keys, model)
    assert answer.status == status and not answer


def test_who_may_not_is_refused_in_negotiation(archives):
    node, _, _ = archives
    answer = querying.find(node.port, "CLINIC_A", level("STUDY", "StudyInstanceUID"), calling="CT2")
    assert answer.status is None and not answer


def test_every_query_is_an_event_without_values(archives):
    node, _, instances = archives
    patient = next(p for p in values(instances, "PatientID") if len(p) > 5 and p.isalnum())
    querying.find(node.port, "CLINIC_A", level("STUDY", f"PatientID={patient}", "StudyInstanceUID"))
    hospital.wait_for("the event", lambda: node.psql(
        "SELECT count(*) > 0 FROM events WHERE kind = 'queried' AND detail->>'keys' = '[\"Patient ID\"]'") == [["t"]], 20)
    (actor, peer, outcome, detail), = node.psql(
        "SELECT actor, peer, outcome, detail FROM events WHERE kind = 'queried' ORDER BY id DESC LIMIT 1")
    detail = json.loads(detail)
    assert (actor, peer, outcome) == ("CT1", "CT1", "0000")
    assert detail["keys"] == ["Patient ID"] and detail["level"] == "STUDY" and detail["answers"] >= 1
    (held,), = node.psql(f"SELECT count(*) FROM events WHERE kind = 'queried' AND detail::text LIKE '%{patient}%'")
    assert held == "0"


def test_views_by_the_called_title(archives):
    node, _, instances = archives
    for title in ("CARRIERS", "RESTORED"):
        answer = querying.find(node.port, title, level("STUDY", "StudyInstanceUID"))
        assert answer.status == 0 and not answer
    # Nothing is stored through a view.
    done = subprocess.run(["echoscu", "-aet", "CT1", "-aec", "CARRIERS", hospital.LOOPBACK, str(node.port)])
    assert done.returncode == 0
    refused = subprocess.run(["storescu", "-v", "-aet", "CT1", "-aec", "CARRIERS", hospital.LOOPBACK, str(node.port),
                              instances[0].filename], capture_output=True, text=True)
    assert "0x124" in refused.stdout + refused.stderr


def test_what_is_in_quarantine_is_not_shown(archives):
    node, _, instances = archives
    uid = sorted(studies(instances))[0]
    node.psql("UPDATE instances i SET quarantined_at = now(), quarantine_reason = 'a test' FROM studies s "
              f"WHERE s.id = i.study_id AND s.study_uid = '{uid}'")
    try:
        answer = querying.find(node.port, "CLINIC_A", level("STUDY", "StudyInstanceUID"))
        assert uid not in {m.StudyInstanceUID for m in answer} and len(answer) == len(studies(instances)) - 1
    finally:
        node.psql("UPDATE instances SET quarantined_at = NULL, quarantine_reason = NULL WHERE quarantine_reason = 'a test'")


@pytest.mark.skipif(shutil.which("Orthanc") is None, reason="Orthanc is not installed")
def test_orthanc_asks_and_gets_the_same(archives):
    node, _, instances = archives
    with hospital.Stage() as stage:
        pacs = stage.orthanc("CT1")
        pacs.modalities = {"node": ["CLINIC_A", hospital.LOOPBACK, node.port]}
        pacs.start()

        def post(path, body):
            request = urllib.request.Request(f"http://{hospital.LOOPBACK}:{pacs.http}{path}",
                                             json.dumps(body).encode(), method="POST")
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.loads(answer.read())

        def ask(at, **query):
            made = post("/modalities/node/query", {"Level": at, "Query": query})
            return [json.loads(pacs.get(f"/queries/{made['ID']}/answers/{n}/content?simplify"))
                    for n in json.loads(pacs.get(f"/queries/{made['ID']}/answers"))]
        found = ask("Study", StudyDate="", PatientName="")
        assert {m["StudyInstanceUID"] for m in found} == set(studies(instances))
        uid = max(studies(instances), key=lambda u: sum(d.StudyInstanceUID == u for d in instances))
        series = ask("Series", StudyInstanceUID=uid, Modality="")
        assert {m["SeriesInstanceUID"] for m in series} == {
            d.SeriesInstanceUID for d in instances if d.StudyInstanceUID == uid}
        images = ask("Instance", StudyInstanceUID=uid, SeriesInstanceUID=series[0]["SeriesInstanceUID"])
        assert {m["SOPInstanceUID"] for m in images} == {
            d.SOPInstanceUID for d in instances if d.SeriesInstanceUID == series[0]["SeriesInstanceUID"]}
        patients = ask("Patient", PatientID="*")
        assert {m["PatientID"] for m in patients} >= set(values(instances, "PatientID"))


def test_carriers_and_what_was_restored_from_them_by_the_called_title(stage, tmp_path):
    """At the hospital that receives: its own title shows what a radiologist looks for, the restored originals."""
    phantom.write_study(tmp_path, slices=4)
    two = Two(stage)
    two.b.peer("CT2", ae_title="CT2", hosts=[hospital.LOOPBACK], may=["find"])
    two.b.query = {"views": {"carriers": ["B_CARRIERS"], "restored": ["B_RESTORED"]}}
    two.start()
    two.a.drop_report(f"{study_uid(tmp_path)}.txt", REPORT)
    two.send(tmp_path)
    two.delivered(5)  # with the report
    originals = {str(pydicom.dcmread(p, stop_before_pixels=True).SOPInstanceUID) for p in tmp_path.rglob("*.dcm")}
    study = study_uid(tmp_path)

    def images(title):
        found = set()
        for s in querying.find(two.b.port, title, level("SERIES", f"StudyInstanceUID={study}", "SeriesInstanceUID"),
                               calling="CT2"):
            found |= {m.SOPInstanceUID for m in querying.find(two.b.port, title, level(
                "IMAGE", f"StudyInstanceUID={study}", f"SeriesInstanceUID={s.SeriesInstanceUID}", "SOPInstanceUID"),
                calling="CT2")}
        return found
    ours = images("CLINIC_B")
    assert originals < ours and len(ours) == 5
    assert images("B_RESTORED") == originals
    carriers = images("B_CARRIERS")
    assert len(carriers) == len(originals) and not carriers & originals
    for title, number in (("CLINIC_B", 5), ("B_RESTORED", 4), ("B_CARRIERS", 4)):
        answer, = querying.find(two.b.port, title, level("STUDY", f"StudyInstanceUID={study}",
                                                         "NumberOfStudyRelatedInstances"), calling="CT2")
        assert answer.NumberOfStudyRelatedInstances == number and answer.RetrieveAETitle == title


def test_no_more_answers_than_the_bound(stage, data):
    node = querying_node(stage, max_results=3)
    load(node, chosen(data)[:30])
    answer = querying.find(node.port, "CLINIC_A", level("STUDY", "StudyInstanceUID"))
    assert len(answer) == 3 and answer.status == 0xa700


def test_fuzzy_names(stage, data):
    node = querying_node(stage, fuzzy_names=True)
    load(node, [(p, d) for p, d in chosen(data) if "charset" in str(p)])

    def ask(name):
        return {str(m.PatientName) for m in querying.find(
            node.port, "CLINIC_A", level("STUDY", "StudyInstanceUID", "PatientName=" + name,
                                         "SpecificCharacterSet=ISO_IR 192"))}
    everything = ask("")
    for asked in ("Tarou Yamada", "yamata^taro", "Yamad*"):
        assert {n for n in everything if n.startswith("Yamada")} == {n for n in ask(asked) if n.startswith("Y")} != set()
    assert ask("Nobody") == set()


def test_what_was_indexed_before_is_described_by_and_by(stage, data):
    node = querying_node(stage)
    load(node, chosen(data)[:20])
    before = querying.find(node.port, "CLINIC_A", level("STUDY", *STUDY_KEYS)).tuples(*STUDY_KEYS)
    node.psql("UPDATE instances SET attributes = NULL; "
              "UPDATE series SET attributes = '{}'; UPDATE studies SET attributes = '{}', name_key = '', name_words = ''")
    node.stop()
    start(node)
    hospital.wait_for("the descriptions", lambda: node.psql(
        "SELECT count(*) FROM instances WHERE attributes IS NULL") == [["0"]], 60, alive=node.program)
    time.sleep(0.1)
    assert querying.find(node.port, "CLINIC_A", level("STUDY", *STUDY_KEYS)).tuples(*STUDY_KEYS) == before
