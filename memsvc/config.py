"""Every setting of a server, once: its name and unit, what it may be, its default, and why that default.

A setting comes from, in this order: the command line (`--lease-seconds 10`), the environment
(`MEMSVC_LEASE_SECONDS=10`), a TOML file (`lease_seconds = 10`; `--config` or `MEMSVC_CONFIG`), the default. Lists and
mappings are written with commas outside TOML. docs/configuration.md is made from this file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_type_hints

from msgspec import Meta, Struct, field, structs

from memsvc.errors import invalid
from memsvc.storage.options import File, Secret, is_marked, nearest, read_value

ENVIRONMENT_PREFIX: Final = "MEMSVC_"
_NOT_SETTINGS: Final = {
    "MEMSVC_CONFIG",
    "MEMSVC_COPY_FROM",
    "MEMSVC_COPY_TO",
    "MEMSVC_CRASH_POINT",
    "MEMSVC_IMPORT_TO",
    "MEMSVC_MCP_TOKENS_FILE",
    "MEMSVC_TOKEN",
    "MEMSVC_CA_FILE",
    "MEMSVC_CLIENT_CERTIFICATE_FILE",
    "MEMSVC_CLIENT_KEY_FILE",
    "MEMSVC_TARGET",
}
"""Variables that say something else: to commands, tests and clients."""
_NOT_OURS: Final = re.compile(
    r"MEMSVC_(TEST_\w+|UPDATE_GOLDEN|(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?))"
)
"""Variables of the tests; and those that Kubernetes gives every pod beside a Service named memsvc, or memsvc-..."""

_LEAVE_OUT: Final = "leave it out for none; a variable that is not set, perhaps"

Seconds = Annotated[float, Meta(gt=0, le=10 * 365 * 24 * 3600)]
SecondsOrNone = Annotated[float, Meta(ge=0, le=10 * 365 * 24 * 3600)]
"""0: do not wait at all."""
Count = Annotated[int, Meta(ge=1, le=1_000_000_000)]
CountOrNone = Annotated[int, Meta(ge=0, le=1_000_000_000)]
Bytes = Annotated[int, Meta(ge=0, le=1 << 50)]


class Config(Struct, frozen=True, kw_only=True):
    """What a server is started with."""

    storage_url: str = ""
    """Database: sqlite:///path, memory:// or that of another installed driver. None given: memory.db in the user's data
    folder, $XDG_DATA_HOME/memsvc or ~/.local/share/memsvc."""
    storage_options: dict[str, str] = field(default_factory=dict)
    """Options of the driver, name=value: table_prefix, names of single tables, timeouts. See `memsvc drivers`."""
    listen: Annotated[list[str], Meta(min_length=1)] = field(default_factory=lambda: ["127.0.0.1:7432"])
    """Addresses to serve: unix:///path or host:port. Loopback, because everything else needs TLS and tokens."""
    processes: Annotated[int, Meta(ge=1, le=256)] = 1
    """Processes that serve on these addresses, each a replica on one database, with cache and limits of its own. Worth
    it once one is busy, up to one for each core; two take twice the RAM."""
    insecure: bool = False
    """Allow addresses other than loopback and unix sockets without TLS, or without asking who calls. Said aloud, never
    by default."""
    tls_certificate_file: File = ""
    """PEM file of the server's certificate, with those between it and its CA: TCP addresses speak TLS, 1.2 at least.
    Changed files are taken up without a restart; until they fit together, what was there before goes on."""
    tls_key_file: File = ""
    """PEM file of its key, not encrypted."""
    tls_client_ca_file: File = ""
    """PEM file of those who sign clients' certificates: clients must show one. `memsvc token bind` says what a name in
    it may do; where there is no tokens_file, whoever has one may do everything."""
    tokens_file: File = ""
    """Who may call, and do what: a file of hashed tokens, names in certificates and users of sockets, a JSON object a
    line, made by `memsvc token create`. Changes count at once. None: whoever can reach the server may do everything."""
    socket_users: bool = False
    """Ask the kernel which user is at the other end of a unix socket, for `memsvc token bind --socket-user`: a pod's
    agent then needs no token and can name no other tenant. Off: it costs each call over gRPC a hop in the server."""
    limits_file: File = ""
    """What namespaces may take: a TOML file with a table for each, "*" for the others: calls_per_second,
    bytes_in_flight, open_streams, users, memories (of each user), model_tokens_a_day. Changes count at once."""
    jwks_file: File = ""
    """JWKS file with the public keys of an identity provider whose JWTs are tokens as well; needs the extra jwt."""
    jwt_issuer: str = ""
    """Their issuer (iss): the JWTs of others are refused."""
    jwt_audience: str = ""
    """Their audience (aud): what is meant for other services is refused."""
    jwt_namespace_claim: Annotated[str, Meta(min_length=1)] = "namespace"
    """The claim with the namespace, or a list of them; dots lead into objects."""
    jwt_rights_claim: Annotated[str, Meta(min_length=1)] = "rights"
    """The claim with the rights, a list or words: read, write, admin, also as memsvc:read."""
    jwt_users_claim: Annotated[str, Meta(min_length=1)] = "users"
    """The claim with the user, or a list of them. A JWT without it is for all users."""
    start_without_storage: bool = False
    """Wait for a database that cannot be reached at the start, instead of giving up. Meanwhile health_listen says that
    all is well: an agent beside it does not wait for its database."""
    health_listen: str = ""
    """Address of a health-only server for kubelet probes, host:port. None: the main port answers them."""
    http_listen: str = ""
    """Address of the operator's port, host:port or unix:///path: /livez, /readyz, /metrics, and the API as JSON over
    HTTP (Connect). None: there is no such port, and it costs nothing."""
    http_api: bool = True
    """Serve the API on it. Off: health and metrics alone, which may then be asked from other machines."""
    http_hosts: list[str] = field(default_factory=list)
    """Names besides localhost by which it may be called; addresses always may. A web page elsewhere could give itself
    any other name, and read what this machine can. *: any name."""
    http_origins: list[str] = field(default_factory=list)
    """Origins whose web pages may call it: https://console.example.com. None: no page of another origin. *: any."""
    metrics_namespaces: list[str] = field(default_factory=list)
    """Namespaces that have labels of their own in /metrics; all others are _others. None: the first 20 that come."""
    http_max_connections: Count = 1_000
    """Connections to it at once. Above, the one that has been idle for longest is closed."""
    traces: bool = False
    """Send spans by OTLP to where OTEL_EXPORTER_OTLP_ENDPOINT says: of calls whose caller samples them (traceparent),
    and of what they need of journal, database and model. Needs the extra otel."""
    trace_share: Annotated[float, Meta(ge=0, le=1)] = 0.0
    """The share of the calls without a traceparent that are sampled."""
    trace_content: bool = False
    """Put what is searched for into spans. Off: no span holds what somebody said."""
    ready_file: File = ""
    """File to write the bound addresses to, one a line, once serving."""
    exit_when_unlocked: File = ""
    """Exit once nobody else holds a lock on this file: for sidecars that a client starts."""
    engine: Literal["auto", "rules", "openai"] = "auto"
    """Extraction engine. auto: openai where a key or base URL is set and the openai package is there, else rules."""
    openai_base_url: Secret = ""
    """An OpenAI-compatible endpoint; OPENAI_BASE_URL is read too. None: OpenAI's own. Never logged: it may hold a
    password."""
    openai_api_key: Secret = ""
    """Its key; OPENAI_API_KEY is read too. Never logged."""
    openai_model: Annotated[str, Meta(min_length=1)] = "gpt-5-mini"
    """Its model: small and cheap is enough for extraction."""
    openai_structured_output: Literal["json_schema", "json_object", "text"] = "json_schema"
    """How the model is held to the form: by a strict schema, as any JSON object, or (for servers without these) by the
    prompt alone."""
    openai_temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    """How freely the model chooses its words, 0 to 2. None: its own default; some models take no other."""
    openai_max_output_tokens: Count = 4_096
    """The model's answer ends here. Thinking counts as output, too."""
    openai_output_limit_field: Literal["max_completion_tokens", "max_tokens", "none"] = "max_completion_tokens"
    """How the request names that limit: OpenAI's name, the older one that some servers want, or not at all."""
    openai_stream_usage: bool = True
    """Ask for usage in the stream; off for servers that refuse `stream_options`."""
    openai_extra_headers: Annotated[dict[str, str], Meta(extra={"secret": True})] = field(default_factory=dict)
    """More headers of each request, name=value. Never logged."""
    openai_extra_body: dict[str, Any] = field(default_factory=dict)
    """More fields of each request, name=value, values in JSON: reasoning_effort=low."""
    model_connect_timeout_seconds: Seconds = 5.0
    """A connection to the model's endpoint takes no longer."""
    model_timeout_seconds: Seconds = 120.0
    """A model call ends after this: well above what a slow model takes."""
    model_idle_timeout_seconds: Seconds = 60.0
    """... or when it sends nothing for so long: models that think first are silent for long."""
    model_max_output_bytes: Count = 256 << 10
    """... or when its answer is longer than this: a model that repeats itself costs bounded memory."""
    redact: Annotated[list[str], Meta(min_length=1)] = field(default_factory=lambda: ["default"])
    """Secrets that are taken out of what is said, and of memories, before they are stored and before a model sees them.
    default: private_key, connection_password, jwt, aws_key, github_token, api_key, bearer_token, card_number, password;
    iban and us_ssn can be added, or kinds be listed one by one; none redacts nothing. Names, addresses, mail and phone
    numbers stay."""
    redact_patterns: dict[str, str] = field(default_factory=dict)
    """More kinds of secrets, name=regular expression: what its first group matches goes, or all of it."""
    allow_clear: bool = False
    """Let "forget everything about me", said in a conversation, delete all memories of its user. Off: the extraction's
    stream says that it was refused; ClearMemories and EraseUser are not affected. A namespace may be configured
    otherwise (ConfigService)."""
    max_unasked_deletions: CountOrNone = 5
    """How many memories one extraction deletes without having been asked to forget: contradictions are few."""
    rules_patterns: File = ""
    """A TOML file of patterns that the rules engine uses besides its own."""
    embedder: Literal["auto", "none", "static", "folder", "openai"] = "auto"
    """What finds by meaning: static (a table that ships with memsvc: nothing is sent anywhere), folder (another such
    table, see embedding_folder), openai (an endpoint for embeddings), or none. auto: static where numpy is installed,
    else none."""
    embedding_folder: File = ""
    """A static model in model2vec's form, for `embedder = folder`: it has model.safetensors and tokenizer.json."""
    embedding_base_url: Secret = ""
    """An OpenAI-compatible endpoint for embeddings. None: openai_base_url. It may hold a password: never logged."""
    embedding_api_key: Secret = ""
    """Its key. None: openai_api_key. Never logged."""
    embedding_model: Annotated[str, Meta(min_length=1)] = "text-embedding-3-small"
    """Its model. Another one makes other vectors: `memsvc embed` makes all anew."""
    embedding_dimensions: Annotated[int, Meta(ge=0, le=4096)] = 0
    """How long its vectors are to be, for models that can shorten them; 0: as long as they are."""
    embedding_timeout_seconds: Seconds = 30.0
    """A call for embeddings ends after this."""
    embed_after_seconds: SecondsOrNone = 0.5
    """What changed is embedded after so long: changes that come together cost one write more, not many."""
    store_vectors_after_seconds: SecondsOrNone = 30.0
    """... but with `static` only stored, after so long: a search makes in microseconds what is not stored yet."""
    store_vectors_from_memories: CountOrNone = 100
    """... and only for users with so many memories: for fewer, the search that wants them makes them in 6 ms."""
    quiet_seconds: SecondsOrNone = 1.0
    """A run waits so long for the next one of its session: turns that come together cost one model call."""
    max_quiet_seconds: SecondsOrNone = 10.0
    """... but never longer than this, however many follow."""
    summarize_every_runs: CountOrNone = 20
    """A session is summarized after so many new runs, from its last summary and what is new; 0: only when asked for."""
    lease_seconds: Seconds = 30.0
    """A worker that does not renew its claim for so long is replaced: three renewals may be lost before."""
    extraction_concurrency: Count = 8
    """Extractions under way at once in this process."""
    max_attempts: Count = 5
    """An extraction that failed so often stops as FAILED: visible, and retryable by hand."""
    retry_seconds: Seconds = 2.0
    """A failed attempt is repeated after about so long; each time half as long again as was waited so far."""
    max_retry_seconds: Seconds = 300.0
    """... but never later than this: an extraction goes on soon after its model is back."""
    max_wait_seconds: Seconds = 7 * 24 * 3600.0
    """An extraction that waited so long for its model stops as FAILED: a week of outage is survived."""
    poll_seconds: Seconds = 1.0
    """How often the database is asked for work that other processes left: cheap, and bounds their delay."""
    memory_quota: Count = 10_000
    """Memories a user may have. A user is held in RAM whole while in use."""
    cache_bytes: Bytes = 64 << 20
    """RAM for hot users. Thousands of ordinary users fit; those not used for longest go first."""
    max_request_bytes: Annotated[int, Meta(ge=1 << 10, le=1 << 30)] = 4 << 20
    """The largest request accepted: a run of 2 MiB with room to spare."""
    default_deadline_seconds: Seconds = 30.0
    """The deadline of a call whose client set none."""
    heartbeat_seconds: Seconds = 15.0
    """A stream that has nothing to say says so this often: proxies cut silent ones."""
    max_calls: Count = 4_000
    """Calls under way at once, and streams open at once; more are refused, so that a database that hangs costs bounded
    memory."""
    max_bytes_in_flight: Annotated[int, Meta(ge=1 << 20, le=1 << 50)] = 64 << 20
    """RAM for calls under way: requests, and replies that nobody has read yet. More are refused. Eight of the largest
    requests at once, thousands of ordinary ones."""
    drain_seconds: SecondsOrNone = 10.0
    """How long a stop by SIGTERM may take, calls under way included: within a pod's default grace period of 30 s."""
    log_format: Literal["text", "json"] = "text"
    """text for people, json for collectors: an object a line."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """What is logged. Logs carry no memory content."""


DEFAULTS: Final = Config()
"""For what is built without a server: tests, tools."""


def load_config(
    flags: Mapping[str, Any], environment: Mapping[str, str], config_file: str | None = None
) -> tuple[Config, Mapping[str, str]]:
    """Return the configuration, and where each setting that is not a default came from.

    Raises InvalidArgument naming the setting that is unknown or malformed.
    """
    kinds = setting_kinds()
    path = environment.get(ENVIRONMENT_PREFIX + "CONFIG") if config_file is None else config_file
    from_file = {} if path is None else _read_file(path)
    _refuse_unknown_variables(environment)
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for name, kind in kinds.items():
        variable = ENVIRONMENT_PREFIX + name.upper()
        if flags.get(name) is not None:
            given, sources[name] = flags[name], "flag"
        elif variable in environment:
            given, sources[name] = environment[variable], variable
        elif name in from_file:
            given, sources[name] = from_file[name], str(path)
        else:
            continue
        values[name] = read_value(name, kind, given)
        if values[name] == "" and _is_never_empty(name, kind):
            raise invalid(name, f"must not be empty ({sources[name]}): {_LEAVE_OUT}")
    for name, variable in (("openai_api_key", "OPENAI_API_KEY"), ("openai_base_url", "OPENAI_BASE_URL")):
        if not values.get(name) and environment.get(variable):
            values[name], sources[name] = environment[variable], variable
    config = Config(**values)
    if not config.storage_url:
        config = structs.replace(config, storage_url=default_storage_url(environment))
    return config, sources


def _is_never_empty(name: str, kind: Any) -> bool:
    """Tell whether nobody can mean an empty value, which stands for an open door, or for another database."""
    return name == "storage_url" or is_marked(kind, "file")


@cache
def setting_kinds() -> Mapping[str, Any]:
    """Return the type of each setting, with its constraints."""
    return get_type_hints(Config, include_extras=True)


def default_storage_url(environment: Mapping[str, str]) -> str:
    """Return the database that serve, chat, doctor and the client's `local()` use where none is named."""
    return f"sqlite:///{data_folder(environment, 'storage_url') / 'memory.db'}"


def data_folder(environment: Mapping[str, str], setting: str) -> Path:
    """Return where files are that nobody named. Raises InvalidArgument, naming the setting, where there is no home."""
    home = environment.get("XDG_DATA_HOME", "")
    try:
        # As the XDG specification has it: a relative path is ignored.
        folder = Path(home) if home.startswith("/") else Path.home() / ".local" / "share"
    except RuntimeError as error:
        raise invalid(setting, "must be given: this user has no home folder for a default") from error
    return folder / "memsvc"


def _refuse_unknown_variables(environment: Mapping[str, str]) -> None:
    known = {ENVIRONMENT_PREFIX + name.upper() for name in setting_kinds()} | _NOT_SETTINGS
    for variable in environment:
        if variable.startswith(ENVIRONMENT_PREFIX) and variable not in known and not _NOT_OURS.fullmatch(variable):
            raise invalid(variable, f"is no setting{nearest(variable, known)}")


def _read_file(path: str) -> Mapping[str, Any]:
    import tomllib

    if not path:
        raise invalid("config", f"must not be empty: {_LEAVE_OUT}")
    try:
        values = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise invalid("config", f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise invalid("config", f"{path} is no text in UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise invalid("config", f"{path} is not TOML: {error}") from error
    for name in values:
        if name not in setting_kinds():
            raise invalid(name, f"is no setting{nearest(name, setting_kinds())} ({path})")
    return values
