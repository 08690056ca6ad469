"""The engine role of one process: taken unless a living engine has it, kept by a heartbeat."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime

from sqlalchemy.engine import Connection

from mapping.errors import BrokersyncError, RoleError, StoppingError
from state import agenda, engine
from state.engine import Holder, Standing
from sync.edge import Edge
from sync.hub import Hub
from sync.process import gone, same, this_process

log = logging.getLogger(__name__)

LEASE_S = 60
"""How long a lease lasts: after a machine died, so long nobody else becomes the engine."""
BEAT_S = 15


class Role:
    """The engine role, as this process holds it.

    Args:
        kind: the command: ``run``, ``sync``, ``plan``.
        me: the process, where a test plays another one.
    """

    def __init__(self, hub: Hub, kind: str, me: Holder | None = None) -> None:
        self.hub = hub
        self.me = me or this_process(kind)
        self.fence = 0
        self._ended = False
        self._renew_ms = 0

    def take(self, connection: Connection) -> None:
        """Become the engine, in the transaction of ``connection``.

        Raises:
            RoleError: a living engine has the role.
        """
        now = self.hub.clock.now_ms()
        before = engine.lock_role(connection)
        if before is not None and before.held(now, gone) and not same(before.holder, self.me):
            raise RoleError(refusal(before))
        self.fence = engine.take_role(connection, now, self.me, self._leased(now))

    def _leased(self, now: int) -> int:
        # Late, because the heartbeat is: then whoever works renews it in passing.
        self._renew_ms = now + LEASE_S * 1000 // 2
        return now + LEASE_S * 1000

    def hold(self, connection: Connection) -> None:
        """Prove, within a transaction, that this is still the engine.

        Raises:
            RoleError: another engine took over.
        """
        engine.hold(connection, self.fence)
        now = self.hub.clock.now_ms()
        if now >= self._renew_ms:
            engine.renew(connection, self.fence, now, self._leased(now))

    def guard(self, connection: Connection) -> None:
        """The same, and go no further when the hub is to stop.

        Raises:
            RoleError, StoppingError: see above.
        """
        self.hub.stop.check()
        self.hold(connection)

    def beat(self) -> None:
        """Renew the lease.

        Raises:
            RoleError: another engine took over.
            RetryableError: the database is away.
        """
        with self.hub.store.transaction("engine.beat") as connection:
            now = self.hub.clock.now_ms()
            engine.renew(connection, self.fence, now, self._leased(now))

    def keep(self, edge: Edge, lost: Callable[[RoleError], None]) -> None:
        """Beat beside the work until the role is given up.

        Args:
            lost: told, once, that another engine took over.
        """

        def beating() -> None:
            while not self._ended:
                try:
                    self.hub.clock.sleep(BEAT_S)
                    if not self._ended:
                        self.beat()
                except StoppingError:
                    return  # what is left to do takes no longer than the lease
                except RoleError as error:
                    if not self._ended:  # else it was given up in the meantime
                        lost(error)
                    return
                except BrokersyncError as error:  # the next beat may get through
                    log.warning("the heartbeat did not get through: %s", error.log)

        edge.start("heartbeat", beating)

    def release(self, connection: Connection) -> None:
        """Give the role up, if it is still ours."""
        self._ended = True
        engine.release(connection, self.fence, self.hub.clock.now_ms())

    def abandon(self, status: str) -> None:
        """End early: close what stands open, and give the role up.

        Raises:
            RetryableError: the database is away, or another engine took over.
        """
        self._ended = True
        with self.hub.store.transaction("engine.abandon") as connection:
            engine.hold(connection, self.fence)
            engine.end_open_runs(connection, self.fence, self.hub.clock.now_ms(), status)
            agenda.all_stopped(connection)
            self.release(connection)


def refusal(before: Standing) -> str:
    """Why nobody else can be the engine now, and what to do."""
    holder = before.holder
    return (
        f"another engine works on this database: `{holder.kind}` on {holder.host}, process "
        f"{holder.pid}, since {_shown(before.taken_at)}; its lease lasts until "
        f"{_shown(before.lease_until)} and is renewed while it works. Stop that one "
        "first, or let it do the work; if it died, try again when the lease is over"
    )


def _shown(instant_ms: int) -> str:
    return datetime.fromtimestamp(instant_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
