"""Numbers and names that hold where nobody says otherwise; each stands here once."""

from typing import Final

DEFAULT_QUEUE: Final = "default"
DEFAULT_PRIORITY: Final = 5
"""0 to 9, higher first."""
DEFAULT_LEASE: Final = 30.0
"""Seconds until an unextended delivery goes to somebody else."""
DEFAULT_CONCURRENCY: Final = 100
DEFAULT_GRACE: Final = 30.0
"""Seconds that running tasks get to finish when their worker stops."""
SEND_TIMEOUT: Final = 5.0
"""Seconds within which a send is accepted, refused or unknown."""
EVENTS_DRAIN: Final = 2.0
"""Seconds that listeners get at the end for the events that they have not been told yet."""
RESULT_RETRY: Final = 60.0
"""Seconds during which a worker tries to store a result before it gives the message back."""
MAX_MESSAGE_SIZE: Final = 64 * 1024 * 1024
"""Bytes of one message body."""
MAX_DELIVERIES: Final = 10
"""How many times workers may not know a task before its message is dead-lettered."""
MAX_DEATHS: Final = 3
"""How many processes may die running one task alone before it is dead-lettered."""
