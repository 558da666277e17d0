"""What a reporter sends after his report: kept with it, shown to him and to staff, never a case."""

from collections import Counter
from uuid import uuid4

import pytest

from tests.support.city import IntakeAlone

pytestmark = pytest.mark.slow


async def test_a_note_and_a_correction_stand_with_the_report(intake_city: IntakeAlone) -> None:
    async with intake_city.running() as city:
        running = await city.start()
        form = {"source_id": str(uuid4()), "text": "路灯不亮", "address": "幸福路 12 号"}
        async with running.client() as client:
            sent = await client.post("/report", data=form)
            progress = sent.headers["location"].replace("/report/sent/", "/progress/")
            await city.until_read()
            again = await client.post("/report", data=form | {"address": "幸福路 112 号"})
            assert again.headers["location"] == f"{progress}?added"
            added = await client.post(progress, data={"note": "灯杆也歪了"})
            assert (added.status_code, added.headers["location"]) == (303, f"{progress}?added")
            assert await city.until_read() == Counter(accepted=1, conflict=2)
            page = (await client.get(f"{progress}?lang=zh")).text
            report_id = str((await city.fetch("SELECT report_id FROM report"))[0][0])
            texts = await client.post(
                "/api/intake/v1/texts",
                headers=city.credentials.service("dispatch"),
                json={"report_ids": [report_id]},
            )
        for words in ("幸福路 12 号", "幸福路 112 号", "灯杆也歪了"):
            assert words in page
        kept = texts.json()["reports"][report_id]
        assert (kept["text"], kept["address"]) == ("路灯不亮", "幸福路 12 号")
        assert [(each["text"], each["address"]) for each in kept["additions"]] == [
            (None, "幸福路 112 号"),
            ("灯杆也歪了", None),
        ]
        # Only the first is a report: the others are no cases of their own.
        assert await city.value("SELECT count(*) FROM report") == 1
