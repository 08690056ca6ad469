"""Whose an account of MetaTrader is, and what it holds."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from connectors.base import Context
from connectors.mt5_sql.settings import Mt5SqlSettings
from connectors.mt5_sql.source import Mt5SqlSource
from mapping.errors import ConfigError
from mapping.records import Ref
from mapping.words import Kind
from tests.connectors.mt5_rig import BRANDS, SERVER, Hub, Make, deposit, one, traded, usd
from tests.contracts.source import of
from tests.contracts.world import at, client, event


def test_accounts_name_their_client(make: Make) -> None:
    opened = event("2026-03-02 08:00", "account_opened", login=1000, group="real\\std",
                   currency="USD", client="CRM-4711", leverage=500, agent=777)  # fmt: skip
    rig = make(client("C-1", opened), others=False)
    for column in ("ID", "id", "clients.ClientExternalID"):
        source = rig.source(client_column=column, client_prefix="CRM-")
        (record,) = [r for r in of(list(source.pull(None))) if r.kind is Kind.TRADING_ACCOUNT]
        assert record.ref == Ref("4711")
        assert (record.payload.leverage, record.payload.agent) == (500, "777")  # type: ignore[union-attr]
    for column in ("CRM", "clients.Number"):
        with pytest.raises(ConfigError, match="client_column"):
            rig.source(client_column=column).check()
    rig.close()


def test_an_account_whose_rights_lack_the_bit_is_not_enabled(lite: Make) -> None:
    rig = lite(one(), others=False)
    users = rig.fake.tables["mt5_users"]
    for rights, mask, enabled in ((482, 1, False), (483, 1, True), (482, 0, True), (482, 2, True)):
        with rig.fake.engine.begin() as connection:
            connection.execute(sa.update(users).values(Rights=rights))
        found = Hub().pull(rig.source(rights_enabled=mask)).of(Kind.TRADING_ACCOUNT)
        assert [a.enabled for a in found.values()] == [enabled], (rights, mask)


def test_a_client_id_that_comes_later_links_the_account(make: Make) -> None:
    opened = event("2026-03-02 08:00", "account_opened", login=1000, currency="USD", client="",
                   group="real\\std")  # fmt: skip
    rig = make(client("C-1", opened), others=False)
    source = rig.source(client_column="clients.ClientExternalID")
    pages = list(source.pull(None))
    (before,) = [r for r in of(pages) if r.kind is Kind.TRADING_ACCOUNT]
    assert before.ref == Ref(f"{SERVER}:1000", "login")
    clients = rig.fake.tables["mt5_clients"]
    with rig.fake.engine.begin() as connection:
        stamp = (at("2026-03-19 23:59") + 11_644_473_600_000) * 10_000
        change = {"ClientExternalID": "C-1", "Timestamp": stamp}
        connection.execute(sa.update(clients).values(change))
    rig.world.advance(60)
    (after,) = [r for r in of(list(source.pull(pages[-1].cursor)))
                if r.kind is Kind.TRADING_ACCOUNT]  # fmt: skip
    assert after.ref == Ref("C-1")
    rig.close()


def test_open_positions_are_counted_with_the_balance(make: Make) -> None:
    held = [event("2026-03-05 09:00", "position_opened", login=1000, position=str(n))
            for n in range(3)]  # fmt: skip
    closed = event("2026-03-06 09:00", "position_closed", login=1000, position="1")
    still = traded("2026-03-06 10:00", closed_at=at("2026-04-01 10:00"))
    credit = event("2026-03-07 09:00", "ledger_credit", login=1000, amount="25.00")
    rig = make(one(deposit(), *held, closed, still, credit))
    (held_now,) = Hub().pull(rig.source()).of(Kind.BALANCE).values()
    assert (held_now.balance, held_now.credit) == (usd("500.00"), usd("25.00"))
    assert held_now.open_positions == 3
    rig.close()


def test_two_brands_on_one_server_are_told_apart_by_group(lite: Make) -> None:
    other = event("2026-03-02 08:00", "account_opened", login=1001, group="real\\beta\\std",
                  currency="USD")  # fmt: skip
    rig = lite(one(), client("C-2", other), others=False)
    context = Context("trading", {"alpha": "UTC", "beta": "UTC"}, rig.clock)
    rules = [{"match": "real\\beta\\*", "class": "real", "brand": "beta"}]
    values: dict[str, Any] = {
        "url": rig.url, "server": SERVER, "server_tz": "NY+7", "client_column": "ID",
    }  # fmt: skip
    source = Mt5SqlSource(Mt5SqlSettings.model_validate({**values, "group_rules": [
        *rules, {"match": "real\\*", "class": "real", "brand": "alpha"}]}), context)  # fmt: skip
    accounts = [r for r in of(list(source.pull(None))) if r.kind is Kind.TRADING_ACCOUNT]
    assert {r.external_id: r.brand for r in accounts} == {
        f"{SERVER}:1000": "alpha",
        f"{SERVER}:1001": "beta",
    }
    source.close()
    with pytest.raises(ConfigError, match="group_rules"):
        Mt5SqlSource(Mt5SqlSettings.model_validate(values), context)
    values["group_rules"] = [{"match": "*", "class": "real", "brand": "gamma"}]
    unknown = Mt5SqlSettings.model_validate(values)
    with pytest.raises(ConfigError, match="unknown brands gamma"):
        Mt5SqlSource(unknown, Context("trading", BRANDS, rig.clock))
