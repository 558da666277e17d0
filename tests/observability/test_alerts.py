"""Every alert fires and does not, has a page that says what to do, and reaches somebody."""

import re
from collections import defaultdict
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.observability.rules import PROMETHEUS, ROOT, RULES, alerts, checked, program

TESTS: Final = sorted((PROMETHEUS / "tests").glob("*.yaml"))
RUNBOOKS: Final = ROOT / "deploy/runbooks"
ALERTMANAGER: Final = "deploy/alertmanager/alertmanager.yml"
PARTS: Final = ("**What it means.**", "**What people notice.**", "**Look at**", "**Do**")
LINK: Final = re.compile(r"\]\(([^)]+)\)")


def test_rules_are_right_for_prometheus() -> None:
    checked(program("promtool"), "check", "rules", *map(str, RULES))


def test_prometheus_takes_its_configuration() -> None:
    file = str(PROMETHEUS / "prometheus.yml")
    checked(program("promtool"), "check", "config", "--syntax-only", file)


@pytest.mark.parametrize("file", TESTS, ids=lambda file: file.stem)
def test_rules_do_what_they_say(file: Path) -> None:
    checked(program("promtool"), "test", "rules", str(file))


def test_every_alert_is_seen_to_fire_and_not_to_fire() -> None:
    seen: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for file in TESTS:
        for test in yaml.safe_load(file.read_text("utf-8"))["tests"]:
            for expected in test["promql_expr_test"]:
                assert f'alertname="{test["name"]}"' in expected["expr"]
                seen[test["name"]].append(expected)
    assert seen.keys() == alerts().keys()
    for name, expected in seen.items():
        assert {bool(each.get("exp_samples")) for each in expected} == {False, True}, name


def test_every_alert_says_who_is_called_and_why_in_both_languages() -> None:
    for name, alert in alerts().items():
        assert alert["labels"]["severity"] in {"page", "ticket"}, name
        said = alert["annotations"]
        assert said["summary"].isascii(), name
        assert re.search("[\u4e00-\u9fff]", said["summary_zh"]), name


def test_every_alert_has_a_page_and_every_page_an_alert() -> None:
    named = {alert["annotations"]["runbook"] for alert in alerts().values()}
    pages = {str(each.relative_to(ROOT)) for each in RUNBOOKS.iterdir()}
    assert named == pages


def test_a_page_says_what_it_means_who_notices_what_to_look_at_and_what_to_do() -> None:
    for page in RUNBOOKS.iterdir():
        text = page.read_text("utf-8")
        assert text.startswith(f"# {page.stem}\n")
        places = [text.find(part) for part in PARTS]
        assert -1 not in places, page
        assert places == sorted(places), page
        for link in LINK.findall(text):
            assert (RUNBOOKS / link).is_file(), (page, link)


def test_alertmanager_takes_its_configuration() -> None:
    checked(program("amtool", "prometheus-alertmanager"), "check-config", ALERTMANAGER)


@pytest.mark.parametrize("receiver", ["page", "ticket"])
def test_alerts_go_where_their_severity_says(receiver: str) -> None:
    checked(
        program("amtool", "prometheus-alertmanager"),
        "config", "routes", "test", f"--config.file={ALERTMANAGER}",
        f"--verify.receivers={receiver}", f"severity={receiver}", "alertname=DatabaseAway",
    )  # fmt: skip


def test_alertmanager_silences_alerts_that_exist() -> None:
    told = yaml.safe_load((ROOT / ALERTMANAGER).read_text("utf-8"))["inhibit_rules"]
    matchers = [each for rule in told for kind in rule.values() for each in kind if "=" in each]
    wanted = [each.split("=", 1)[1].strip(' ~"') for each in matchers if "alertname" in each]
    assert len(wanted) == 6
    for names in wanted:
        for name in names.split("|"):
            assert [each for each in alerts() if re.fullmatch(name, each)], name
