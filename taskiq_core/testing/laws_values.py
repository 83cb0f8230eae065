"""Laws of values."""

import anyio
import anyio.lowlevel

from taskiq_core.abc.coordinator import Coordinator
from taskiq_core.testing.coordinator_tools import LONG, TTL, CoordinatorSuite, until
from taskiq_core.testing.suite import law


class ValueLaws(CoordinatorSuite):
    """For coordinators that keep values."""

    @law()
    async def test_values_are_kept_as_they_are(self, coordinator: Coordinator) -> None:
        """Any bytes under any key, several at once; who asks gets those that there are."""
        entries = {"a": b"", "ключ: {x}\n*": bytes(range(256)), "big": b"x" * 100_000}
        await coordinator.put(entries)
        assert await coordinator.get([*entries, "unknown", "a"]) == entries
        await coordinator.put({"a": b"new"}, LONG)
        await coordinator.put({})
        assert await coordinator.get(["a"]) == {"a": b"new"}
        assert await coordinator.get([]) == {}

    @law()
    async def test_none_deletes_a_value(self, coordinator: Coordinator) -> None:
        """In one step with others that are set; what is not there is no error."""
        await coordinator.put({"a": b"1", "b": b"1"})
        await coordinator.put({"a": None, "c": b"2", "unknown": None})
        assert await coordinator.get(["a", "b", "c"]) == {"b": b"1", "c": b"2"}

    @law()
    async def test_values_expire(self, coordinator: Coordinator) -> None:
        """After their ttl, and not before; without one they stay. The last `put` counts."""
        begin = anyio.current_time()
        await coordinator.put({"brief": b"1", "renewed": b"1", "kept": b"1"}, TTL)
        await coordinator.put({"renewed": b"2"}, LONG)
        await coordinator.put({"kept": b"2"})

        async def gone() -> bool:
            return "brief" not in await coordinator.get(["brief"])

        await until(gone)
        assert anyio.current_time() - begin >= TTL - 0.1
        assert await coordinator.get(["brief", "renewed", "kept"]) == {"renewed": b"2", "kept": b"2"}
        await coordinator.put({"kept": b"3"}, TTL)

        async def all_gone() -> bool:
            return not await coordinator.get(["kept"])

        await until(all_gone)

    @law()
    async def test_values_are_put_in_one_step(self, coordinator: Coordinator) -> None:
        """While some put two values at the same time, whoever reads sees both of one of them."""

        async def race(peer: Coordinator, number: int) -> None:
            for _ in range(3):
                if number % 2:
                    await peer.put({"a": b"%d" % number, "b": b"%d" % number})
                found = await peer.get(["a", "b"])
                assert found.get("a") == found.get("b")
                await anyio.lowlevel.checkpoint()

        await self.race(coordinator, race)
