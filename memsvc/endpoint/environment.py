"""What the environment asks of calls to a model, as far as it can be seen to fail before the first of them.

The model's HTTP client honours `HTTPS_PROXY`, `ALL_PROXY`, `SSL_CERT_FILE` and the like. Which name is wrong is said,
never what it holds: a proxy's URL may have a password.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

_PROXIES: Final = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
_SCHEMES: Final = frozenset({"http", "https", "socks5", "socks5h"})


def environment_problems(environment: Mapping[str, str], *, has_socks: bool | None = None) -> Iterator[str]:
    """Yield what will keep calls from reaching the model; `has_socks`: the library for SOCKS proxies is installed."""
    if has_socks is None:
        has_socks = importlib.util.find_spec("socksio") is not None
    for name in _PROXIES:
        scheme, mark, _ = environment.get(name, "").partition("://")
        if not mark:
            continue
        if scheme.lower() not in _SCHEMES:
            yield f"{name} has a scheme that is none of {', '.join(sorted(_SCHEMES))}"
        elif scheme.lower().startswith("socks") and not has_socks:
            yield f"{name} is a SOCKS proxy, and its library is not installed: pip install 'httpx[socks]'"
    for name, is_there in (("SSL_CERT_FILE", Path.is_file), ("SSL_CERT_DIR", Path.is_dir)):
        path = environment.get(name, "")
        if path and not is_there(Path(path)):
            yield f"{name} names what is not there"
