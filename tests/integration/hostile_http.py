"""Hostile requests by HTTP, each with its stated answer: a status, and what the problem names.

A row is (name, body, status, told): `told` is the JSON pointer of the field that is named as
wrong, the problem's type if it begins with "/problems", or None where the status says it all.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

Row = tuple[str, Any, int, str | None]
"""A body that is not bytes is sent as JSON."""

DEEP: Final = b"[" * 100_000
SURROGATE: Final = b'"\\ud800"'
DIGITS: Final = b"9" * 5000
LONG: Final = "x" * 121


@dataclass(frozen=True)
class Door:
    """A route, who knocks, and what with."""

    service: str
    request: str
    caller: str
    rows: Sequence[Row]
    headers: Mapping[str, str] = field(default_factory=dict)


def report(**fields: Any) -> dict[str, Any]:
    """A good report, apart from these fields."""
    return {"source_id": "hostile", "text": "路灯不亮"} | fields


def raw(text: bytes) -> bytes:
    """A report whose position is written by hand."""
    return b'{"source_id":"hostile","text":"x","position":{"latitude":%b,"longitude":1}}' % text


def rings(*points: Any, kind: str = "Polygon") -> dict[str, Any]:
    """A network of one area, to be tried only."""
    name = {"zh": "片", "en": "Area"}
    outline = {"type": kind, "coordinates": [list(points)]}
    return {"areas": [{"area_id": "A0", "name": name, "outline": outline}], "dry_run": True}


NOT_JSON, INVALID, LARGE = "/problems/not-json", "/problems/invalid", "/problems/too-large"

SINGLE: Final = Door(
    "intake",
    "POST /channels/app/reports",
    "app-key",
    [
        ("nothing", b"", 400, NOT_JSON),
        ("not JSON", b"{", 400, NOT_JSON),
        ("two documents", b"{}{}", 400, NOT_JSON),
        ("UTF-16", json.dumps(report()).encode("utf-16"), 400, NOT_JSON),
        ("not UTF-8", b'{"source_id":"\xff"}', 400, NOT_JSON),
        ("byte order mark and nothing", b"\xef\xbb\xbf{}", 422, "/source_id"),
        ("NaN", raw(b"NaN"), 400, NOT_JSON),
        ("Infinity", raw(b"-Infinity"), 400, NOT_JSON),
        ("lone surrogate", b'{"source_id":' + SURROGATE + b"}", 400, NOT_JSON),
        ("lone surrogate in a name", b"{" + SURROGATE + b":1}", 400, NOT_JSON),
        ("deep arrays", DEEP, 400, NOT_JSON),
        ("deep objects", b'{"source_id":' + b'{"a":' * 10_000, 400, NOT_JSON),
        ("a number", b"123", 422, ""),
        ("null", b"null", 422, ""),
        ("a string", b'"report"', 422, ""),
        ("nothing in it", {}, 422, "/source_id"),
        ("source id a number", report(source_id=7), 422, "/source_id"),
        ("source id empty", report(source_id=""), 422, "/source_id"),
        ("source id too long", report(source_id=LONG), 422, "/source_id"),
        ("source id with NUL", report(source_id="a\0b"), 422, "/source_id"),
        ("source id with a line break", report(source_id="a\nb"), 422, "/source_id"),
        ("text a number", report(text=7), 422, "/text"),
        ("text too long", report(text="x" * 10_001), 422, "/text"),
        ("address a list", report(address=["x"]), 422, "/address"),
        ("category too long", report(category=LONG), 422, "/category"),
        ("position a list", report(position=[1, 2]), 422, "/position"),
        ("longitude a word", report(position={"latitude": 1, "longitude": "x"}), 422,
         "/position/longitude"),
        ("north of the pole", raw(b"90.1"), 422, "/position/latitude"),
        ("beyond any float", raw(b"1e999"), 422, "/position/latitude"),
        ("400 digits", raw(b"9" * 400), 422, "/position/latitude"),
        ("5,000 digits", raw(DIGITS), 400, NOT_JSON),
        ("unknown datum", report(position={"latitude": 1, "longitude": 1, "datum": "x"}), 422,
         "/position/datum"),
        ("time in words", report(reported_at="yesterday"), 422, "/reported_at"),
        ("time without zone", report(reported_at="2026-11-22T08:00:00"), 422, "/reported_at"),
        ("time before 1900", report(reported_at="1899-12-31T00:00:00Z"), 422, "/reported_at"),
        ("time after the last", report(reported_at="9999-12-31T23:59:59-14:00"), 422,
         "/reported_at"),
        ("time of 400 digits", b'{"source_id":"x","reported_at":%b}' % DIGITS[:400], 422,
         "/reported_at"),
        ("unknown language", report(contact={"language": "fr"}), 422, "/contact/language"),
        ("unknown origin", report(origin="x"), 422, "/origin"),
        ("one of 300 kB", report(text="x" * 300_000), 413, LARGE),
        ("one that looks like an array", b" " + b'{"x":"' + b"[" * 300_000, 413, LARGE),
        ("an array of 8 MB", b"[" + b" " * 8 * 1024 * 1024 + b"]", 413, LARGE),
        ("an array of 100,000", b"[" + b"{}," * 99_999 + b"{}]", 413, LARGE),
        # What follows is strange, but a report.
        ("an empty array", [], 202, None),
        ("text with NUL", report(source_id="hostile-0", text="a\0b"), 202, None),
        ("byte order mark", b'\xef\xbb\xbf{"source_id":"hostile-1","text":"x"}', 202, None),
        ("two source ids: the last", b'{"source_id":"a","source_id":"hostile-2","text":"x"}', 202,
         None),
        ("fields nobody knows", report(source_id="hostile-3", __proto__={"x": [1]}), 202, None),
        ("long ago", report(source_id="hostile-4", reported_at="1900-01-01T00:00:00Z"), 202, None),
        ("far ahead, to be rejected", report(source_id="hostile-5",
                                             reported_at="2199-12-31T00:00:00Z"), 202, None),
        ("at the south pole", report(source_id="hostile-6",
                                     position={"latitude": -90, "longitude": -180}), 202, None),
        ("nothing said, to be rejected", {"source_id": "hostile-7"}, 202, None),
    ],
)  # fmt: skip

DOORS: Final[Sequence[Door]] = (
    SINGLE,
    Door("intake", "POST /channels/app/reports", "app-key",
         [("gzip", b"\x1f\x8b", 415, "/problems/encoded")], {"Content-Encoding": "gzip"}),
    Door("intake", "POST /channels/app/reports", "app-key",
         [("a form", b"source_id=1&text=x", 400, NOT_JSON),
          ("JSON under a wrong name", report(source_id="hostile-8"), 202, None)],
         {"Content-Type": "application/x-www-form-urlencoded", "traceparent": "zz-x"}),
    Door("intake", "POST /channels/app/reports", "hotline-key",
         [("another channel's key", report(), 403, "/problems/not-allowed")]),
    Door("intake", "POST /channels/app/reports", "nobody",
         [("no key", report(), 401, "/problems/not-signed-in")]),
    Door("intake", "POST /channels/app/reports", "nobody",
         [("a key that is no text", report(), 401, "/problems/not-signed-in")],
         {"X-API-Key": "\xff\xfe"}),
    Door("intake", "POST /channels/fax/reports", "app-key",
         [("no channel", report(), 404, None)]),
    Door("intake", "POST /channels/app/reports/", "app-key",
         [("a slash more", report(), 404, None)]),
    Door("intake", "GET /channels/app/reports", "app-key", [("wrong method", b"", 405, None)]),
    Door("intake", "DELETE /channels/app/reports", "app-key", [("wrong method", b"", 405, None)]),
    Door("intake", "POST /api/intake/v1/lookup", "administrator", [
        ("not JSON", b"{", 422, ""),
        ("deep", DEEP, 400, None),
        ("lone surrogate", b'{"sender":' + SURROGATE + b"}", 422, "/sender"),
        ("another channel", {"sender": "x", "channel": "fax", "source_ids": []}, 422, "/channel"),
        ("NUL", {"sender": "x", "channel": "app", "source_ids": ["\0"]}, 422, "/source_ids/0"),
        ("1,001 ids", {"sender": "x", "channel": "app", "source_ids": ["x"] * 1001}, 422,
         "/source_ids"),
        ("a field more", {"sender": "x", "channel": "app", "source_ids": [], "x": 1}, 422, "/x"),
        ("2 MB", b" " * (2 * 1024 * 1024 + 1), 413, LARGE),
    ]),
    Door("intake", "POST /api/intake/v1/contacts", "notify-key", [
        ("no report id", {"report_ids": ["x"]}, 422, "/report_ids/0"),
        ("a lead's id with NUL", {"lead_ids": ["\0"]}, 422, "/lead_ids/0"),
        ("nobody's", {"report_ids": ["01936f00-0000-7000-8000-000000000001"]}, 200, None),
    ]),
    Door("intake", "POST /api/intake/v1/contacts/look", "dispatch-key", [
        ("nobody's", {"report_id": "01936f00-0000-7000-8000-000000000001", "actor": "lead:L0"},
         404, None),
    ]),
    Door("intake", "PUT /api/intake/v1/lead-contacts", "administrator", [
        ("a phone too long", {"contacts": [{"lead_id": "L0", "phone": "1" * 501}]}, 422,
         "/contacts/0/phone"),
        ("10,001 leads", {"contacts": [{"lead_id": "L0"}] * 10_001}, 422, "/contacts"),
    ]),
    Door("dispatch", "POST /api/dispatch/v1/cases/{case}/actions", "lead", [
        ("nothing", b"", 422, ""),
        ("not JSON", b"{", 422, ""),
        ("an array", [], 422, ""),
        ("deep", DEEP[:10_000], 400, None),
        ("lone surrogate", b'{"action":' + SURROGATE + b"}", 422, "/action"),
        ("unknown action", {"action": "explode"}, 422, "/action"),
        ("a field more", {"action": "accept", "actor": "system"}, 422, "/actor"),
        ("seen nothing", {"action": "accept", "expected_seq": 0}, 422, "/expected_seq"),
        ("seen too much", {"action": "accept", "expected_seq": 2**31}, 422, "/expected_seq"),
        ("5,000 digits", b'{"action":"accept","expected_seq":%b}' % DIGITS, 400, None),
        ("seen another seq", {"action": "accept", "expected_seq": 9}, 409,
         "/problems/case-has-moved-on"),
        ("no action id", {"action": "accept", "action_id": "x"}, 422, "/action_id"),
        ("time without zone", {"action": "accept", "occurred_at": "2026-11-22T08:00:00"}, 422,
         "/occurred_at"),
        ("time after the last", {"action": "accept", "occurred_at": "9999-12-31T23:59:59-14:00"},
         422, "/occurred_at"),
        ("time before the first", {"action": "accept", "occurred_at": "0001-01-01T00:00:00+14:00"},
         422, "/occurred_at"),
        ("tomorrow", {"action": "accept", "occurred_at": "2199-01-01T00:00:00Z"}, 422,
         "/problems/happens-in-the-future"),
        ("return without a reason", {"action": "return", "expected_seq": 2}, 422,
         "/problems/reason-missing"),
        ("return for another reason", {"action": "return", "return_reason": "lazy"}, 422,
         "/return_reason"),
        ("not a lead's to do", {"action": "cancel", "expected_seq": 2, "cancel_reason": "x"}, 403,
         "/problems/not-allowed-for-role"),
        ("17 kB", b" " * 17_000, 413, LARGE),
    ]),
    Door("dispatch", "POST /api/dispatch/v1/cases/{nobody}/actions", "lead", [
        ("unknown case", {"action": "accept"}, 404, "/problems/unknown-case")]),
    Door("dispatch", "POST /api/dispatch/v1/cases/%00/actions", "lead", [
        ("no case id", {"action": "accept"}, 404, "/problems/unknown-case")]),
    Door("dispatch", "POST /api/dispatch/v1/cases/{case}/actions", "operator", [
        ("place nowhere", {"action": "place", "expected_seq": 2}, 422, "/problems/area-missing"),
        ("place where nothing is", {"action": "place", "expected_seq": 2, "area_id": "x"}, 422,
         "/problems/area-unknown"),
        ("area with NUL", {"action": "place", "expected_seq": 2, "area_id": "\0"}, 422, "/area_id"),
        ("cancel unseen", {"action": "cancel", "cancel_reason": "x"}, 422,
         "/problems/expected-seq-missing"),
        ("cancel for a long reason", {"action": "cancel", "cancel_reason": LONG}, 422,
         "/cancel_reason"),
    ]),
    Door("dispatch", "PUT /network", "administrator", [
        ("not JSON", b"[", 422, ""),
        ("no areas", {}, 422, "/areas"),
        ("no outline", {"areas": [{"area_id": "A", "name": {"zh": "x", "en": "x"}}]}, 422,
         "/areas/0/outline"),
        ("an outline of nothing", rings(), 422, "/problems/outline"),
        ("a line there and back", rings([0, 0], [1, 1], [0, 0]), 422, "/problems/outline"),
        ("rings that cross", rings([0, 0], [1, 1], [1, 0], [0, 1], [0, 0]), 422,
         "/problems/outline"),
        ("words for numbers", rings(["a", "b"], [1, 0], [1, 1], ["a", "b"]), 422,
         "/problems/outline"),
        ("a point", rings(kind="Point"), 422, "/problems/outline"),
        ("outside the world", rings([0, 0], [500, 0], [500, 1], [0, 0]), 422,
         "/problems/outline"),
        ("NaN", b'{"areas":[{"area_id":"A","name":{"zh":"x","en":"x"},"outline":'
         b'{"type":"Polygon","coordinates":[[[NaN,0],[1,0],[1,1],[NaN,0]]]}}]}', 422,
         "/problems/outline"),
        ("an area twice", {"areas": rings([0, 0], [1, 0], [1, 1], [0, 0])["areas"] * 2}, 422,
         "/problems/area-twice"),
    ]),
    Door("notify", "POST /api/notify/v1/ratings/{rating}", "nobody", [
        ("not JSON", b"{", 422, ""),
        ("six stars", {"solved": True, "score": 6}, 422, "/score"),
        ("a number for yes", {"solved": 1, "score": 5}, 422, "/solved"),
        ("NaN stars", b'{"solved":true,"score":NaN}', 422, "/score"),
        ("a field more", {"solved": True, "score": 5, "case_id": "x"}, 422, "/case_id"),
        ("4 kB", b" " * 4097, 413, LARGE),
    ], {"Content-Type": "application/json"}),
    Door("notify", f"POST /api/notify/v1/cases/{UUID(int=1)}/messages/{UUID(int=2)}/again",
         "operator", [
        ("not JSON", b"{", 422, ""),
        ("no id", {}, 422, "/request_id"),
        ("an id that is none", {"request_id": "x"}, 422, "/request_id"),
        ("a field more", {"request_id": str(UUID(int=3)), "to": "x"}, 422, "/to"),
        ("2 kB", b" " * 2048, 413, LARGE),
        ("no such message", {"request_id": str(UUID(int=3))}, 404, "/problems/unknown-message"),
    ]),
    Door("notify", "POST /api/notify/v1/ratings/{rating}", "nobody", [
        ("no JSON", b"<x/>", 422, "")],
        {"Content-Type": "text/xml"}),
    *(
        Door(service, f"POST /api/{service}/v1/dead-letters/{letter}/replay", "administrator",
             [("no such letter", {}, 404, None)])
        for service, letter in (("intake", "999999"), ("dispatch", "9" * 30), ("notify", "-1"),
                                ("metrics", "-" + "9" * 30))
    ),
    Door("intake", "POST /api/intake/v1/dead-letters/x/replay", "administrator",
         [("no number", {}, 422, "/path/letter_id")]),
    Door("intake", "POST /api/intake/v1/dead-letters/999999/replay", "administrator", [
        ("not JSON", b"{", 422, INVALID),
        ("headers a list", {"headers": []}, 422, INVALID),
    ]),
)  # fmt: skip

FORM: Final = {"Content-Type": "application/x-www-form-urlencoded"}
FORMS: Final[Sequence[Door]] = (
    Door("intake", "POST /report", "nobody", [
        ("JSON", b"{}", 422, None),
        ("nothing", b"", 422, None),
        ("garbage", b"%zz=%ff&&&=\0=;\xff", 422, None),
        ("101 fields", b"&".join(b"f%d=x" % n for n in range(101)), 400, None),
        ("65 kB", b"text=" + b"x" * 65_536, 413, LARGE),
        ("2,001 characters", b"address=x&text=" + b"x" * 2001, 422, None),
        ("NaN for a place", b"text=x&lat=NaN&lng=inf", 422, None),
        ("outside the world", b"text=x&lat=91&lng=1e999", 422, None),
        ("an area that is not", b"text=x&area=%00", 422, None),
        ("a phone of letters", b"text=x&address=x&phone=call+me", 422, None),
        ("an address with a line break", b"text=x&address=x&email=a%0d%0aBcc:b@example.org", 422,
         None),
    ], FORM),
    Door("intake", "POST /report", "nobody", [("not a form", {}, 422, None)],
         {"Content-Type": "application/json"}),
    Door("notify", "POST /rate/{rating}", "nobody", [("not a form", b"<x/>", 422, None)],
         {"Content-Type": "text/xml"}),
    Door("intake", "POST /progress", "nobody", [
        ("nothing", b"", 422, None),
        ("full-width digits", "number=1&tail=１２３４".encode(), 422, None),
        ("a number of 60,000 digits", b"tail=1234&number=" + b"1" * 60_000, 404, None),
        ("a number that is none", b"tail=1234&number=%00%ff", 404, None),
    ], FORM),
    Door("dispatch", "POST /work/cases/{case}/actions", "lead", [
        ("nothing", b"", 422, INVALID),
        ("garbage", b"action=%ff&expected_seq=x", 422, INVALID),
        ("seen another seq", b"action=accept&expected_seq=9&back=//evil.example", 409, None),
    ], FORM),
    Door("notify", "POST /rate/{rating}", "nobody", [
        ("nothing", b"", 422, None),
        ("garbage", b"solved=maybe&score=%ff", 422, None),
    ], FORM),
)  # fmt: skip

PATHS: Final[Sequence[tuple[str, str, str, int]]] = (
    ("intake", "nobody", "/cases/x", 404),
    ("intake", "nobody", "/cases/%00", 404),
    ("intake", "nobody", "/cases/%FF%FE", 404),
    ("intake", "nobody", f"/cases/{'x' * 4000}", 404),
    ("intake", "nobody", "/cases/../../etc/passwd", 404),
    ("intake", "nobody", "/cases/{receipt}x", 404),
    ("intake", "nobody", "/progress/{receipt}", 404),
    ("intake", "nobody", "/report/sent/%E7%89%87", 404),
    ("intake", "nobody", "/report/static/%2e%2e/main.py", 404),
    ("intake", "nobody", "/report/static/%00", 404),
    ("intake", "nobody", "/report?lang=%00&lang=%FF&token=x", 200),
    ("intake", "nobody", "/nowhere", 404),
    ("intake", "administrator", "/api/intake/v1/dead-letters?all=perhaps", 422),
    ("intake", "administrator", f"/api/intake/v1/dead-letters/{'9' * 30}", 404),
    ("dispatch", "administrator", f"/api/dispatch/v1/dead-letters/-{'9' * 30}", 404),
    ("dispatch", "operator", "/api/dispatch/v1/cases/%00", 404),
    ("dispatch", "operator", f"/api/dispatch/v1/cases/{'1' * 4000}", 404),
    ("dispatch", "operator", "/centre?number=%00", 200),
    ("dispatch", "operator", "/centre?number=%FF%ED%A0%80", 200),
    ("dispatch", "operator", "/centre/cases/x", 303),
    ("dispatch", "operator", "/centre/{nobody}/panes", 200),
    ("dispatch", "operator", "/centre?view=all", 422),
    ("dispatch", "operator", "/centre?page=0", 422),
    ("dispatch", "operator", "/centre?area=%00", 422),
    ("dispatch", "operator", "/centre/list?words=%00", 422),
    ("dispatch", "nobody", "/work/open/%00", 303),
    ("dispatch", "nobody", "/work/open/x?case=%00", 303),
    ("intake", "nobody", "/sign-in/link/%00", 404),
    ("intake", "nobody", "/sign-in?next=%00", 200),
    ("intake", "nobody", "/sign-in/callback?state=%00&code=%00", 404),
    ("dispatch", "operator", "/centre?case=%00", 200),
    ("dispatch", "operator", "/cases/x", 404),
    ("dispatch", "operator", "/cases/%00", 404),
    ("dispatch", "operator", "/cases/{nobody}", 404),
    ("dispatch", "nobody", "/work?token=a.b.c", 401),
    ("notify", "nobody", "/rate/x", 404),
    ("notify", "nobody", "/rate/{receipt}", 404),
    ("notify", "operator", "/messages/log?state=%00", 200),
    ("notify", "operator", "/messages/log?number=%00", 200),
    ("notify", "operator", f"/messages/log?number={'9' * 18}&state=sent", 200),
    ("notify", "operator", f"/messages/log?number={'9' * 70}", 200),
    ("notify", "operator", "/messages/log?behind=%00", 200),
    ("notify", "operator", "/messages/x/y/again", 422),
    ("notify", "operator", f"/messages/{UUID(int=1)}/{UUID(int=2)}/again", 404),
    ("notify", "operator", "/api/notify/v1/cases/x/messages", 422),
    ("metrics", "supervisor", "/indicators?from=x", 422),
    ("metrics", "supervisor", "/indicators?from=0001-01-01&to=9999-12-31", 200),
    ("metrics", "supervisor", "/indicators?by=channel,channel", 422),
    ("metrics", "supervisor", "/indicators?by=%00", 422),
    ("metrics", "supervisor", "/indicators?origin=x&format=x", 422),
    ("metrics", "supervisor", "/api/metrics/v1/facts?limit=0", 422),
    ("metrics", "supervisor", f"/api/metrics/v1/facts?limit={'9' * 30}", 422),
    ("metrics", "supervisor", "/api/metrics/v1/facts?after=x", 422),
    ("metrics", "supervisor", "/api/metrics/v1/cases/%00", 422),
    ("metrics", "supervisor", "/board?day=0001-01-01", 200),
    ("metrics", "supervisor", "/board?day=9999-12-31", 200),
    ("metrics", "supervisor", "/board/live?period=x", 422),
    ("metrics", "supervisor", "/board?curve=%00", 422),
)
"""(service, caller, path, status) of a GET."""

ODD_HEADERS: Final[Sequence[Mapping[str, str]]] = (
    {"Accept-Language": ";;q=,,en;q=x;q=nan, zh-\xff;q=1e999"},
    {"Accept-Language": "x," * 2000},
    {"Accept": "text/html;q=nan, */*;q=-1,;;"},
    {"Accept-Encoding": "\xff, gzip;q=x"},
    {"Cookie": "lastmetre_lang=\xff; =; lastmetre_token; a=b=c"},
    {"If-None-Match": "\xff" * 2000},
    {"Host": "evil.example"},
    {"Content-Length": "0", "Content-Type": "\xff"},
)
"""On a page that is open to anyone: it is shown all the same."""

RAW: Final[Mapping[str, bytes]] = {
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "no such version": b"GET /report HTTP/9.9\r\n\r\n",
    "no path": b"GET  HTTP/1.1\r\n\r\n",
    "no header name": b"GET /report HTTP/1.1\r\n: x\r\n\r\n",
    "NUL in a header": b"GET /report HTTP/1.1\r\nHost: a\0b\r\n\r\n",
    "header broken in two": b"GET /report HTTP/1.1\r\nX-\r\nHost: x\r\n\r\n",
    "negative length": b"POST /report HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "length in words": b"POST /report HTTP/1.1\r\nHost: x\r\nContent-Length: ten\r\n\r\n",
    "two lengths": b"POST /report HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n"
    b"\r\nab",
    "length and chunks": b"POST /report HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks of words": b"POST /report HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"ten\r\nx\r\n",
    "no end of headers": b"GET /report HTTP/1.1\r\n" + b"X: x\r\n" * 100_000,
    "a header without an end": b"GET /report HTTP/1.1\r\nX: " + b"x" * 500_000,
    "a path without an end": b"GET /" + b"x" * 500_000,
    "no such method": b"FROB /report HTTP/1.1\r\nHost: x\r\n\r\n",
}
"""By hand on a socket of its own: 400, 431 or the end of the connection."""
