"""Secrets that are known by the word beside them: "password: hunter2", "hunter2 is my password", `API_KEY=9f2c...`.

What follows such a word is a secret, or a sentence goes on: "my password is too long", "password: must have a digit".
After ":" or "=" anything counts that is no placeholder, type or code; after "is" what looks like no word, what is
quoted, and a lone word at the end of its sentence, unless it is one that people say of passwords.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_PASSWORDS: Final = (
    r"pass(?:word|wd|phrase|code)s?|pwd|passwort|kennwort|mot de passe|contraseña|contrasena|senha|wachtwoord|lösenord"
    r"|adgangskode|passord|salasana|hasło|heslo|jelszó|parola|parolă|şifre|şifrem|пароль|密码|密碼|口令|パスワード|暗証番号|비밀번호"
    r"|lozinka|лозинка|contrasenya|mật khẩu|kata sandi|kata laluan|κωδικός πρόσβασης|συνθηματικό|รหัสผ่าน|पासवर्ड|পাসওয়ার্ড"
    r"|கடவுச்சொல்|סיסמה|סיסמא|סיסמתי|كلمة المرور|كلمة السر|كلمة مرور|كلمة سر|الرقم السري|رمز عبور|گذرواژه|پاس ورڈ"
)
_SHORT: Final = r"pw|psw|pass"
"""Names that say so only before ":" or "=" and something that is no word."""
_KEYS: Final = (
    r"(?:api|access|secret|private|auth|client|signing|encryption|account|master|bot|refresh|session|webhook|deploy)"
    r"[ _-]?(?:access[ _-]?)?(?:keys?|tokens?|secrets?)|secret|token|apikey"
)
_PINS: Final = (
    r"pin(?: ?code| ?number)?|cvv2?|cvc2?|csc|otp"
    r"|(?:security|verification|confirmation|2fa|one-time)[ -]?(?:code|password)"
)
_SEEDS: Final = r"(?:seed|recovery|backup|secret|mnemonic)[ -]?(?:phrase|words)|mnemonic"
"""What opens a wallet: twelve words and more."""
_WORD: Final = re.compile(
    rf"(?P<password>{_PASSWORDS})|(?P<key>{_KEYS})|(?P<pin>{_PINS})|(?P<seed>{_SEEDS})|(?P<short>{_SHORT})",
    re.IGNORECASE,
)
# fmt: off
BEGINNINGS: Final = (
    "pass", "pwd", "kennwort", "mot de passe", "contrase", "senha", "wachtwoord", "lösenord", "adgangskode",
    "salasana", "hasło", "heslo", "jelszó", "parol", "şifre", "пароль", "密码", "密碼", "口令", "パスワード",
    "暗証番号",
    "비밀번호", "api", "access", "secret", "private", "auth", "client", "signing", "encryption", "account",
    "master", "bot", "refresh", "session", "webhook", "deploy", "token", "pin", "cvv", "cvc", "csc", "otp",
    "security", "verification", "confirmation", "2fa", "one-time", "seed", "recovery", "backup", "mnemonic",
    "pw", "psw",
    "lozinka", "лозинка", "mật khẩu", "kata sandi", "kata laluan", "κωδικός πρόσβασης", "συνθηματικό", "รหัสผ่าน",
    "पासवर्ड", "পাসওয়ার্ড", "கடவுச்சொல்", "סיסמ", "كلمة المرور", "كلمة السر", "كلمة مرور", "كلمة سر",
    "الرقم السري", "رمز عبور",
    "گذرواژه", "پاس ورڈ",
)
# fmt: on
"""What a word of `_WORD` begins with: looked for first, because it is found so much faster."""
_LINK: Final = re.compile(
    r"(?P<of>(?:\s+(?:for|to|on|of|at|für|von|pour|de|para|для|от)\s+[^\s:=]{1,40}(?:\s+[^\s:=]{1,40}){0,3}?)?)"
    r"(?:(?P<sign>[\"'\]]{0,2}\s{0,4}(?::=|=>|->|[:=：＝])\s{0,4})"
    r"|(?P<is>\s{1,4}(?:is|was|ist|lautet|war|est|es|é|è|er|är|jest|je|to|это|це|هي|هو|היא|הוא|là|είναι|adalah|ialah|:)"
    r"(?:\s{1,4}(?:now|still|currently|just|jetzt))?\s{1,4}|\s{0,2}(?:是|为|為|は|는|은|คือ)\s{0,2})"
    r"|(?P<later>\s{1,4}(?:will be|should be|(?:is |was |has been )?(?:set|changed) to|as)\s{1,4})"
    r"|(?P<tag>\s{0,2}>\s{0,4}))",
    re.IGNORECASE,
)
_NEXT: Final = re.compile(r"\s{1,4}")
"""What links a name to what stands right after it."""
_QUOTED: Final = re.compile(r"(?P<quote>[\"'`“„«])(?P<inside>[^\"'`”“»\n]{1,200})[\"'`”“»]")
_BARE: Final = re.compile(r"[^\s\"'`<>{}|，。；]{1,200}")
_PHRASE: Final = re.compile(r"[^\W\d_]+(?:[ -][^\W\d_]+){2,11}(?=[.!?,;]?\s*(?:\n|\Z))")
_SEED: Final = re.compile(r"[a-z]{3,8}(?:(?:\s|, ?){1,3}(?:\d{1,2}[.)]\s?)?[a-z]{3,8}){11,23}(?![\w])")
_BEFORE: Final = re.compile(
    r"(?<!\S)(?P<value>\S{4,64})\s{1,4}(?:is|was|as|ist|als|es|como|est|è|é)\s{1,4}"
    r"(?:my|our|the|your|a|mein|unser|das|mi|mon|la|il|mia|minha)(?:\s{1,4}[\w-]{1,20}){0,3}?\s{1,4}(?:\w{1,20}-)?\Z",
    re.IGNORECASE,
)
"""What stands before its name: "hunter2 is my password"."""
_CLOSES: Final = re.compile(r"\s*(?:[.!?,;)\n]|\Z)|\s+(?:for|to|of|on|at|and|now|btw|für|para|pour)\b", re.IGNORECASE)
_PIN: Final = re.compile(r"\d{3,8}(?!\w|\.\w)")
_TRAILING: Final = ".,;:!?)]}'\"…"
_PLACEHOLDER: Final = re.compile(
    r"[*•xX.#_?-]{2,}|\.{3}|…|\$(?:\{.*|[A-Z_]*)|%[A-Za-z_]\w*%|<.*|\{.*\}|\[.*\]|\(.*\)|(?:none|null|nil|true|false|undefined|empty|n/?a|str|string|text|int|integer"
    r"|bool|bytes|any|optional|secretstr|varchar|char|required|optional|redacted|hidden|secret|password|changeme|tbd|todo"
    r"|your[^\s\d]*|my[^\s\d]*|the[^\s\d]*|example|here|below|above|see|must|should|may|can|will|cannot|at|min[^\s\d]*|max[^\s\d]*|no|yes|not|it|i|a|an"
    r"|if|in|on|when|where|what|how|why|for|to|from|with|and|or|is|are|use|enter|type|please|reset|forgot|change[^\s\d]*|incorrect"
    r"|invalid|wrong|expired|missing|ok|okay|unchanged|protected|manager|policy|length|limit|limits)",
    re.IGNORECASE,
)
_CODE: Final = re.compile(r"[A-Za-z_][\w.]*(?:\(.*|\[.*|\.[A-Za-z_]\w*)|[A-Z][A-Z0-9]*(?:_+[A-Z][A-Z0-9]*)+_?")
# fmt: off
_SAID_OF_THEM: Final = frozenset((
    "a", "about", "again", "all", "almost", "already", "also", "always", "an", "and", "annoying", "as", "at",
    "back", "bad", "based", "because", "been", "being", "better", "broken", "but", "by", "case-sensitive",
    "changed", "changing", "cleartext", "common", "complex", "complicated", "compromised", "correct", "default",
    "different", "difficult", "done", "due", "easy", "empty", "encrypted", "enforced", "enough", "everywhere",
    "exactly", "expired", "expiring", "exposed", "fine", "forgotten", "from", "garbage", "generated", "going",
    "gone", "good", "great", "guessable", "hard", "hashed", "hidden", "identical", "important", "in",
    "incorrect", "insecure", "invalid", "it", "its", "just", "kept", "known", "lame", "leaked", "like",
    "locked", "long", "lost", "mandatory", "mine", "missing", "my", "needed", "never", "new", "no", "not",
    "nothing", "obvious", "off", "ok", "okay", "old", "on", "only", "optional", "out", "outdated", "over",
    "part", "personal", "plain", "private", "probably", "protected", "public", "random", "ready", "really",
    "required", "reset", "reused", "rotated", "safe", "same", "saved", "secret", "secure", "sensitive", "set",
    "shared", "short", "simple", "so", "something", "somewhere", "still", "stolen", "stored", "strong",
    "stronger", "stupid", "such", "supposed", "terrible", "the", "there", "this", "to", "too", "top", "trivial",
    "under", "unique", "unknown", "unsafe", "up", "used", "useless", "valid", "very", "visible", "weak",
    "weaker", "what", "when", "where", "wrong", "yours", "zu", "nicht", "falsch", "richtig", "sicher",
    "unsicher", "lang", "kurz", "weg", "vergessen", "trop", "très", "pas", "faux", "sûr", "perdu", "muy", "no",
    "incorrecta", "segura", "larga", "corta", "perdida", "muito", "errada", "segura", "não", "niet", "fout",
    "verkeerd",
))
# fmt: on


def named_secrets(text: str) -> Iterator[tuple[int, int]]:
    """Yield where secrets stand that follow their name."""
    at = 0
    for place in _places(text):
        match = _WORD.match(text, place) if place >= at else None
        if match is None or _is_part_of_word(text, match):
            continue
        before = _before(text, match, at) if match["password"] else None
        if before is not None:
            yield before
        link = _LINK.match(text, match.end())
        value = _value(text, match, link) if link is not None else _next_to(text, match)
        if value is not None:
            yield value
            at = value[1]


def _places(text: str) -> list[int]:
    """Return where a name of a secret may begin."""
    lowered = text.lower()
    if len(lowered) != len(text):
        # Few letters become two in lower case: the places would not be those of the text.
        lowered = "".join(character.lower()[0] for character in text)
    places: list[int] = []
    for beginning in BEGINNINGS:
        place = lowered.find(beginning)
        while place >= 0:
            places.append(place)
            place = lowered.find(beginning, place + 1)
    return sorted(places)


def _is_part_of_word(text: str, match: re.Match[str]) -> bool:
    """Tell whether the word is in the middle of another: in DB_PASSWORD it is a name of its own, in "spin" not."""
    before = text[match.start() - 1 : match.start()]
    if match["pin"] or match["short"] or match["seed"]:
        after = text[match.end() : match.end() + 1] if match["short"] else ""
        return before.isalnum() or after.isalnum() or before == "_"
    inner = before.isalpha() and before.isascii()
    return inner and not (text[match.start()].isupper() and before.islower()) and not match["password"]


def _before(text: str, word: re.Match[str], at: int) -> tuple[int, int] | None:
    """Return where the secret stands that comes before its name; None: none does."""
    start = max(at, word.start() - _MOST_BEFORE)
    if not _DIGIT.search(text, start, word.start()) or not _CLOSES.match(text, word.end()):
        return None
    said = _BEFORE.search(text, start, word.start())
    if said is None:
        return None
    value = said["value"].strip(_AROUND)
    start = text.index(value, said.start("value")) if value else 0
    return (start, start + len(value)) if len(value) > 3 and _is_mixed(value) and "[" not in value else None


def _value(text: str, word: re.Match[str], link: re.Match[str]) -> tuple[int, int] | None:
    """Return where the secret stands that follows a name and what links it; None: none does."""
    start = link.end()
    if word["pin"]:
        pin = _PIN.match(text, start) if link["sign"] or link["is"] else None
        return pin.span() if pin else None
    if word["seed"]:
        seed = _SEED.match(text, start)
        return seed.span() if seed else None
    if link["tag"] or link["later"]:
        return _loosely_linked(text, word, link)
    if word["short"]:
        bare = _BARE.match(text, start) if link["sign"] else None
        value = bare.group().rstrip(_TRAILING) if bare else ""
        return (start, start + len(value)) if _is_mixed(value) and not _CODE.fullmatch(value) else None
    if word.group().lower() == "passphrase":
        phrase = _PHRASE.match(text, start)
        first = phrase.group().split()[0].lower() if phrase else ""
        if phrase and (link["sign"] or first not in _SAID_OF_THEM) and not _PLACEHOLDER.fullmatch(first):
            return phrase.span()
    quoted = _QUOTED.match(text, start)
    if quoted:
        inside = quoted["inside"]
        counts = not _PLACEHOLDER.fullmatch(inside.strip()) and (word["password"] or _looks_random(inside))
        return quoted.span("inside") if counts else None
    bare = _BARE.match(text, start)
    if bare is None:
        return None
    value = bare.group().rstrip(_TRAILING) if not link["sign"] else bare.group().rstrip(".,;)]}'\"")
    if not value or _PLACEHOLDER.fullmatch(value) or _CODE.fullmatch(value):
        return None
    span = start, start + len(value)
    if word["key"]:
        return span if _looks_random(value) else None
    if link["sign"]:
        return span if not _goes_on(text, span[1], value) else None
    return span if _is_said(text, span[1], value) else None


def _loosely_linked(text: str, word: re.Match[str], link: re.Match[str]) -> tuple[int, int] | None:
    """Return where the secret stands that fills an element of its name, or is what a password "will be"."""
    value = _bare_value(text, link.end())
    if value is None:
        return None
    start, end = value
    if link["later"]:
        return value if word["password"] and _is_mixed(text[start:end]) else None
    opens = text[word.start() - 1 : word.start()] in ("<", ":")
    if not opens or not text.startswith("</", end):
        return None
    return value if word["password"] or _looks_random(text[start:end]) else None


def _next_to(text: str, word: re.Match[str]) -> tuple[int, int] | None:
    """Return where the secret stands right after its name, where only a secret looks like that."""
    link = _NEXT.match(text, word.end())
    if link is None or word["short"] or (word["key"] and text[word.start() - 1 : word.start()] != "-"):
        return None
    if word["pin"]:
        # "Pin 13" is one of a chip's.
        pin = _PIN.match(text, link.end()) if word["pin"].lower().startswith(("cv", "csc")) else None
        return pin.span() if pin else None
    if word["seed"]:
        seed = _SEED.match(text, link.end())
        return seed.span() if seed else None
    value = _bare_value(text, link.end())
    if value is None:
        return None
    said = text[slice(*value)]
    if text[max(0, word.start() - 2) : word.start()] == "--":
        return value if said[0] != "-" and (word["password"] or _looks_random(said)) else None
    is_foreign = not word.group().isascii() and any(map(str.isdigit, said))
    return value if word["password"] and (is_foreign or _looks_random(said)) else None


def _bare_value(text: str, start: int) -> tuple[int, int] | None:
    """Return the word that stands there, where it may be a secret."""
    bare = _BARE.match(text, start)
    value = bare.group().rstrip(_TRAILING) if bare is not None else ""
    if not value or _PLACEHOLDER.fullmatch(value) or _CODE.fullmatch(value):
        return None
    return start, start + len(value)


def _is_mixed(value: str) -> bool:
    """Tell whether a value is of letters and of digits."""
    return any(map(str.isdigit, value)) and any(map(str.isalpha, value))


def _is_said(text: str, end: int, value: str) -> bool:
    """Tell whether what follows "my password is" is the password, and not something about it."""
    if value.lower() in _SAID_OF_THEM:
        return False
    if _has_signs(value):
        return True
    rest = text[end:].lstrip()
    return not rest or rest[0] in ".!?,;)\n" or not value.isascii() or rest.split()[0].lower() in _AFTER_A_VALUE


_DIGIT: Final = re.compile(r"\d")
_MOST_BEFORE: Final = 120
_AROUND: Final = ".,;:!?()\"'“”„«»`…"
_AFTER_A_VALUE: Final = frozenset({"and", "but", "for", "on", "at", "if", "please", "btw", "und", "et", "y", "e"})


def _goes_on(text: str, end: int, value: str) -> bool:
    """Tell whether a sentence goes on after "password:", as in "password: between eight and twenty characters"."""
    rest = re.match(r"(?:[ \t]+[a-z]{2,}){3}", text[end:])
    return rest is not None and not _has_signs(value)


def _has_signs(value: str) -> bool:
    """Tell whether a value has what words do not: digits, signs, capitals inside."""
    return any(not character.isalpha() for character in value.replace("-", "").replace("'", "")) or (
        not value[1:].islower() and not value.isupper() and len(value) > 1 and value.isascii()
    )


def _looks_random(value: str) -> bool:
    """Tell whether a value is long and mixed enough to be a key."""
    return (
        len(value) >= 8
        and not any(map(str.isspace, value))
        and any(map(str.isdigit, value))
        and any(map(str.isalpha, value))
    )
