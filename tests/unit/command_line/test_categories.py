"""`lastmetre categories check`: aliases are tried before the city works with them."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lastmetre.cli.main import app


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "categories.csv"
    path.write_text(
        "code,name_zh,name_en,aliases\n"
        "c1,路灯,Street lamp,灯杆; 灯 黑\n"
        "c2,噪声扰民,Noise,\n"
        "part:01001,供水井盖,,水管井盖\n",
        "utf-8",
    )
    return path


def check(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["categories", "check", *map(str, arguments)])
    return result.exit_code, result.output


def test_what_the_file_holds_and_what_a_text_suggests(file: Path) -> None:
    code, output = check(file, "--try", "那盏灯又黑了", "--try", "电梯坏了")
    assert code == 0
    assert "3 categories, 1 without aliases\n  c2 噪声扰民: suggested by its name alone" in output
    assert "c1 路灯 ('黑', '灯')" in output
    assert "电梯坏了: nothing in it speaks for a category" in output


def test_the_citys_aliases_of_a_national_category_are_added_to_ours(file: Path) -> None:
    for text in ("水管井盖松了", "自来水井盖松了"):
        code, output = check(file, "--json", "--try", text)
        assert code == 0
        (tried,) = json.loads(output)["tried"]
        assert tried["suggested"][0]["code"] == "part:01001", text


def test_a_file_that_cannot_be_used(file: Path) -> None:
    file.write_text("code,name_zh\nc1,\n", "utf-8")
    code, output = check(file)
    assert code == 2
    assert "neither name_zh nor name_en" in output
