"""Ids of users, namespaces, rows and groups: any text, told apart and ordered by its UTF-8 bytes."""

from __future__ import annotations

from memsvc.storage.conformance.items import Journal, applied, ids, item, memory, outcome_of, run, tip_now, tip_of
from memsvc.storage.conformance.store import Store
from memsvc.storage.driver import EMPTY, Outcome, PageOf, RowKey, RowKind

_WORDS = r"""
0 00 10 9 -1 1e3 A a AA Aa aA aa Z z null NULL None true % %% %2F %25 _ __ a_ a% / // a/b a/ /a .. . a.b a. {} {a} }{ :
a:b :: $ $where $a.b @ # ? * [a] [^a] + & = ~ ^ | ! ' " '' ` \ \\ \x00 \u0061 '; <b> ( ) , a,b -- /* */ É e ß ss ẞ I ı İ
i ﬁ fi ñ Ελλάδα ελλάδα Москва москва עברית العربية हिन्दी ไทย 한국어 日本語 日本 中文 😀 😁 👩 🇳🇴 👍🏽 👍 𝒳
"""
_FORMS = ("\u00e9", "e\u0301", "\u00c5", "\u212b", "\uff5e", "\ufffd", "\ue000", "\U0010fffd", "👩\u200d👧\u200d👦")
_SPACES = (" ", "  ", "a ", "a  ", " a", "a b", "\u00a0", "a\u00a0", "\u3000", "a\u200b", "'; DROP TABLE users; --")
_LONG = ("x" * 256, "x" * 255, "x" * 255 + "y", "x" * 254 + " ", "é" * 128, "日" * 85, "😀" * 64, "%" * 256, "/" * 256)

NAMES = tuple(dict.fromkeys((*_WORDS.split(), *_FORMS, *_SPACES, *_LONG)))
"""Ids of at most 256 bytes that a database may fold, trim, escape, or order in a way of its own."""


async def test_users_are_told_apart_and_listed_by_bytes(store: Store) -> None:
    """users: every user of a namespace, in order, which is that of UTF-8 bytes."""
    scopes = [store.user(name) for name in NAMES]
    batch = [item(scope, EMPTY, [scope.user_id.encode()]) for scope in scopes]
    await applied(store.driver, *batch)
    assert list(await store.driver.tips(scopes)) == [tip_of(appended) for appended in batch]
    expected = sorted(NAMES, key=str.encode)
    assert list(await store.driver.users(store.namespace, "", 1_000)) == expected
    paged: list[str] = []
    while page := await store.driver.users(store.namespace, paged[-1] if paged else "", 7):
        paged += page
    assert paged == expected
    for scope in store.sample(scopes):
        [record] = await store.driver.records(scope, 0, 10)
        assert record.body == scope.user_id.encode()


async def test_users_are_listed_after_any_text(store: Store) -> None:
    """users: with id > `after`, be it a user or not."""
    scopes = store.crowd(5)
    await applied(store.driver, *(item(scope, EMPTY) for scope in scopes))
    for after, first in (("user-", 0), ("user-000001", 2), ("user-000001 ", 2), ("user-0000015", 2), ("user.", 5)):
        listed = await store.driver.users(store.namespace, after, 10)
        assert list(listed) == [scope.user_id for scope in scopes[first:]]
    assert list(await store.driver.users(store.namespace, "\U0010fffd", 10)) == []


async def test_namespaces_are_told_apart(store: Store) -> None:
    """users, tips: a namespace's users are its own, however alike its name is to another's."""
    suffixes = [name for name in NAMES if len(name.encode()) <= 200]
    scopes = {suffix: store.user(f"of {suffix}", within=suffix) for suffix in ("", *suffixes)}
    await applied(store.driver, *(item(scope, EMPTY, due=1) for scope in scopes.values()))
    for suffix, scope in store.sample([*scopes.items()]):
        assert list(await store.driver.users(scope.namespace, "", 10)) == [f"of {suffix}"]


async def test_namespace_and_user_never_run_together(store: Store) -> None:
    """append: namespace a and user b/c are not namespace a/b and user c, whatever joins them in a key."""
    for sign in "/:%{}|.,;_-#$ \\'\"~!@&=+":
        left = store.user(f"b{sign}c", within=f"{sign}a")
        right = store.user("c", within=f"{sign}a{sign}b")
        doubled = store.user(f"{sign}c", within=f"{sign}a{sign}b")
        journal = Journal(store.driver, left)
        await journal.append(puts=[memory("m1")])
        assert list(await store.driver.tips([right, doubled, left])) == [EMPTY, EMPTY, journal.tip]
        assert list((await store.driver.load(right, [RowKind.MEMORY])).rows) == []
        await applied(store.driver, item(right, EMPTY), item(doubled, EMPTY))
        assert await tip_now(store.driver, left) == journal.tip


async def test_the_empty_user_is_a_user_but_never_listed(store: Store) -> None:
    """users: ids > `after`; the reserved empty user, whose journal is the namespace's configuration, never is."""
    journal = store.journal("")
    await journal.append(puts=[memory("m1")], due=3)
    await store.journal("sarah").append()
    assert list(await store.driver.users(store.namespace, "", 10)) == ["sarah"]
    loaded = await store.driver.load(journal.scope, [RowKind.MEMORY])
    assert (loaded.tip, ids(loaded.rows)) == (journal.tip, ["m1"])
    assert await outcome_of(store.driver, item(journal.scope, EMPTY)) is Outcome.CONFLICT


async def test_row_ids_are_told_apart(store: Store) -> None:
    """Row: unique by user, kind and id; ids are any text."""
    journal = store.journal()
    rows = {name: memory(name, f"of {name}", position=number) for number, name in enumerate(NAMES, start=1)}
    await journal.append(puts=list(rows.values()))
    assert {row.row_id: row for row in (await store.driver.load(journal.scope, [RowKind.MEMORY])).rows} == rows
    assert await store.driver.get(journal.scope, RowKind.MEMORY, list(NAMES)) == rows
    for name in NAMES[::10]:
        assert await store.driver.get(journal.scope, RowKind.MEMORY, [name]) == {name: rows[name]}
    await journal.append(deletes=[RowKey(RowKind.MEMORY, name) for name in NAMES[::2]])
    left = (await store.driver.load(journal.scope, [RowKind.MEMORY])).rows
    assert sorted(ids(left)) == sorted(NAMES[1::2])


async def test_groups_are_told_apart(store: Store) -> None:
    """rows: of one group; groups are any text."""
    journal = store.journal()
    await journal.append(puts=[run(f"r{n}", n, session=name) for n, name in enumerate(NAMES, start=1)])
    for number, name in store.sample([*enumerate(NAMES, start=1)]):
        assert ids(await store.driver.rows(PageOf(journal.scope, RowKind.RUN, group=name, limit=10))) == [f"r{number}"]
    assert len(await store.driver.rows(PageOf(journal.scope, RowKind.RUN, limit=1_000))) == len(NAMES)


async def test_the_empty_group_is_a_group(store: Store) -> None:
    """rows: of one group, the empty one too, or of all."""
    journal = store.journal()
    await journal.append(puts=[run(f"r{n}", n, session=name) for n, name in enumerate(("", "s1", "", " "), start=1)])
    assert ids(await store.driver.rows(PageOf(journal.scope, RowKind.RUN, group="", limit=10))) == ["r1", "r3"]
    assert ids(await store.driver.rows(PageOf(journal.scope, RowKind.RUN, group=" ", limit=10))) == ["r4"]
    assert ids(await store.driver.rows(PageOf(journal.scope, RowKind.RUN, limit=10))) == ["r1", "r2", "r3", "r4"]
