"""Words that a system on their way has spoilt, and the form in which words are compared."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lastmetre.common.matching import for_matching
from lastmetre.common.readable import readable

HAN = st.characters(min_codepoint=0x4E00, max_codepoint=0x9FA5)
PLAIN = st.text(st.one_of(HAN, st.sampled_from("abcXYZ 0189，。！？（）、：“”—…·℃㎡é\n")))


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("<p>路灯<b>不亮</b></p>\n\n<p>第二段</p>", "路灯不亮\n第二段"),
        ("一<br/>二<BR>三", "一\n二\n三"),
        ("<P class=MsoNormal><o:p></o:p>灯坏了</P>", "灯坏了"),
        ('<a href="http://x.example/?a=1&b=2">照片</a>', "照片"),
        ("<style>p{color:red}</style><script>x()</script><!-- x --><p>井盖</p>", "井盖"),
        ("路灯&nbsp;不亮&lt;停车场&gt;", "路灯 不亮<停车场>"),
        ("&#36335;&#x706f;", "路灯"),
        ("&lt;p&gt;路灯不亮&lt;/p&gt;", "路灯不亮"),
        ("L&amp;amp;M", "L&M"),
        ("<p>&nbsp;</p>", ""),
        ("\u200b路灯\u202d不亮\u202c\ufeff", "路灯不亮"),
    ],
)
def test_html_and_marks(sent: str, meant: str) -> None:
    assert readable(sent) == meant


@pytest.mark.parametrize(
    "meant",
    [
        "a < b 且 c > d",
        "<停车场> 门口",
        "<3 我爱城市",
        "<b and c>",
        "x --> y",
        "R&D, &copy=1",
        "<!-- 没有结尾",
        "don’t “quote” — café 人民路·东 25° 30㎡",
        " 前后有空格 ",
    ],
)
def test_what_is_meant_stays(meant: str) -> None:
    assert readable(meant) == meant


@given(PLAIN)
def test_plain_words_stay(words: str) -> None:
    assert readable(words) == words


@pytest.mark.parametrize("words", ["路灯不亮", "井盖缺失，请尽快处理", "缺了一角（振安东路118号）"])
def test_utf_8_that_was_read_as_latin_1(words: str) -> None:
    assert readable(words.encode().decode("latin-1")) == words
    assert readable("标题：\n" + words.encode().decode("latin-1")) == "标题：\n" + words
    assert readable("<p>" + words.encode().decode("latin-1") + "</p>") == words


@pytest.mark.parametrize(
    ("sent", "meant"), [("â€œbrokenâ€\x9d lamp", "“broken” lamp"), ("MÃ¼ller", "Müller")]
)
def test_utf_8_that_was_read_as_windows_1252(sent: str, meant: str) -> None:
    assert readable(sent) == meant


def test_clean_words_load_no_ftfy() -> None:
    program = (
        "import sys; from lastmetre.common.readable import readable;"
        "readable('<p>路灯</p>&amp;'); assert 'ftfy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize(
    "hostile",
    [
        "<" * 10_000,
        "<p a" * 2500,
        "<p" + " " * 9990 + "x",
        "<script" * 1400,
        '<p a="' * 1600,
        "&" * 10_000,
    ],
)
def test_hostile_words_are_no_tags(hostile: str) -> None:
    assert readable(hostile) == hostile


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("環境衛生", "环境卫生"),
        ("長安鎮　廈崗", "长安镇 厦岗"),
        ("煤氣洩漏", "煤气泄漏"),
        ("１１８號", "118号"),
        ("Manhole  COVER", "manhole cover"),
        ("路\u200b灯", "路灯"),
    ],
)
def test_what_a_reader_takes_for_the_same(one: str, other: str) -> None:
    assert for_matching(one) == for_matching(other)


@given(st.text(HAN), st.text(HAN), st.text(HAN))
def test_words_match_whatever_stands_around_them(before: str, words: str, after: str) -> None:
    assert for_matching(words) in for_matching(before + words + after)
    assert for_matching(for_matching(words)) == for_matching(words)
