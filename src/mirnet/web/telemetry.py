"""What a server counts, for Prometheus."""

from __future__ import annotations

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from mirnet.web.job import Job

SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)


class Telemetry:
    """Counters of one server."""

    def __init__(self) -> None:
        """Begin at 0."""
        self._registry = CollectorRegistry()
        self.jobs = Counter(
            "mirnet_jobs",
            "Photos that are over, by how",
            ("state", "task"),
            registry=self._registry,
        )
        self.seconds = Histogram(
            "mirnet_job_seconds", "From the beginning of work to its end", ("task",),
            buckets=SECONDS, registry=self._registry,
        )  # fmt: skip
        self.refused = Counter(
            "mirnet_refused", "Requests that were refused, by status", ("status",),
            registry=self._registry,
        )  # fmt: skip
        self.pixels = Counter("mirnet_pixels", "Pixels restored", registry=self._registry)
        self.waiting = Gauge("mirnet_waiting", "Photos that wait", registry=self._registry)

    def ended(self, job: Job) -> None:
        """Count a job that is over."""
        self.jobs.labels(job.state, job.task).inc()
        if job.state == "done" and job.started is not None:
            self.seconds.labels(job.task).observe(time.monotonic() - job.started)
            self.pixels.inc(job.pixels)

    def refuse(self, status: int) -> None:
        """Count a request that was refused."""
        self.refused.labels(str(status)).inc()

    def text(self, waiting: int) -> bytes:
        """All of it, in Prometheus's format."""
        self.waiting.set(waiting)
        return generate_latest(self._registry)
