"""/metrics says what happened, in the form that Prometheus reads; dashboard and alerts ask for what there is."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import promql_parser
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from memsvc.errors import Reason, Retryable, StorageUnavailable
from memsvc.http.metrics import MetricsPage
from memsvc.metrics.instruments import MAX_SERIES, Counts, Distributions, exposition
from memsvc.metrics.meters import FEW_NAMESPACES, OTHERS, Meters
from memsvc.model import Usage
from memsvc.storage.driver import Driver
from tests.conftest import must_have
from tests.integration.http.http_harness import HttpHarness, served_http
from tests.integration.rpc.rpc_harness import new_request_id
from tests.servers.go_tools import go_program

OPERATIONS = Path(__file__).parents[3] / "docs" / "operations"
SERVERS = Path(__file__).parents[2] / "servers"
SCOPE = {"userId": "sarah"}
LIST = "MemoryService/ListMemories"
CREATE = "MemoryService/CreateMemory"
RUN = {
    "scope": SCOPE,
    "run": {"sessionId": "s1", "messages": [{"role": "ROLE_USER", "parts": [{"text": {"text": "I live in Porto"}}]}]},
}


async def metrics(http: HttpHarness) -> dict[str, float]:
    """Return every sample, by its name and labels."""
    reply = await http.ask("GET", "/metrics")
    assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    samples = {}
    for family in text_string_to_metric_families(reply.body.decode()):
        assert family.documentation
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            samples[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return samples


async def test_calls_are_counted_by_method_and_code_however_they_came(http: HttpHarness) -> None:
    await http.call(CREATE, {"scope": SCOPE, "memory": {"text": "x"}})
    await http.call(LIST, {"scope": SCOPE})
    await http.call(LIST, {"scope": SCOPE})
    await http.call("MemoryService/GetMemory", {"scope": SCOPE, "memoryId": "m"})
    seen = await metrics(http)

    assert seen[f"memsvc_rpc_calls_total{{code=OK,method={LIST}}}"] == 2
    assert seen[f"memsvc_rpc_seconds_count{{method={LIST}}}"] == 2
    assert 0 < seen[f"memsvc_rpc_seconds_sum{{method={LIST}}}"] < 60
    assert seen["memsvc_rpc_calls_total{code=NOT_FOUND,method=MemoryService/GetMemory}"] == 1
    assert seen["memsvc_journal_appends_total{outcome=appended}"] == seen["memsvc_commands_total"] == 1
    assert seen["memsvc_hot_users"] == 1
    assert seen["memsvc_user_loads_total"] >= 1
    assert seen["memsvc_user_reads_total"] >= 4
    assert seen["memsvc_rpc_bytes_in_flight"] == 0
    assert seen["process_resident_memory_bytes"] > 1 << 20


async def test_learning_is_counted(driver: Driver, folder: Path) -> None:
    async with served_http(driver, folder, max_retry_seconds=0.01) as http:
        http.rpc.engine.failures.append(Retryable(Reason.MODEL_UNAVAILABLE, "away"))
        await http.call("SessionService/AppendRun", {**RUN, "waitForLearning": "20s", "requestId": new_request_id()})
        seen = await metrics(http)

    assert seen["memsvc_extractions_total{namespace=default,outcome=succeeded,reason=}"] == 1
    assert seen["memsvc_extractions_total{namespace=default,outcome=retried,reason=MODEL_UNAVAILABLE}"] == 1
    assert seen["memsvc_extraction_seconds_count{outcome=succeeded}"] == 1
    assert seen["memsvc_model_calls_total{namespace=default}"] == 1
    assert seen["memsvc_model_tokens_total{kind=input,namespace=default}"] == 10


async def test_what_waits_is_shown_with_its_age(driver: Driver, folder: Path) -> None:
    async with served_http(driver, folder) as http:
        http.rpc.engine.gate.clear()
        await http.call("SessionService/AppendRun", RUN)
        await http.rpc.engine.reading.wait()
        running = await metrics(http)
        http.rpc.engine.gate.set()

    assert running["memsvc_queue_extractions{reason=running}"] == 1
    assert 0 <= running["memsvc_queue_oldest_seconds{reason=running}"] < 100


async def test_the_database_is_timed_and_its_errors_counted(http: HttpHarness) -> None:
    await http.call(LIST, {"scope": SCOPE})
    http.rpc.driver.broken = StorageUnavailable("gone")
    await http.call(LIST, {"scope": {"userId": "ben"}})
    http.rpc.driver.broken = None
    seen = await metrics(http)

    assert seen["memsvc_database_seconds_count{operation=load}"] >= 2
    assert seen["memsvc_database_errors_total{operation=load,reason=STORAGE_UNAVAILABLE}"] >= 1


async def test_the_page_asks_the_database_nothing(http: HttpHarness) -> None:
    http.rpc.driver.broken = StorageUnavailable("gone")
    assert (await http.ask("GET", "/metrics")).status == 200


async def test_no_user_and_nothing_remembered_is_in_it(http: HttpHarness) -> None:
    scope = {"userId": "sarah-4711"}
    await http.call(CREATE, {"scope": scope, "memory": {"text": "lives in Lisbon", "topics": ["home-topic"]}})
    page = (await http.ask("GET", "/metrics")).body

    assert not [word for word in (b"sarah", b"Lisbon", b"home-topic") if word in page]


def test_there_are_never_many_namespaces() -> None:
    first, named = Meters(), Meters(["acme"])
    labels = {first.namespace(f"n{index}") for index in range(1_000)}

    assert (len(labels), OTHERS in labels) == (FEW_NAMESPACES + 1, True)
    assert (first.namespace("n0"), first.namespace("n999")) == ("n0", OTHERS)
    assert (named.namespace("acme"), named.namespace("other")) == ("acme", OTHERS)


def test_there_are_never_many_series_and_labels_are_quoted() -> None:
    counts, odd = Counts("a_total", "A.", ("label",)), Counts("b_total", 'Says "b"\nand \\.', ("label",))
    for index in range(2 * MAX_SERIES):
        counts.cell(str(index)).add()
    odd.cell('"\\\n').add()
    families = list(text_string_to_metric_families(exposition([counts, odd])))

    assert len(families[0].samples) == MAX_SERIES
    assert families[1].samples[0].labels == {"label": '"\\\n'}


@pytest.mark.parametrize(("value", "bound"), [(0.0, "1"), (1.0, "1"), (1.5, "2"), (2.0, "2"), (9.0, "+Inf")])
def test_a_value_counts_in_its_range_and_all_above(value: float, bound: str) -> None:
    distributions = Distributions("d", "D.", bounds=(1.0, 2.0))
    distributions.cell().observe(value)
    lines = exposition([distributions]).splitlines()
    held = [line.split('"')[1] for line in lines if "_bucket" in line and line.endswith(" 1")]

    assert held[0] == bound
    assert "d_count 1" in lines


def test_tokens_of_all_kinds_are_counted() -> None:
    meters = Meters()
    meters.attempted("a", "failed", "MODEL_REFUSED", 2.0, 1, Usage(2, 100, 40, 7))

    assert [meters.model_tokens.cell("a", kind).value for kind in ("input", "cached", "output")] == [100, 40, 7]


def queries() -> Iterator[tuple[str, str]]:
    """Yield each query of the dashboard and of the alerts, with where it stands."""
    for panel in json.loads((OPERATIONS / "dashboard.json").read_text())["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]
    for rule in yaml.safe_load((OPERATIONS / "alerts.yaml").read_text())["groups"][0]["rules"]:
        yield rule["alert"], rule["expr"]


@pytest.mark.parametrize(("where", "query"), list(queries()))
def test_every_query_is_one(where: str, query: str) -> None:
    # As Grafana puts in its variables.
    promql_parser.parse(query.replace("$__rate_interval", "5m").replace("$job", "memsvc"))


def test_a_query_that_is_none_is_found() -> None:
    with pytest.raises(ValueError, match="invalid promql query"):
        promql_parser.parse("sum by job (rate(memsvc_rpc_calls_total[5m]))")


def test_prometheus_itself_reads_rules_and_queries() -> None:
    """As promtool does: its own rules and parser, in a program that is built by Go, once (`make alerts`)."""
    if not os.environ.get("MEMSVC_TEST_PROMETHEUS"):
        pytest.skip("Prometheus' parser: make alerts builds it")
    program = must_have(go_program, "rules-check", SERVERS / "rules_check")
    texts = [query.replace("$__rate_interval", "5m").replace("$job", "memsvc") for _, query in queries()]

    def checked(lines: list[str], *files: Path) -> tuple[int, str]:
        result = subprocess.run(
            [program, *files], input="\n".join(lines), capture_output=True, text=True, timeout=60, check=False
        )
        return result.returncode, result.stdout

    assert checked(texts, OPERATIONS / "alerts.yaml") == (0, "")
    assert "parse error" in checked(["sum by job (up)"])[1]


SELECTOR = re.compile(r"\b((?:memsvc|process|python)_\w+|up)\b(?:\{([^}]*)\})?")
GROUPED = re.compile(r"\bby \(([^)]*)\)")
SCRAPED = {"job", "instance"}


async def test_every_query_asks_for_metrics_and_labels_that_a_server_has(http: HttpHarness) -> None:
    page = MetricsPage(http.rpc.application, http.rpc.edge)
    page.close()
    known = {name: {*labels, *SCRAPED} for name, labels in page.labels.items()}
    for name in [name for name in known if name.endswith("_seconds")]:
        known |= {f"{name}_bucket": known[name] | {"le"}, f"{name}_count": known[name], f"{name}_sum": known[name]}
    known["up"] = SCRAPED
    served = {name for name in known if f"\n# TYPE {name} ".encode() in (await http.ask("GET", "/metrics")).body}
    asked = set()
    for where, query in queries():
        found = SELECTOR.findall(query)
        assert found, where
        for name, matchers in found:
            assert name in known, f"{where}: no metric {name}"
            used = {each.strip() for each in re.findall(r"(\w+)\s*(?:=~|!=|!~|=)", matchers)}
            assert used <= known[name], f"{where}: {name} has no label {used - known[name]}"
            asked.add(re.sub(r"_(bucket|count|sum)$", "", name) if name not in served else name)
        labels = set.union(*(known[name] for name, _ in found))
        grouped = {each.strip() for each in ",".join(GROUPED.findall(query)).split(",") if each.strip()}
        assert grouped <= labels, f"{where}: nothing has the label {grouped - labels}"
        assert query.count("(") == query.count(")"), where

    assert {name for name in served if name.startswith("memsvc_")} <= asked, "a metric that nobody looks at"


def test_alerts_say_how_bad_it_is_and_what_to_do() -> None:
    rules = yaml.safe_load((OPERATIONS / "alerts.yaml").read_text())["groups"][0]["rules"]
    guide = (OPERATIONS / "README.md").read_text()
    for rule in rules:
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert set(rule["annotations"]) == {"summary", "description"}
        assert re.fullmatch(r"\d+m", rule["for"])
        assert f"`{rule['alert']}`" in guide, f"docs/operations/README.md says nothing of {rule['alert']}"
