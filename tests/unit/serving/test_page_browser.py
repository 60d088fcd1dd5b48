"""The live page and the analyst's cases in Chromium, on a real API with its stream."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

import pytest

from config.clock import now_ms
from domain.alerts.acts import acknowledgement
from domain.events import FraudScore
from serving.alerts import acting
from serving.alerts import keys as alert_keys
from serving.alerts import page as of_alerts
from serving.alerts import routes as alert_routes
from serving.business import keys as business_keys
from serving.business import page as of_business
from serving.consumers.product import Incoming
from serving.fraud import keys as fraud_keys
from serving.fraud import page as of_fraud
from serving.fraud import reviews
from serving.fraud import routes as fraud_routes
from serving.inventory import page as of_inventory
from serving.inventory.consumer import Inventory
from serving.page.panel import Panel
from serving.sensors import page as of_sensors
from serving.sensors.consumer import Sensors
from serving.store import Write
from tests.unit.domain.inventory import DAY, entry
from tests.unit.serving.browser_parts import Served, chromium, opened, served
from tests.unit.serving.test_alert_acting import done
from tests.unit.serving.test_alerts import told
from tests.unit.serving.test_business import MINUTE, window
from tests.unit.serving.test_inventory import forecast, rows
from tests.unit.serving.test_sensors import limits, rejected, scored

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.slow
WIDE: Any = {"width": 1440, "height": 900}
NARROW: Any = {"width": 360, "height": 740}
COUNT = [0]


async def _count(_: object) -> dict[str, Any]:
    COUNT[0] += 1
    return {"n": COUNT[0]}


def counting(folder: Path) -> ModuleType:
    """Return a product whose panel writes down every number that reaches the page."""
    script = folder / "count.js"
    script.write_text(
        "export default (root) => (doc, points) => { root.textContent = points.n.join(' '); };"
    )
    made = cast("Any", ModuleType("counting"))
    made.routers = ()
    made.panels = (Panel("count", "Count", script, _count, series=frozenset({"n"}), place=80),)
    return cast("ModuleType", made)


def payment(
    name: str, decision: str, features: dict[str, float] | None = None, **changes: Any
) -> list[Write]:
    now = now_ms()
    fields: dict[str, Any] = {
        "transaction_id": name,
        "customer_id": "c1",
        "terminal_id": "m1",
        "amount": 12.5,
        "score": 0.91,
        "decision": decision,
        "model_version": "m",
        "feature_set_version": "f",
        "late": False,
        "reasons": ("terminal_risk_7d",),
        "explanations": ("Terminal m1 had 4 frauds in 7 days",),
        "sequence": now,
        **dict.fromkeys(fraud_keys.TIMES, now),
        **changes,
    }
    record = asdict(FraudScore(**fields))
    stopped = [fraud_keys.suspect(record, features or {})] if decision != "approve" else []
    return [fraud_keys.decision(record), *stopped]


def seed(api: Served) -> None:
    """Store something of each product."""
    now = now_ms()
    api.store.apply(payment("p-block", "block"))
    for place, amount in enumerate((8.0, 12.0, 10.0)):
        at = {**dict.fromkeys(fraud_keys.TIMES, now - (90 + place) * MINUTE), "sequence": place}
        earlier: dict[str, Any] = {"customer_id": "c9", "terminal_id": "m7", "amount": amount, **at}
        api.store.apply(payment(f"before-{place}", "approve", **earlier))
    features = {"customer_ratio_30d": 4.2, "amount": 42.0}
    at = {**dict.fromkeys(fraud_keys.TIMES, now), "sequence": 9}
    api.store.apply(payment("case-1", "review", features, customer_id="c9", amount=42.0, **at))
    for back in range(10):
        start = (now // MINUTE - back) * MINUTE
        made = window(start, 0, orders=3 + back, gmv_minor=(30 + back) * 1000)
        api.store.apply([business_keys.stored(made.record)])
    for one in (
        told("boiler-7/1", now // MINUTE, kind="HIGH_TEMP", severity="critical"),
        told("pump-1/1", now // MINUTE, kind="SILENT", message="pump-1 says nothing"),
    ):
        keep(api, alert_keys.kept(one.record))
    log = [entry("count", 300, now - 20 * DAY, item_id="kettle")]
    log += [entry("sale", 12, now - day * DAY, item_id="kettle") for day in range(19, 0, -1)]
    for result in Inventory().handle([*rows(log), dated(forecast("kettle"), now - DAY)]):
        api.store.apply(result.writes)
    readings = [
        scored("boiler-7", now // 1000, score=0.8, value=31.0, alert_id="a", findings=("HIGH",)),
        scored("pump-1", now // 1000, score=0.1, value=4.0, location="hall-2"),
        rejected("valve-3", now // 1000, now // 1000),
    ]
    for result in Sensors(limits).handle(readings):
        api.store.apply(result.writes)


def dated(row: Incoming, at: int) -> Incoming:
    row.record.update(made_at=at, origin=at)
    return row


def keep(api: Served, write: Write) -> None:
    api.store.apply([write])


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("page")
    products = [
        of_business,
        of_fraud,
        fraud_routes,
        reviews,
        of_inventory,
        of_alerts,
        acting,
        of_sensors,
    ]
    with served(folder, [*products, alert_routes, counting(folder)]) as found:
        seed(found)
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def page(browser: Browser, api: Served) -> Iterator[Page]:
    with opened(browser, api.url, viewport=WIDE, reduced_motion="reduce") as found:
        found.locator("body[data-frames]").wait_for()
        yield found


def text(page: Page, panel: str) -> str:
    return re.sub(r"\s+", " ", page.locator(f"#{panel}").inner_text())


def test_the_key_is_kept_and_the_first_tab_skips_to_the_figures(page: Page) -> None:
    page.reload()
    page.locator("body[data-frames]").wait_for()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_panels_show_what_was_fed_and_then_what_changes(page: Page, api: Served) -> None:
    page.get_by_text("p-block").wait_for()
    assert "Terminal m1 had 4 frauds in 7 days" in text(page, "flagged")
    assert "HIGH TEMP" in text(page, "alerts")
    stock = text(page, "stock")
    assert "kettle low stock" in stock
    assert "72" in stock  # 300 units less 19 sales of 12
    assert "sells 70 in 7 days (35 to 140)" in stock
    sensors = page.locator("#sensors button")
    assert [one.get_attribute("data-state") for one in sensors.all()] == ["alert", "rejected", "ok"]
    sensors.nth(2).click()
    page.get_by_role("img", name="Score of pump-1, and where an alert opens").wait_for()
    label = page.locator("#sensors .canvas").get_attribute("aria-label")
    assert label is not None
    assert label.endswith("Now: score 0.10, alert at 0.50")
    sales = page.locator("#sales .plot:visible h3")
    assert "Sales by the minute (GMV)" in sales.all_inner_texts()
    assert "Payments blocked" not in sales.all_inner_texts()  # no payment in these minutes
    api.store.apply(payment("p-later", "review", amount=77.0))
    page.get_by_text("p-later").wait_for()


def test_an_alert_is_acknowledged_by_keyboard(page: Page, api: Served) -> None:
    page.get_by_label("Acknowledge as").fill("ada")
    button = page.get_by_role("button", name="Acknowledge SILENT of pump-1")
    for _ in range(60):
        page.keyboard.press("Tab")
        if button.evaluate("one => one === document.activeElement"):
            break
    page.keyboard.press("Enter")
    page.get_by_text("SILENT of pump-1 is acknowledged.").wait_for()
    ((_, record),) = api.gateway.produced
    assert (record["act"], record["alert_id"], record["by"]) == ("ack", "pump-1/1", "ada")
    done(cast("Any", api), acknowledgement("pump-1/1", now=now_ms(), by="ada"))
    button.wait_for(state="hidden")
    assert "ada" in page.locator("#alerts tr", has_text="SILENT").inner_text()


def test_a_stream_that_breaks_is_taken_up_without_a_gap(page: Page, api: Served) -> None:
    def numbers() -> list[int]:
        return [int(one) for one in page.locator("#count .body").inner_text().split()]

    page.locator("#count .body:not(:empty)").wait_for()
    for _ in range(2):
        seen = numbers()[-1]
        with page.expect_request("**/v1/page/stream") as asked:
            api.cut()
        assert asked.value.headers["last-event-id"]
        page.wait_for_function(
            "seen => Number(document.querySelector('#count .body').textContent"
            ".split(' ').at(-1)) > seen + 5",
            arg=seen,
        )
    found = numbers()
    assert found == list(range(found[0], found[-1] + 1))


def test_what_is_away_is_told(page: Page, api: Served) -> None:
    page.route("**/v1/page/stream", lambda one: one.abort())
    api.cut()
    page.locator("#link[data-state=away]").wait_for()
    page.unroute("**/v1/page/stream")
    page.locator("#link[data-state=live]").wait_for()


@pytest.mark.parametrize(("theme", "size"), [("dark", WIDE), ("light", NARROW)])
def test_the_page_is_accessible_and_fits(page: Page, theme: Any, size: Any) -> None:
    page.emulate_media(color_scheme=theme, reduced_motion="reduce")
    page.set_viewport_size(size)
    page.locator("#sensors .canvas canvas").wait_for()
    fits(page, size)


def fits(page: Page, size: Any) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    found = axe.run(page).response["violations"]
    assert found == [], json.dumps(found, indent=1)[:4000]
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]


def test_an_analyst_judges_by_keyboard_and_a_label_follows(page: Page, api: Served) -> None:
    before = len(api.gateway.produced)
    page.set_viewport_size(WIDE)
    page.goto(f"{api.url}/page/reviews")
    page.get_by_role("link", name="case-1").focus()
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Payment case-1 to review").wait_for()
    said = re.sub(r"\s+", " ", page.locator(".case").inner_text())
    assert "Terminal m1 had 4 frauds in 7 days" in said
    assert "Amount is 4.2 times this customer's 30-day mean" in said
    # By hand: 42 beside 8, 10 and 12, made at another terminal 90 minutes before.
    assert "42.00, 4.2 times the median of 10.00 (8.00 to 12.00)" in said
    assert "none of the 3 payments before was made at it" in said
    assert "Since the last payment 90 minutes" in said
    assert page.locator(".case tbody").nth(1).locator("tr").count() == 4
    fits(page, WIDE)
    page.get_by_label("Note").fill("called the customer")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Fraud"
    page.keyboard.press("Enter")
    page.get_by_text("Verdict: fraud").wait_for()
    ((key, record),) = api.gateway.produced[before:]
    assert key == "c9"
    names = ("transaction_id", "customer_id", "terminal_id", "is_fraud", "note")
    assert [record[name] for name in names] == ["case-1", "c9", "m1", True, "called the customer"]
    page.get_by_role("link", name="case-1").wait_for(state="detached")
    page.get_by_role("button", name="Change to no fraud").click()
    page.get_by_text("Verdict: no fraud").wait_for()
    assert [one["is_fraud"] for _, one in api.gateway.produced[before:]] == [True, False]


def test_the_case_page_fits_a_narrow_screen(page: Page, api: Served) -> None:
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    page.set_viewport_size(NARROW)
    page.goto(f"{api.url}/page/reviews#case-1")
    page.locator(".case h2").wait_for()
    fits(page, NARROW)
    page.goto(f"{api.url}/page/reviews#nothing")
    page.get_by_text("no score is known of transaction nothing").wait_for()
