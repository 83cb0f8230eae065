"""What NATS's errors mean for the person who has to act on them."""

from taskiq_core.exceptions import ConfigurationError
from taskiq_core.server_error import ServerError


class NatsError(ServerError):
    """NATS could not be reached or used. `code` is JetStream's number of the error, 0 where there is none."""

    code: int = 0


class UnusableNatsError(NatsError, ConfigurationError):
    """NATS cannot be used as it is, and trying again will not help."""


def lost(place: str, why: object, *, certain: bool) -> NatsError:
    """The connection broke, or could not be made."""
    return NatsError(reason=f"NATS at {place} cannot be reached: {why}", certain=certain, passing=True)


MESSAGE_NOT_FOUND = 10037
STREAM_NOT_FOUND = 10059
CONSUMER_NOT_FOUND = 10014
STREAM_EXISTS = 10058
WRONG_SEQUENCE = 10071
"""A message was to replace another, or to be the first on its subject, and was not."""

_PERMANENT = {
    10039: "has no JetStream for this account: enable it there.",
    10076: "runs without JetStream: start it with -js, or with a jetstream block in its configuration.",
    10065: "has another stream with subjects of ours: choose another prefix with ?prefix=name.",
    10074: "has fewer servers than copies are asked for: lower `replicas`.",
}
_REFUSED = {
    10023: "has no room for JetStream on its disk or in its memory: free some, or raise max_file_store.",
    10028: "has no room left for this account: raise its limits, or let workers catch up.",
    10047: "has no room left on its disk: free some.",
    10077: "has a full stream: raise its limits, or let workers catch up.",
}
_PASSING = {
    10008: "is electing a leader.",
    10009: "is electing a leader of the stream.",
    10041: "is just recovering its streams.",
}


def explain(code: int, said: str, place: str) -> NatsError:
    """The error to raise for an error of JetStream."""
    quoted = f" (NATS says: {said})"
    if code in _PERMANENT:
        return UnusableNatsError(reason=f"NATS at {place} {_PERMANENT[code]}{quoted}", code=code)
    if code in _PASSING:
        return NatsError(reason=f"NATS at {place} {_PASSING[code]}{quoted}", passing=True, code=code)
    return NatsError(reason=f"NATS at {place} {_REFUSED.get(code, 'refused a request.')}{quoted}", code=code)


def nobody_answers(place: str, what: str) -> NatsError:
    """A request to JetStream that no server takes: without JetStream, while it starts, or for a stream that is not there."""
    reason = (
        f"NATS at {place} has nobody who answers {what}: JetStream is not enabled there "
        "(`nats-server -js` enables it), is starting, or a stream is gone."
    )
    return NatsError(reason=reason, passing=True)


def refused(said: str, place: str) -> NatsError:
    """The error to raise for a line `-ERR`."""
    text = said.lower()
    if "authorization" in text or "authentication" in text:
        return UnusableNatsError(
            reason=f"NATS at {place} refuses the user, password, token or credentials. (NATS says: {said})"
        )
    if "permissions violation" in text:
        reason = (
            f"NATS at {place} does not allow this user what is needed: see the permissions in the how-to. (NATS says: {said})"
        )
        return UnusableNatsError(reason=reason)
    if "tls" in text:
        return UnusableNatsError(reason=f"NATS at {place} wants TLS: write tls+nats:// in the URL. (NATS says: {said})")
    return lost(place, said, certain=False)
