"""What counts as a secret, kind by kind: how each is found in a text, and what of it goes.

Each kind is recognised by its own form (a prefix, a structure, a check digit) or by the word before it ("password:
hunter2", "my password is hunter2"). Names, addresses, mail and phone numbers are what memory is for: no kind takes
them. No pattern may take time that grows faster than its text: people paste anything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from itertools import chain
from typing import Final, NamedTuple

from memsvc.redaction.named import BEGINNINGS, named_secrets


class Span(NamedTuple):
    """A secret in a text."""

    start: int
    end: int


Finder = Callable[[str], Iterator[Span]]


def _matches(pattern: str, *, needs: tuple[str, ...], group: int = 0, flags: int = 0) -> Finder:
    """Return what finds a pattern; a text without any of `needs` is not looked at."""
    compiled = re.compile(pattern, flags)

    def find(text: str) -> Iterator[Span]:
        if any(part in text for part in needs):
            for match in compiled.finditer(text):
                yield Span(*match.span(group))

    return find


def _private_keys(text: str) -> Iterator[Span]:
    at, may_end = 0, True
    while match := _KEY_BEGIN.search(text, at):
        ending = _KEY_END.search(text, match.end()) if may_end else None
        may_end = ending is not None
        body = _KEY_BODY.match(text, match.end())
        at = ending.end() if ending else body.end() if body else match.end()
        yield Span(match.start(), at)


def _cards(text: str) -> Iterator[Span]:
    for match in _DIGITS.finditer(text):
        if _IN_A_NUMBER.search(text, max(0, match.start() - 2), match.start()) or _GOES_ON.match(text, match.end()):
            continue
        digits = "".join(filter(str.isdecimal, match.group()))
        if digits.isascii() and _CARD.fullmatch(digits) and len(set(digits)) > 1 and _luhn(digits):
            yield Span(*match.span())


def _luhn(digits: str) -> bool:
    total = 0
    for index, digit in enumerate(reversed(digits)):
        number = int(digit) * (1 + index % 2)
        total += number - 9 if number > 9 else number
    return total % 10 == 0


def _ibans(text: str) -> Iterator[Span]:
    for match in _IBAN.finditer(text):
        plain = match.group().replace(" ", "")
        numbers = "".join(str(int(character, 36)) for character in plain[4:] + plain[:4])
        if 15 <= len(plain) <= 34 and int(numbers) % 97 == 1:
            yield Span(*match.span())


def _named(text: str) -> Iterator[Span]:
    for start, end in named_secrets(text):
        yield Span(start, end)


_KEY_BEGIN: Final = re.compile(r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----")
_KEY_END: Final = re.compile(r"-----END (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----")
_KEY_BODY: Final = re.compile(r"(?:(?:\s|\\[rn]){0,4}[A-Za-z0-9+/=]{16,})*")
_DIGITS: Final = re.compile(r"\d(?:[ -]?\d){13,18}")
_IN_A_NUMBER: Final = re.compile(r"(?:[\d+.,/]|\d[ -])\Z")
_GOES_ON: Final = re.compile(r"[ -]?\d|[.,]\d")
_CARD: Final = re.compile(
    r"4\d{15}|4\d{18}|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}|6(?:011|5\d\d|4[4-9]\d)\d{12}"
    r"|3(?:0[0-5]|[68]\d)\d{11}|35(?:2[89]|[3-8]\d)\d{12}|62\d{14,17}|(?:5[06-8]|6[37])\d{14,17}"
)
"""Visa, Mastercard, American Express, Discover, Diners, JCB, UnionPay, Maestro, by their prefixes and lengths."""
_IBAN: Final = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?\b")
_SIGN: Final = r"[A-Za-z0-9_-]"
_EDGE: Final = r"(?<![A-Za-z0-9_])"

# fmt: off
_SIGNS: Final[Mapping[str, tuple[str, ...]]] = {
    "private_key": ("-----BEGIN",),
    "connection_password": ("://",),
    "jwt": ("eyJ",),
    "aws_key": ("AKIA", "ASIA", "ABIA", "ACCA"),
    "github_token": ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
    "api_key": (
        "sk-", "AIza", "ya29.", "GOCSPX-", "sk_", "rk_", "whsec_", "xox", "xapp-", "glpat-", "npm_", "pypi-", "hf_",
        "gsk_", "SG.", "key-", "SK", "dop_v1_", "shp", "dapi", "lin_api_", "ntn_", "xai-", "r8_", "pplx-", "tvly-",
        "AGE-SECRET", ":AA", "hooks.slack.com/services/", "/api/webhooks/",
    ),
    "bearer_token": ("earer", "EARER", "uthorization", "UTHORIZATION"),
}
# fmt: on
"""What is in every text with a secret of the kind; without spaces, so that one of the text's words has it."""
SIGNED_KINDS: Final = frozenset((*_SIGNS, "password"))
"""A text has no secret of these kinds if none of its words, between spaces, `has_sign`."""


def has_sign(word: str) -> bool:
    """Return whether a text with this word may hold a secret of `SIGNED_KINDS`."""
    return _sign().search(word) is not None


@cache
def _sign() -> re.Pattern[str]:
    # Of a beginning of several words the last one tells as much, and stands between spaces of its own.
    named = "|".join(re.escape(beginning.split()[-1]) for beginning in BEGINNINGS)
    return re.compile("|".join(map(re.escape, chain(*_SIGNS.values()))) + f"|(?i:{named})")


DEFAULT_KINDS: Final[Mapping[str, Finder]] = {
    "private_key": lambda text: _private_keys(text) if "-----BEGIN" in text else iter(()),
    "connection_password": _matches(
        r"\b[A-Za-z][A-Za-z0-9+.-]{1,30}://[^\s/:@\"'<>]{0,200}:([^\s/\"'<>]{1,200})@(?=[^\s@])",
        needs=_SIGNS["connection_password"],
        group=1,
    ),
    "jwt": _matches(
        rf"(?<!{_SIGN})eyJ{_SIGN}{{8,}}\.(?:eyJ{_SIGN}{{4,}}\.{_SIGN}*|{_SIGN}*\.{_SIGN}+\.{_SIGN}+\.{_SIGN}+)",
        needs=_SIGNS["jwt"],
    ),
    "aws_key": _matches(rf"{_EDGE}(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{{16}}\b", needs=_SIGNS["aws_key"]),
    "github_token": _matches(
        rf"{_EDGE}(?:gh[pousr]_[A-Za-z0-9]{{30,255}}|github_pat_[A-Za-z0-9_]{{22,255}})",
        needs=_SIGNS["github_token"],
    ),
    "api_key": _matches(
        rf"{_EDGE}(?:"
        rf"sk-(?:ant-|proj-|svcacct-|admin-|or-v1-)?(?=[A-Za-z_-]{{0,60}}[0-9]){_SIGN}{{20,250}}"
        rf"|AIza{_SIGN}{{35}}|ya29\.{_SIGN}{{20,}}|GOCSPX-{_SIGN}{{20,}}"
        rf"|(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{{16,}}|whsec_[A-Za-z0-9+/=]{{20,}}"
        rf"|xox[abeoprs]-[A-Za-z0-9-]{{10,}}|xapp-\d-[A-Za-z0-9-]{{10,}}"
        rf"|glpat-{_SIGN}{{20,}}|npm_[A-Za-z0-9]{{36}}|pypi-{_SIGN}{{40,}}|hf_[A-Za-z0-9]{{30,}}|gsk_[A-Za-z0-9]{{30,}}"
        rf"|SG\.{_SIGN}{{16,}}\.{_SIGN}{{16,}}|key-[0-9a-f]{{32}}|SK[0-9a-f]{{32}}|dop_v1_[0-9a-f]{{64}}"
        rf"|shp(?:at|ss|ca|pa)_[0-9a-fA-F]{{32}}|dapi[0-9a-f]{{32}}|lin_api_[A-Za-z0-9]{{30,}}|ntn_[A-Za-z0-9]{{40,}}"
        rf"|xai-[A-Za-z0-9]{{40,}}|r8_[A-Za-z0-9]{{30,}}|pplx-[A-Za-z0-9]{{30,}}|tvly-[A-Za-z0-9-]{{20,}}"
        rf"|AGE-SECRET-KEY-1[A-Z0-9]{{50,}}|\d{{8,10}}:AA{_SIGN}{{33}}"
        rf"|(?<=hooks\.slack\.com/services/)T[A-Z0-9]{{6,}}/B[A-Z0-9]{{6,}}/[A-Za-z0-9]{{16,}}"
        rf"|(?<=/api/webhooks/)\d{{15,}}/{_SIGN}{{50,}}"
        rf")",
        needs=_SIGNS["api_key"],
    ),
    "bearer_token": _matches(
        r"(?i:\bauthorization\b[\"']?\s{0,4}[:=]\s{0,4}[\"']?(?:bearer|basic|token|digest)\s{1,4}|\bbearer\s{1,4})"
        r"(?=[A-Za-z._~+/=-]{0,60}\d)([A-Za-z0-9._~+/=-]{12,})",
        needs=_SIGNS["bearer_token"],
        group=1,
    ),
    "card_number": _cards,
    "password": _named,
}
"""What is redacted where the configuration does not say otherwise."""

OTHER_KINDS: Final[Mapping[str, Finder]] = {
    "iban": _ibans,
    "us_ssn": _matches(r"(?<![\d-])(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\d-])", needs=("-",)),
}
"""What can be redacted as well: account numbers are given to others on purpose."""
