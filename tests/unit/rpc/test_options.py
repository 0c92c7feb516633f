"""What the server takes from whether something of the protos has options at all: reading them costs half a megabyte."""

from __future__ import annotations

from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pb2 import MethodOptions

from memsvc.rpc.services import SERVICES, is_safe


def test_a_message_has_options_where_it_is_an_entry_of_a_map() -> None:
    known: dict[str, Descriptor] = {}
    for service in SERVICES:
        for method in service.methods:
            _collect(method.input_type, known)
    maps = {name for name, message in known.items() if message.GetOptions().map_entry}
    assert maps
    assert {name for name, message in known.items() if message.has_options} == maps


def test_a_method_has_options_where_it_has_no_side_effects() -> None:
    methods = {method.full_name: method for service in SERVICES for method in service.methods}
    safe = {
        name
        for name, method in methods.items()
        if method.GetOptions().idempotency_level == MethodOptions.NO_SIDE_EFFECTS
    }
    assert safe
    assert {name for name, method in methods.items() if is_safe(method)} == safe


def _collect(message: Descriptor, known: dict[str, Descriptor]) -> None:
    if message.full_name not in known:
        known[message.full_name] = message
        for field in message.fields:
            if field.message_type is not None:
                _collect(field.message_type, known)
