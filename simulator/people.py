"""Who registers: names in many scripts, addresses, campaigns, and how they change."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any

from simulator.story import DAY_MS, HOUR_MS, Event

_QUARTER_MS = HOUR_MS // 4
# country, language, zone, calling code, names
_PLACES: tuple[tuple[str, str, str, str, tuple[tuple[str, str], ...]], ...] = (
    ("CY", "el", "Asia/Nicosia", "+357", (("Γιώργος", "Παπαδόπουλος"), ("Maria", "Ioannou"))),
    ("IE", "en", "Europe/Dublin", "+353", (("Seán", "O'Brien"), ("Aoife", "O’Neill-Ryan"))),
    ("GB", "en", "Europe/London", "+44", (('Anne "Annie"', "D'Arcy"), ("Max 🚀", "Smith & Co"))),
    ("UA", "uk", "Europe/Kyiv", "+380", (("Олена", "Коваль"), ("Дар'я", "Шевченко"))),
    ("DE", "de", "Europe/Berlin", "+49", (("Jürgen", "Groß"), ("Zoë", "von der Au"))),
    ("JP", "ja", "Asia/Tokyo", "+81", (("花子", "山田"), ("太郎", "佐藤"))),
    ("KW", "ar", "Asia/Kuwait", "+965", (("محمد", "الهاشمي"), ("Fatima", "Al-Sabah"))),
    ("IN", "hi", "Asia/Kolkata", "+91", (("अमित", "शर्मा"), ("Priya", "<Nair>"))),
    ("VN", "vi", "Asia/Ho_Chi_Minh", "+84", (("Thị Hoa", "Nguyễn"), ("👩‍👩‍👧", "Trần"))),
    ("BR", "pt", "America/Sao_Paulo", "+55", (("João", "D'Ávila"), ("Conceição", "Ñuñez"))),
)
_SOURCES = ("affiliate",) * 4 + ("paid_search",) * 3 + ("organic",) * 3 + ("social",) * 2
_LISTED = ("call_request", "referral")
_CAMPAIGNS = ("winter-gold", "fx-school", "Tom & Jerry's picks", "q1_retarget", "日本-launch")
_PAGES = ("/start", "/lp/gold?v=2", "/lp/школа", "/webinar", "https://broker.example/jp")
_DEVICES = ("desktop", "mobile", "mobile", "tablet")
_DOMAINS = ("example.com", "example.org", "Example.NET")
_CURRENCIES = {
    "alpha": ("USD",) * 9 + ("EUR",) * 5 + ("GBP",) * 2 + ("JPY",) * 2 + ("KWD",),
    "beta": ("EUR",) * 9 + ("GBP",) * 5 + ("USD",) * 2 + ("JPY",) * 2 + ("KWD",),
}


@dataclass(slots=True)
class Plan:
    """What is decided about a client before its life is told.

    ``wealth`` multiplies what it pays in.
    """

    brand: str
    id: str
    number: int
    registered: int
    rng: Random
    data: dict[str, Any] = field(default_factory=dict)
    currency: str = "USD"
    shared_email: bool = False
    duplicate_of: Plan | None = None
    survives: bool = False
    leaves: tuple[int, str] | None = None
    seed: int = 0
    wealth: int = 1

    def stream(self, topic: str) -> Random:
        """Chance of the client's own for one topic: what one tells does not change another."""
        return Random(f"{topic} {self.seed} {self.number}")

    @property
    def normal(self) -> bool:
        """Whether nothing special is planned yet, so that one special thing may be."""
        return not (self.shared_email or self.duplicate_of or self.survives or self.leaves)


def describe(plan: Plan) -> None:
    """Fill in what the client typed at registration and where it came from."""
    rng = plan.rng
    country, language, zone, code, names = rng.choice(_PLACES)
    first, last = rng.choice(names)
    source = rng.choice(_LISTED) if rng.random() < 0.1 else rng.choice(_SOURCES)
    plan.currency = rng.choice(_CURRENCIES[plan.brand])
    plan.data = {
        "first_name": first,
        "last_name": last,
        "email": _email(plan),
        "verified": rng.random() < 0.8,
        "phone": f"{code} {rng.randrange(10**8, 10**9)}",
        "country": country,
        "language": language,
        "zone": zone,
        "device": rng.choice(_DEVICES),
        "landing_page": rng.choice(_PAGES),
        "source_type": source,
        "campaign": rng.choice(_CAMPAIGNS) if source in ("affiliate", "paid_search") else "",
        "consents": rng.choice(("email;call", "email", "call", "email;call;push", "")),
    }
    for name in ("first_name", "phone", "country", "language", "device", "landing_page"):
        if rng.random() < 0.03:
            plan.data[name] = rng.choice((None, ""))
    if rng.random() < 0.015:
        plan.data["email"] = rng.choice((None, ""))
    if rng.random() < 0.03:
        plan.data["source_type"] = None


def _email(plan: Plan) -> str:
    box = plan.rng.choice(("client", "o'brien", "max+fx", "First.Last"))
    return f"{box}.{plan.brand}{plan.id}@{plan.rng.choice(_DOMAINS)}"


def respelled(rng: Random, email: str) -> str:
    """The same address as somebody else types it."""
    return rng.choice((email, email.upper(), email.title(), f" {email} "))


def registry_events(plan: Plan, end: int) -> list[Event]:
    """Registration, changes of the profile and how the relation ended.

    The row shows one "last updated" to the second, so two changes of a client are always some
    minutes apart, and nothing changes after a closure.
    """
    rng, at = plan.rng, plan.registered
    events = [Event(at, "registered", plan.data)]
    closing = plan.leaves[0] if plan.leaves else end
    for _ in range(rng.choice((0, 0, 0, 1, 1, 2, 4))):
        at += rng.randrange(HOUR_MS, 20 * DAY_MS, 1000)
        if rng.random() < 0.3:
            at = at - at % DAY_MS + DAY_MS + 3 * HOUR_MS  # a nightly job touches many rows at once
        if at + _QUARTER_MS >= closing:
            break
        events.append(Event(at, "profile_updated", _change(plan)))
    if plan.leaves:
        left_at, how = plan.leaves
        if how == "merged" and plan.duplicate_of:
            events.append(Event(left_at, "merged", {"into": plan.duplicate_of.id}))
        elif how == "deleted":
            events.append(Event(left_at, "deleted"))
        else:
            events.append(Event(left_at, "disposition", {"value": how}))
    return events


def _change(plan: Plan) -> dict[str, Any]:
    rng = plan.rng
    kind = rng.randrange(5)
    if kind == 0 and not plan.shared_email and not plan.duplicate_of:
        return {"email": f"new{rng.randrange(10**6)}.{plan.brand}{plan.id}@example.com"}
    if kind == 1:
        return {"verified": True}
    if kind == 2:
        return {"device": rng.choice(_DEVICES)}
    if kind == 3:
        return {"consents": rng.choice(("email", "", "call;push"))}
    return {"phone": f"+44 {rng.randrange(10**8, 10**9)}"}
