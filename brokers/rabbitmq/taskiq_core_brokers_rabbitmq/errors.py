"""What RabbitMQ's refusals mean for the person who has to act on them."""

import re
import ssl

from taskiq_core.exceptions import ConfigurationError
from taskiq_core.server_error import ServerError

_DIFFERS = re.compile(
    r"inequivalent arg '(?P<what>[^']+)' for (?P<kind>\w+) '(?P<name>[^']*)'.*?"
    r"received (?P<ours>.+?) but current is (?P<theirs>.+?)(?: \(|$)"
)


class RabbitError(ServerError):
    """RabbitMQ could not be reached or used."""


class UnusableRabbitError(RabbitError, ConfigurationError):
    """RabbitMQ cannot be used as it is, and trying again will not help."""


class BlockedError(RabbitError):
    """The server takes no messages for a while; it delivers them."""

    passing: bool = True


class TooLargeError(RabbitError):
    """The server takes no messages of that size, in bytes; of a batch with one it has taken none."""

    __template__ = (
        "its body is {size} bytes, and RabbitMQ at {place} takes {limit} at most: store the data elsewhere and send a "
        "reference, or raise max_message_size in rabbitmq.conf."
    )
    size: int
    limit: int
    place: str
    reason: str = ""


class ChannelClosedError(RabbitError):
    """The server closed a channel, for one of the reasons of AMQP. What was in flight on it may have taken effect."""

    code: int = 0
    certain: bool = False


def lost(place: str, why: object, *, certain: bool) -> RabbitError:
    """The connection broke, or could not be made."""
    return RabbitError(reason=f"RabbitMQ at {place} cannot be reached: {why}", certain=certain, passing=True)


def blocked(place: str, why: str, *, certain: bool) -> BlockedError:
    """The server's alarm, of which `why` is its word."""
    reason = (
        f"RabbitMQ at {place} takes no messages now, as it is short of memory or disk space ({why}). It delivers what it has, "
        "and takes messages again once there is room: let workers empty its queues, or give it more."
    )
    return BlockedError(reason=reason, certain=certain)


def refused_opening(place: str, code: int, text: str) -> RabbitError:
    """What the server said instead of opening a connection."""
    said = f" (RabbitMQ says: {text})"
    if code == 403:
        return UnusableRabbitError(reason=f"RabbitMQ at {place} refuses the user name or password of the URL.{said}")
    if code == 530:
        reason = (
            f"RabbitMQ at {place} has no virtual host of that name for this user, or no room for more connections to it: "
            "create it, grant it, or correct the URL."
        )
        return UnusableRabbitError(reason=reason + said)
    return lost(place, text, certain=True)


def refused_tls(place: str, error: ssl.SSLError) -> RabbitError:
    """The connection could not be encrypted."""
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = (
            f"RabbitMQ at {place} has a certificate that is not trusted: name the authority that made it in the URL, "
            f"?cafile=..., and the host as the certificate does. (TLS says: {error.verify_message})"
        )
        return UnusableRabbitError(reason=reason)
    return lost(place, f"TLS failed: {error} (If it takes no TLS on this port: write amqp://.)", certain=True)


def explain_closing(place: str, error: ChannelClosedError) -> RabbitError:
    """The error to raise where something was declared."""
    said = f" (RabbitMQ says: {error.reason})"
    if (found := _DIFFERS.search(error.reason)) is not None:
        reason = (
            f"The {found['kind']} {found['name']!r} exists on RabbitMQ at {place} with another {found['what']}: "
            f"{found['theirs']} there, {found['ours']} here. RabbitMQ cannot change it: give this broker the same option, "
            f"or another prefix, or delete the {found['kind']} once it is empty."
        )
        return UnusableRabbitError(reason=reason + said)
    if error.code == 403:
        reason = (
            f"RabbitMQ at {place} does not allow this user what is needed: grant configure and read on names that begin with "
            "the prefix (`taskiq:` unless given) and on `amq.gen-.*`, and write on these and on `amq.default`."
        )
        return UnusableRabbitError(reason=reason + said)
    return RabbitError(reason=f"RabbitMQ at {place} refused a request.{said}", passing=True)


def of_consumer(place: str, error: ChannelClosedError) -> str:
    """What to tell of a channel that the server closed although it had deliveries on it."""
    if "timed out" in error.reason:
        return (
            f"RabbitMQ at {place} took back what this worker holds, as a task runs for longer than its consumer_timeout: raise "
            f"that in rabbitmq.conf, as in `consumer_timeout = 86400000` (milliseconds). (RabbitMQ says: {error.reason})"
        )
    return f"RabbitMQ at {place} took back what this worker holds. (RabbitMQ says: {error.reason})"
