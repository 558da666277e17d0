"""Which reports speak of danger (A7)."""

import pytest

from lastmetre.common.danger import names_danger


@pytest.mark.parametrize(
    "words",
    [
        "一根电线垂到离地一米多，不知道带不带电",
        "架空线缆脱落",
        "有煤气味",
        "井盖缺失",
        "有煤氣味，有人昏倒",
        "電線掉下來了",
        "井蓋被盜",
        "路面塌陷，有人受伤",
        "A live wire is down",
        "Wires hanging over the pavement",
        "There is a smell of gas",
        "The bin is on FIRE",
        "manhole cover is missing",
        "铁箅子不见了，留个大洞",
        "雨水井盖不知道被谁掀开了",
        "大风把光缆刮断了",
        "一根高压线距地一米，线缆拖在地上",
        "围墙倒塌",
        "电梯停了，有老人困在里面",
        "The cable is hanging over the road",
        "People are trapped in the lift",
    ],
)
def test_danger(words: str) -> None:
    assert names_danger([None, words])


@pytest.mark.parametrize(
    "words",
    [
        "路灯不亮",
        "垃圾桶满了",
        "污水井盖",
        "充电桩坏了",
        "电线杆上贴满小广告",
        "井盖比路面高，一过车就响",
        "The lamp is out",
        "a firewood stack",
        "",
    ],
)
def test_no_danger(words: str) -> None:
    assert not names_danger([words, None])
