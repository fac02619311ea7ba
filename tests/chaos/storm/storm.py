"""One storm: services, workers, trainers and agents; the blows of a schedule; the calm after it; what was found."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka import KafkaError, KafkaException

from runstream.kafka_topics import source_topics
from runstream_deploy.dev import ClickHouseService, KafkaService, Service
from runstream_storage.connection import connect
from runstream_storage.migrate import migrate
from storm.blows import Blow, schedule
from storm.group import Group
from storm.jobs import Host, Job, Kind
from storm.journal import Story
from storm.oracle import Findings, Oracle, look_at_topics
from storm.processes import Nursery
from storm.proxy import Proxy, Weather
from storm.spools import keep_copy, tear
from storm.workers import Workers

CALM_S = 180.0
"""For everything to arrive once nothing is broken any more; only a pipeline that is stuck needs so long."""
MOST_FALLEN = 5
"""Workers that end by themselves, before it is no use to wait."""
EXPECTED_CODES = (0, -signal.SIGKILL, -signal.SIGTERM)
"""Of trainers: SIGTERM kills one that has not got so far as to handle it."""
POLL_S = 0.05
PARTITIONS = 3
TORN_SHARE = 0.5
KEYS = tuple(f"metric/{number}" for number in range(8))
KINDS = (
    Kind(ranks=1, key_sets=(KEYS[:6], KEYS[:2], ("rare", KEYS[0])), odd_share=0.05),
    Kind(ranks=2, key_sets=(KEYS,), again_share=0.05, segment_bytes=1 << 16),
    Kind(ranks=1, key_sets=(KEYS[:4],), rewind_share=0.01, segment_bytes=1 << 16),
    Kind(ranks=1, key_sets=(KEYS[:5], KEYS[4:]), odd_share=0.3, again_share=0.02, rewind_share=0.003),
)


@dataclass(frozen=True)
class StormSettings:
    """What makes a storm the same again, as far as the machine's timing allows."""

    seed: int
    seconds: float
    every_s: float = 1.2
    """Between two blows, on average."""
    workers: int = 3
    unsafe: str = ""
    """Layers that ingest is told to leave out (RUNSTREAM_INGEST_UNSAFE)."""


@dataclass
class Aftermath:
    """What was found, and how the storm went."""

    settings: StormSettings
    findings: Findings
    blows: dict[str, int] = field(default_factory=dict)
    workers: int = 0
    trainers: int = 0
    cuts: int = 0
    seconds: float = 0.0
    calm_s: float = 0.0
    peak_mib: float = 0.0
    steady_mib: tuple[float, float] = (0.0, 0.0)


class Storm:
    """The services are its own: it kills them. Everything it starts ends with `close`."""

    def __init__(
        self,
        settings: StormSettings,
        kafka: KafkaService,
        clickhouse: ClickHouseService,
        directory: Path,
        report: Callable[[str], None] = print,
    ) -> None:
        self._settings = settings
        self._services: dict[str, Service] = {"kafka": kafka, "clickhouse": clickhouse}
        self._directory = directory
        self._report = report
        dice = random.Random(settings.seed)
        self.project = "storm"
        prefix = f"storm{settings.seed}x{dice.getrandbits(20):05x}"
        self._proxy = Proxy(clickhouse.url, dice.getrandbits(32))
        self._proxy.weather = Weather(0.1, 0.1, 0.5)
        self._direct_url = f"{clickhouse.url}/{prefix}"
        migrate(self._direct_url)
        without_merges(self._direct_url)
        environment = {
            "RUNSTREAM_KAFKA": kafka.bootstrap,
            "RUNSTREAM_KAFKA_PARTITIONS": str(PARTITIONS),
            "RUNSTREAM_TOPIC_PREFIX": prefix,
            "RUNSTREAM_CAPTURE": "0",
            "RUNSTREAM_CONSOLE": "0",
            "RUNSTREAM_SYSTEM": "0",
            "RUNSTREAM_QUIET": "1",
            "RUNSTREAM_FINISH_TIMEOUT_S": "1",
        }
        self._environment = environment
        topics = source_topics(prefix)
        self._group = Group(kafka.bootstrap, prefix, topics)
        self._dead_letter_topics = [f"{topic}.dlq" for topic in topics]
        directory.mkdir(parents=True, exist_ok=True)
        self._nursery = Nursery()
        self._workers = Workers(
            settings.workers,
            self._nursery,
            directory,
            {**environment, "RUNSTREAM_CLICKHOUSE": f"{self._proxy.url}/{prefix}"},
            settings.unsafe,
            random.Random(dice.getrandbits(32)),
        )
        self._hosts = [
            Host(directory / "host-a", environment, supervised=True),
            Host(directory / "host-b", environment, supervised=False),
        ]
        self._jobs = [
            Job(
                f"job{number}",
                self._hosts[number % 2],
                kind,
                self.project,
                directory,
                random.Random(dice.getrandbits(32)),
            )
            for number, kind in enumerate(KINDS)
        ]
        self._replays: list[Host] = []
        self._kept: list[Path] = []
        self._later: list[tuple[float, Callable[[], None]]] = []
        self._resetting = ""
        self._is_down = ""
        """The service that was killed on purpose and is to stay down for a while."""
        self._sampled_at = 0.0
        self._blows: dict[str, int] = {}

    # -- the whole of it

    def run(self) -> Aftermath:
        """Raises TimeoutError when the pipeline does not come to rest afterwards."""
        began = time.monotonic()
        for blow in schedule(self._settings.seed, self._settings.seconds, self._settings.every_s):
            while (left := began + blow.at_s - time.monotonic()) > 0:
                self._tick()
                time.sleep(min(POLL_S, left))
            self._strike(blow, blow.at_s)
        while time.monotonic() < began + self._settings.seconds:
            self._tick()
            time.sleep(POLL_S)
        stormed_s = time.monotonic() - began
        self._calm()
        findings = self._findings()
        return Aftermath(
            settings=self._settings,
            findings=findings,
            blows=self._blows,
            workers=len(self._workers.children),
            trainers=sum(len(job.past) for job in self._jobs),
            cuts=self._proxy.cuts,
            seconds=stormed_s,
            calm_s=time.monotonic() - began - stormed_s,
            peak_mib=self._workers.peak_mib,
            steady_mib=self._workers.steady_mib,
        )

    def close(self) -> None:
        self._workers.are_down = True
        for job in self._jobs:
            job.quits = True
            for trainer in job.living.values():
                trainer.child.kill()
        for child in self._workers.living:
            child.kill()
        self._nursery.close()
        for host in [*self._hosts, *self._replays]:
            host.close()
        self._proxy.close()

    @property
    def stories(self) -> list[Story]:
        return [story for job in self._jobs for story in job.stories()]

    # -- while it blows

    def _tick(self) -> None:
        now = time.monotonic()
        due = [act for at, act in self._later if at <= now]
        self._later = [(at, act) for at, act in self._later if at > now]
        for act in due:
            act()
        for service in self._services.values():
            if not service.alive and self._is_down != service.name:
                service.launch()
        self._workers.look_after()
        for host in self._hosts:
            host.look_after()
        for job in self._jobs:
            job.tick()
        if self._resetting:
            self._go_on_resetting()
        if now - self._sampled_at > 0.5:
            self._sampled_at = now
            self._workers.sample()

    def _after(self, seconds: float, act: Callable[[], None]) -> None:
        self._later.append((time.monotonic() + seconds, act))

    def _strike(self, blow: Blow, at_s: float) -> None:
        dice = blow.dice
        what = self._act(blow.kind, dice)
        if what is not None:
            self._blows[blow.kind] = self._blows.get(blow.kind, 0) + 1
        self._report(f"{at_s:7.1f} s  {blow.kind}: {what or 'nothing to hit'}")

    def _act(self, kind: str, dice: random.Random) -> str | None:
        verb, _, noun = kind.partition(" ")
        if noun in self._services:
            return self._strike_service(self._services[noun], verb, dice)
        acts: dict[str, Callable[[random.Random], str | None]] = {
            "kill worker": self._kill_worker,
            "stop worker": self._stop_worker,
            "kill trainer": lambda dice: self._kill_trainer(dice, torn=False),
            "tear spool": lambda dice: self._kill_trainer(dice, torn=True),
            "stop trainer": self._stop_trainer,
            "finish trainer": self._finish_trainer,
            "kill agent": self._kill_agent,
            "stop agent": self._stop_agent,
            "weather": self._change_weather,
            "reset offsets": self._reset_offsets,
            "replay spool": self._replay_spool,
        }
        return acts[kind](dice)

    def _kill_worker(self, dice: random.Random) -> str | None:
        if not self._workers.mortal:
            return None
        child = dice.choice(self._workers.mortal)
        child.kill()
        return child.log.stem

    def _stop_worker(self, dice: random.Random) -> str | None:
        if not self._workers.living:
            return None
        child, seconds = dice.choice(self._workers.living), dice.choice([1.0, 3.0, 8.0])
        child.signal(signal.SIGSTOP)
        self._after(seconds, lambda: child.signal(signal.SIGCONT))
        return f"{child.log.stem} for {seconds:.0f} s"

    def _kill_trainer(self, dice: random.Random, *, torn: bool) -> str | None:
        """While its agent is held still, so that the spool can be copied, and torn, before anything is sent of it."""
        jobs = [job for job in self._jobs if job.living]
        if not jobs:
            return None
        job = dice.choice(jobs)
        trainer = dice.choice(list(job.living.values()))
        agent = job.host.signal_agent(signal.SIGSTOP)
        try:
            trainer.child.kill()
            writers = trainer.story().writers
            done = ""
            for writer in writers[-1:]:
                spool = job.host.directory / "spool" / writer.run_id / f"{writer.writer_id:016x}"
                if torn and tear(spool, dice):
                    done = ", spool torn"
                copy = self._directory / f"copy-{len(self._kept) + len(self._replays):03d}"
                if agent and keep_copy(spool, copy):
                    self._kept.append(copy)
                    done += ", spool kept"
        finally:
            if agent:
                job.host.wake_agent()
        return trainer.journal.stem + done

    def _stop_trainer(self, dice: random.Random) -> str | None:
        trainers = [trainer for job in self._jobs for trainer in job.living.values()]
        if not trainers:
            return None
        trainer, seconds = dice.choice(trainers), dice.uniform(0.5, 3)
        trainer.child.signal(signal.SIGSTOP)
        self._after(seconds, lambda: trainer.child.signal(signal.SIGCONT))
        return f"{trainer.journal.stem} for {seconds:.1f} s"

    def _finish_trainer(self, dice: random.Random) -> str | None:
        jobs = [job for job in self._jobs if job.living]
        if not jobs:
            return None
        job = dice.choice(jobs)
        job.end_run()
        return job.name

    def _kill_agent(self, dice: random.Random) -> str | None:
        host = dice.choice(self._hosts)
        return host.directory.name if host.signal_agent(signal.SIGKILL) else None

    def _stop_agent(self, dice: random.Random) -> str | None:
        host, seconds = dice.choice(self._hosts), dice.uniform(1, 5)
        if not host.signal_agent(signal.SIGSTOP):
            return None
        self._after(seconds, host.wake_agent)
        return f"{host.directory.name} for {seconds:.1f} s"

    def _change_weather(self, dice: random.Random) -> str:
        weather = Weather(dice.choice([0, 0.1, 0.3]), dice.choice([0, 0.2]), dice.choice([0.3, 1.5, 4.0]))
        self._proxy.weather = weather
        return f"{weather.cut_share:.0%} of answers cut, {weather.delay_share:.0%} {weather.delay_s} s late"

    def _strike_service(self, service: Service, verb: str, dice: random.Random) -> str | None:
        if not service.alive or service.is_paused or self._is_down:
            return None
        if verb == "pause":
            seconds = dice.uniform(1, 5)
            service.pause()
            self._after(seconds, lambda: service.resume() if service.alive else None)
            return f"for {seconds:.1f} s"
        (service.kill if verb == "kill" else service.stop)()
        seconds = dice.uniform(0.2, 2)
        self._is_down = service.name
        self._after(seconds, self._all_up)
        return f"down for {seconds:.1f} s"

    def _all_up(self) -> None:
        self._is_down = ""

    def _replay_spool(self, dice: random.Random) -> str | None:
        if not self._kept:
            return None
        copy = self._kept.pop(dice.randrange(len(self._kept)))
        self._send_again(copy)
        return copy.name

    def _send_again(self, copy: Path) -> None:
        directory = copy.with_name(f"replay-{len(self._replays):03d}")
        host = Host(directory, self._environment, supervised=False)
        (copy / "spool").rename(directory / "spool")
        copy.rmdir()
        host.start_agent(stay=False)
        self._replays.append(host)

    def _reset_offsets(self, dice: random.Random) -> str | None:
        """As an operator does it: stop all workers, move the group, start them."""
        if self._resetting:
            return None
        self._resetting = dice.choice(["set to 0", "group deleted"])
        self._workers.are_down = True
        self._workers.signal(signal.SIGCONT)
        self._workers.signal(signal.SIGTERM)
        return self._resetting

    def _go_on_resetting(self) -> None:
        if self._workers.living or self._is_down or any(service.is_paused for service in self._services.values()):
            return
        try:
            if not self._group.is_empty():
                return
            if self._group.has_intents():
                self._report("           offsets not moved: a batch was interrupted, workers first finish it")
                self._resetting = ""
                self._workers.are_down = False
                return
            self._group.to_earliest(forget=self._resetting == "group deleted")
        except KafkaException as error:
            if error.args[0].code() != KafkaError.GROUP_ID_NOT_FOUND:
                return  # the broker is away; again at the next turn
        self._report(f"           all offsets back to the earliest ({self._resetting})")
        self._resetting = ""
        self._workers.are_down = False

    # -- afterwards

    def _calm(self) -> None:
        """All is mended; trainers finish, agents send what is left, kept spools go out again, workers catch up."""
        self._report("           the storm is over")
        self._proxy.weather = Weather()
        self._workers.has_faults = False
        for _, act in self._later:
            act()
        self._later = []
        self._all_up()
        for service in self._services.values():
            if service.is_paused:
                service.resume()
            service.launch()
            service.await_healthy()
        self._workers.signal(signal.SIGCONT)
        for host in self._hosts:
            host.wake_agent()
        for job in self._jobs:
            job.quits = True
            job.end_run()
        self._until("all trainers have finished", lambda: not any(job.living for job in self._jobs))
        for host in self._hosts:
            host.supervised = False
        self._until("all spools are sent", self._hosts_are_empty)
        for copy in self._kept:
            self._send_again(copy)
        self._kept = []
        self._until("the kept spools are sent again", lambda: all(not host.spools for host in self._replays))
        self._until("lag is 0", self._has_no_lag)

    def _hosts_are_empty(self) -> bool:
        for host in self._hosts:
            if host.spools and host.agent_pid is None:
                host.start_agent(stay=False)
        return not any(host.spools for host in self._hosts)

    def _has_no_lag(self) -> bool:
        if self._resetting:
            return False
        try:
            return self._group.lag() == 0
        except KafkaException:
            return False

    def _until(self, what: str, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + CALM_S
        while not holds():
            if time.monotonic() > deadline or len(self._workers.fallen) > MOST_FALLEN:
                raise TimeoutError(f"not within {CALM_S:.0f} s: {what}\n{self._state()}")
            self._tick()
            time.sleep(4 * POLL_S)
        self._report(f"           {what}")

    def _state(self) -> str:
        shown = [*self._workers.fallen[-2:], *self._workers.living]
        logs = [f"{child.log.name} ({child.code}):\n{child.tail()}" for child in shown]
        logs += [f"{host.directory.name}: {len(host.spools)} spools" for host in [*self._hosts, *self._replays]]
        return "\n".join(logs)

    def _findings(self) -> Findings:
        """Some things hold only once corrections are computed and ends are announced: asked again until they do."""
        with closing(connect(self._direct_url)) as client:
            oracle = Oracle(client, self.project)
            deadline = time.monotonic() + 60
            while True:
                found = oracle.look(self.stories)
                found.broken += look_at_topics(self._group, self._dead_letter_topics)
                for host in [*self._hosts, *self._replays]:
                    refused = list((host.directory / "refused").glob("*"))
                    if refused:
                        found.broken.append(f"{len(refused)} messages were refused on {host.directory.name}")
                found.broken += [f"{child.log.name} ended with {child.code}" for child in self._workers.fallen]
                for job in self._jobs:
                    wrong = [trainer for trainer in job.past if trainer.child.code not in EXPECTED_CODES]
                    found.broken += [f"{one.journal.name} ended with {one.child.code}" for one in wrong]
                if not found.broken or time.monotonic() > deadline:
                    return found
                self._tick()
                time.sleep(1)


def without_merges(database: str) -> None:
    """Keep every row that is inserted, so that duplicates can be counted. The setting outlives a kill of the server."""
    with closing(connect(database)) as client:
        client.command(
            "ALTER TABLE points MODIFY SETTING max_bytes_to_merge_at_max_space_in_pool = 1, "
            "max_bytes_to_merge_at_min_space_in_pool = 1, "
            "parts_to_delay_insert = 100000, parts_to_throw_insert = 100000"
        )
