"""Show the demo: a live page on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from millrace.demo.tally import Figures

PLAIN_EVERY_S = 5.0
COLOURS = {"approve": "green", "review": "yellow", "block": "red"}


class View(Protocol):
    """A view that shows figures as they change."""

    def show(self, figures: Figures, beside: Sequence[str] = ()) -> None:
        """Show the figures and the lines beside them; a view may skip some."""
        ...


class PlainView:
    """Print one line every five seconds."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._next = PLAIN_EVERY_S

    def show(self, figures: Figures, beside: Sequence[str] = ()) -> None:
        """Print a line every `PLAIN_EVERY_S` seconds."""
        if figures.elapsed_s < self._next:
            return
        self._next += PLAIN_EVERY_S
        for text in (line(figures), *(f"         {one}" for one in beside)):
            self._console.print(text, highlight=False, soft_wrap=True)


class LiveView:
    """Redraw one page."""

    def __init__(self, live: Live, seconds: float, look_up: str) -> None:
        self._live, self._seconds, self._look_up = live, seconds, look_up

    def show(self, figures: Figures, beside: Sequence[str] = ()) -> None:
        """Draw the page."""
        self._live.update(page(figures, self._seconds, self._look_up, beside))


@contextmanager
def view(console: Console, seconds: float, look_up: str) -> Iterator[View]:
    """Return the view that fits the console."""
    if not console.is_terminal:
        yield PlainView(console)
        return
    with Live(console=console, refresh_per_second=4, transient=True) as live:
        yield LiveView(live, seconds, look_up)


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} ms"


def line(figures: Figures) -> str:
    """Render one plain line."""
    return (
        f"{figures.elapsed_s:5.0f} s  in {figures.rate_in:6.0f}/s  out {figures.rate_out:6.0f}/s  "
        f"event to Redis p50 {_ms(figures.recent_p50)} p99 {_ms(figures.recent_p99)}  "
        f"fraud caught {figures.caught} of {figures.frauds}  false alarms {figures.false_alarms}"
    )


def page(
    figures: Figures, seconds: float, look_up: str, beside: Sequence[str] = ()
) -> RenderableType:
    """Render the live page."""
    rates = Table.grid(padding=(0, 4))
    rates.add_row(
        "payments in",
        f"[bold]{figures.rate_in:,.0f}[/]/s",
        "scores out",
        f"[bold]{figures.rate_out:,.0f}[/]/s",
    )
    rates.add_row(
        "event to Redis",
        f"p50 [bold]{_ms(figures.recent_p50)}[/]",
        f"p99 [bold]{_ms(figures.recent_p99)}[/]",
        "last 5 s",
    )
    rates.add_row(
        "fraud caught",
        f"[bold red]{figures.caught:,}[/] of {figures.frauds:,}",
        f"{figures.amount_caught:,.0f} saved",
        f"{figures.false_alarms:,} false alarms",
    )
    title = (
        f"Millrace · {figures.elapsed_s:.0f} of {seconds:.0f} s"
        f" · {figures.scored:,} of {figures.sent:,} scored"
    )
    return Group(
        Panel(rates, title=title),
        _latest(figures),
        *(Text(one, overflow="fold") for one in beside),
        Text(look_up, style="cyan", overflow="fold"),
    )


def _latest(figures: Figures) -> Table:
    table = Table(expand=True, title="latest scores", title_justify="left")
    for name in ("transaction", "customer"):
        table.add_column(name)
    for name in ("amount", "score"):
        table.add_column(name, justify="right")
    for name in ("decision", "truth", "reasons"):
        table.add_column(name)
    for one in figures.latest:
        truth = "[red]fraud[/]" if one.fraud else ""
        decision = f"[{COLOURS.get(one.decision, 'white')}]{one.decision}[/]"
        reasons = ", ".join(one.reasons[:2])
        table.add_row(
            one.transaction_id,
            one.customer_id,
            f"{one.amount:,.2f}",
            f"{one.score:.3f}",
            decision,
            truth,
            reasons,
        )
    return table


def summary(figures: Figures) -> list[str]:
    """Return the closing lines."""
    share = f" ({figures.caught / figures.frauds:.0%})" if figures.frauds else ""
    return [
        f"{figures.scored:,} of {figures.sent:,} payments scored in {figures.elapsed_s:.0f} s",
        f"event to Redis: p50 {_ms(figures.p50)}, p99 {_ms(figures.p99)} (after warming up)",
        f"fraud caught: {figures.caught:,} of {figures.frauds:,}{share}, "
        f"{figures.blocked:,} of them blocked, {figures.amount_caught:,.0f} saved; "
        f"{figures.false_alarms:,} false alarms among {figures.alarms:,}",
    ]
