"""The laws that every broker keeps, whoever wrote it."""

from taskiq_core.testing.laws_dead import DeadLetterLaws
from taskiq_core.testing.laws_discarding import DiscardingLaws
from taskiq_core.testing.laws_evacuation import EvacuationLaws
from taskiq_core.testing.laws_leases import LeaseLaws
from taskiq_core.testing.laws_parking import ParkingLaws
from taskiq_core.testing.laws_pausing import PausingLaws
from taskiq_core.testing.laws_receiving import ReceivingLaws
from taskiq_core.testing.laws_sending import SendingLaws
from taskiq_core.testing.laws_transactions import TransactionLaws
from taskiq_core.testing.laws_verdicts import VerdictLaws


class BrokerContract(
    SendingLaws,
    ReceivingLaws,
    LeaseLaws,
    VerdictLaws,
    DeadLetterLaws,
    PausingLaws,
    ParkingLaws,
    DiscardingLaws,
    EvacuationLaws,
    TransactionLaws,
):
    """Inherit, and override `fresh_store`; make brokers with `lease=self.lease`.

    Laws about a capability are skipped unless the broker claims it.
    """
