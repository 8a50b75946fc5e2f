"""Records: all in one row, an instruction's once for each thread where places in it are each thread's own."""

from pellucid.plan.barriers import Access
from pellucid.plan.plan import Address, Instruction, Records


def instruction(*record):
    return Instruction("made", 0, record, Access((), ()))


def laid_out(records):
    """The row, with buffers and offsets where addresses must be filled in."""
    row = records.entries.tolist()
    for place, buffer, offset in zip(records.places, records.buffers, records.offsets, strict=True):
        row[place] = (int(buffer), int(offset))
    return row


def test_threads_read_the_same_record_where_all_places_are_the_same():
    records = Records.of([instruction(3, Address(1, 8)), instruction(4)], threads=3)
    assert laid_out(records) == [3, (1, 8), 4]
    assert (records.starts, records.apart) == ((0, 2), (0, 0))


def test_each_thread_has_a_record_where_a_place_is_its_own():
    records = Records.of([instruction(3), instruction(Address(1, 8, 64), 5, Address(2, 0))], threads=3)
    assert laid_out(records) == [3, (1, 8), 5, (2, 0), (1, 72), 5, (2, 0), (1, 136), 5, (2, 0)]
    assert (records.starts, records.apart) == ((0, 1), (0, 3))


def test_nothing_has_no_records():
    records = Records.of([], threads=2)
    assert laid_out(records) == []
