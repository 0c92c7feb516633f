"""Secrets go, whatever their kind, and nothing else does."""

from __future__ import annotations

import asyncio
import json
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memsvc.config import Config
from memsvc.errors import InvalidArgument
from memsvc.model import MediaPart, Memory, Message, Role, TextPart, ToolCallPart, ToolResultPart
from memsvc.redaction import Redactor
from memsvc.redaction.kinds import DEFAULT_KINDS, OTHER_KINDS, SIGNED_KINDS, has_sign

untimed = settings(deadline=None)
TOKEN = string.ascii_letters + string.digits

SECRETS = {
    "private_key": [
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEabc/+=\nabc\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Blbn\n-----END OPENSSH PRIVATE KEY-----",
        "-----BEGIN PGP PRIVATE KEY BLOCK-----\nlQOYBF\n-----END PGP PRIVATE KEY BLOCK-----",
        "-----BEGIN PRIVATE KEY-----\nMIIEcutOffHere1234567890",
    ],
    "connection_password": [
        "postgresql://app:s3cretpw@db.internal:5432/app",
        "redis://:s3cretpw@cache:6379/0",
        "mongodb+srv://root:p@ss/../s3cretpw@cluster0.example.net".replace("/../", ""),
        "https://bob:s3cretpw@example.com/x.git",
    ],
    "jwt": ["eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"],
    "aws_key": ["AKIAIOSFODNN7EXAMPLE", "ASIAIOSFODNN7EXAMPLE"],
    "github_token": ["ghp_16C7e42F292c6912E7710c838347Ae178B4a", "github_pat_11ABCDEFG0abcdefghij_KLMNOP"],
    "api_key": [
        "sk-proj-abcdEFGH1234ijklMNOP5678qrst",
        "sk-ant-api03-abcdEFGH1234ijklMNOP5678qrst-AA",
        "AIzaSyA1234567890abcdefghijklmnopqrstuv",
        "xoxb-123456789012-abcdefGHIJ",
        "sk_live_4eC39HqLyjWDarjtT1zdp7dc",
        "glpat-abcdEFGH1234ijklMNOP",
        "hf_abcdefghijABCDEFGHIJ1234567890xyz",
        "https://hooks.slack.com/services/T024BE7LD/B024BE7LE/abcdEFGH1234ijklMNOP5678",
        "https://discord.com/api/webhooks/123456789012345678/" + "abcdEFGH-1234_ijkl" * 4,
    ],
    "bearer_token": ["Authorization: Bearer abc123def456ghi7", "curl -H 'authorization: Basic dXNlcjpwYXNz1234'"],
    "card_number": [
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "4111111111111111",
        "5500 0055 5555 5559",
        "3782 822463 10005",
        "6011000990139424",
    ],
    "password": [
        "password: hunter2",
        "my password is hunter2",
        "My password is swordfish.",
        "the wifi password is sunshine, by the way",
        "pwd=s3cr3t!",
        "PASSWORD = 'correct horse battery staple'",
        'my passphrase is "correct horse battery staple"',
        "Passwort: geheim12",
        "mein Passwort ist geheim12",
        "mi contraseña es gato1234",
        "пароль: qwerty12",
        "密码是abc12345",
        "DB_PASSWORD=letmein1",
        "my password for gmail is Tr0ub4dor&3",
        "password for the router: admin123",
        "my PIN is 4711",
        "my PIN is 4711.",
        "PIN=4711. It is new",
        "CVV: 123",
        "API_KEY=9f2c8a7b6d5e4f3a",
        "my api key is 9f2c8a7b6d5e",
        "client_secret: 9f2c8a7b6d5e4f3a",
        "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY1",
        "token=abcdef1234567890",
        "كلمة المرور هي geheim12",
        "كلمة السر: geheim12",
        "मेरा पासवर्ड geheim12 है",
        "รหัสผ่านคือ geheim12",
        "mật khẩu là geheim12",
        "הסיסמה: geheim12",
        "пароль geheim12",
        "hunter2 is my password",
        "use hunter2 as the password for now",
        "„geheim12“ ist mein neues WLAN-Passwort.",
        "my new password will be hunter2",
        "I set the admin password to hunter2",
        "<password>hunter2</password>",
        "<ns:client_secret>9f2c8a7b6d5e4f3a</ns:client_secret>",
        "psql --password hunter2 mydb",
        "deploy --token 9f2c8a7b6d5e4f3a now",
        "my password hunter2024 stopped working",
        "pw: hunter2",
        "user: bob, pass: hunter2",
        "exp 12/27 cvv 4711",
        "passphrase: correct horse battery staple",
        "my passphrase is open battery sesame please.",
        "seed phrase: abandon battery cable dance eager fabric garden habit island jacket kitten lemon",
        "my recovery phrase is abandon, battery, cable, dance, eager, fabric, garden, habit, ice, kit, lemon, wise",
    ],
}
NO_SECRETS = [
    "I forgot my password",
    "My password is too long",
    "My password is important to me",
    "My password is stored safely",
    "The password is wrong.",
    "The password is required",
    "password: must be 8 characters",
    "Password policy: between eight and twenty characters",
    "password: str",
    "password: Optional[str] = None",
    "password = getpass()",
    'password = os.environ["DB_PASSWORD"]',
    "password: ${DB_PASSWORD}",
    "password: ****",
    "password: <your password>",
    "I changed my password and my pin",
    "my secret: I love chocolate",
    "The secret is out.",
    "token: the smallest unit of a model",
    "the token limit is 4096",
    "tokens: 1234567",
    "The key is 42 minutes of sleep",
    "spin: 1234, opinion: 5678",
    "Secret Santa is 2024's best party",
    "I have a key meeting with a client",
    "My name is Ada Lovelace and I live at 12 St James's Square, London SW1Y 4JH",
    "Call me at +49 170 1234567 or (555) 123-4567",
    "Write to ada.lovelace@example.com or https://example.com/~ada?x=1:2@home",
    "My order number is 1234567890123456 and it weighs 4111.5 kg",
    "Flight LH 4711 on 2026-11-28 at 21:27, seat 12A",
    "git clone ssh://git@github.com/ada/engine.git",
    "The commit is 9f2c8a7b6d5e4f3a9f2c8a7b6d5e4f3a9f2c8a7b",
    "UUID 0192f0c1-7e1a-7c3b-9d2e-1f2a3b4c5d6e",
    "sk-learn and sk-image are libraries; sk-eleton is a word",
    "She works as a bearer of good news",
    "Pi is 3.14159265358979323846",
    "The pin is 125.5 mm long",
    "1Password is my password manager",
    "Version 2b is the password reset page",
    "My password should be changed",
    "the password will be sent by mail",
    "<password> is a tag, and so is <b>",
    "usage: login <password> mydb2 mydb3",
    "password authentication failed for user bob",
    "password sha256 hashes and password base64 strings",
    "pass: 12 of 14 tests",
    "The boarding pass: gate 5",
    "GPIO pin 13 is an input",
    "passphrase: must be twelve characters",
    "my passphrase is too long to remember",
    "my recovery phrase is in the safe at home with all the other papers that we keep there for good",
    "the backup words I said about him were kind",
    "--password is the flag",
    "पासवर्ड भूल गया",
    "نسيت كلمة المرور",
]


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in SECRETS.items() for text in texts])
def test_a_secret_goes_and_what_is_around_it_stays(kind: str, text: str) -> None:
    redactor = Redactor()
    redacted = redactor.text(f"Hello! {text}\nI live in Lyon.")
    assert f"[redacted: {kind}]" in redacted
    assert redacted.startswith("Hello! ")
    assert redacted.endswith("\nI live in Lyon.")
    assert redactor.counts[kind] == redactor.counts.total() == 1
    for secret in ("hunter2", "swordfish", "s3cretpw", "geheim12", "9f2c8a7b", "4111", "battery", "4711", "MIIE"):
        assert secret not in redacted
    assert redactor.text(redacted) == redacted


@pytest.mark.parametrize("text", NO_SECRETS)
def test_what_is_no_secret_stays(text: str) -> None:
    assert Redactor().text(text) == text


@pytest.mark.parametrize("kind", sorted(SIGNED_KINDS))
def test_each_secret_of_a_kind_with_signs_has_one_in_one_of_its_words(kind: str) -> None:
    for text in SECRETS[kind]:
        assert any(map(has_sign, text.split()))


said = st.lists(
    st.one_of(
        st.sampled_from([word for text in NO_SECRETS for word in text.split()]),
        st.sampled_from([word for texts in SECRETS.values() for text in texts for word in text.split()]),
        st.sampled_from(
            ["mot de passe:", "PİN:", "\u212aennwort:", "ŞİFRE:", "x\x1fpin", "is", "4711", "[redacted: jwt]"]
        ),
        st.text(max_size=6),
    ),
    max_size=12,
)


@untimed
@given(st.lists(said, max_size=6), st.sampled_from([" ", "\n", "\u00a0"]))
def test_a_redactor_that_knows_plain_words_finds_what_a_new_one_finds(texts: list[list[str]], between: str) -> None:
    experienced = Redactor()
    for text in NO_SECRETS:
        experienced.text(text)
    for words in texts:
        text = between.join(words)
        assert experienced.text(text) == Redactor().text(text)


def test_words_of_secrets_are_not_remembered() -> None:
    redactor = Redactor()
    redactor.text("my password is hunter2, says Anna")
    redactor.text("Anna lives in Lyon")
    assert "hunter2," not in redactor.plain_words
    assert "Lyon" in redactor.plain_words


words = st.text(string.ascii_letters + " .,!?'-\n", max_size=200)


@untimed
@given(words)
def test_plain_words_are_never_redacted_without_the_name_of_a_secret(text: str) -> None:
    lowered = text.lower()
    if not any(name in lowered for name in ("pass", "pwd", "senha", "parol", "heslo", "wort")):
        assert Redactor().text(text) == text


@untimed
@given(st.integers(10**5, 10**15 - 1).map(str), st.sampled_from(["+{}", "tel {}", "call {} now", "{}"]))
def test_numbers_of_telephones_are_never_card_numbers(number: str, form: str) -> None:
    if len(number) < 14:
        text = form.format(number)
        assert Redactor().text(text) == text


@untimed
@given(st.text("0123456789", min_size=16, max_size=16))
def test_only_numbers_with_a_right_check_digit_are_cards(digits: str) -> None:
    def luhn(text: str) -> int:
        doubled = [int(d) * (1 + i % 2) for i, d in enumerate(reversed(text))]
        return sum(d - 9 if d > 9 else d for d in doubled) % 10

    card = "4" + digits[1:]
    assert (Redactor().text(card) != card) == (luhn(card) == 0 and len(set(card)) > 1)


@untimed
@given(
    st.sampled_from(["AKIA", "ASIA"]).flatmap(
        lambda head: st.text(string.ascii_uppercase + string.digits, min_size=16, max_size=16).map(head.__add__)
    )
    | st.text(TOKEN, min_size=36, max_size=36).map("ghp_".__add__)
    | st.text(TOKEN, min_size=24, max_size=60).map(lambda tail: f"sk-ant-api03-{tail}"),
    words,
    words,
)
def test_keys_go_wherever_they_stand(key: str, before: str, after: str) -> None:
    redacted = Redactor().text(f"{before} {key} {after}")
    assert key not in redacted


@untimed
@given(st.text(TOKEN + "!$&*+", min_size=6, max_size=30).filter(lambda word: any(map(str.isdigit, word))))
def test_a_password_that_is_named_goes(password: str) -> None:
    for form in ("my password is {}", "password: {}", "Passwort: {}.", 'pwd="{}"', "the password for mail is {}, ok?"):
        if not set(password) <= set("*xX"):
            assert password not in Redactor().text(form.format(password)), form


@pytest.mark.parametrize("password", ["MY0000", "the123", "your99!", "change1", "min1234", "PASS_2024", "A_1_B"])
def test_a_password_that_begins_like_a_word_is_none(password: str) -> None:
    for form in ("my password is {}", "password: {}", 'pwd="{}"'):
        assert password not in Redactor().text(form.format(password)), form


@pytest.mark.parametrize("text", ["password: DB_PASSWORD", "my password is myself-made", "password: minimum"])
def test_a_name_or_a_word_is_no_password(text: str) -> None:
    assert Redactor().text(text) == text


@untimed
@given(st.text(max_size=300))
def test_any_text_can_be_redacted_and_twice_is_once(text: str) -> None:
    redactor = Redactor()
    once = redactor.text(text)
    assert redactor.text(once) == once


def test_documents_stay_documents() -> None:
    document = json.dumps(
        {"password": "hunter2", "pin": 4711, "list": [{"api_key": "9f2c8a7b6d5e4f3a"}], "city": "Lyon"}
    )
    redacted = json.loads(Redactor().json(document))
    assert redacted["city"] == "Lyon"
    assert "hunter2" not in str(redacted)
    assert "9f2c" not in str(redacted)
    assert redacted["pin"] != 4711
    untouched = '{ "city":  "Lyon", "n": 1.0 }'
    assert Redactor().json(untouched) == untouched


@pytest.mark.parametrize("text", ['"so it is said"', 'He said "yes"', '"', '""', "'a'"])
def test_quotes_in_documents_stay_where_they_are(text: str) -> None:
    document = json.dumps({"query": text})
    assert Redactor().json(document) == document
    assert Redactor().json(json.dumps(text), "motto") == json.dumps(text)


@pytest.mark.parametrize(
    "rest", ['"\\ud800 is half a pair"', "1e999", "[" * 700 + "]" * 700, '{"a":' * 700 + "1" + "}" * 700]
)
def test_what_is_redacted_of_any_document_is_a_document_that_can_be_stored(rest: str) -> None:
    redacted = Redactor().json(f'{{"password":"hunter2secret","rest":{rest}}}')
    assert "hunter2secret" not in redacted
    assert isinstance(json.loads(redacted.encode(), parse_constant=pytest.fail), dict)


def test_every_part_of_a_message_is_read() -> None:
    message = Message(
        Role.USER,
        (
            TextPart("my password is hunter2"),
            ToolCallPart("c1", "login", '{"password": "hunter2"}'),
            ToolResultPart("c1", (TextPart("password: hunter2"),)),
            MediaPart("image/png", "https://bob:hunter2@example.com/x.png", "password: hunter2"),
        ),
    )
    redactor = Redactor()
    assert "hunter2" not in str(redactor.message(message))
    assert redactor.counts.total() == 5


def test_a_memory_loses_its_secrets_and_nothing_else() -> None:
    memory = Memory(
        memory_id="a", number=1, text="The door's PIN is 4711", key="door.pin", value_json="4711", input="PIN: 4711"
    )
    redacted = Redactor().memory(memory)
    assert "4711" not in redacted.text + redacted.value_json + redacted.input
    plain = Memory(memory_id="a", number=1, text="Lives in Lyon", key="location", value_json='"Lyon"')
    assert Redactor().memory(plain) is plain


@pytest.mark.parametrize(
    ("kind", "text"),
    [("iban", "DE89 3704 0044 0532 0130 00"), ("iban", "GB82WEST12345698765432"), ("us_ssn", "123-45-6789")],
)
def test_other_kinds_can_be_added(kind: str, text: str) -> None:
    assert Redactor().text(text) == text
    assert Redactor(["default", kind]).text(f"It is {text}.") == f"It is [redacted: {kind}]."


def test_kinds_can_be_chosen_and_patterns_added() -> None:
    assert Redactor(["jwt"]).text("password: hunter2") == "password: hunter2"
    assert Redactor(["none"]).text("password: hunter2") == "password: hunter2"
    badge = Redactor(patterns={"badge": r"badge (\d{6})"})
    assert badge.text("my badge 123456 opens") == "my badge [redacted: badge] opens"
    for wrong in ({"badge": "("}, {"Not A Name": "x"}):
        with pytest.raises(InvalidArgument, match="redact_patterns"):
            Redactor(patterns=wrong)
    with pytest.raises(InvalidArgument, match="redact"):
        Redactor(["jvt"])


def test_the_documented_kinds_are_those_that_are_redacted() -> None:
    from memsvc.storage.options import descriptions

    said = descriptions(Config)["redact"]
    assert ", ".join(DEFAULT_KINDS) in said
    assert all(kind in said for kind in OTHER_KINDS)


@pytest.mark.parametrize(
    "hostile",
    ["password is " * 20_000, "-----BEGIN PRIVATE KEY-----" * 10_000, "1 " * 100_000, "eyJ" * 60_000, "a://" * 50_000,
     "key: " * 50_000, "bearer " * 30_000, "4" * 200_000, "sk-" * 60_000, "пароль:" * 30_000],
)  # fmt: skip
def test_no_text_takes_long(hostile: str) -> None:
    """Each of these is of some 200,000 characters: what takes the square of that does not end in the test's time."""
    Redactor().text(hostile)


async def test_large_messages_are_redacted_slice_by_slice_and_others_have_their_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("memsvc.redaction.redactor._SLICE_SECONDS", 0.0)
    redactor = Redactor()
    text = "My password is hunter2! " + "What had been said before, at length. " * 1_000
    messages = [Message(Role.USER, (TextPart(text),)) for _ in range(10)]
    callers = [asyncio.create_task(redactor.large_messages(messages, 10 * len(text))) for _ in range(3)]
    most = before = 0
    while not all(caller.done() for caller in callers):
        await asyncio.sleep(0)
        most, before = max(most, redactor.counts["password"] - before), redactor.counts["password"]
    assert most == 1
    assert [caller.result() for caller in callers] == [Redactor().messages(messages)] * 3
