from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from genvx.core.device import Device
from genvx.core.leases.claim import Owner
from genvx.core.leases.lease import Lease
from genvx.core.line.queue import decide, first_offer, line, nearest, position_of
from genvx.core.line.ticket import PATIENCE_NS, Ticket
from genvx.core.placing.holdings import conflicts
from genvx.core.placing.placement import Placement, place
from genvx.core.placing.refusal import Refusal
from genvx.core.requests.requirements import Requirements
from genvx.core.snapshot import Snapshot
from genvx.core.usage import Driver
from genvx.core.value import replace

GIB = 1 << 30
NOW = 10**12


def device(index, name="A100", memory=80):
    return Device(f"GPU-{index}", index, name, memory * GIB)


def lease(number, *indices, memory=None):
    uuids = tuple(f"GPU-{index}" for index in indices)
    return Lease(
        uuids, memory, id=f"{number:08x}", owner=Owner(7, "eve"), environment_id=f"{number:08x}",
        name="", boot_id="b", since_ns=0,
    )  # fmt: skip


def ticket(number, wanted, *, seen=NOW, most=None):
    if isinstance(wanted, int):
        wanted = Requirements(wanted)
    return Ticket(
        wanted, seen, most=most, id=f"aa{number:06x}", owner=Owner(1000 + number, f"u{number}"),
        environment_id=f"bb{number:06x}", name="", boot_id="b", since_ns=number,
    )  # fmt: skip


def host(*devices, leases=(), tickets=()):
    return Snapshot("h", "0", "b", NOW, Driver("1"), devices, {}, leases, (), 0, tickets)


FOUR = tuple(map(device, range(4)))


def offers(snapshot):
    return [
        [d.index for d in turn.decision.devices] if turn.offered else None
        for turn in line(snapshot)
    ]


def test_the_first_who_came_is_offered_what_is_free_and_the_next_what_is_left():
    assert offers(host(*FOUR, tickets=(ticket(2, 1), ticket(1, 2)))) == [[0, 1], [2]]


def test_whoever_comes_without_waiting_does_not_overtake():
    found = host(*FOUR, leases=(lease(1, 0, 1, 2),), tickets=(ticket(1, 2),))
    refusal = decide(Requirements(1), found)
    assert isinstance(refusal, Refusal)
    assert dict(refusal.reasons)["3"] == "is kept for u1(1001), who waits"


def test_a_large_request_at_the_head_is_not_starved_by_small_ones():
    """Two of four are free, the first wants three: nobody behind gets any."""
    found = host(*FOUR, leases=(lease(1, 0, 1),), tickets=(ticket(1, 3), ticket(2, 1)))
    assert offers(found) == [None, None]


def test_small_ones_may_use_what_the_head_cannot():
    devices = (*FOUR, device(4, "T4", 16))
    wanted = Requirements(3, models=("A100",))
    found = host(*devices, leases=(lease(1, 0, 1),), tickets=(ticket(1, wanted), ticket(2, 1)))
    assert offers(found) == [None, [4]]


def test_what_others_share_is_not_filled_up_before_one_who_waits_for_the_whole():
    found = host(device(0), leases=(lease(1, 0, memory=10 * GIB),), tickets=(ticket(1, 1),))
    assert isinstance(decide(Requirements(1, 10 * GIB), found), Refusal)


def test_one_shared_device_is_kept_and_the_others_can_be_filled_up():
    shared = tuple(lease(i, i, memory=(10 + i) * GIB) for i in range(4))
    found = host(*FOUR, leases=shared, tickets=(ticket(1, 1),))
    decision = decide(Requirements(1, 10 * GIB), found)
    assert isinstance(decision, Placement)
    assert decision.devices[0].index != 0  # the emptiest is kept


def test_an_offered_share_counts_for_those_behind():
    share = Requirements(1, 50 * GIB)
    assert offers(host(device(0), tickets=(ticket(1, share), ticket(2, share)))) == [[0], None]


def test_what_can_never_be_had_keeps_nothing():
    found = host(*FOUR, tickets=(ticket(1, 5),))
    assert isinstance(decide(Requirements(4), found), Placement)


def test_whoever_waits_elsewhere_too_keeps_nothing_but_his_turn():
    """He gets what is enough before those behind, and leaves them what is not."""
    elsewhere = replace(ticket(1, 3), keeps=False)
    assert offers(host(*FOUR, leases=(lease(1, 0, 1),), tickets=(elsewhere, ticket(2, 1)))) == [
        None,
        [2],
    ]
    assert offers(host(*FOUR, leases=(lease(1, 0),), tickets=(elsewhere, ticket(2, 1)))) == [
        [1, 2, 3],
        None,
    ]


def test_whose_turn_it_is_is_the_first_who_may_take():
    found = host(*FOUR, leases=(lease(1, 0, 1),), tickets=(ticket(1, 5), ticket(2, 1)))
    turn = first_offer(found)
    assert turn is not None
    assert turn.ticket.id == ticket(2, 1).id
    assert first_offer(host(*FOUR)) is None


def test_whoever_waits_on_many_hosts_keeps_where_the_most_is_free():
    seen = {
        "one": host(*FOUR, leases=(lease(1, 0, 1, 2),)),
        "two": host(*FOUR, leases=(lease(1, 0, 1),)),
        "taken": host(*FOUR, leases=(lease(1, 0, 1),), tickets=(ticket(1, 4),)),
    }
    assert nearest(Requirements(4), seen) == "two"


def test_whoever_does_not_attend_is_passed_over():
    found = host(*FOUR, tickets=(ticket(1, 4, seen=NOW - PATIENCE_NS), ticket(2, 4)))
    assert [turn.ticket.id for turn in line(found)] == [ticket(2, 4).id]


def test_whoever_may_hold_no_more_keeps_nothing_from_others():
    mine = replace(lease(1, 0), owner=Owner(1001, "u1"))
    found = host(*FOUR, leases=(mine,), tickets=(ticket(1, 1, most=1), ticket(2, 3)))
    assert offers(found) == [None, [1, 2, 3]]
    assert line(found)[0].reason == "may hold 1 GPU at once here, by policy"


def test_whoever_may_hold_no_more_memory_keeps_nothing_either():
    mine = replace(lease(1, 0), owner=Owner(1001, "u1"))
    limited = replace(ticket(1, 1), most_memory=100 * GIB)
    found = host(*FOUR, leases=(mine,), tickets=(limited, ticket(2, 3)))
    assert offers(found) == [None, [1, 2, 3]]
    assert line(found)[0].reason == "may hold 100 GiB of GPU memory at once here, by policy"


def test_no_devices_are_had_whoever_waits():
    assert decide(Requirements(0), host(*FOUR, tickets=(ticket(1, 5),))) == Placement(())


_wanted = st.builds(
    Requirements,
    gpus=st.integers(1, 4),
    memory=st.sampled_from([None, None, 10 * GIB, 50 * GIB]),
    models=st.sampled_from([(), (), ("A100",), ("T4",)]),
)


@st.composite
def hosts(draw):
    devices = [
        device(i, *draw(st.sampled_from([("A100", 80), ("T4", 16)])))
        for i in range(draw(st.integers(1, 5)))
    ]
    found = host(*devices)
    for number in range(draw(st.integers(0, 4))):
        decision = place(replace(draw(_wanted), gpus=1), found)
        if isinstance(decision, Placement):
            held = lease(number, decision.devices[0].index)
            memory = decision.devices[0].memory
            size = draw(st.sampled_from([None, memory // 4]))
            if size is not None or not found.holdings.get(decision.devices[0].uuid):
                found = replace(found, leases=(*found.leases, replace(held, memory=size)))
    tickets = tuple(
        replace(ticket(n, draw(_wanted)), keeps=draw(st.booleans()))
        for n in range(1, 1 + draw(st.integers(0, 5)))
    )
    return replace(found, tickets=tickets)


@given(hosts())
def test_all_that_is_offered_can_be_taken_together(found):
    memory = {d.uuid: d.memory for d in found.devices}
    living = list(found.leases)
    for turn in line(found):
        if turn.offered:
            uuids = tuple(d.uuid for d in turn.decision.devices)
            wanted = turn.ticket.requirements
            taken = replace(lease(99, memory=wanted.memory), devices=uuids, id=turn.ticket.id)
            taken = replace(taken, environment_id=turn.ticket.environment_id)
            assert len(set(uuids)) == wanted.gpus
            assert not conflicts(taken, living, memory)
            living.append(taken)


@given(hosts(), _wanted)
def test_whoever_comes_later_changes_nothing_for_those_before(found, wanted):
    later = replace(found, tickets=(*found.tickets, ticket(99, wanted)))
    assert line(later)[: len(found.tickets)] == line(found)


@given(hosts(), _wanted)
def test_whoever_does_not_wait_gets_what_one_behind_all_would_be_offered(found, wanted):
    later = replace(found, tickets=(*found.tickets, ticket(99, wanted)))
    turn = position_of(ticket(99, wanted).id, later)
    assert turn is not None
    assert turn.decision == decide(wanted, found)


@given(hosts())
def test_the_first_of_those_who_ever_can_is_served_once_all_leases_have_ended(found):
    """No order of small requests behind it keeps the head from its turn."""
    empty = replace(found, leases=())
    first = next((t for t in line(empty) if not getattr(t.decision, "never", False)), None)
    assert first is None or first.offered
