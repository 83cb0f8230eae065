"""Plugins by name: entry points of installed distributions, with the scheme of a URL as their key.

A distribution offers a broker for `redis://` URLs by an entry point `redis` in the group `taskiq_core.brokers`; an alias such
as `rediss` or a variant such as `redis+sentinel` is one more entry point. Only the plugin asked for is imported.
"""

import difflib
import inspect
import logging
import re
from collections.abc import Mapping
from enum import Enum
from importlib import metadata
from typing import Any, cast
from urllib.parse import parse_qsl, urlencode

from taskiq_core.abc.result_backend import AsyncResultBackend
from taskiq_core.abc.schedule_source import ScheduleSource
from taskiq_core.broker import AsyncBroker
from taskiq_core.exceptions import ConfigurationError, UnknownSchemeError

logger = logging.getLogger("taskiq.plugins")

_SCHEMES = {
    "nats": ("nats", "natss", "tls+nats"),
    "postgres": ("postgresql", "postgres"),
    "rabbitmq": ("amqp", "amqps", "rabbitmq"),
    "redis": ("redis", "rediss", "redis+sentinel", "redis+cluster"),
}
"""Of plugins of the family that are not installed, where it is not their name alone."""


class PluginKind(Enum):
    """What can be plugged in; the values are entry-point groups."""

    BROKER = "taskiq_core.brokers"
    RESULT_BACKEND = "taskiq_core.result_backends"
    SCHEDULE_SOURCE = "taskiq_core.schedule_sources"
    MIDDLEWARE = "taskiq_core.middlewares"
    SERIALIZER = "taskiq_core.serializers"

    @property
    def noun(self) -> str:
        """As in "no result backend for ..."."""
        return self.name.lower().replace("_", " ")


def installed(kind: PluginKind) -> list[str]:
    """Names of all plugins of a kind that are installed; imports none of them."""
    return sorted(metadata.entry_points(group=kind.value).names)


def load_plugin(kind: PluginKind, name: str) -> Any:
    """Import one plugin and return it, usually a class.

    :raises UnknownSchemeError: if none of that name is installed; the text says which are, and what to install.
    :raises ConfigurationError: if it cannot be imported, or two distributions offer different ones under that name.
    """
    found = {point.value: point for point in metadata.entry_points(group=kind.value, name=name)}
    if not found:
        raise UnknownSchemeError(reason=_nothing_for(kind, name))
    if len(found) > 1:
        offers = " and ".join(sorted(found))
        raise ConfigurationError(reason=f"Two plugins offer a {kind.noun} named {name!r}: {offers}. Uninstall one.")
    ((value, point),) = found.items()
    try:
        return point.load()
    except Exception as error:
        reason = f"The {kind.noun} plugin {name!r} ({value}) cannot be imported: {type(error).__name__}: {error}"
        raise ConfigurationError(reason=reason) from error


def broker_from_url(url: str, *, results: bool | str = True, **options: Any) -> AsyncBroker:
    """The broker of a URL such as `sqlite:///jobs.db` or `memory://`.

    `results` says where results go: True takes the result backend for the same scheme at the same place if one is installed
    and leaves the broker's own choice otherwise; a text is the URL of another one; False attaches none. `options`, and those in
    the URL's query, are the broker's; where the result backend of the same scheme declares them (`url_options`), they are its
    too, or its alone.

    :raises UnknownSchemeError: if no plugin for the scheme is installed.
    :raises ConfigurationError: for a text that is no URL, or whatever the plugin refuses. No text holds a password.
    """
    scheme = scheme_of(url)
    broker_class = load_plugin(PluginKind.BROKER, scheme)
    if results is not True or scheme not in installed(PluginKind.RESULT_BACKEND):
        broker: AsyncBroker = _made(broker_class, url, options)
        if isinstance(results, str):
            return broker.with_result_backend(result_backend_from_url(results))
        if results and not broker.result_backend.keeps_results:
            logger.warning("No result backend for %s is installed, so no result is stored. %s, or say results=False.",
                           scheme, _remedy(scheme))  # fmt: skip
        return broker
    backend_class = load_plugin(PluginKind.RESULT_BACKEND, scheme)
    of_backend = _declared(backend_class)
    if of_backend is None:
        broker = _made(broker_class, url, options)
        return broker.with_result_backend(_made(backend_class, url, {}))
    only_of_backend = of_backend - (_declared(broker_class) or frozenset())
    written = _options_in(url)
    for_backend = {name: value for name, value in options.items() if name in of_backend}
    for_broker = {name: value for name, value in options.items() if name not in only_of_backend}
    backend: AsyncResultBackend[Any] = _made(backend_class, _with_options(url, written & of_backend), for_backend)
    broker = _made(broker_class, _with_options(url, written - only_of_backend), for_broker)
    return broker.with_result_backend(backend)


def result_backend_from_url(url: str, **options: Any) -> AsyncResultBackend[Any]:
    """The result backend of a URL; raises as `broker_from_url`."""
    return cast("AsyncResultBackend[Any]", _made(load_plugin(PluginKind.RESULT_BACKEND, scheme_of(url)), url, options))


def schedule_source_from_url(url: str, **options: Any) -> ScheduleSource:
    """The schedule source of a URL; raises as `broker_from_url`."""
    return cast("ScheduleSource", _made(load_plugin(PluginKind.SCHEDULE_SOURCE, scheme_of(url)), url, options))


def scheme_of(url: str) -> str:
    """What stands before `://`, in lower case.

    :raises ConfigurationError: for a text that is no URL. The text is not repeated: it may hold a password.
    """
    scheme, separator, _ = url.partition("://")
    if not separator or re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*", scheme) is None:
        reason = "Expected a URL that starts with a scheme, such as sqlite:///jobs.db or memory://."
        raise ConfigurationError(reason=reason)
    return scheme.lower()


def _made(plugin: Any, url: str, options: Mapping[str, Any]) -> Any:
    try:
        return plugin.from_url(url, **options)
    except TypeError as error:
        unknown = re.search(r"unexpected keyword argument '(\w+)'", str(error))
        if unknown is None or unknown[1] not in options:
            raise
        known = list(inspect.signature(plugin).parameters)[1:]  # but for the place itself
        reason = f"{plugin.__name__} has no option {unknown[1]}. Known are: {', '.join(sorted(known)) or 'none'}."
        raise ConfigurationError(reason=reason) from error


def _declared(plugin: Any) -> frozenset[str] | None:
    names = getattr(plugin, "url_options", None)
    return None if names is None else frozenset(names)


def _options_in(url: str) -> frozenset[str]:
    return frozenset(name for name, _ in parse_qsl(url.partition("?")[2], keep_blank_values=True))


def _with_options(url: str, names: frozenset[str]) -> str:
    place, _, query = url.partition("?")
    kept = [(name, value) for name, value in parse_qsl(query, keep_blank_values=True) if name in names]
    return f"{place}?{urlencode(kept)}" if kept else place


def _remedy(scheme: str) -> str:
    """What gives a broker results."""
    extra = _offered(PluginKind.RESULT_BACKEND).get(scheme)
    return f'Try: pip install "taskiq-core[{extra}]"' if extra else 'Say where they go, as in results="redis://..."'


def _nothing_for(kind: PluginKind, name: str) -> str:
    names = installed(kind)
    ours = _offered(kind)
    by_url = kind not in (PluginKind.MIDDLEWARE, PluginKind.SERIALIZER)
    lines = [f"no {kind.noun} for {name + '://' if by_url else name!r}. Installed: {', '.join(names) or 'none'}."]
    near = difflib.get_close_matches(name, sorted({*names, *ours} - {name}), n=1)
    if name not in ours and near:
        lines.append(f"Did you mean {near[0]}?")
    wanted = name if name in ours else near[0] if near else None
    if wanted in ours and wanted not in names:
        lines.append(f'Try: pip install "taskiq-core[{ours[wanted]}]"')
    elif wanted is None:
        lines.append(f"A plugin for it registers an entry point {name!r} in the group {kind.value!r}.")
    return " ".join(lines)


def _offered(kind: PluginKind) -> dict[str, str]:
    """What plugins of the family are for → the extra of the core that installs them, as the core's own metadata says."""
    prefix = re.escape(kind.value.replace(".", "-").replace("_", "-"))
    offers: dict[str, str] = {}
    try:
        requirements = metadata.requires("taskiq-core") or []
    except metadata.PackageNotFoundError:  # run from a folder that nobody installed
        return offers
    for requirement in requirements:
        match = re.match(rf"{prefix}-([a-z0-9]+).*extra == ['\"]([^'\"]+)['\"]", requirement)
        if match:
            offers.update(dict.fromkeys(_SCHEMES.get(match[1], (match[1],)), match[2]))
    return offers
