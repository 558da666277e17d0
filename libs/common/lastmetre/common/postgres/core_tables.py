"""The core's own tables in PostgreSQL, as its ports name them."""

from typing import Final

from lastmetre.common.postgres import (
    dead_letter_table,
    outbox_table,
    position_table,
    stopped_sender_table,
)


class PostgresTables:
    """Every call takes the connection whose transaction it belongs to."""

    positions = staticmethod(position_table.positions)
    advance_positions = staticmethod(position_table.advance_positions)
    insert_offset_gaps = staticmethod(position_table.insert_offset_gaps)
    stopped_senders = staticmethod(stopped_sender_table.stopped_senders)
    stop_senders = staticmethod(stopped_sender_table.stop_senders)
    insert_held_back = staticmethod(stopped_sender_table.insert_held_back)
    lock_stopped_sender = staticmethod(stopped_sender_table.lock_stopped_sender)
    held_back = staticmethod(stopped_sender_table.held_back)
    release_sender = staticmethod(stopped_sender_table.release_sender)
    append_outbox = staticmethod(outbox_table.append_outbox)
    outbox_head = staticmethod(outbox_table.outbox_head)
    acknowledge = staticmethod(outbox_table.acknowledge)
    acknowledged = staticmethod(outbox_table.acknowledged)
    identities = staticmethod(outbox_table.identities)
    writer_epoch = staticmethod(outbox_table.writer_epoch)
    begin_writer_epoch = staticmethod(outbox_table.begin_writer_epoch)
    note_identity = staticmethod(outbox_table.note_identity)
    outbox_waiting = staticmethod(outbox_table.outbox_waiting)
    insert_dead_letters = staticmethod(dead_letter_table.insert_dead_letters)
    insert_parked = staticmethod(dead_letter_table.insert_parked)
    parked_of = staticmethod(dead_letter_table.parked_of)
    delete_parked = staticmethod(dead_letter_table.delete_parked)


TABLES: Final = PostgresTables()
