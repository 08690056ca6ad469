"""What a ticket is about, by the first evidence found; and whether it is a complaint.

Order (reference §7.4): custom field, ticket form, tag, group, words of the subject, else other.
The subject itself is not kept: which words of the lists it holds is all that is.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from connectors.zendesk.settings import ZendeskSettings
from mapping.errors import RecordError
from mapping.words import TicketCategory

COMPLAINT = "complaint"
# A longer value of a ticket field is no tag of a list.
_MOST_VALUE = 200
# Zendesk cuts subjects at 150 characters (RECALL); words further on are not looked for.
_MOST_SUBJECT = 1000
# Of several words in one subject the first of these topics decides: the narrower before the wider
# ("payment" is also said of withdrawals).
_FIRST = ("withdrawal", "kyc", "bonus", "payment", "trading", "platform", "other", COMPLAINT)


@dataclass(frozen=True, slots=True)
class Shipped:
    """One line of the shipped table; ``topic`` is a category or ``complaint``."""

    evidence: str
    language: str
    match: str
    topic: str


@cache
def shipped() -> tuple[Shipped, ...]:
    """The shipped table, in the order in which its words are tried."""
    text = files(__package__).joinpath("evidence.csv").read_text("utf-8")
    return tuple(
        Shipped(r["evidence"], r["language"], r["match"], r["topic"])
        for r in csv.DictReader(text.splitlines())
    )


@dataclass(frozen=True, slots=True)
class Verdict:
    """A ticket's category, the evidence for it, and the complaint mark."""

    category: TicketCategory
    rule: str
    complaint: bool


@dataclass(frozen=True, slots=True)
class _Word:
    """A word or phrase of a language; ``rule`` (``word:de:auszahl*``) names it."""

    rule: str
    topic: str
    inner: str
    pattern: re.Pattern[str]

    def within(self, text: str) -> bool:
        """Whether a folded text holds the word (the cheap question first)."""
        return self.inner in text and self.pattern.search(text) is not None


class Evidence:
    """The lists of one connection: the shipped ones with the admin's over them."""

    def __init__(self, settings: ZendeskSettings) -> None:
        self._settings = settings
        self._values = {c.value: c for c in TicketCategory} | {
            _folded(value): c for value, c in settings.category_values.items()
        }
        self._complaint_values = {_folded(v) for v in settings.complaint_values}
        tags = [line for line in shipped() if line.evidence == "tag"]
        self._tags = {t.match: TicketCategory(t.topic) for t in tags if t.topic != COMPLAINT}
        self._tags |= {_folded(tag): c for tag, c in settings.tags.items()}
        own = settings.complaint_tags
        shipped_tags = [t.match for t in tags if t.topic == COMPLAINT]
        self._complaint_tags = {_folded(t) for t in (shipped_tags if own is None else own)}
        self._words: dict[str, _Word] = {}
        for word in _words(settings):
            self._words.setdefault(word.rule, word)

    def reduced(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """What is kept of the evidence: known tags, known values of the named fields, the words
        that the subject holds. :meth:`verdict` says the same of it as of the whole row."""
        kept: dict[str, Any] = {"words": self._found(row)}
        for name in ("ticket_form_id", "group_id"):
            kept[name] = row.get(name)
        if "tags" in row:
            kept["tags"] = _listed(row["tags"], {*self._tags, *self._complaint_tags})
        if "custom_fields" in row:
            kept["custom_fields"] = self._kept_fields(row["custom_fields"])
        return kept

    def verdict(self, row: Mapping[str, Any]) -> Verdict:
        """The category and mark of a ticket, whole or reduced.

        Raises:
            RecordError: tags or custom fields have another shape than documented.
        """
        category, rule = self._category(row)
        return Verdict(category, rule, self._complaint(row))

    def _category(self, row: Mapping[str, Any]) -> tuple[TicketCategory, str]:
        settings = self._settings
        for value in _values(row, settings.category_field):
            if value in self._values:
                return self._values[value], f"field:{settings.category_field}:{value}"
        form, group = row.get("ticket_form_id"), row.get("group_id")
        if isinstance(form, int) and form in settings.forms:
            return settings.forms[form], f"form:{form}"
        for tag in _tags(row):
            if tag in self._tags:
                return self._tags[tag], f"tag:{tag}"
        if isinstance(group, int) and group in settings.groups:
            return settings.groups[group], f"group:{group}"
        for rule in self._found(row):
            if self._words[rule].topic != COMPLAINT:
                return TicketCategory(self._words[rule].topic), rule
        return TicketCategory.OTHER, "none"

    def _complaint(self, row: Mapping[str, Any]) -> bool:
        settings = self._settings
        if any(v in self._complaint_values for v in _values(row, settings.complaint_field)):
            return True
        if row.get("ticket_form_id") in settings.complaint_forms:
            return True
        if any(tag in self._complaint_tags for tag in _tags(row)):
            return True
        return any(self._words[rule].topic == COMPLAINT for rule in self._found(row))

    def _found(self, row: Mapping[str, Any]) -> list[str]:
        """The rules of the words that a subject holds, in the order of the lists."""
        known = row.get("words")
        if isinstance(known, list):
            return [rule for rule in self._words if rule in known] if known else []
        subject = row.get("subject")
        if not isinstance(subject, str):
            return []
        text = " ".join(_folded(subject[:_MOST_SUBJECT]).split())
        return [rule for rule, word in self._words.items() if word.within(text)]

    def _kept_fields(self, fields: object) -> object:
        settings = self._settings
        if not isinstance(fields, list):
            return "malformed"
        lists = {
            settings.category_field: self._values,
            settings.complaint_field: self._complaint_values,
        }
        kept: list[object] = []
        for one in fields:
            field_id = one.get("id") if isinstance(one, dict) else None
            if not isinstance(one, dict) or isinstance(field_id, bool):
                return "malformed"
            if field_id is None:
                continue
            if field_id == settings.client_field:
                kept.append({"id": field_id, "value": one.get("value")})
            elif field_id in lists:
                listed: Iterable[str] = lists[field_id]
                if field_id == settings.category_field == settings.complaint_field:
                    listed = {*self._values, *self._complaint_values}
                values = [v for v in _texts(one.get("value")) if v in listed]
                kept.append({"id": field_id, "value": values})
        return kept


def field_value(row: Mapping[str, Any], field_id: int | None) -> object:
    """The value of a custom field of a ticket; None where it has none.

    Raises:
        RecordError: the ticket's custom fields are not a list of objects.
    """
    fields = row.get("custom_fields")
    if fields is None or field_id is None:
        return None
    if not isinstance(fields, list) or not all(isinstance(f, dict) for f in fields):
        raise RecordError("field 'custom_fields' should be a list of objects")
    return next((f.get("value") for f in fields if f.get("id") == field_id), None)


def _values(row: Mapping[str, Any], field_id: int | None) -> list[str]:
    return _texts(field_value(row, field_id))


def _texts(value: object) -> list[str]:
    """A field's value as folded texts: a list field has several, a checkbox true or false."""
    several = value if isinstance(value, list) else [value]
    found = [str(v).lower() if isinstance(v, bool) else v for v in several]
    return [_folded(v) for v in found if isinstance(v, str) and len(v) <= _MOST_VALUE]


def _tags(row: Mapping[str, Any]) -> list[str]:
    tags = row.get("tags")
    if tags is None:
        return []
    if not isinstance(tags, list) or not all(isinstance(t, str) for t in tags):
        raise RecordError("field 'tags' should be a list of texts")
    return [_folded(tag) for tag in tags]


def _listed(tags: object, known: Iterable[str]) -> object:
    if tags is None:
        return None
    if not isinstance(tags, list) or not all(isinstance(t, str) for t in tags):
        return "malformed"
    wanted = set(known)
    return [tag for tag in map(_folded, tags) if tag in wanted]


def _words(settings: ZendeskSettings) -> list[_Word]:
    found: list[_Word] = []
    for line in shipped():
        replaced = (
            settings.complaint_keywords if line.topic == COMPLAINT else settings.keywords
        )  # an admin's list of a language stands for the shipped one
        if line.evidence == "word" and line.language not in replaced:
            found.append(_word(line.language, line.match, line.topic))
    found.sort(key=lambda word: _FIRST.index(word.topic))
    own: list[tuple[str, str, Sequence[str]]] = [
        (language, topic.value, words)
        for language, topics in settings.keywords.items()
        for topic, words in topics.items()
    ]
    own += [(language, COMPLAINT, words) for language, words in settings.complaint_keywords.items()]
    mine = [_word(language, w, topic) for language, topic, words in own for w in words if w.strip()]
    return mine + found


def _word(language: str, text: str, topic: str) -> _Word:
    """``pay*`` begins a word, ``*pay*`` may stand within one, ``pay`` is a whole one."""
    inner = _folded(text.strip("*"))
    before = "" if text.startswith("*") else r"(?<![^\W_])"
    after = "" if text.endswith("*") else r"(?![^\W_])"
    name = COMPLAINT if topic == COMPLAINT else "word"
    pattern = re.compile(f"{before}{re.escape(inner)}{after}")
    return _Word(f"{name}:{language}:{text}", topic, inner, pattern)


def _folded(text: str) -> str:
    """Without case, width and accents, which people leave out when they write."""
    if text.isascii():
        return text.strip().lower()
    apart = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in apart if unicodedata.category(c) != "Mn").strip()
