"""Client cards: the facts of the clients on the work list, as the texts a CRM shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy.engine import Connection

from mapping.brief import OpenTask, Standing
from mapping.card import CITED, Cards
from mapping.fields import CARD
from mapping.freshness import Late
from mapping.ruleset import RuleSet
from mapping.wall import held
from state import projection
from state.evaluate import Evaluated
from state.projection import Key, since
from sync.hub import Hub
from sync.reasons import Reasons


def wanted(rules: RuleSet) -> bool:
    """Whether a row of the rule set shows a card or a brief."""
    return any(f.takes(CARD) for f in rules.mapped)


class CardWriter:
    """Writes the cards of one run, for the brands whose rule set shows any.

    Args:
        late: brand -> the families that are late.
    """

    def __init__(self, hub: Hub, late: Mapping[str, Mapping[str, Late]]) -> None:
        self.hub = hub
        self._cards = {
            brand: Cards(
                rules, hub.brands[brand].zone, hub.brands[brand].base_currency, hub.digits(brand),
                {f: one.until for f, one in late.get(brand, {}).items()}, hub.console_url,
            )
            for brand, rules in hub.rules.items()
            if wanted(rules)
        }  # fmt: skip
        self._facts: dict[Key, dict[str, object]] = {}

    def load(self, connection: Connection) -> None:
        """Read what is known of the clients on the work list."""
        if self._cards:
            self._facts = projection.facts_of_work(connection, CITED)

    def values(
        self, row: Evaluated, states: Sequence[str], others: Sequence[str], reasons: Reasons,
        now: int,
    ) -> Mapping[str, str]:  # fmt: skip
        """What the hub keeps under the names of the card; nothing where no row shows it.

        Args:
            states: those of the client that the CRM hears of.
            others: keys of the other clients on the same contact.
        """
        cards = self._cards.get(row.brand)
        if cards is None:
            return {}
        client = (row.brand, row.client_id)
        text, brief = cards.of(
            Standing(
                f"{row.brand}:{row.client_id}", self._facts[client], row.stage, since(row, now),
                {s: row.states[s] for s in states},
                [OpenTask(e.state, e.due_at or 0) for e in reasons.tasks(client)],
                with_held=bool(others) and any(self._held(o, reasons) for o in others),
            )
        )  # fmt: skip
        return {"card.text": text, "card.brief": brief}

    def _held(self, key: str, reasons: Reasons) -> bool:
        """Whether another client of the contact is under review: the person may be the same."""
        brand, _, client_id = key.partition(":")
        row, facts = reasons.rows.get((brand, client_id)), self._facts.get((brand, client_id))
        if row is None or facts is None:
            return False
        return held(facts, self.hub.rules[brand].stage(row.stage).team)
