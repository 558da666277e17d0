"""What the audit says when it cannot go on."""

from lastmetre.cli.console import Trouble


class AuditImpossible(Trouble):
    """The books cannot be opened: something is not there or does not answer.

    Not the exit code of books that do not balance: nothing was counted.
    """

    exit_code = 3
