"""Where a command's addresses and tokens come from."""

from pathlib import Path

import pytest

from lastmetre.cli.console import UsedWrongly
from lastmetre.cli.profile import Installation, Source, read_profile
from lastmetre.common.kafka.access import KafkaAccess


def source(folder: Path, **values: str) -> Source:
    return Source(values, "a test", folder)


def test_the_first_source_that_has_a_value_wins_and_an_empty_value_is_none(tmp_path: Path) -> None:
    found = Installation(
        (
            source(tmp_path, INTAKE_URL="", DISPATCH_PUBLIC_URL="http://a/, http://b"),
            source(tmp_path, INTAKE_URL="http://c", DISPATCH_URL="http://d"),
        ),
        tmp_path,
        with_home=False,
    )
    assert found.urls("intake") == ["http://c"]
    assert found.urls("dispatch") == ["http://a", "http://b"]


def test_the_topic_prefix_is_that_of_the_source_with_the_brokers(tmp_path: Path) -> None:
    found = Installation(
        (
            source(tmp_path, KAFKA_BOOTSTRAP_SERVERS="a:9092"),
            source(tmp_path, KAFKA_BOOTSTRAP_SERVERS="b:9092", LASTMETRE_TOPIC_PREFIX="city."),
        ),
        tmp_path,
        with_home=True,
    )
    assert found.broker() == (KafkaAccess.plaintext("a:9092"), "")


def test_a_file_may_hold_a_value_and_is_named_if_it_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret\n", "utf-8")
    assert source(tmp_path, LASTMETRE_TOKEN_FILE="token").get("LASTMETRE_TOKEN") == "secret"
    with pytest.raises(UsedWrongly, match="LASTMETRE_TOKEN_FILE"):
        source(tmp_path, LASTMETRE_TOKEN_FILE="nothing").get("LASTMETRE_TOKEN")


@pytest.mark.parametrize(
    "text", ["INTAKE_URL = 7", "[city]\nINTAKE_URL = 'x'", "intake = 'x'", "=", ""]
)
def test_a_mistake_in_a_profile_is_named_without_its_value(tmp_path: Path, text: str) -> None:
    file = tmp_path / "city.toml"
    file.write_text(text, "utf-8")
    if not text:
        assert read_profile(str(file)).values == {}
        return
    with pytest.raises(UsedWrongly, match=r"city\.toml"):
        read_profile(str(file))
