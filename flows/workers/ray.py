"""Shards on Ray: worker processes on this computer, or on the cluster of RAY_ADDRESS."""

import os
import socket
from typing import Any, Self

from prefect.exceptions import CrashedRun
from prefect.futures import PrefectFuture

from flows.batch.shard import RunStopped
from tools.core.settings import settings

# Ray reads these when it is imported. Without the second, a shard that does not fit into memory is tried for ever.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_task_oom_retries", "3")
if not os.environ.get("RAY_ADDRESS"):
    # In spite of its name, "0" binds every port to 127.0.0.1 instead of all interfaces.
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    # Without a token, every process on this computer could have a command run by Ray's agent.
    os.environ["RAY_AUTH_MODE"] = "token"

import ray
from prefect_ray import RayTaskRunner
from prefect_ray.context import remote_options
from prefect_ray.task_runners import PrefectRayFuture

_CONNECT_SECONDS = 10
_TRIES = 3
_QUIET = {"log_to_driver": False, "logging_level": "CRITICAL"}
# Only rows of the ledger pass through Ray's memory; values are in the store.
_LOCAL = {"include_dashboard": False, "object_store_memory": 128 << 20}


class ShardRunner(RayTaskRunner):  # type: ignore[misc]
    """Runs shards on Ray. A shard whose worker or node is lost is begun again by another, three times at most.

    Args:
        workers: how many shards at the same time.
    """

    def __init__(self, workers: int) -> None:
        """Choose the cluster; nothing is started or connected yet."""
        self.workers, self._begun = workers, False
        # Named, since Ray would otherwise take any cluster that somebody has started on this computer.
        super().__init__(os.environ.get("RAY_ADDRESS") or "local")

    def duplicate(self) -> "ShardRunner":
        """A runner with the same settings, not started."""
        return ShardRunner(self.workers)

    def __enter__(self) -> Self:
        """Start Ray here, or connect to the cluster, unless this process is connected.

        Raises:
            RunStopped: Ray does not start, or the cluster does not answer.
        """
        if not ray.is_initialized():
            self._begun = True
            self._begin()
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        """Disconnect, and end a Ray that was started."""
        super().__exit__(*error)
        if self._begun:
            ray.shutdown()

    def submit(self, *args: Any, **kwargs: Any) -> PrefectFuture[Any]:
        """Submit a shard: to a node with an accelerator if there is one, as others compute other last digits."""
        with remote_options(num_gpus=_share(self.workers)):
            future = super().submit(*args, **kwargs)
        return _Future(task_run_id=future.task_run_id, wrapped_future=future.wrapped_future)

    def _begin(self) -> None:
        local = self.address == "local"
        # Ray waits half a minute for its own processes, and a busy computer may need longer the first time.
        for left in reversed(range(_TRIES if local else 1)):
            try:
                if ":" in self.address:  # Ray itself would try for ten minutes
                    host, _, port = self.address.removeprefix("ray://").rpartition(":")
                    socket.create_connection((host, int(port)), _CONNECT_SECONDS).close()
                ray.init(
                    self.address, **self.init_kwargs, **_QUIET, **({"num_cpus": self.workers} | _LOCAL if local else {})
                )
                return
            except Exception as error:  # connections, tokens, and time-outs that have no type of their own
                ray.shutdown()
                if not left:
                    raise RunStopped(
                        f"Ray does not start here: {error}"
                        if local
                        else f"There is no Ray cluster at {self.address}: {error}",
                        "See /tmp/ray/session_latest/logs"
                        if local
                        else "Check RAY_ADDRESS, RAY_AUTH_MODE and RAY_AUTH_TOKEN",
                    ) from error


class _Future(PrefectRayFuture[Any]):  # type: ignore[misc]
    """A future that reports lost workers as Prefect's other futures do."""

    def result(self, timeout: float | None = None, raise_on_failure: bool = True) -> Any:
        try:
            return super().result(timeout, raise_on_failure)
        except ray.exceptions.RayError as error:
            raise CrashedRun(f"{type(error).__name__}: {error}") from error


def _share(workers: int) -> float:
    """Share of an accelerator for each shard, so that all accelerators of the cluster are used."""
    found = 0 if settings().device == "cpu" else int(ray.cluster_resources().get("GPU", 0))
    return 1 / -(-workers // found) if found else 0
