# SPDX-License-Identifier: Apache-2.0
"""The audit sees what it is there to see: a loss, a double, an altered image, a carrier passed off as the original."""
import random

import pytest

import audit
import rawdicom
from flow import Flow, make_studies
from sink import Sink

PIXELS = 2 * 128 * 128


@pytest.fixture
def case():
    """A flow of which everything is acknowledged and at the sink."""
    flow, sink = Flow(make_studies(random.Random(3), 1, 4), []), Sink()
    for instance in flow.instances.values():
        flow.acknowledged[instance.uid] = 1
        sink.keep(rawdicom.CT, instance.uid, instance.data)
    return flow, sink


def counted(case):
    counts = audit.count(*case)
    return counts.delivered, counts.lost, counts.duplicates, counts.wrong, counts.sent_again


def test_all_is_well(case):
    assert counted(case) == (4, 0, 0, 0, 0)
    audit.count(*case).hold()


def test_what_was_not_acknowledged_is_nobodys_loss(case):
    del case[0].acknowledged[next(iter(case[0].instances))]
    assert counted(case) == (3, 0, 0, 0, 0)


def test_a_loss_is_seen(case):
    extra = make_studies(random.Random(4), 1, 1)[0][0]
    case[0].instances[extra.uid] = extra
    case[0].acknowledged[extra.uid] = 1
    assert counted(case) == (4, 1, 0, 0, 0)
    with pytest.raises(AssertionError):
        audit.count(*case).hold()


def test_the_same_bytes_again_are_one_instance_and_are_counted(case):
    first = next(iter(case[0].instances.values()))
    case[1].keep(rawdicom.CT, first.uid, first.data)
    assert counted(case) == (4, 0, 0, 0, 1)
    with pytest.raises(AssertionError):
        audit.count(*case).hold()
    audit.count(*case).hold(sent_again=1)


def test_one_bit_of_a_pixel_is_seen(case):
    first = next(iter(case[0].instances.values()))
    data = bytearray(first.data)
    data[-PIXELS // 2] ^= 1
    case[1].keep(rawdicom.CT, first.uid, bytes(data))
    assert counted(case) == (4, 0, 0, 1, 0)


def test_an_attribute_that_changed_is_seen(case):
    first = next(iter(case[0].instances.values()))
    case[1].keep(rawdicom.CT, first.uid, first.data.replace(b"Nobody^Flow", b"Nobody^Else"))
    assert counted(case) == (4, 0, 0, 1, 0)


def test_an_image_under_another_uid_is_seen(case):
    first = next(iter(case[0].instances.values()))
    case[1].keep(rawdicom.CT, "2.25.1", first.data)
    assert counted(case) == (4, 0, 1, 0, 0)
