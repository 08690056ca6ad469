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

from brokersync import (
    bootstrap,
    crm_fields,
    decide,
    demo,
    doctor,
    explain,
    health,
    init,
    links,
    reports,
    rules_check,
    unattended,
    world,
)
from brokersync.output import Output
from brokersync.progress import shown
from connectors.clock import SystemClock
from connectors.destination import CrmObject
from mapping.errors import BrokersyncError, ConfigError
from mapping.policy import Backlog
from sync import backlog as backlogs
from sync.check import Level
from sync.cycle import pull_once
from sync.hub import Hub
from sync.plan import plan as plan_writes

OK, SET_ASIDE, USAGE, STOPPED = 0, 1, 2, 3
_STATUS = {
    "ok": OK,
    "set_aside": SET_ASIDE,
    "refused": USAGE,
    "stopped": STOPPED,
    "interrupted": STOPPED,
}
_INTERRUPTED = "Interrupted; nothing is lost: the next sync goes on where this one stood."

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

BacklogOf = Annotated[
    str,
    typer.Option(
        "--backlog",
        metavar="PLAYBOOK",
        help="Also open tasks for reasons of this playbook from before go-live or from an outage.",
    ),
]
BacklogMost = Annotated[
    int,
    typer.Option("--max", min=1, max=100_000, help="How many of each brand, most valuable first."),
]
BacklogBrand = Annotated[str, typer.Option("--brand", help="Only of this brand.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
ConfigPath = Annotated[
    Path,
    typer.Option("--config", "-c", envvar="BROKERSYNC_CONFIG", help="The configuration file."),
]
_CONFIG = Path("brokersync.yaml")


@contextmanager
def _hub(
    config: Path, *, connect: bool = True, attended: unattended.Attended | None = None
) -> Iterator[Hub]:
    clock = attended.clock if attended else None
    hub = bootstrap.build(bootstrap.configuration(config), clock, connect=connect)
    if attended:
        hub.stop = attended.stop
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
    crm_: Annotated[
        str,
        typer.Option(
            "--crm",
            help="The CRM: hubspot, salesforce, or both: one brand's clients into each, and a look "
            "that none is in the other.",
        ),
    ] = "hubspot",
) -> None:
    """A simulated brokerage flows into a simulated CRM, end to end. Needs no account."""
    if day >= days:
        raise ConfigError(f"--day {day} must be before the end of the story (--days {days})")
    out = Output(as_json=json_)
    offered = [*bootstrap.DESTINATIONS, demo.BOTH]
    if crm_ not in offered:
        raise ConfigError(f"--crm {crm_}: there is {', '.join(offered[:-1])} and {offered[-1]}")
    result = demo.run(out, demo.Options(clients, days, day, seed, crm_))
    if json_:
        out.object(result)
    if result["errors"] or result.get("leak"):
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


@app.command("init")
def init_command(
    folder: Annotated[Path, typer.Argument(help="Where to; here if not given.")] = Path(),
    crm_: Annotated[str, typer.Option("--crm", help="The CRM: hubspot, salesforce.")] = "hubspot",
    object_model: Annotated[
        str,
        typer.Option(
            help="What stands for a client in Salesforce: contact, person_account, "
            "lead_then_contact."
        ),
    ] = init.OBJECT_MODELS[0],
    sources: Annotated[
        str, typer.Option(help="What you have, of registry, sumsub and paymentiq.")
    ] = ",".join(init.SOURCES),
    brand: Annotated[str, typer.Option(help="Your brand, in a word; part of CRM keys.")] = "main",
    zone: Annotated[str, typer.Option(help="Its time zone.")] = "UTC",
    currency: Annotated[str, typer.Option(help="Currency of its totals.")] = "USD",
    simulate: Annotated[
        Path | None, typer.Option(help="File with what `simulate` printed: fills everything in.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files.")] = False,
    json_: Json = False,
) -> None:
    """Write a commented configuration, the rule set and a list of secrets into a folder."""
    named = [s.strip() for s in sources.split(",") if s.strip()]
    choices = init.Choices(
        folder, crm_, object_model, named, brand, zone, currency, simulate, force
    )
    init.init(Output(as_json=json_), SystemClock(), choices)


@app.command("doctor")
def doctor_command(config: ConfigPath = _CONFIG, json_: Json = False) -> None:
    """Check configuration, database, every source and CRM, rights, owners and clocks.

    Writes nothing to a CRM. Exit codes: 0 all is well, 1 warnings, 2 a problem.
    """
    worst = doctor.doctor(Output(as_json=json_), config, SystemClock())
    raise typer.Exit({Level.OK: OK, Level.WARNING: SET_ASIDE}.get(worst, USAGE))


@crm.command("plan")
def crm_plan(config: ConfigPath = _CONFIG, json_: Json = False) -> None:
    """Show each field against the portal: what it lacks, what clashes, what to check by hand."""
    with _hub(config) as hub:
        clashes = crm_fields.plan(Output(as_json=json_), hub)
    raise typer.Exit(USAGE if clashes else OK)


@crm.command("decide")
def crm_decide(
    key: Annotated[str, typer.Argument(help="The contact's key, brand:client_id.")] = "",
    choice: Annotated[str, typer.Argument(help="resume or recreate.")] = "",
    company: Annotated[
        bool, typer.Option("--company", help="The key is a partner's, whose company it is.")
    ] = False,
    config: ConfigPath = _CONFIG,
    json_: Json = False,
) -> None:
    """Contacts and companies the hub stopped writing: list them, or say what shall be.

    A record that was deleted or merged in the CRM, and a value that keeps being edited, wait for
    a person. Exit code 1 while something waits.
    """
    out = Output(as_json=json_)
    with _hub(config, connect=False) as hub:
        if key:
            obj = CrmObject.COMPANY if company else CrmObject.CONTACT
            decide.decide(out, hub, key, choice, obj)
            return
        waiting = decide.pending(out, hub)
    raise typer.Exit(SET_ASIDE if waiting else OK)


@crm.command("install")
def crm_install(config: ConfigPath = _CONFIG, json_: Json = False) -> None:
    """Create the missing property group, properties and options. Safe to repeat."""
    with _hub(config) as hub:
        crm_fields.install(Output(as_json=json_), hub)


@app.command()
def plan(
    config: ConfigPath = _CONFIG,
    pull: Annotated[bool, typer.Option("--pull", help="Read the sources first.")] = False,
    backlog: BacklogOf = "",
    most: BacklogMost = 50,
    brand: BacklogBrand = "",
    json_: Json = False,
) -> None:
    """What the next sync would write: contacts, fields, tasks, calls and share of the day.

    Nothing is written to the CRM. Without --pull only what was read before is looked at.
    """
    out = Output(as_json=json_)
    status = OK
    with _hub(config) as hub, shown(hub, out.errors, wanted=out.interactive):
        _admit_old(hub, backlog, most, brand)
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
def sync(
    config: ConfigPath = _CONFIG,
    backlog: BacklogOf = "",
    most: BacklogMost = 50,
    brand: BacklogBrand = "",
    json_: Json = False,
) -> None:
    """Do it once: read the sources, work out what changed, write what differs."""
    out = Output(as_json=json_)
    attended = unattended.Attended()
    with attended.signals(), _hub(config, attended=attended) as hub:
        _admit_old(hub, backlog, most, brand)
        with shown(hub, out.errors, wanted=out.interactive):
            cycle = unattended.sync(attended, hub)
        if cycle is None:
            out.note(_INTERRUPTED)
            unattended.leave(STOPPED)
        reports.cycle(out, hub, cycle)
        if cycle.interrupted:
            out.note(_INTERRUPTED)
    raise typer.Exit(_STATUS[cycle.status])


def _admit_old(hub: Hub, playbook: str, most: int, brand: str) -> None:
    if playbook:
        hub.backlog = Backlog(playbook, most, brand)
        backlogs.check(hub, hub.backlog)


@app.command("run")
def run_command(config: ConfigPath = _CONFIG) -> None:
    """Keep the CRM true, unattended: each source on its schedule, until SIGTERM or Ctrl-C.

    Logs a line for each cycle that did something. A second signal ends it at once.
    """
    unattended.log_to_stderr()
    attended = unattended.Attended()
    with attended.signals(), _hub(config, attended=attended) as hub:
        if not unattended.run(attended, hub):
            unattended.leave(OK)


@app.command()
def status(
    config: ConfigPath = _CONFIG,
    expect_run: Annotated[
        bool, typer.Option("--expect-run", help="Exit code 3 unless `run` is at work.")
    ] = False,
    json_: Json = False,
) -> None:
    """Is the engine at work, how fresh is each source, what waits, and the clients by stage.

    Exit code 3 when `run` ended without saying so (killed, or its machine died).
    """
    out = Output(as_json=json_)
    with _hub(config, connect=False) as hub:
        engine = reports.status(out, hub)
    if health.silent(engine) or (expect_run and not health.at_work(engine)):
        raise typer.Exit(STOPPED)


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


Reason = Annotated[str, typer.Option("--reason", help="Why; kept, and shown by `explain`.")]
Reference = Annotated[str, typer.Argument(help="Kind of the reference: client_id.")]
Value = Annotated[str, typer.Argument(help="The reference, as the source gives it.")]


@app.command("link")
def link_command(
    kind: Reference = "",
    value: Value = "",
    client: Annotated[str, typer.Argument(help="Whose it is: brand:client_id.")] = "",
    reason: Reason = "",
    config: ConfigPath = _CONFIG,
    json_: Json = False,
) -> None:
    """Records without a client: list them, or say whose they are.

    A link by hand outlives later reads and wins over what the sources say, until `unlink`. Exit
    code 1 while something waits. The engine may be at work.
    """
    out = Output(as_json=json_)
    with _hub(config, connect=False) as hub:
        if kind:
            links.link(out, hub, kind, value, client, reason)
            return
        some = links.waiting(out, hub)
    raise typer.Exit(SET_ASIDE if some else OK)


@app.command("unlink")
def unlink_command(
    kind: Reference,
    value: Value,
    brand: Annotated[str, typer.Argument(help="The brand.")],
    reason: Reason = "",
    config: ConfigPath = _CONFIG,
    json_: Json = False,
) -> None:
    """Take a link by hand back: the sources decide again, or the records wait."""
    with _hub(config, connect=False) as hub:
        links.unlink(Output(as_json=json_), hub, kind, value, brand, reason)


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
        note(_INTERRUPTED)
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
