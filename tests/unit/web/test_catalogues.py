import pytest

from lastmetre.common.web.catalogues import messages_in, problems_of, read_chinese, update
from lastmetre.common.web.languages import load_translations
from tests.unit.web.conftest import MakePages

PACKAGES = [
    f"lastmetre.{name}" for name in ("common.web", "intake", "dispatch", "notify", "metrics")
]


@pytest.mark.parametrize("package", PACKAGES)
def test_every_text_has_its_chinese(package: str) -> None:
    assert list(problems_of(package)) == []


TEMPLATE = """{{ _("Street lamp") }} {{ _("Closed") }} {{ _("By %(name)s", name=1) }}
{{ ngettext("One case", "%(num)s cases", 2) }}{% trans %}Over
  here{% endtrans %}"""
CODE = "from lastmetre.common.web.words import N_\nTITLE = N_('Taken')\n"
PO = """msgid "Street lamp"
msgstr "路灯"

msgid "Old"
msgstr "旧"

#, python-format
msgid "By %(name)s"
msgstr "由 %(who)s"
"""


@pytest.mark.usefixtures("make_pages")
def test_what_is_missing_or_stale_or_wrong_is_found_and_update_mends_it(
    make_pages: MakePages,
) -> None:
    make_pages(
        {
            "web/templates/deep/page.html": TEMPLATE,
            "api.py": CODE,
            "locale/zh/LC_MESSAGES/messages.po": PO,
        }
    )
    found = list(problems_of("sampleservice"))
    assert "not translated: 'Taken'" in found
    assert "not translated: 'Over here'" in found
    assert "not translated: ('One case', '%(num)s cases')" in found
    assert "not used any more: 'Old'" in found
    assert any("By %(name)s" in problem and "placeholder" in problem for problem in found)
    assert len(found) == 5, "Street lamp is there, Closed is the kit's"

    left = update("sampleservice")
    assert "not used any more: 'Old'" not in left
    catalogue = read_chinese("sampleservice")
    texts = {message.id: message.string for message in catalogue if message.id}
    assert (texts["Street lamp"], texts["Taken"]) == ("路灯", "")
    assert "Closed" not in texts
    assert {str(message.id) for message in messages_in("sampleservice")} >= {"Taken", "Over here"}


def test_the_kits_words_are_behind_a_services_own(make_pages: MakePages) -> None:
    make_pages({"locale/zh/LC_MESSAGES/messages.po": 'msgid "Closed"\nmsgstr "结了"\n'})
    translations = load_translations("sampleservice")
    assert translations["zh"].ugettext("Closed") == "结了"
    assert translations["zh"].ugettext("Accepted") == "已接单"
    assert translations["en"].ugettext("Closed") == "Closed"
    assert translations["zh"].ungettext("%(num)d day", "%(num)d days", 2) == "%(num)d 天"
