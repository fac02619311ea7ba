-- Views: what analysts read, and some of our own beneath them.
--
-- They hide that a row may be stored more than once, what was deleted, and how a run's state is derived. A predicate on
-- project or run_id reaches the tables. do_not_merge_across_partitions_select_final is valid where a partition is a
-- function of the run; it is never used on points, whose partitions keep the attempts of a run apart. Aggregating tables
-- are grouped and never read with FINAL: under FINAL the elements of a tuple, such as terminal.ver, are not merged as the
-- tuple is.
-- Our own, each one row a run: run_edits (what people set), run_names, run_states (state and times), and gap_reasons. And
-- run_gaps, a row a writer and stream: all its holes (first number, and the one behind the last), also that at the end of
-- what it announced while this may still be on its way (not settled).
-- And run_sources,
-- for the runs that were forked or rewound only: a row is a run whose points they show, themselves (depth 0) or an
-- ancestor, by the table ancestry. Of its points those count whose step is at most `upto` and that no element (rank, attempt, step) of `cuts`
-- hides: a point of this rank and an earlier attempt with a greater step. At equal steps the lowest depth wins. A rewind
-- hides what was inherited, too: to a child, its ancestors' attempts are earlier than any of its own.
-- In ordinary runs a point costs no more than a look into a set, which is empty while nobody forks or rewinds.
-- State: the end of the newest attempt's writers once all of them have ended, the worst of them and of those the last;
-- queries/run_states.py derives the same for a page of runs. Until then the age of
-- the last sign of life against the newest time that was ingested, so that a backlog makes no run look lost. Both are by
-- the brokers' clock, so that no machine whose clock is off can change it; without brokers the newest time is that of the
-- newest sign of life, capped by wall-clock time. Bits 6 to 55 of a version are microseconds since 2025.

CREATE VIEW IF NOT EXISTS run_edits AS
SELECT project, run_id,
       anyIf(value, key = 'name') AS name,
       anyIf(value, key = 'notes') AS notes,
       anyIf(value, key = 'group') AS group_name,
       anyIf(value, key = 'job_type') AS job_type,
       max(key = 'notes') AS has_notes,
       max(key = 'group') AS has_group,
       max(key = 'job_type') AS has_job_type,
       max(key = 'archived') AS archived,
       max(key = 'starred') AS starred,
       max(key = 'deleted') AS deleted,
       arraySort(groupArrayIf(substring(key, 5), startsWith(key, 'tag:'))) AS tags
FROM run_attrs FINAL
WHERE is_deleted = 0
GROUP BY project, run_id;

CREATE VIEW IF NOT EXISTS run_names AS
SELECT project, run_id, if(max(edited) != '', max(edited), max(first_name)) AS run_name, max(gone) AS deleted
FROM
(
    SELECT project, run_id, name AS first_name, '' AS edited, 0 AS gone FROM runs FINAL
    UNION ALL
    SELECT project, run_id, '' AS first_name, if(key = 'name', value, '') AS edited, key = 'deleted' AS gone
    FROM run_attrs FINAL
    WHERE is_deleted = 0 AND key IN ('name', 'deleted')
)
GROUP BY project, run_id
SETTINGS do_not_merge_across_partitions_select_final = 1;

CREATE VIEW IF NOT EXISTS run_sources AS
SELECT k.project AS project, k.run_id AS run_id, k.source AS source, k.depth AS depth, k.upto AS upto,
       arrayConcat(w.cuts, arrayMap(cut -> (cut.1, toUInt32(65536), cut.3), groupArrayArray(w.cuts) OVER
           (PARTITION BY project, run_id ORDER BY depth ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING))) AS cuts
FROM (SELECT * FROM ancestry FINAL) AS k
LEFT JOIN
(
    SELECT project, run_id, groupArray((rank, toUInt32(attempt), step)) AS cuts FROM rewinds FINAL GROUP BY project, run_id
) AS w ON w.project = k.project AND w.run_id = k.source;

CREATE VIEW IF NOT EXISTS run_states AS
WITH (SELECT max(newest_ms) * 1000 FROM ingest_marks WHERE endsWith(topic, '.control')) AS marked_us,
     (SELECT max(arrived_us) FROM liveness) AS heard_us,
     least(if(marked_us > 0, marked_us, heard_us), toUnixTimestamp64Micro(now64(6))) AS newest_us
SELECT project, run_id, intDiv(newest, 2) AS attempt, seen_us AS last_us,
       newest % 2 = 0 AS closed,
       if(closed, toInt64(bitAnd(bitShiftRight(end_ver, 6), 1125899906842623)) + 1735689600000000, 0) AS ended_us,
       multiIf(closed, worst.1,
               newest_us - arrived_us <= 120000000, 'running',
               newest_us - arrived_us <= 600000000, 'stale', 'lost') AS state,
       if(closed, worst.2, 0) AS exit_code,
       if(closed, worst.3, '') AS reason
FROM
(
    SELECT project, run_id, max(writer_us) AS seen_us, max(writer_arrived_us) AS arrived_us,
           max(writer_attempt * 2 + (end.1 = 0)) AS newest,
           max(end.1) AS end_ver,
           argMax((end.2, end.3, end.4), (writer_attempt * 8 + indexOf(['finished', 'preempted', 'killed', 'failed'], end.2), end.1)) AS worst
    FROM
    (
        SELECT project, run_id, toUInt32(max(attempt)) AS writer_attempt, max(last_us) AS writer_us, max(arrived_us) AS writer_arrived_us,
               argMax((terminal.ver, terminal.state, terminal.exit_code, terminal.reason), terminal.ver) AS end
        FROM liveness
        GROUP BY project, run_id, writer
    )
    GROUP BY project, run_id
);

CREATE VIEW IF NOT EXISTS v_runs
(
    project     LowCardinality(String) COMMENT 'Project.',
    run_id      UUID COMMENT 'The run; its first 48 bits are the time of its making.',
    run_name    String COMMENT 'Name, as last edited.',
    state       String COMMENT 'running, stale (silent for 2 minutes), lost (10 minutes), finished, failed, killed or preempted.',
    created_at  DateTime64(6, 'UTC') COMMENT 'First start.',
    ended_at    Nullable(DateTime64(6, 'UTC')) COMMENT 'End of the newest attempt; NULL while it lives.',
    last_at     DateTime64(6, 'UTC') COMMENT 'Last sign of life.',
    duration_s  Float64 COMMENT 'Seconds from the first start to the end, or to the last sign of life.',
    group_name  String COMMENT 'Group of runs, or empty.',
    job_type    String COMMENT 'For example train or eval, or empty.',
    user        String COMMENT 'Who started it.',
    host        String COMMENT 'Where it was first started.',
    tags        Array(String) COMMENT 'Tags, sorted.',
    notes       String COMMENT 'Notes, as last edited.',
    archived    UInt8 COMMENT '1: hidden from lists, not deleted.',
    starred     UInt8 COMMENT '1: marked by hand.',
    attempts    UInt32 COMMENT 'Starts: 1, and one more for each resume.',
    exit_code   Int32 COMMENT 'Of the writer that decided the state; 0 while it lives.',
    reason      String COMMENT 'Why it ended, for people: the exception or signal.',
    parent_run  String COMMENT 'Run id of the parent, or empty.',
    external_id String COMMENT 'The id the user chose, or empty.'
)
AS
SELECT r.project AS project, r.run_id AS run_id,
       if(e.name != '', e.name, r.name) AS run_name,
       if(s.state = '', 'running', s.state) AS state,
       fromUnixTimestamp64Micro(r.created_us, 'UTC') AS created_at,
       if(s.closed, fromUnixTimestamp64Micro(s.ended_us, 'UTC'), NULL) AS ended_at,
       fromUnixTimestamp64Micro(greatest(s.last_us, s.ended_us, r.created_us), 'UTC') AS last_at,
       greatest(if(s.closed, s.ended_us, s.last_us) - r.created_us, 0) / 1e6 AS duration_s,
       if(e.has_group, e.group_name, r.group) AS group_name,
       if(e.has_job_type, e.job_type, r.job_type) AS job_type,
       r.user AS user, r.host AS host,
       e.tags AS tags,
       if(e.has_notes, e.notes, r.notes) AS notes,
       e.archived AS archived, e.starred AS starred,
       toUInt32(s.attempt + 1) AS attempts,
       s.exit_code AS exit_code, s.reason AS reason,
       r.parent_run AS parent_run, r.external_id AS external_id
FROM (SELECT * FROM runs FINAL) AS r
LEFT JOIN run_states AS s ON s.project = r.project AND s.run_id = r.run_id
LEFT JOIN run_edits AS e ON e.project = r.project AND e.run_id = r.run_id
WHERE ifNull(e.deleted, 0) = 0
SETTINGS do_not_merge_across_partitions_select_final = 1
COMMENT 'One row a run: what it is, how it is doing, who started it.';

CREATE VIEW IF NOT EXISTS v_points
(
    project  LowCardinality(String) COMMENT 'Project.',
    run_id   UUID COMMENT 'The run.',
    run_name String COMMENT 'Name of the run, as last edited.',
    metric   LowCardinality(String) COMMENT 'Metric.',
    rank     UInt32 COMMENT 'Rank of the process in a distributed job, else 0.',
    step     Int64 COMMENT 'Step.',
    ts       DateTime64(6, 'UTC') COMMENT 'When it was logged.',
    value    Float64 COMMENT 'Value; NaN and infinities as they were logged.'
)
AS
SELECT v.project AS project, v.run_id AS run_id, n.run_name AS run_name, v.metric AS metric, v.rank AS rank,
       v.step AS step, fromUnixTimestamp64Micro(v.ts_us, 'UTC') AS ts, v.value AS value
FROM
(
    SELECT project, run_id, metric, rank, step, ts_us, value
    FROM points FINAL
    WHERE run_id NOT IN (SELECT run_id FROM moved_runs)
    UNION ALL
    SELECT project, run_id, metric, rank, step, point.1 AS ts_us, point.2 AS value
    FROM
    (
        SELECT k.project AS project, k.run_id AS run_id, p.metric AS metric, p.rank AS rank, p.step AS step,
               argMin((p.ts_us, p.value), k.depth) AS point
        FROM
        (
            SELECT project, run_id, metric, rank, step, ts_us, value, attempt
            FROM points FINAL
            WHERE run_id IN (SELECT source FROM ancestry)
        ) AS p
        INNER JOIN run_sources AS k ON k.project = p.project AND k.source = p.run_id
        WHERE p.step <= k.upto AND NOT arrayExists(cut -> cut.1 = p.rank AND cut.2 > p.attempt AND cut.3 < p.step, k.cuts)
        GROUP BY project, run_id, metric, rank, step
    )
) AS v
LEFT ANY JOIN run_names AS n ON n.project = v.project AND n.run_id = v.run_id
WHERE n.deleted = 0
COMMENT 'One row a point: the newest visible value of each metric, rank and step. Name the project, the run and the metric.';

CREATE VIEW IF NOT EXISTS v_points_all
(
    project  LowCardinality(String) COMMENT 'Project.',
    run_id   UUID COMMENT 'The run that logged it; what a fork inherits stands with its ancestor.',
    run_name String COMMENT 'Name of the run, as last edited.',
    metric   LowCardinality(String) COMMENT 'Metric.',
    rank     UInt32 COMMENT 'Rank of the process in a distributed job, else 0.',
    step     Int64 COMMENT 'Step.',
    attempt  UInt16 COMMENT '0 for the first start of the run, 1 more at each resume or rewind.',
    writer   UInt64 COMMENT 'The process that logged it, as in v_writers.',
    ts       DateTime64(6, 'UTC') COMMENT 'When it was logged.',
    value    Float64 COMMENT 'Value; NaN and infinities as they were logged.',
    hidden   UInt8 COMMENT '1: a later attempt logged this step again, or a rewind took it back; v_points leaves it out.'
)
AS
SELECT p.project AS project, p.run_id AS run_id, n.run_name AS run_name, p.metric AS metric, p.rank AS rank,
       p.step AS step, p.attempt AS attempt, p.point.1 AS writer, fromUnixTimestamp64Micro(p.point.2, 'UTC') AS ts,
       p.point.3 AS value,
       p.newest > p.ver OR arrayExists(cut -> cut.1 = p.rank AND cut.2 > p.attempt AND cut.3 < p.step, w.cuts) AS hidden
FROM
(
    SELECT project, run_id, metric, rank, step, attempt, argMax((s.writer, s.ts_us, s.value), s.ver) AS point,
           max(s.ver) AS ver, max(ver) OVER (PARTITION BY project, run_id, metric, rank, step) AS newest
    FROM points AS s
    GROUP BY project, run_id, metric, rank, step, attempt
) AS p
LEFT ANY JOIN run_names AS n ON n.project = p.project AND n.run_id = p.run_id
LEFT ANY JOIN
(
    SELECT project, run_id, groupArray((rank, toUInt32(attempt), step)) AS cuts FROM rewinds FINAL GROUP BY project, run_id
) AS w ON w.project = p.project AND w.run_id = p.run_id
WHERE n.deleted = 0
COMMENT 'One row a point of each attempt, hidden ones too: the newest value of each metric, rank, step and attempt.';

CREATE VIEW IF NOT EXISTS v_params
(
    project  LowCardinality(String) COMMENT 'Project.',
    run_id   UUID COMMENT 'The run.',
    run_name String COMMENT 'Name of the run, as last edited.',
    name     LowCardinality(String) COMMENT 'Param; nested names are joined by a slash.',
    value    String COMMENT 'Value as text; JSON for lists and the like.',
    number   Nullable(Float64) COMMENT 'Value of a bool, int or float; NULL for others.',
    kind     LowCardinality(String) COMMENT 'null, bool, int, float, string, datetime or json.'
)
AS
SELECT p.project AS project, p.run_id AS run_id, n.run_name AS run_name, p.name AS name, p.text AS value,
       if(p.kind IN ('bool', 'int', 'float'), p.number, NULL) AS number, p.kind AS kind
FROM (SELECT project, run_id, name, text, number, kind FROM params FINAL WHERE is_deleted = 0) AS p
LEFT ANY JOIN run_names AS n ON n.project = p.project AND n.run_id = p.run_id
WHERE n.deleted = 0
COMMENT 'One row a param of a run: the newest value of run.config.';

CREATE VIEW IF NOT EXISTS v_summary
(
    project    LowCardinality(String) COMMENT 'Project.',
    run_id     UUID COMMENT 'The run.',
    run_name   String COMMENT 'Name of the run, as last edited.',
    metric     LowCardinality(String) COMMENT 'Metric.',
    last       Float64 COMMENT 'Value at the highest step of the newest attempt.',
    min        Nullable(Float64) COMMENT 'Smallest value, infinities included; NULL when every value is NaN.',
    max        Nullable(Float64) COMMENT 'Largest value, infinities included; NULL when every value is NaN.',
    n          UInt64 COMMENT 'Points, of all ranks.',
    first      Float64 COMMENT 'Value at the lowest step.',
    first_step Int64 COMMENT 'Lowest step.',
    last_step  Int64 COMMENT 'Step of last.',
    first_at   DateTime64(6, 'UTC') COMMENT 'When the first value was logged.',
    last_at    DateTime64(6, 'UTC') COMMENT 'When the last value was logged.',
    n_nan      UInt64 COMMENT 'Values that are NaN.',
    n_inf      UInt64 COMMENT 'Values that are infinite.'
)
AS
SELECT m.project AS project, m.run_id AS run_id, n.run_name AS run_name, m.metric AS metric,
       m.newest.4 AS last, if(isNaN(m.smallest), NULL, m.smallest) AS min, if(isNaN(m.largest), NULL, m.largest) AS max,
       m.logged AS n, m.oldest.3 AS first, m.oldest.1 AS first_step, m.newest.2 AS last_step,
       fromUnixTimestamp64Micro(m.oldest_us, 'UTC') AS first_at, fromUnixTimestamp64Micro(m.newest_us, 'UTC') AS last_at,
       m.nans AS n_nan, m.infinities AS n_inf
FROM
(
    SELECT project, run_id, metric, max(last) AS newest, min(min) AS smallest, max(max) AS largest, min(first) AS oldest,
           min(first_us) AS oldest_us, max(last_us) AS newest_us,
           sum(n) AS logged, sum(n_nan) AS nans, sum(n_inf) AS infinities
    FROM
    (
        SELECT project, run_id, metric, max(s.last) AS last, min(s.min) AS min, max(s.max) AS max, min(s.first) AS first,
               min(s.first_us) AS first_us, max(s.last_us) AS last_us, max(s.n) AS n, max(s.n_nan) AS n_nan, max(s.n_inf) AS n_inf
        FROM metric_summary AS s
        WHERE (project, metric, run_id) NOT IN (SELECT project, metric, run_id FROM summary_exact)
        GROUP BY project, metric, run_id, rank, writer
    )
    GROUP BY project, metric, run_id
    UNION ALL
    SELECT project, run_id, metric, last, min, max, first, first_us, last_us, n, n_nan, n_inf
    FROM summary_exact FINAL
    WHERE n > 0
) AS m
LEFT ANY JOIN run_names AS n ON n.project = m.project AND n.run_id = m.run_id
WHERE n.deleted = 0
COMMENT 'One row a metric of a run, over all its visible points and writers.';

CREATE VIEW IF NOT EXISTS v_tags
(
    project  LowCardinality(String) COMMENT 'Project.',
    run_id   UUID COMMENT 'The run.',
    run_name String COMMENT 'Name of the run, as last edited.',
    tag      String COMMENT 'Tag.',
    actor    String COMMENT 'Who set it, or empty.'
)
AS
SELECT t.project AS project, t.run_id AS run_id, n.run_name AS run_name, substring(t.key, 5) AS tag, t.actor AS actor
FROM (SELECT project, run_id, key, actor FROM run_attrs FINAL WHERE is_deleted = 0 AND startsWith(key, 'tag:')) AS t
LEFT ANY JOIN run_names AS n ON n.project = t.project AND n.run_id = t.run_id
WHERE n.deleted = 0
COMMENT 'One row a tag of a run.';

CREATE VIEW IF NOT EXISTS gap_reasons AS
SELECT project, run_id,
       groupArray((reinterpretAsUInt64(reverse(unhex(substring(key, 5, 16)))), toInt64OrZero(substring(key, 22)),
                   JSONExtractInt(value, 'end'), JSONExtractString(value, 'reason'))) AS reasons
FROM run_attrs FINAL
WHERE is_deleted = 0 AND startsWith(key, 'gap:')
GROUP BY project, run_id;

CREATE VIEW IF NOT EXISTS run_gaps AS
WITH (SELECT max(newest_ms) * 1000 FROM ingest_marks WHERE endsWith(topic, '.metrics')) AS marked_us,
     (SELECT max(arrived_us) FROM liveness) AS heard_us,
     greatest(if(marked_us > 0, marked_us, heard_us) - 60000000, toUnixTimestamp64Micro(now64(6)) - 600000000) AS settled_us
SELECT project, run_id, writer, stream, max(u.attempt) AS attempt, max(u.of_rank) AS rank, max(u.end) AS reached,
       max(u.said) AS announced, max(u.has_ended) AS ended, max(u.heard) <= settled_us AS settled,
       arrayFold((found, stretch) -> (greatest(found.1, stretch.2),
                                      if(stretch.1 > found.1, arrayPushBack(found.2, (found.1, stretch.1)), found.2)),
                 arrayConcat(arraySort(groupArrayIf((u.start, u.end), u.start >= 0)), if(announced > reached, [(announced, announced)], [])),
                 (toInt64(0), CAST([], 'Array(Tuple(Int64, Int64))'))).2 AS holes
FROM
(
    SELECT project, run_id, writer, stream, start, max(c.end) AS end, max(c.attempt) AS attempt, max(c.rank) AS of_rank,
           toInt64(-1) AS said, 0 AS has_ended, toInt64(0) AS heard
    FROM coverage AS c
    GROUP BY project, run_id, writer, stream, start
    UNION ALL
    SELECT project, run_id, writer, arrayJoin(['metrics', 'control']) AS stream, toInt64(-1) AS start, toInt64(0) AS end,
           max(b.attempt) AS attempt, toUInt32(0) AS of_rank,
           multiIf(stream = 'control', toInt64(-1),
                   max(b.terminal).1 > 0 AND max(b.terminal).5 >= 0, max(b.terminal).5, max(b.metric_seq)) AS said,
           max(b.terminal).1 > 0 AS has_ended, max(b.arrived_us) AS heard
    FROM liveness AS b
    GROUP BY project, run_id, writer
    UNION ALL
    SELECT project, run_id, writer, 'metrics' AS stream, toInt64(-1) AS start, toInt64(0) AS end, attempt, rank AS of_rank,
           toInt64(-1) AS said, 0 AS has_ended, toInt64(0) AS heard
    FROM writers
) AS u
GROUP BY project, run_id, writer, stream
HAVING notEmpty(holes);

CREATE VIEW IF NOT EXISTS v_gaps
(
    project   LowCardinality(String) COMMENT 'Project.',
    run_id    UUID COMMENT 'The run.',
    run_name  String COMMENT 'Name of the run, as last edited.',
    writer    UInt64 COMMENT 'The process whose rows are missing, as in v_writers.',
    rank      UInt32 COMMENT 'Its rank.',
    stream    LowCardinality(String) COMMENT 'metrics (calls of log) or control (params, tags, starts and the like).',
    first_seq Int64 COMMENT 'Number of the first missing row; a writer counts its rows of a stream from 0.',
    last_seq  Int64 COMMENT 'Number of the last missing row.',
    rows      Int64 COMMENT 'How many are missing.',
    known_by  String COMMENT 'sequence: later rows have arrived; finished or heartbeat: the number of rows that the writer announced.',
    reason    String COMMENT 'Why, where the library gave rows up and said so; else empty.'
)
AS
SELECT g.project AS project, g.run_id AS run_id, n.run_name AS run_name, g.writer AS writer, g.rank AS rank, g.stream AS stream,
       g.first_seq AS first_seq, g.last_seq AS last_seq, g.last_seq - g.first_seq + 1 AS rows,
       multiIf(NOT g.at_end, 'sequence', g.ended, 'finished', 'heartbeat') AS known_by,
       if(g.stream = 'metrics',
          arrayFirst(r -> r.1 = g.writer AND r.2 <= g.last_seq AND r.3 > g.first_seq, w.reasons).4, '') AS reason
FROM
(
    SELECT project, run_id, writer, rank, stream, ended,
           arrayJoin(arrayFilter(one -> settled OR one.1 < reached, holes)) AS hole,
           hole.1 AS first_seq, hole.2 - 1 AS last_seq, hole.1 >= reached AS at_end
    FROM run_gaps
) AS g
LEFT ANY JOIN run_names AS n ON n.project = g.project AND n.run_id = g.run_id
LEFT ANY JOIN gap_reasons AS w ON w.project = g.project AND w.run_id = g.run_id
WHERE n.deleted = 0
COMMENT 'One row a stretch of rows that were logged and have not arrived. It closes by itself when they do. What is still on its way is no gap: a number that the writer announced counts once what was ingested is a minute newer, or it is ten minutes old.';

CREATE VIEW IF NOT EXISTS v_writers
(
    project        LowCardinality(String) COMMENT 'Project.',
    run_id         UUID COMMENT 'The run.',
    run_name       String COMMENT 'Name of the run, as last edited.',
    writer         UInt64 COMMENT 'One process that wrote to the run.',
    attempt        UInt16 COMMENT '0 for the first start of the run, 1 more at each resume.',
    rank           UInt32 COMMENT 'Rank of the process in a distributed job, else 0.',
    started_at     DateTime64(6, 'UTC') COMMENT 'Start of the process.',
    last_at        DateTime64(6, 'UTC') COMMENT 'Last sign of life.',
    state          String COMMENT 'How it ended; empty until it has.',
    exit_code      Int32 COMMENT 'Exit code, once it ended.',
    reason         String COMMENT 'Why it ended, for people.',
    rows           Int64 COMMENT 'Calls of log() that it made or that were sent so far; -1 unknown.',
    user           String COMMENT 'Who ran it.',
    host           String COMMENT 'Where.',
    pid            Int64 COMMENT 'Process id there.',
    command        Array(String) COMMENT 'Command line.',
    cwd            String COMMENT 'Working directory.',
    python         String COMMENT 'Version of Python.',
    platform       String COMMENT 'Operating system.',
    client_version String COMMENT 'Version of the library.',
    git            Map(String, String) COMMENT 'commit, branch, remote, dirty, root.',
    environment    Map(String, String) COMMENT 'Environment variables that may be kept, masked.',
    machine        Map(String, String) COMMENT 'cpu_count, memory_bytes, gpu, ...',
    packages       Map(String, String) COMMENT 'Installed packages and their versions.',
    job            Map(String, String) COMMENT 'Identity by Slurm, Kubernetes, torchrun or MPI.',
    determinism    Map(String, String) COMMENT 'Seeds and flags that were found.',
    sources        Map(String, String) COMMENT 'Packages that are installed from a path or from version control, and that address.',
    container      Map(String, String) COMMENT 'Image and the like.'
)
AS
SELECT w.project AS project, w.run_id AS run_id, n.run_name AS run_name, w.writer AS writer, w.attempt AS attempt,
       w.rank AS rank, fromUnixTimestamp64Micro(w.started_us, 'UTC') AS started_at,
       fromUnixTimestamp64Micro(greatest(l.last_us, w.started_us), 'UTC') AS last_at,
       l.terminal.state AS state, l.terminal.exit_code AS exit_code, l.terminal.reason AS reason,
       if(l.terminal.ver > 0 AND l.terminal.metric_seq >= 0, l.terminal.metric_seq, l.metric_seq) AS rows,
       w.user AS user, w.host AS host, w.pid AS pid, w.command AS command, w.cwd AS cwd, w.python AS python,
       w.platform AS platform, w.client_version AS client_version, w.git AS git, w.environment AS environment,
       w.machine AS machine, w.packages AS packages, w.job AS job, w.determinism AS determinism, w.sources AS sources,
       w.container AS container
FROM (SELECT * FROM writers FINAL) AS w
LEFT JOIN
(
    SELECT project, run_id, writer, max(b.last_us) AS last_us, max(b.metric_seq) AS metric_seq, max(b.terminal) AS terminal
    FROM liveness AS b
    GROUP BY project, run_id, writer
) AS l ON l.project = w.project AND l.run_id = w.run_id AND l.writer = w.writer
LEFT ANY JOIN run_names AS n ON n.project = w.project AND n.run_id = w.run_id
WHERE n.deleted = 0
SETTINGS do_not_merge_across_partitions_select_final = 1
COMMENT 'One row a process of a run: where and how it ran, and how it ended.';
