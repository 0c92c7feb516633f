"""Carries out the steps of a case: lines for the executor, deeds to the server, and what has to come of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.contract.cases import Case
from tests.contract.executor import Executor
from tests.contract.matching import Mismatch, Names, check, filled, matches
from tests.contract.world import World

_HINTS = ("bookmark", "progress", "proposed")
"""Events that come or do not come, as it happens."""
_LINES = ("connect", "close", "open", "call", "next", "leave")
_DEEDS = ("server", "repeat", "requests", "gapless")
_PASSED_ON = (
    "namespace",
    "token",
    "caFile",
    "timeoutSeconds",
    "contextTimeoutSeconds",
    "contextOrEmpty",
    "waitForReady",
)
_MAX_EVENTS = 10_000
_PATIENT = {"timeoutSeconds": 300, "contextTimeoutSeconds": 300}
"""Deadlines that a busy machine meets as well; cases that are about deadlines have clients of their own."""


@dataclass(slots=True)
class Running:
    """One case, with the executor of one language."""

    case: Case
    world: World
    executor: Executor
    reference: Executor
    kills: int
    names: Names = field(default_factory=dict)
    _streams: dict[str, list[Any]] = field(default_factory=dict)
    """What came on each stream so far."""
    _clients: list[tuple[Executor, str]] = field(default_factory=list)

    async def run(self) -> None:
        """Carry it out. Raises Mismatch where something else comes than is expected."""
        self.names.update({**self.world.names, "user": self.case.user})
        self.world.scripted.play(self.case.scripted)
        try:
            await self._connect(self.executor, {"connect": "main", **_PATIENT})
            await self._connect(self.reference, {"connect": "main", "waitForReady": True, **_PATIENT})
            if self.case.scripted:
                await self._connect(self.executor, {"connect": "scripted", "through": "scripted", **_PATIENT})
            await self._steps(self.case.steps)
        finally:
            self.world.thaw()
            await self.world.start()
        for executor, name in self._clients:
            await executor.ask({"do": "close", "client": name})

    async def _steps(self, steps: Sequence[Mapping[str, Any]]) -> None:
        for number, step in enumerate(steps, 1):
            try:
                await self._step(step)
            except Mismatch as mismatch:
                kind = next((each for each in (*_LINES, *_DEEDS) if each in step), "step")
                raise Mismatch(f"step {number}, {kind} {step.get(kind)}: {mismatch}") from None

    async def _step(self, step: Mapping[str, Any]) -> None:
        match step:
            case {"server": deed}:
                await self._deed(str(deed))
            case {"repeat": times, "steps": steps}:
                for each in range(self.kills if times == "kills" else int(times)):
                    self.names["round"] = each + 1
                    await self._steps(steps)
            case {"requests": expected}:
                check(expected, self.world.scripted.requests, self.names)
            case {"gapless": stream}:
                _check_gapless(self._streams[filled(stream, self.names)])
            case {"connect": _}:
                await self._connect(self._executor(step), filled(step, self.names))
            case {"next": _}:
                await self._next(step)
            case _:
                await self._ask(step)

    async def _deed(self, deed: str) -> None:
        match deed:
            case "kill":
                await self.world.kill()
            case "start":
                await self.world.start()
            case "freeze":
                self.world.freeze()
            case "thaw":
                self.world.thaw()
            case "cut":
                await self.world.relay.cut()
            case _:
                raise ValueError(f"nothing is known of {deed!r}")

    async def _connect(self, executor: Executor, step: Mapping[str, Any]) -> None:
        """Let an executor make a client; what the step says of it overrules how the server is reached."""
        how = {**self.world.connection(step.get("through", "")), **{k: step[k] for k in _PASSED_ON if k in step}}
        if "target" in step:
            how["target"] = step["target"]
        given = {name: each for name, each in how.items() if each != "" or name == "target"}
        line = {"do": "connect", "client": step["connect"], **given}
        answer = await executor.ask(line)
        self._check_answer(step, answer)
        if "error" not in answer:
            self._clients.append((executor, step["connect"]))

    async def _next(self, step: Mapping[str, Any]) -> None:
        """Read on until the event comes that is expected."""
        wanted = step.get("until", step.get("expect", {}))
        name = filled(step["next"], self.names)
        for count in range(_MAX_EVENTS):
            meanwhile = () if count else step.get("during", ())
            answer = await self._exchange(self._executor(step), {"do": "next", "stream": name}, meanwhile)
            if "item" not in answer or "error" in step or "ended" in step:
                break
            self._streams[name].append(answer["item"])
            hint = isinstance(answer["item"], Mapping) and any(each in answer["item"] for each in _HINTS)
            if matches(wanted, answer["item"], self.names):
                return
            if "until" not in step and not hint:
                check(wanted, answer["item"], self.names)
        if step.get("ended"):
            check({"ended": True}, answer, self.names)
        else:
            self._check_answer(step, answer)
            if "error" not in step:
                raise Mismatch(f"{wanted} never came, but {answer}")

    async def _ask(self, step: Mapping[str, Any]) -> None:
        kind = next((each for each in _LINES if each in step), None)
        if kind is None:
            raise ValueError(f"nothing is known of the step {step}")
        line = {"do": kind, "client": step.get("client", "main")}
        if kind in ("call", "open"):
            given = filled({key: step[key] for key in ("user", "agentId", "teamId") if key in step}, self.names)
            args = filled(step.get("args", {}), self.names)
            line = {**line, "user": self.case.user, **given, "call": step["call"], "args": _args(args)}
        if kind in ("open", "leave"):
            line |= {"stream": filled(step[kind], self.names)}
        if kind == "open":
            self._streams[line["stream"]] = []
        self._check_answer(step, await self._exchange(self._executor(step), line, step.get("during", ())))

    async def _exchange(
        self, executor: Executor, line: Mapping[str, Any], meanwhile: Sequence[Mapping[str, Any]]
    ) -> dict[str, Any]:
        """Send a line, do what is to be done meanwhile, and return the answer."""
        number = await executor.send(line)
        await self._steps(meanwhile)
        return await executor.answer(number)

    def _check_answer(self, step: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        if "error" in step:
            if "error" not in answer:
                raise Mismatch(f"it should have failed with {step['error']}, and {str(answer)[:600]} came")
            check({"reason": "", **step["error"]}, answer["error"], self.names)
        elif "error" in answer:
            raise Mismatch(f"it failed: {answer['error']}")
        else:
            check(step.get("expect", {}), answer.get("reply"), self.names)

    def _executor(self, step: Mapping[str, Any]) -> Executor:
        return self.reference if step.get("by") == "reference" else self.executor


def _args(args: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return arguments as they are sent: messages may be written `[{user: Hi}, {assistant: Hello}]`."""
    if "messages" not in args:
        return args
    return {**args, "messages": [_message(each) for each in args["messages"]]}


def _message(given: Mapping[str, Any]) -> Mapping[str, Any]:
    if "role" in given:
        return given
    ((role, text),) = given.items()
    return {"role": f"ROLE_{role.upper()}", "parts": [{"text": {"text": text}}]}


def _check_gapless(events: Sequence[Mapping[str, Any]]) -> None:
    """Raise Mismatch unless each stored event came once, in order: by its number, or by the revision of its commit."""
    numbers = [int(each["number"]) for each in events if int(each.get("number", 0))]
    if not numbers:
        numbers = [int(each["commit"]["revision"]) for each in events if "commit" in each]
    wanted = list(range(numbers[0], numbers[0] + len(numbers))) if numbers else []
    if not numbers or numbers != wanted:
        raise Mismatch(f"lost or doubled: {numbers}")
