"""What a failed send raises: one error with the task's name, from what made the broker fail."""

import anyio
import pytest

from taskiq_core.brokers.inmemory import InMemoryBroker
from taskiq_core.exceptions import BrokerError, MessageRefusedError, SendTaskError
from taskiq_core.message import BrokerMessage

pytestmark = pytest.mark.anyio


class Refusing(InMemoryBroker):
    """Raises what the test says, with a cause where one is given."""

    def __init__(self, error: Exception, cause: Exception | None = None) -> None:
        super().__init__()
        self._error, self._cause = error, cause

    async def kick(self, message: BrokerMessage) -> None:
        raise self._error from self._cause


async def failed_send(broker: InMemoryBroker) -> SendTaskError:
    async with broker:
        with pytest.raises(SendTaskError) as caught:
            await broker.register_task(work, task_name="work").kiq()
    return caught.value


async def work() -> None: ...


@pytest.mark.parametrize("cause", [BrokerError(reason="no server"), None])
async def test_an_error_without_name_gets_it_and_its_twin_is_not_chained(cause: Exception | None) -> None:
    raised = MessageRefusedError(reason="full")
    error = await failed_send(Refusing(raised, cause))
    assert type(error) is MessageRefusedError
    assert (error.task_name, error.reason, error.outcome) == ("work", "full", "refused")
    assert error.__cause__ is cause
    assert error.__suppress_context__


@pytest.mark.parametrize("raised", [SendTaskError(task_name="mine", reason="full"), SendTaskError("a text of its own")])
async def test_an_error_that_says_all_comes_as_it_is(raised: SendTaskError) -> None:
    cause = OSError("no server")
    error = await failed_send(Refusing(raised, cause))
    assert error is raised
    assert error.__cause__ is cause


async def test_another_error_is_the_cause() -> None:
    raised = OSError("no server")
    error = await failed_send(Refusing(raised))
    assert str(error) == "Task 'work' could not be sent (unknown): OSError: no server"
    assert error.__cause__ is raised


async def test_a_first_send_from_synchronous_code_that_cannot_start_the_broker_names_its_task() -> None:
    class Away(InMemoryBroker):
        async def startup(self) -> None:
            raise BrokerError(reason="no server")

    task = Away().register_task(work, task_name="work")
    with pytest.raises(SendTaskError, match=r"Task 'work' could not be sent \(refused\): Broker error: no server"):
        await anyio.to_thread.run_sync(task.kiq_sync)
