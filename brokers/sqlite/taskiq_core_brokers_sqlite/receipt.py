"""What a delivery from a database file carries."""


class Receipt:
    """Where a delivery stands in the database: its row, and the hold that proves whose it is."""

    __slots__ = ("hold", "id")

    def __init__(self, row_id: int, hold: int) -> None:
        self.id = row_id
        self.hold = hold
