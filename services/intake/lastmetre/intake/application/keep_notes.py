"""What staff note on cases: their words may be personal, so the vault keeps them."""

from lastmetre.common.contracts.vault import Notes, NotesAsked, NoteSent
from lastmetre.common.security import security_log
from lastmetre.common.service.host import ServiceHost
from lastmetre.intake.adapters.postgres import notes
from lastmetre.intake.adapters.postgres.pool import connected
from lastmetre.intake.adapters.vault_cipher import Vault
from lastmetre.intake.application.open_vault import belongs_to, opened


class KeepNotes:
    """Seals and opens notes. Whoever asks shows them at that moment, and keeps nothing."""

    def __init__(self, host: ServiceHost, vault: Vault) -> None:
        self._host = host
        self._vault = vault

    async def keep(self, sent: NoteSent) -> bool:
        """Keep a note once; False where everything personal of its report was erased."""
        sealed = self._vault.seal(sent.text.encode(), belongs_to(sent.note_id))
        async with connected(self._host.pool) as connection:
            return await notes.put(
                connection, sent.note_id, sent.report_id, sealed, self._host.clock.now()
            )

    async def read(self, asked: NotesAsked) -> Notes:
        """What was noted. A damaged row is left out, which is logged and counted."""
        async with connected(self._host.pool) as connection:
            sealed = await notes.sealed_of(connection, asked.note_ids)
            bodies, _ = await opened(connection, self._vault, sealed)
        security_log.opened("dispatch", "note", len(bodies))
        return Notes(notes={note_id: body.decode() for note_id, body in bodies.items()})

    async def take_back(self, note: NotesAsked) -> None:
        """Erase notes that were taken back before they stood on a case."""
        async with connected(self._host.pool) as connection:
            await notes.remove(connection, note.note_ids)
