"""Everything a process does with users' memories, built once: what the edges (gRPC, later HTTP) call."""

from __future__ import annotations

from typing import cast

from msgspec import Struct, field

from memsvc import __version__
from memsvc.access.accounts import Accounts
from memsvc.access.allowance import Allowances, Quotas
from memsvc.access.audit import Audit
from memsvc.access.gate import Gate, build_gate
from memsvc.administration import Administration, Exporter, Importer, NamespaceEraser
from memsvc.asking import Asker
from memsvc.budget import Budgets
from memsvc.clock import now_micros
from memsvc.config import DEFAULTS, Config
from memsvc.consolidation.consolidating import Consolidator
from memsvc.extraction.engine import Engine
from memsvc.extraction.engines import model_of
from memsvc.extraction.jobs.attempts import Attempts
from memsvc.extraction.jobs.events import Hints
from memsvc.extraction.jobs.extractions import Extractions
from memsvc.extraction.jobs.worker import Worker
from memsvc.foreground import Foreground
from memsvc.meaning import Meaning
from memsvc.memories.reading import MemoryReader
from memsvc.memories.restoring import MemoryRestorer
from memsvc.memories.watching import MemoryHistory
from memsvc.memories.writing import MemoryWriter
from memsvc.metrics.measured import MeasuredEmbedder, measured_driver
from memsvc.metrics.meters import Meters
from memsvc.redaction import Redactor
from memsvc.retention import Retention
from memsvc.search.embedders.contract import Embedder, instant
from memsvc.sessions import Quiet, Sessions
from memsvc.sessions.searching import HistorySearch
from memsvc.settings import MemorySettings, Operations, SettingsReader
from memsvc.settings.updating import ConfigWriter
from memsvc.storage.driver import Driver
from memsvc.storage.registry import scheme_of
from memsvc.summaries.summarizing import Summarizer
from memsvc.tls import TlsFiles, tls_files
from memsvc.tools import MemoryTools, Tasks, Tools
from memsvc.tracing import OFF, Traces, build_traces, traced_driver
from memsvc.users import Users
from memsvc.users.population import Population
from memsvc.waits import waited_for
from memsvc.writing.part import VectorPlan
from memsvc.writing.writer import Writer


class Application(Struct, frozen=True, kw_only=True):
    """The use cases of one process, on one database."""

    driver: Driver
    engine: Engine
    users: Users
    writer: Writer
    memory_writer: MemoryWriter
    memory_restorer: MemoryRestorer
    memory_reader: MemoryReader
    memory_history: MemoryHistory
    sessions: Sessions
    history_search: HistorySearch
    summarizer: Summarizer
    consolidator: Consolidator
    extractions: Extractions
    tools: Tools
    administration: Administration
    exporter: Exporter
    importer: Importer
    eraser: NamespaceEraser
    worker: Worker
    """Not started yet."""
    redactor: Redactor
    settings_reader: SettingsReader
    config_writer: ConfigWriter
    foreground: Foreground
    settings: Config
    meaning: Meaning | None
    """None: there is no embedder."""
    driver_name: str
    """The scheme of the database's URL."""
    model: str
    """The model that the engine uses; empty: none."""
    quiet: Quiet
    traces: Traces = OFF
    meters: Meters | None = None
    """None: nobody can ask what was counted."""
    gate: Gate | None = None
    """Who may call; None: everybody who can reach the server."""
    audit: Audit = field(default_factory=Audit)
    allowances: Allowances
    quotas: Quotas
    population: Population
    accounts: Accounts = field(default_factory=Accounts)
    tls: TlsFiles | None = None
    """What TCP addresses show; None: they speak no TLS."""
    version: str = __version__
    start_time: int = field(default_factory=now_micros)


def build_application(
    driver: Driver,
    engine: Engine,
    settings: Config = DEFAULTS,
    foreground: Foreground | None = None,
    embedder: Embedder | None = None,
    traces: Traces | None = None,
) -> Application:
    """Return the application on an open driver; nothing runs yet. `foreground`: what the background yields to."""
    meters = Meters(settings.metrics_namespaces) if settings.http_listen else None
    if meters is not None:
        driver = measured_driver(driver, meters)
        embedder = None if embedder is None else cast("Embedder", MeasuredEmbedder(embedder, meters))
    if traces is None:
        traces = build_traces(settings)
    if traces.is_on:
        driver = traced_driver(driver, traces, scheme_of(settings.storage_url))
    driver = waited_for(driver)
    foreground = foreground or Foreground()
    users = Users(driver, settings.cache_bytes)
    if meters is not None:
        users.on_lag = meters.journal_lag.cell().observe
    plan = _vector_plan(settings, embedder) if embedder is not None else None
    writer = Writer(users, vectors=plan)
    meaning = Meaning(users, writer, embedder, plan) if embedder is not None and plan is not None else None
    writer.traces = traces
    hints = Hints()
    allowances = Allowances(settings.limits_file)
    quotas, heartbeat_seconds = Quotas(settings.memory_quota, allowances), settings.heartbeat_seconds
    budgets = Budgets(users, writer, allowances, meters)
    model = model_of(settings)
    asker = engine if isinstance(engine, Asker) else None
    redactor = Redactor(settings.redact, settings.redact_patterns)
    summarizer = Summarizer(driver, asker, redactor)
    consolidator = Consolidator(users, asker, meaning, redactor, budgets)
    settings_reader = SettingsReader(users, MemorySettings(operations=Operations(clear=settings.allow_clear)))
    quiet = Quiet(settings.quiet_seconds, max(settings.quiet_seconds, settings.max_quiet_seconds))
    administration = Administration(users, writer)
    memory_reader = MemoryReader(users, asker, meaning, budgets)
    sessions, history_search = Sessions(users, writer, redactor), HistorySearch(users, meaning)
    extractions = Extractions(
        users,
        writer,
        engine,
        hints,
        quotas,
        budgets,
        settings_reader,
        settings.max_unasked_deletions,
        heartbeat_seconds,
        redactor,
    )
    reading = MemoryTools(users, memory_reader, sessions, history_search)
    tasks = Tasks(users, extractions, bool(model))
    attempts = Attempts(
        users,
        writer,
        engine,
        hints,
        settings_reader,
        settings,
        quotas,
        budgets,
        summarizer,
        consolidator,
        meaning,
        meters,
        traces,
        foreground,
    )
    return Application(
        driver=driver,
        engine=engine,
        users=users,
        writer=writer,
        memory_writer=MemoryWriter(users, writer, quotas, redactor, settings_reader),
        memory_restorer=MemoryRestorer(users, writer, quotas, redactor),
        memory_reader=memory_reader,
        memory_history=MemoryHistory(users, heartbeat_seconds),
        sessions=sessions,
        history_search=history_search,
        extractions=extractions,
        tools=Tools(users, writer, reading, tasks, quotas, redactor),
        administration=administration,
        exporter=Exporter(users),
        importer=Importer(
            writer, quotas, settings_reader, quiet, instant(embedder), redactor, settings.summarize_every_runs
        ),
        eraser=NamespaceEraser(administration),
        summarizer=summarizer,
        consolidator=consolidator,
        worker=Worker(users, writer, attempts, Retention(users, writer, settings_reader)),
        redactor=redactor,
        settings_reader=settings_reader,
        config_writer=ConfigWriter(users, writer),
        foreground=foreground,
        settings=settings,
        meaning=meaning,
        driver_name=scheme_of(settings.storage_url),
        model=model,
        gate=build_gate(settings),
        tls=tls_files(settings),
        allowances=allowances,
        quotas=quotas,
        population=Population(users),
        quiet=quiet,
        meters=meters,
        traces=traces,
    )


def _vector_plan(settings: Config, embedder: Embedder) -> VectorPlan:
    if embedder.instant:
        return VectorPlan(settings.store_vectors_after_seconds, settings.store_vectors_from_memories)
    return VectorPlan(settings.embed_after_seconds)
