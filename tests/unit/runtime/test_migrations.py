"""The migrations of each package are numbered 1, 2, 3 …: two branches may both have added one."""

import pytest

from lastmetre.common.contracts.topics import SERVICES
from lastmetre.common.postgres.migrate import migration_of, migrations_of


@pytest.mark.parametrize("package", ["common.runtime", *SERVICES])
def test_they_are_numbered_without_a_hole_and_without_a_double(package: str) -> None:
    versions = [migration.version for migration in migrations_of(package)]
    assert versions == list(range(1, len(versions) + 1))


def test_a_contracting_file_names_the_oldest_build_that_can_live_with_it() -> None:
    sql = "-- contract: oldest build 6: column note\nALTER TABLE x DROP COLUMN note;"
    assert migration_of("example", "0007_words.sql", sql).oldest_build == 6
    assert migration_of("example", "0007_words.sql", "-- A word.\n").oldest_build is None


@pytest.mark.parametrize(
    ("file", "sql"),
    [
        ("7_words.sql", "SELECT 1;"),
        ("0007_words.sql", "-- contract: column note\n"),
        ("0007_words.sql", "-- contract: oldest build 8: column note\n"),
        ("0007_words.sql", "-- Contract: oldest build 6: column note\n"),
        ("0007_words.sql", "-- contract: oldest build 6:\n"),
    ],
)
def test_a_file_that_says_it_wrongly_is_refused(file: str, sql: str) -> None:
    with pytest.raises(ValueError, match=file):
        migration_of("example", file, sql)
