"""`memsvc inject`: put a sidecar into the pods of manifests."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click

from memsvc.cli.settings import option_values
from memsvc.errors import Error, invalid

_MARKER: Final = re.compile(r"^(---(?:[ \t].*)?(?:\n|\Z))", re.MULTILINE)
_SEQUENCE: Final = re.compile(r"^( *)[^\s#-][^\n]*:[ \t]*\n( *)- ", re.MULTILINE)
_WIDE: Final = 1 << 20
_PLAIN: Final = re.compile(r"[A-Za-z/][\w./:@-]*|\d+(m|Ki|Mi|Gi)")
_NOT_TEXT: Final = frozenset(("y", "n", "yes", "no", "on", "off", "true", "false", "null"))


@click.command()
@click.option("-f", "--file", "files", multiple=True, help="Manifests; - is the standard input, and the default.")
@click.option("--values", default="", metavar="FILE", help="Values of helm/memsvc-sidecar, in YAML.")
@click.option("--image", default="", help="Such as registry/memsvc:1.2.3. Default: memsvc of this version.")
@click.option("--setting", "settings", multiple=True, metavar="NAME=VALUE", help="Such as engine=rules. Repeatable.")
@click.option("--secret", "secrets", multiple=True, metavar="NAME=SECRET/KEY", help="A setting kept in a Secret.")
@click.option("--data-claim", default="", help="A PersistentVolumeClaim for SQLite. Default: an emptyDir.")
@click.option("--uninject", is_flag=True, help="Take away what was injected.")
def inject(
    files: Sequence[str],
    values: str,
    image: str,
    settings: Sequence[str],
    secrets: Sequence[str],
    data_claim: str,
    uninject: bool,
) -> None:
    """Write manifests with memsvc beside each agent to the standard output: memsvc inject -f deployment.yaml.

    Every pod and template of pods gets it, but those with the annotation memsvc.dev/inject: "false". Other annotations
    say more for one pod: memsvc.dev/storage-url and every other setting, memsvc.dev/secret.storage-url: name/key.
    Doing it again changes nothing. Documents that are not changed stay as they are written, comments included.
    """
    wanted = read_values(values)
    if image:
        from memsvc.kubernetes.injection import image_of

        wanted["image"] = {**(wanted.get("image") or {}), **image_of(image)}
    if data_claim:
        wanted["data"] = {**(wanted.get("data") or {}), "persistentVolumeClaim": data_claim}
    wanted["settings"] = {**(wanted.get("settings") or {}), **option_values(settings)}
    kept = {name: _secret(name, text) for name, text in option_values(secrets).items()}
    wanted["settingsFromSecrets"] = {**(wanted.get("settingsFromSecrets") or {}), **kept}
    for number, file in enumerate(files or ("-",)):
        text = _changed(file, wanted, uninject)
        if number and not text.startswith("---"):
            click.echo("---")
        click.echo(text, nl=bool(text) and not text.endswith("\n"))


def _changed(file: str, values: dict[str, Any], uninject: bool) -> str:
    """Return the text of a file with its pods changed."""
    return "".join(
        piece if _MARKER.fullmatch(piece) else _changed_document(piece, file, values, uninject)
        for piece in _MARKER.split(_read(file))
    )


def _changed_document(text: str, file: str, values: dict[str, Any], uninject: bool) -> str:
    from memsvc.kubernetes.injection import injection, pods_of, removal
    from memsvc.kubernetes.patch import Operation, apply

    yaml = _yaml(text)
    document = _loaded(yaml, text, file)
    operations: list[Operation] = []
    for where, pod in pods_of(document):
        name = (document.get("metadata") or {}).get("name", "?")
        try:
            operations += removal(pod, where) if uninject else injection(pod, values, where)
        except Error as error:
            raise invalid(f"{file}: {document['kind']} {name}", error.message) from error
    if not operations:
        return text
    apply(document, [Operation(each.op, each.path, _quoted(each.value)) for each in operations])
    written = io.StringIO()
    yaml.dump(document, written)
    return written.getvalue()


def _yaml(text: str) -> Any:
    """Return a reader and writer that keeps comments, and the way lists are indented in this text."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = _WIDE
    found = _SEQUENCE.search(text)
    offset = max(0, len(found[2]) - len(found[1])) if found else 0
    yaml.indent(mapping=2, sequence=offset + 2, offset=offset)
    return yaml


def _quoted(value: Any) -> Any:
    """Return a value whose texts stay texts: Kubernetes reads YAML 1.1, where `on` is true and 1:30 is 90."""
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString

    if isinstance(value, dict):
        return {name: _quoted(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_quoted(item) for item in value]
    if isinstance(value, str) and (not _PLAIN.fullmatch(value) or value.lower() in _NOT_TEXT):
        return DoubleQuotedScalarString(value)
    return value


def _loaded(yaml: Any, text: str, file: str) -> Any:
    from ruamel.yaml.error import YAMLError

    try:
        return yaml.load(text)
    except YAMLError as error:
        place = getattr(error, "problem_mark", None)
        line = f", line {place.line + 1}" if place is not None else ""
        raise invalid("file", f"{file} is no YAML{line}: {getattr(error, 'problem', '')}") from error


def _read(file: str) -> str:
    try:
        if file == "-":
            return sys.stdin.read()
        return Path(file).read_text(encoding="utf-8")
    except OSError as error:
        raise invalid("file", f"cannot read {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise invalid("file", f"{file} is no text in UTF-8") from error


def read_values(file: str) -> dict[str, Any]:
    """Return the values of a sidecar that a file holds, by themselves or under the chart's name."""
    if not file:
        return {}
    text = _read(file)
    found = _loaded(_yaml(text), text, file)
    if not isinstance(found, dict):
        raise invalid("values", f"{file} holds no mapping")
    # A chart that depends on memsvc-sidecar has them under its name.
    values = found.get("memsvc-sidecar", found)
    return _without_comments(values) if isinstance(values, dict) else {}


def _without_comments(found: Any) -> Any:
    if isinstance(found, dict):
        return {str(name): _without_comments(value) for name, value in found.items()}
    if isinstance(found, list):
        return [_without_comments(item) for item in found]
    return str(found) if isinstance(found, str) else found


def _secret(name: str, text: str) -> dict[str, str]:
    secret, separator, key = text.partition("/")
    if not separator or not secret or not key:
        raise invalid("secret", f"{name} is written as {name}=SECRET/KEY")
    return {"name": secret, "key": key}
