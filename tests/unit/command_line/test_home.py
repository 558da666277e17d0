"""What lies in a stack's home is its owner's alone."""

from pathlib import Path

from lastmetre.devstack.home import Home


def test_nobody_else_reads_reports_messages_or_logs(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    for folder in (home.root, home.data, home.logs, home.outbox):
        folder.mkdir(parents=True, exist_ok=True, mode=0o755)
    home.make()
    modes = {
        folder: oct(folder.stat().st_mode & 0o777)
        for folder in (home.root, home.data, home.run, home.logs, home.outbox, home.secrets)
    }
    # PostgreSQL runs as a user of its own and has to get through.
    passed = dict.fromkeys((home.root, home.data), "0o711")
    closed = dict.fromkeys((home.run, home.logs, home.outbox, home.secrets), "0o700")
    assert modes == passed | closed
