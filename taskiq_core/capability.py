"""What a broker can do, declared so that no option is ever silently ignored."""

import enum


class Capability(enum.Flag):
    """Flags of `AsyncBroker.capabilities`.

    The published contract suite tests every flag that a broker claims. Options that need a flag the broker lacks are
    refused at start-up (task options) or at the call (kicker options) with an `UnsupportedOptionError`.
    """

    NONE = 0
    ACK = enum.auto()
    """An unacknowledged message is delivered again when its worker is gone."""
    DURABLE = enum.auto()
    """An accepted message survives the death of every process, the broker's included."""
    LEASE = enum.auto()
    """Deliveries have a lease that `extend` renews; orphans come back when it ends, on an idle system too."""
    DELAY = enum.auto()
    """The broker itself holds a message back until it is due."""
    PRIORITY = enum.auto()
    """0 to 9, higher first, within a queue."""
    QUEUES = enum.auto()
    """Named queues; a subscription gets only those it asked for."""
    DEAD_LETTER = enum.auto()
    """REJECT keeps the message where `AsyncBroker.admin` lists it with the reason; `admin` also looks after queues."""
    BATCH = enum.auto()
    """Sending, receiving and settling n messages costs one round trip."""
    IDEMPOTENT_SEND = enum.auto()
    """A message whose task id is still queued or running is accepted without making a second one."""
    JOINT_SETTLE = enum.auto()
    """`settle` can store results in the same atomic step (see `Subscription.stores_results_of`)."""
    PARK = enum.auto()
    """A released message may wait until somebody unparks it (see `Settlement.park`); elsewhere it is tried ever later."""
    DISCARD = enum.auto()
    """What waits can be taken out of its queue by task id (`QueueAdmin.discard`)."""
    EVACUATE = enum.auto()
    """What waits in a queue can be moved to another broker (`QueueAdmin.evacuate`)."""
    TRANSACTIONS = enum.auto()
    """`within(connection)`: messages are put into the broker by a transaction of the caller's own (`AsyncBroker.enlist`)."""
    CROSS_PROCESS = enum.auto()
    """Other processes can consume what this one sends."""
