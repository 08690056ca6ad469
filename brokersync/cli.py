"""The command line. Exit codes: 0 ok, 1 done with set-aside records, 2 usage or configuration,
3 stopped, nothing lost."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

from brokersync import bootstrap, demo, explain, reports, rules_check, world
from brokersync.output import Output
from brokersync.progress import shown
from mapping.errors import BrokersyncError, ConfigError
from sync.crm_schema import plan_schema, wanted
from sync.cycle import pull_once, sync_once
from sync.hub import Hub
from sync.plan import plan as plan_writes

OK, SET_ASIDE, USAGE, STOPPED = 0, 1, 2, 3
_STATUS = {"ok": OK, "set_aside": SET_ASIDE, "refused": USAGE, "stopped": STOPPED}

app = typer.Typer(
    name="brokersync",
    help="Keeps a broker's CRM true: lifecycle stage, fields and follow-up tasks.",
    epilog="Exit codes: 0 ok, 1 done with set-aside records, 2 usage or configuration, 3 stopped "
    "with nothing lost. Try `brokersync demo` first: it needs no account.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
crm = typer.Typer(
    help="The CRM's own schema: what it lacks, and creating it.", no_args_is_help=True
)
rules = typer.Typer(help="The rule set.", no_args_is_help=True)
app.add_typer(crm, name="crm")
app.add_typer(rules, name="rules")

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
ConfigPath = Annotated[
    Path,
    typer.Option("--config", "-c", envvar="BROKERSYNC_CONFIG", help="The configuration file."),
]
_CONFIG = Path("brokersync.yaml")


@contextmanager
def _hub(config: Path, *, connect: bool = True) -> Iterator[Hub]:
    hub = bootstrap.build(bootstrap.configuration(config), connect=connect)
    try:
        yield hub
    finally:
        hub.close()


@app.command("demo")
def demo_command(
    json_: Json = False,
    clients: Annotated[
        int, typer.Option(min=10, max=20000, help="Clients of the brokerage.")
    ] = 1000,
    days: Annotated[int, typer.Option(min=10, max=365, help="Days of the story.")] = 60,
    day: Annotated[int, typer.Option(min=1, help="Day on which the hub is installed.")] = 46,
    seed: Annotated[int, typer.Option(help="Another seed is another brokerage.")] = 7,
) -> None:
    """A simulated brokerage flows into a simulated CRM, end to end. Needs no account."""
    if day >= days:
        raise ConfigError(f"--day {day} must be before the end of the story (--days {days})")
    out = Output(as_json=json_)
    result = demo.run(out, demo.Options(clients, days, day, seed))
    if json_:
        out.object(result)
    if result["errors"]:
        raise typer.Exit(STOPPED)
    raise typer.Exit(SET_ASIDE if result["rejects"] else OK)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def simulate(context: typer.Context) -> None:
    """Serve the fake vendors and the fake CRM on loopback until interrupted.

    The story is at its 46th day now and goes on in real time, so that a hub on this machine's
    clock can be pointed at it. Prints base URLs and credentials as one JSON object. Options go to
    the simulator: --seed, --clients, --days, --day, --registry-url, --port.
    """
    # It ends when its standard input closes, so it never outlives this process.
    arguments = world.command(["--live", "--stdin-guard", *context.args])
    with subprocess.Popen(arguments, stdin=subprocess.PIPE) as process:  # noqa: S603 (no shell)
        try:
            code = process.wait()
        except KeyboardInterrupt:
            code = process.wait(timeout=30)
    raise typer.Exit(USAGE if code == USAGE else OK)


@crm.command("plan")
def crm_plan(config: ConfigPath = _CONFIG, json_: Json = False) -> None:
    """Show which properties and options the portal lacks, and which clash."""
    out = Output(as_json=json_)
    with _hub(config) as hub:
        found = {n: plan_schema(hub, n, d) for n, d in hub.destinations.items()}
        reports.crm_plan(out, found)
    clashes = any(p.clashes for p in found.values())
    raise typer.Exit(USAGE if clashes else OK)


@crm.command("install")
def crm_install(config: ConfigPath = _CONFIG, json_: Json = False) -> None:
    """Create the missing property group, properties and options. Safe to repeat."""
    out = Output(as_json=json_)
    done: dict[str, list[str]] = {}
    with _hub(config) as hub:
        for name, destination in hub.destinations.items():
            plan = plan_schema(hub, name, destination)
            if plan.clashes:
                raise ConfigError("\n".join(plan.clashes))
            lines: list[str] = []
            for obj, properties in wanted(hub, name).items():
                lines += destination.install(obj, properties)
            done[name] = lines
    if json_:
        out.object(done)
    for name, lines in done.items():
        out.heading(name)
        for line in lines or ["Nothing to do: the portal has all that is needed."]:
            out.line(f"  {line}")


@app.command()
def plan(
    config: ConfigPath = _CONFIG,
    pull: Annotated[bool, typer.Option("--pull", help="Read the sources first.")] = False,
    json_: Json = False,
) -> None:
    """What the next sync would write: contacts, fields, tasks, calls and share of the day.

    Nothing is written to the CRM. Without --pull only what was read before is looked at.
    """
    out = Output(as_json=json_)
    status = OK
    with _hub(config) as hub, shown(hub, out.errors, wanted=out.interactive):
        if pull:
            pulled = pull_once(hub)
            for name, error in pulled.failed.items():
                out.note(reports.named(name, error.admin))
            status = SET_ASIDE if pulled.rejects else OK
            status = STOPPED if pulled.failed else status
        found = plan_writes(hub)
    reports.plan(out, found, pulled=pull)
    raise typer.Exit(status)


@app.command()
def sync(config: ConfigPath = _CONFIG, json_: Json = False) -> None:
    """Do it once: read the sources, work out what changed, write what differs."""
    out = Output(as_json=json_)
    with _hub(config) as hub:
        with shown(hub, out.errors, wanted=out.interactive):
            cycle = sync_once(hub)
        reports.cycle(out, hub, cycle)
    raise typer.Exit(_STATUS[cycle.status])


@app.command()
def status(config: ConfigPath = _CONFIG, json_: Json = False) -> None:
    """How fresh each source is, what waits, and the clients by stage."""
    out = Output(as_json=json_)
    with _hub(config, connect=False) as hub:
        reports.status(out, hub)


@app.command()
def rejects(config: ConfigPath = _CONFIG, json_: Json = False) -> None:
    """Records set aside, with reason and next try; and records without a client."""
    out = Output(as_json=json_)
    with _hub(config, connect=False) as hub:
        some = reports.rejects(out, hub)
    raise typer.Exit(SET_ASIDE if some else OK)


@app.command()
def runs(
    config: ConfigPath = _CONFIG,
    limit: Annotated[int, typer.Option(min=1, max=10000, help="How many.")] = 20,
    json_: Json = False,
) -> None:
    """The latest runs: when, how they ended, what they did."""
    out = Output(as_json=json_)
    with _hub(config, connect=False) as hub:
        reports.runs(out, hub, limit)


@app.command("explain")
def explain_command(
    client: Annotated[str, typer.Argument(help="brand:client_id, a client id, or an e-mail.")],
    config: ConfigPath = _CONFIG,
    json_: Json = False,
) -> None:
    """Why a client is where it is: rule, conditions, records, refused tasks, what is next."""
    out = Output(as_json=json_)
    with _hub(config, connect=False) as hub:
        found = explain.client(hub, client)
    if json_:
        out.object(found)
    explain.show(out, found)


@rules.command("check")
def rules_check_command(
    config: ConfigPath = _CONFIG,
    file: Annotated[
        Path | None, typer.Option("--file", help="A rule set to check instead.")
    ] = None,
    json_: Json = False,
) -> None:
    """Check the rule set: every mistake with its line, what is off, and what may surprise."""
    rules_check.check(Output(as_json=json_), config, file)


def main() -> None:
    """Run the command line; every error ends in a message and an exit code, never a traceback."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    for noisy in ("httpx", "httpcore", "urllib3", "hubspot", "alembic"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    sys.exit(run(lambda: app(standalone_mode=False)))


def run(action: Callable[[], Any]) -> int:
    """Run a command and turn how it ended into an exit code."""
    note = Output(as_json=False).note
    try:
        code = action()
    except typer.Abort:
        note("Interrupted; nothing is lost: the next sync goes on where this one stood.")
        return STOPPED
    except TyperException as error:
        message = getattr(error, "format_message", error.__str__)()
        note(f"Error: {message}\nTry `brokersync --help`.")
        return USAGE
    except ConfigError as error:
        note(f"Error: {error.admin}")
        return USAGE
    except BrokersyncError as error:
        note(f"Stopped: {error.admin}\nNothing is lost: the next run goes on where this one stood.")
        return STOPPED
    except BrokenPipeError:
        return OK
    except Exception as error:
        if os.environ.get("BROKERSYNC_TRACEBACK"):
            raise
        note(
            f"Stopped by an internal error ({type(error).__name__}); nothing is lost. Please "
            "report it with the output of the same command under BROKERSYNC_TRACEBACK=1."
        )
        return STOPPED
    return code if isinstance(code, int) else OK


if __name__ == "__main__":
    main()
