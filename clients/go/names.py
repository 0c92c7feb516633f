"""Writes reasons.go and enums.go: what the protos call REASON_KEY_TAKEN and LAYER_PROFILE, as Go would call it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from google.protobuf.descriptor_pb2 import EnumDescriptorProto, FileDescriptorProto, FileDescriptorSet

HEAD = "// Code generated from protos/ by clients/go/generate. DO NOT EDIT.\n\npackage memsvc\n"
V1 = "github.com/memsvc/memsvc/clients/go/memsvc/v1"
INITIALISMS = {"ID": "ID", "JSON": "JSON", "XML": "XML", "MCP": "MCP", "OPENAI": "OpenAI"}


def main(protos: Path, folder: Path) -> None:
    described = FileDescriptorSet.FromString((protos / "descriptors.binpb").read_bytes())
    found = [
        (file, index) for file in described.file if file.package == "memsvc.v1" for index in range(len(file.enum_type))
    ]
    reasons = [each for each in found if each[0].enum_type[each[1]].name == "Reason"]
    others = [each for each in found if each not in reasons]
    (folder / "reasons.go").write_text("\n".join([HEAD, *reason_lines(*reasons[0])]) + "\n", encoding="utf-8")
    lines = [HEAD, f'import memsvcv1 "{V1}"\n']
    for file, index in sorted(others, key=lambda each: each[0].enum_type[each[1]].name):
        lines += enum_lines(file, index)
    (folder / "enums.go").write_text("\n".join(lines) + "\n", encoding="utf-8")


def reason_lines(file: FileDescriptorProto, index: int) -> Iterator[str]:
    yield "// The reasons that this client knows; a newer server may send others.\nconst ("
    for value, comment in values_of(file, index):
        word = value.removeprefix("REASON_")
        yield from commented(comment)
        yield f'Reason{camel(word)} Reason = "{word}"'
    yield ")"


def enum_lines(file: FileDescriptorProto, index: int) -> Iterator[str]:
    enum = file.enum_type[index]
    yield from commented(comment_of(file, (5, index)), enum.name)
    yield f"type {enum.name} = memsvcv1.{enum.name}\n"
    yield f"// Values of {enum.name}.\nconst ("
    for value, comment in values_of(file, index):
        yield from commented(comment)
        yield f"{enum.name}{camel(value.removeprefix(prefix_of(enum)))} = memsvcv1.{enum.name}_{value}"
    yield ")\n"


def values_of(file: FileDescriptorProto, index: int) -> Iterator[tuple[str, str]]:
    """Yield the values of an enum with their comments, but for UNSPECIFIED."""
    for number, value in enumerate(file.enum_type[index].value):
        if value.number:
            yield value.name, comment_of(file, (5, index, 2, number))


def prefix_of(enum: EnumDescriptorProto) -> str:
    return enum.value[0].name.removesuffix("UNSPECIFIED")


def comment_of(file: FileDescriptorProto, path: tuple[int, ...]) -> str:
    return next(each.leading_comments for each in file.source_code_info.location if tuple(each.path) == path)


def commented(comment: str, name: str = "") -> Iterator[str]:
    lines = comment.rstrip("\n").split("\n")
    if name:
        lines[0] = f" {name}:{lines[0]}"
    yield from (f"//{line}" for line in lines)


def camel(name: str) -> str:
    return "".join(INITIALISMS.get(word, word.capitalize()) for word in name.split("_"))


if __name__ == "__main__":
    main(Path("memsvc/v1"), Path(sys.argv[1]))
