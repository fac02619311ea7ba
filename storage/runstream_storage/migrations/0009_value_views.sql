-- Views of what a run remembers beside points, of artifacts and where they come from, of models, and of who did what.
--
-- Text, histograms and media hide what a rewind took back, and forks show their ancestors', as in v_points: see
-- 0006_views.sql. Their rows have no attempt of their own; a version keeps it in its highest byte, up to 255.
-- A version of an artifact that was deleted counts again from the moment its content is logged anew. When it expires is
-- what was said last: ingest writes that down with each logging.
-- Our own: artifact_states, one row a version with its number and what people made of it.

CREATE VIEW IF NOT EXISTS v_text
(
    project  LowCardinality(String) COMMENT 'Project.',
    run_id   UUID COMMENT 'The run.',
    run_name String COMMENT 'Name of the run, as last edited.',
    name     LowCardinality(String) COMMENT 'Series of texts.',
    rank     UInt32 COMMENT 'Rank of the process in a distributed job, else 0.',
    step     Int64 COMMENT 'Step.',
    ts       DateTime64(6, 'UTC') COMMENT 'When it was logged.',
    text     String COMMENT 'Text.',
    mime     LowCardinality(String) COMMENT 'text/plain or text/markdown.'
)
AS
SELECT v.project AS project, v.run_id AS run_id, n.run_name AS run_name, v.name AS name, v.rank AS rank, v.step AS step,
       fromUnixTimestamp64Micro(v.ts_us, 'UTC') AS ts, v.text AS text, v.mime AS mime
FROM
(
    SELECT project, run_id, name, rank, step, ts_us, text, mime
    FROM text_series FINAL
    WHERE run_id NOT IN (SELECT run_id FROM moved_runs)
    UNION ALL
    SELECT k.project, k.run_id, t.name, t.rank, t.step, t.ts_us, t.text, t.mime
    FROM
    (
        SELECT *
        FROM text_series FINAL
        WHERE run_id IN (SELECT arrayJoin([run_id, toUUIDOrZero(forked_from)]) FROM runs WHERE run_id IN (SELECT run_id FROM moved_runs))
    ) AS t
    INNER JOIN run_sources AS k ON k.project = t.project AND k.source = t.run_id
    WHERE t.step <= k.upto
      AND NOT arrayExists(cut -> cut.1 = t.rank AND if(cut.2 > 65535, cut.2, least(cut.2, 255)) > bitShiftRight(t.ver, 56)
                                 AND cut.3 < t.step, k.cuts)
    QUALIFY k.depth = min(k.depth) OVER (PARTITION BY k.project, k.run_id, t.name, t.rank, t.step)
) AS v
LEFT ANY JOIN run_names AS n ON n.project = v.project AND n.run_id = v.run_id
WHERE n.deleted = 0
COMMENT 'One row a text of a run: the newest visible one of each name, rank and step.';

CREATE VIEW IF NOT EXISTS v_histograms
(
    project  LowCardinality(String) COMMENT 'Project.',
    run_id   UUID COMMENT 'The run.',
    run_name String COMMENT 'Name of the run, as last edited.',
    name     LowCardinality(String) COMMENT 'Series of histograms.',
    rank     UInt32 COMMENT 'Rank of the process in a distributed job, else 0.',
    step     Int64 COMMENT 'Step.',
    ts       DateTime64(6, 'UTC') COMMENT 'When it was logged.',
    edges    Array(Float64) COMMENT 'Edges of the bins, rising; one more than counts.',
    counts   Array(Float64) COMMENT 'Values from each edge to the next; the last bin holds its right edge, too.',
    n_nan    UInt64 COMMENT 'Values that were NaN and are in no bin.',
    n_inf    UInt64 COMMENT 'Values that were infinite and are in no bin.'
)
AS
SELECT v.project AS project, v.run_id AS run_id, n.run_name AS run_name, v.name AS name, v.rank AS rank, v.step AS step,
       fromUnixTimestamp64Micro(v.ts_us, 'UTC') AS ts, v.edges AS edges, v.counts AS counts, v.n_nan AS n_nan, v.n_inf AS n_inf
FROM
(
    SELECT project, run_id, name, rank, step, ts_us, edges, counts, n_nan, n_inf
    FROM histograms FINAL
    WHERE run_id NOT IN (SELECT run_id FROM moved_runs)
    UNION ALL
    SELECT k.project, k.run_id, t.name, t.rank, t.step, t.ts_us, t.edges, t.counts, t.n_nan, t.n_inf
    FROM
    (
        SELECT *
        FROM histograms FINAL
        WHERE run_id IN (SELECT arrayJoin([run_id, toUUIDOrZero(forked_from)]) FROM runs WHERE run_id IN (SELECT run_id FROM moved_runs))
    ) AS t
    INNER JOIN run_sources AS k ON k.project = t.project AND k.source = t.run_id
    WHERE t.step <= k.upto
      AND NOT arrayExists(cut -> cut.1 = t.rank AND if(cut.2 > 65535, cut.2, least(cut.2, 255)) > bitShiftRight(t.ver, 56)
                                 AND cut.3 < t.step, k.cuts)
    QUALIFY k.depth = min(k.depth) OVER (PARTITION BY k.project, k.run_id, t.name, t.rank, t.step)
) AS v
LEFT ANY JOIN run_names AS n ON n.project = v.project AND n.run_id = v.run_id
WHERE n.deleted = 0
COMMENT 'One row a histogram of a run: the newest visible one of each name, rank and step.';

CREATE VIEW IF NOT EXISTS v_media
(
    project  LowCardinality(String) COMMENT 'Project.',
    run_id   UUID COMMENT 'The run.',
    run_name String COMMENT 'Name of the run, as last edited.',
    name     LowCardinality(String) COMMENT 'Series of media.',
    rank     UInt32 COMMENT 'Rank of the process in a distributed job, else 0.',
    step     Int64 COMMENT 'Step.',
    idx      UInt32 COMMENT 'Place in a list that was logged at once, from 0.',
    ts       DateTime64(6, 'UTC') COMMENT 'When it was logged.',
    kind     LowCardinality(String) COMMENT 'image, audio, video, table, html, figure, text, file or object3d.',
    sha256   String COMMENT 'Of the content, in hex; its key in the object store is sha256/<first two>/<sha256>.',
    size     UInt64 COMMENT 'Bytes.',
    mime     LowCardinality(String) COMMENT 'For example image/png.',
    caption  String COMMENT 'For people.',
    metadata String COMMENT 'JSON object: width, height, sample_rate, ...',
    state    String COMMENT 'Of its bytes: pending (on their way from the machine that logged them), stored, or lost (their file was gone before they were sent).'
)
AS
SELECT v.project AS project, v.run_id AS run_id, n.run_name AS run_name, v.name AS name, v.rank AS rank, v.step AS step, v.idx AS idx,
       fromUnixTimestamp64Micro(v.ts_us, 'UTC') AS ts, v.kind AS kind, v.sha256 AS sha256, v.size AS size, v.mime AS mime,
       v.caption AS caption, v.metadata AS metadata, if(v.state = '', 'pending', toString(v.state)) AS state
FROM
(
    SELECT *, max(if(idx = 0, ver, 0)) OVER (PARTITION BY project, run_id, name, rank, step) AS list_ver
    FROM
    (
        SELECT m.project AS project, m.run_id AS run_id, m.name AS name, m.rank AS rank, m.step AS step, m.idx AS idx, m.ts_us AS ts_us,
               m.kind AS kind, m.sha256 AS sha256, m.size AS size, m.mime AS mime, m.caption AS caption, m.metadata AS metadata, m.ver AS ver,
               c.state AS state
        FROM (SELECT * FROM media FINAL) AS m
        -- Joined in here, a question about one run reads the contents of that run alone.
        LEFT ANY JOIN (SELECT project, run_id, sha256, state FROM media_contents FINAL) AS c
            ON c.project = m.project AND c.run_id = m.run_id AND c.sha256 = m.sha256
        WHERE m.run_id NOT IN (SELECT run_id FROM moved_runs)
        UNION ALL
        SELECT k.project, k.run_id, t.name, t.rank, t.step, t.idx, t.ts_us, t.kind, t.sha256, t.size, t.mime, t.caption, t.metadata, t.ver, t.state
        FROM
        (
            SELECT m.*, c.state AS state
            FROM
            (
                SELECT *
                FROM media FINAL
                WHERE run_id IN (SELECT arrayJoin([run_id, toUUIDOrZero(forked_from)]) FROM runs WHERE run_id IN (SELECT run_id FROM moved_runs))
            ) AS m
            LEFT ANY JOIN
            (
                SELECT project, run_id, sha256, state
                FROM media_contents FINAL
                WHERE run_id IN (SELECT arrayJoin([run_id, toUUIDOrZero(forked_from)]) FROM runs WHERE run_id IN (SELECT run_id FROM moved_runs))
            ) AS c ON c.project = m.project AND c.run_id = m.run_id AND c.sha256 = m.sha256
        ) AS t
        INNER JOIN run_sources AS k ON k.project = t.project AND k.source = t.run_id
        WHERE t.step <= k.upto
          AND NOT arrayExists(cut -> cut.1 = t.rank AND if(cut.2 > 65535, cut.2, least(cut.2, 255)) > bitShiftRight(t.ver, 56)
                                     AND cut.3 < t.step, k.cuts)
        QUALIFY k.depth = min(k.depth) OVER (PARTITION BY k.project, k.run_id, t.name, t.rank, t.step)
    )
) AS v
LEFT ANY JOIN run_names AS n ON n.project = v.project AND n.run_id = v.run_id
WHERE n.deleted = 0 AND v.ver >= v.list_ver
COMMENT 'One row an image, sound, table or other object of a run: the newest visible one of each name, rank, step and place in its list.';

CREATE VIEW IF NOT EXISTS v_console
(
    project  LowCardinality(String) COMMENT 'Project.',
    run_id   UUID COMMENT 'The run.',
    run_name String COMMENT 'Name of the run, as last edited.',
    writer   UInt64 COMMENT 'The process that wrote it, as in v_writers.',
    attempt  UInt16 COMMENT '0 for the first start of the run, 1 more at each resume or rewind.',
    rank     UInt32 COMMENT 'Rank of the process in a distributed job, else 0.',
    line     Int64 COMMENT 'Number of the line; a writer counts from 0.',
    ts       DateTime64(6, 'UTC') COMMENT 'When the line began.',
    stream   String COMMENT 'stdout or stderr.',
    text     String COMMENT 'The line as it was last changed, without its end.'
)
AS
SELECT c.project AS project, c.run_id AS run_id, n.run_name AS run_name, c.writer AS writer, c.attempt AS attempt, c.rank AS rank,
       c.line AS line, fromUnixTimestamp64Micro(c.ts_us, 'UTC') AS ts, if(c.stream = 2, 'stderr', 'stdout') AS stream, c.text AS text
FROM (SELECT * FROM console FINAL) AS c
LEFT ANY JOIN run_names AS n ON n.project = c.project AND n.run_id = c.run_id
WHERE n.deleted = 0
SETTINGS do_not_merge_across_partitions_select_final = 1
COMMENT 'One row a line that a process of a run wrote to its console.';

CREATE VIEW IF NOT EXISTS v_system
(
    project  LowCardinality(String) COMMENT 'Project.',
    run_id   UUID COMMENT 'The run.',
    run_name String COMMENT 'Name of the run, as last edited.',
    node     LowCardinality(String) COMMENT 'Host name.',
    metric   LowCardinality(String) COMMENT 'For example gpu.utilization_percent.',
    device   LowCardinality(String) COMMENT 'Empty for the host itself; gpu0, disk:/, net:eth0, process.',
    rank     UInt32 COMMENT 'Rank of the process that sampled.',
    ts       DateTime64(6, 'UTC') COMMENT 'When it was sampled.',
    value    Float64 COMMENT 'Value; NaN where nothing was measured.'
)
AS
SELECT s.project AS project, s.run_id AS run_id, n.run_name AS run_name, s.node AS node, s.metric AS metric, s.device AS device,
       s.rank AS rank, fromUnixTimestamp64Micro(s.ts_us, 'UTC') AS ts, s.value AS value
FROM (SELECT * FROM system_points FINAL) AS s
LEFT ANY JOIN run_names AS n ON n.project = s.project AND n.run_id = s.run_id
WHERE n.deleted = 0
SETTINGS do_not_merge_across_partitions_select_final = 1
COMMENT 'One row a sample of a machine that a run ran on.';

CREATE VIEW IF NOT EXISTS v_datasets
(
    project   LowCardinality(String) COMMENT 'Project.',
    run_id    UUID COMMENT 'The run.',
    run_name  String COMMENT 'Name of the run, as last edited.',
    name      String COMMENT 'Dataset, as the run calls it.',
    context   LowCardinality(String) COMMENT 'What it was used for, for example training; may be empty.',
    digest    String COMMENT 'Fingerprint of the content: the same on any machine.',
    kind      LowCardinality(String) COMMENT 'file, directory, array, table, huggingface or uri.',
    source    String COMMENT 'Where it was read from.',
    rows      Nullable(Int64) COMMENT 'Rows; NULL: unknown.',
    size      Nullable(Int64) COMMENT 'Bytes; NULL: unknown.',
    schema    String COMMENT 'JSON.',
    profile   String COMMENT 'JSON.',
    logged_at DateTime64(6, 'UTC') COMMENT 'When it was logged.'
)
AS
SELECT d.project AS project, d.run_id AS run_id, n.run_name AS run_name, d.name AS name, d.context AS context, d.digest AS digest,
       d.kind AS kind, d.source AS source, nullIf(d.rows, -1) AS rows, nullIf(d.size, -1) AS size, d.schema AS schema, d.profile AS profile,
       fromUnixTimestamp64Micro(d.ts_us, 'UTC') AS logged_at
FROM (SELECT * FROM datasets FINAL) AS d
LEFT ANY JOIN run_names AS n ON n.project = d.project AND n.run_id = d.run_id
WHERE n.deleted = 0
COMMENT 'One row a dataset that a run read.';

CREATE VIEW IF NOT EXISTS artifact_states AS
SELECT s.*, NOT gone AND place = max(if(gone, 0, place)) OVER (PARTITION BY project, name) AS is_latest
FROM
(
    SELECT a.project AS project, a.name AS name, a.digest AS digest, a.type AS type, a.run_id AS run_id, a.created_us AS created_us,
           a.size AS size, a.files AS files, a.score AS score, a.keep_best AS keep_best, a.keep_goal AS keep_goal,
           if(t.has_metadata, t.metadata, a.metadata) AS metadata,
           if(t.has_description, t.description, a.description) AS description,
           t.tags AS tags, greatest(a.created_us, l.logged_us) AS logged_us,
           if(t.has_expires, t.expires_us, a.expires_us) AS expires_us,
           greatest(t.deleted_us, w.deleted_us) AS gone_us, gone_us > logged_us AS gone,
           row_number() OVER (PARTITION BY a.project, a.name ORDER BY a.created_us, a.ver, a.digest) AS place
    FROM (SELECT * FROM artifacts FINAL) AS a
    LEFT JOIN
    (
        SELECT project, name, digest,
               arraySort(groupArrayIf(substring(key, 5), startsWith(key, 'tag:'))) AS tags,
               anyIf(value, key = 'metadata') AS metadata, max(key = 'metadata') AS has_metadata,
               anyIf(value, key = 'description') AS description, max(key = 'description') AS has_description,
               toInt64OrZero(anyIf(value, key = 'expires_us')) AS expires_us, max(key = 'expires_us') AS has_expires,
               maxIf(toInt64(bitAnd(bitShiftRight(ver, 6), 1125899906842623)) + 1735689600000000, key = 'deleted') AS deleted_us
        FROM artifact_attrs FINAL
        WHERE is_deleted = 0 AND digest != ''
        GROUP BY project, name, digest
    ) AS t ON t.project = a.project AND t.name = a.name AND t.digest = a.digest
    LEFT JOIN
    (
        SELECT project, name, toInt64(bitAnd(bitShiftRight(ver, 6), 1125899906842623)) + 1735689600000000 AS deleted_us
        FROM artifact_attrs FINAL
        WHERE is_deleted = 0 AND digest = '' AND key = 'deleted'
    ) AS w ON w.project = a.project AND w.name = a.name
    LEFT JOIN
    (
        SELECT project, name, digest, max(ts_us) AS logged_us
        FROM artifact_links FINAL
        WHERE role = 'out'
        GROUP BY project, name, digest
    ) AS l ON l.project = a.project AND l.name = a.name AND l.digest = a.digest
) AS s;

CREATE VIEW IF NOT EXISTS v_artifacts
(
    project     LowCardinality(String) COMMENT 'Project.',
    run_id      UUID COMMENT 'The run that first logged this version.',
    run_name    String COMMENT 'Name of that run, as last edited.',
    name        String COMMENT 'Artifact.',
    version     String COMMENT 'v0, v1, ... in the order of logging.',
    digest      String COMMENT 'sha256 of the list of files: the identity of the content.',
    type        String COMMENT 'For example model or dataset.',
    aliases     Array(String) COMMENT 'Names that point at this version, sorted; the newest version that is not deleted has latest.',
    tags        Array(String) COMMENT 'Tags, sorted.',
    size        UInt64 COMMENT 'Bytes of all files.',
    files       Array(Tuple(path String, sha256 String, size UInt64, mime String, ref String)) COMMENT 'Its files; ref is the address of one that was not copied.',
    created_at  DateTime64(6, 'UTC') COMMENT 'When it was first logged.',
    expires_at  Nullable(DateTime64(6, 'UTC')) COMMENT 'From when on it may be removed; NULL: never.',
    score       Nullable(Float64) COMMENT 'What keep-best ranks by; NULL: none.',
    deleted     UInt8 COMMENT '1: people deleted it; its files go with the next collection.',
    metadata    String COMMENT 'JSON object, as last edited.',
    description String COMMENT 'For people, as last edited.'
)
AS
SELECT a.project AS project, a.run_id AS run_id, n.run_name AS run_name, a.name AS name,
       concat('v', toString(a.place - 1)) AS version, a.digest AS digest, a.type AS type,
       arraySort(arrayDistinct(arrayConcat(l.aliases, if(a.is_latest, ['latest'], [])))) AS aliases, a.tags AS tags,
       a.size AS size, a.files AS files, fromUnixTimestamp64Micro(a.created_us, 'UTC') AS created_at,
       if(a.expires_us > 0, fromUnixTimestamp64Micro(a.expires_us, 'UTC'), NULL) AS expires_at,
       if(isNaN(a.score), NULL, a.score) AS score, a.gone AS deleted, a.metadata AS metadata, a.description AS description
FROM artifact_states AS a
LEFT JOIN
(
    SELECT project, name, digest, groupArray(alias) AS aliases
    FROM artifact_aliases FINAL
    WHERE is_deleted = 0 AND alias != 'latest'
    GROUP BY project, name, digest
) AS l ON l.project = a.project AND l.name = a.name AND l.digest = a.digest
LEFT ANY JOIN run_names AS n ON n.project = a.project AND n.run_id = a.run_id
COMMENT 'One row a version of an artifact, deleted ones too. It outlives the run that made it.';

CREATE VIEW IF NOT EXISTS v_awaited
(
    project   LowCardinality(String) COMMENT 'Project.',
    run_id    UUID COMMENT 'The run that logged it; nil: it was logged outside a run.',
    run_name  String COMMENT 'Name of that run, as last edited.',
    kind      LowCardinality(String) COMMENT 'ArtifactLogged, or ModelEdited of such a version.',
    name      String COMMENT 'Artifact or model.',
    type      LowCardinality(String) COMMENT 'Type of the artifact, or what is done to the model.',
    files     UInt64 COMMENT 'Files that are brought into the object store.',
    size      UInt64 COMMENT 'Bytes of all of them.',
    state     LowCardinality(String) COMMENT 'pending; lost: it will never come.',
    reason    String COMMENT 'Why it is lost.',
    logged_at DateTime64(6, 'UTC') COMMENT 'When it was logged.'
)
AS
SELECT w.project AS project, w.run_id AS run_id, n.run_name AS run_name, w.kind AS kind, w.name AS name, w.type AS type,
       w.files AS files, w.size AS size, w.state AS state, w.reason AS reason,
       fromUnixTimestamp64Micro(w.ts_us, 'UTC') AS logged_at
FROM (SELECT * FROM awaited FINAL) AS w
LEFT ANY JOIN run_names AS n ON n.project = w.project AND n.run_id = w.run_id
WHERE w.state != 'arrived' AND n.deleted = 0
COMMENT 'One row a version of an artifact that was logged and is not there: its files are on their way, or are lost.';

CREATE VIEW IF NOT EXISTS v_artifact_files
(
    project LowCardinality(String) COMMENT 'Project.',
    name    String COMMENT 'Artifact.',
    version String COMMENT 'v0, v1, ... in the order of logging.',
    digest  String COMMENT 'Of the version.',
    type    String COMMENT 'Of the artifact.',
    path    String COMMENT 'Path of the file in the version.',
    size    UInt64 COMMENT 'Bytes.',
    sha256  String COMMENT 'Of the content, in hex; of a file that was not copied: of what is known of it.',
    mime    String COMMENT 'For example image/png.',
    ref     String COMMENT 'Address of a file that was not copied, else empty.'
)
AS
SELECT a.project AS project, a.name AS name, a.version AS version, a.digest AS digest, a.type AS type,
       held.1 AS path, held.3 AS size, held.2 AS sha256, held.4 AS mime, held.5 AS ref
FROM (SELECT project, name, version, digest, type, arrayJoin(files) AS held FROM v_artifacts WHERE deleted = 0) AS a
COMMENT 'One row a file of a version of an artifact that is not deleted.';

CREATE VIEW IF NOT EXISTS v_lineage
(
    project      LowCardinality(String) COMMENT 'Project of the run.',
    from_project LowCardinality(String) COMMENT 'Project: another one where the run read an artifact of that.',
    from_kind    String COMMENT 'artifact, dataset or run.',
    from_name    String COMMENT 'Name: of an artifact with its version behind a colon.',
    from_id      String COMMENT 'Digest, or run id; empty when what was read is not known.',
    to_kind      String COMMENT 'run or artifact.',
    to_name      String COMMENT 'As from_name.',
    to_id        String COMMENT 'As from_id.',
    at           DateTime64(6, 'UTC') COMMENT 'When it was read or made.'
)
AS
SELECT k.project AS project, k.holder AS from_project,
       if(k.role = 'out', 'run', k.kind) AS from_kind,
       if(k.role = 'out', n.run_name, k.label) AS from_name,
       if(k.role = 'out', toString(k.run_id), k.digest) AS from_id,
       if(k.role = 'out', k.kind, 'run') AS to_kind,
       if(k.role = 'out', k.label, n.run_name) AS to_name,
       if(k.role = 'out', k.digest, toString(k.run_id)) AS to_id,
       fromUnixTimestamp64Micro(k.ts_us, 'UTC') AS at
FROM
(
    SELECT l.project AS project, l.artifact_project AS holder, l.run_id AS run_id, 'artifact' AS kind, toString(l.role) AS role, l.digest AS digest, l.ts_us AS ts_us,
           concat(l.name, ':', if(a.place > 0, concat('v', toString(a.place - 1)), l.version)) AS label
    FROM (SELECT * FROM artifact_links FINAL WHERE run_id != toUUID('00000000-0000-0000-0000-000000000000')) AS l
    LEFT ANY JOIN (SELECT project, name, digest, place FROM artifact_states) AS a
        ON a.project = l.artifact_project AND a.name = l.name AND a.digest = l.digest
    UNION ALL
    SELECT project, project, run_id, 'dataset', 'in', digest, ts_us, name
    FROM datasets FINAL
) AS k
LEFT ANY JOIN run_names AS n ON n.project = k.project AND n.run_id = k.run_id
WHERE n.deleted = 0
COMMENT 'One row a step of what came from what: an artifact or a dataset that a run read, or an artifact that a run made.';

CREATE VIEW IF NOT EXISTS v_model_versions
(
    project          LowCardinality(String) COMMENT 'Project.',
    model            String COMMENT 'Registered model.',
    version          String COMMENT 'v1, v2, ... in the order of registration.',
    artifact_project LowCardinality(String) COMMENT 'Project that has the artifact: mostly that of the model.',
    artifact         String COMMENT 'The artifact whose version it is.',
    artifact_version String COMMENT 'That version; empty when it is not known.',
    digest           String COMMENT 'Digest of that version.',
    stage            String COMMENT 'For example staging or production, or empty.',
    aliases          Array(String) COMMENT 'Names that point at this version, sorted; each at one version of the model.',
    tags             Array(String) COMMENT 'Tags, sorted.',
    verdict          String COMMENT 'approved, rejected or empty: the last word.',
    description      String COMMENT 'For people, as last edited.',
    note             String COMMENT 'The newest note.',
    registered_at    DateTime64(6, 'UTC') COMMENT 'When it was registered.',
    registered_by    String COMMENT 'Who registered it.',
    changed_at       DateTime64(6, 'UTC') COMMENT 'When it was last changed.',
    changed_by       String COMMENT 'Who changed it last.',
    run_id           UUID COMMENT 'The run that made the artifact; nil when it is not known.',
    run_name         String COMMENT 'Name of that run, as last edited.',
    deleted          UInt8 COMMENT '1: people deleted it, or the model.'
)
AS
SELECT m.project AS project, m.model AS model, concat('v', toString(m.place)) AS version, m.artifact_project AS artifact_project,
       m.artifact AS artifact,
       if(a.place > 0, concat('v', toString(a.place - 1)), '') AS artifact_version, m.digest AS digest, m.stage AS stage,
       arraySort(l.aliases) AS aliases, arraySort(t.tags) AS tags,
       multiIf(m.judged = 'approve', 'approved', m.judged = 'reject', 'rejected', '') AS verdict, m.description AS description,
       m.newest_note AS note, fromUnixTimestamp64Micro(m.registered_us, 'UTC') AS registered_at, m.registered_by AS registered_by,
       fromUnixTimestamp64Micro(m.changed_us, 'UTC') AS changed_at, m.changed_by AS changed_by,
       a.run_id AS run_id, n.run_name AS run_name,
       greatest(m.deleted_ver, w.deleted_ver) > m.alive_ver AND (m.deleted_ver > m.alive_ver OR w.deleted_ver > w.alive_ver) AS deleted
FROM
(
    SELECT *, row_number() OVER (PARTITION BY project, model ORDER BY registered_us, first_ver, artifact_project, artifact, digest) AS place
    FROM
    (
        SELECT project, model, artifact_project, artifact, digest,
               minIf(ver, action = 'register') AS first_ver,
               argMinIf((ts_us, actor), ver, action = 'register') AS first, first.1 AS registered_us, first.2 AS registered_by,
               argMax((ts_us, actor), ver) AS newest, newest.1 AS changed_us, newest.2 AS changed_by,
               argMaxIf(value, ver, action = 'stage') AS stage,
               argMaxIf(toString(action), ver, action IN ('approve', 'reject')) AS judged,
               argMaxIf(value, ver, action = 'describe') AS description,
               argMaxIf(if(action = 'note' AND value != '', value, note), ver, note != '' OR (action = 'note' AND value != '')) AS newest_note,
               maxIf(ver, action = 'delete') AS deleted_ver, maxIf(ver, action IN ('restore', 'register')) AS alive_ver
        FROM model_events FINAL
        WHERE digest != ''
        GROUP BY project, model, artifact_project, artifact, digest
        HAVING countIf(action = 'register') > 0
    )
) AS m
LEFT JOIN
(
    SELECT project, model, maxIf(ver, action = 'delete') AS deleted_ver, maxIf(ver, action = 'restore') AS alive_ver
    FROM model_events FINAL
    WHERE digest = ''
    GROUP BY project, model
) AS w ON w.project = m.project AND w.model = m.model
LEFT JOIN
(
    SELECT project, model, holder.1 AS artifact, holder.2 AS digest, holder.3 AS artifact_project, groupArray(alias) AS aliases
    FROM
    (
        SELECT project, model, value AS alias, argMaxIf((artifact, digest, toString(artifact_project)), ver, action = 'alias') AS holder,
               maxIf(ver, action = 'alias') AS given, groupArrayIf((digest, ver), action = 'unalias') AS taken
        FROM model_events FINAL
        WHERE action IN ('alias', 'unalias')
        GROUP BY project, model, value
        HAVING given > 0 AND NOT arrayExists(one -> one.1 IN ('', holder.2) AND one.2 > given, taken)
    )
    GROUP BY project, model, artifact_project, artifact, digest
) AS l ON l.project = m.project AND l.model = m.model AND l.artifact_project = m.artifact_project AND l.artifact = m.artifact AND l.digest = m.digest
LEFT JOIN
(
    SELECT project, model, artifact_project, artifact, digest, groupArray(tag) AS tags
    FROM
    (
        SELECT project, model, artifact_project, artifact, digest, value AS tag
        FROM model_events FINAL
        WHERE action IN ('tag', 'untag')
        GROUP BY project, model, artifact_project, artifact, digest, value
        HAVING argMax(action, ver) = 'tag'
    )
    GROUP BY project, model, artifact_project, artifact, digest
) AS t ON t.project = m.project AND t.model = m.model AND t.artifact_project = m.artifact_project AND t.artifact = m.artifact AND t.digest = m.digest
LEFT ANY JOIN (SELECT project, name, digest, place, run_id FROM artifact_states) AS a
    ON a.project = m.artifact_project AND a.name = m.artifact AND a.digest = m.digest
LEFT ANY JOIN run_names AS n ON n.project = m.artifact_project AND n.run_id = a.run_id
COMMENT 'One row a version of a registered model, deleted ones too: the last word of each of its attributes.';

CREATE VIEW IF NOT EXISTS v_models
(
    project     LowCardinality(String) COMMENT 'Project.',
    model       String COMMENT 'Registered model.',
    versions    UInt64 COMMENT 'Versions that are not deleted.',
    latest      String COMMENT 'The newest of them, or empty.',
    stages      Array(Tuple(stage String, version String)) COMMENT 'The newest version in each stage, sorted.',
    aliases     Array(Tuple(alias String, version String)) COMMENT 'Which version each alias points at, sorted.',
    tags        Array(String) COMMENT 'Tags of the model itself, sorted.',
    description String COMMENT 'Of the model itself, as last edited.',
    created_at  DateTime64(6, 'UTC') COMMENT 'First event.',
    changed_at  DateTime64(6, 'UTC') COMMENT 'Newest event.',
    changed_by  String COMMENT 'Who caused it.',
    deleted     UInt8 COMMENT '1: people deleted it.'
)
AS
SELECT e.project AS project, e.model AS model, v.versions AS versions, v.latest AS latest, v.stages AS stages, v.aliases AS aliases,
       arraySort(t.tags) AS tags, e.description AS description, fromUnixTimestamp64Micro(e.first_us, 'UTC') AS created_at,
       fromUnixTimestamp64Micro(e.newest.1, 'UTC') AS changed_at, e.newest.2 AS changed_by,
       e.deleted_ver > e.alive_ver AS deleted
FROM
(
    SELECT project, model, min(ts_us) AS first_us, argMax((ts_us, actor), ver) AS newest,
           argMaxIf(value, ver, action = 'describe' AND digest = '') AS description,
           maxIf(ver, action = 'delete' AND digest = '') AS deleted_ver,
           maxIf(ver, action = 'register' OR (action = 'restore' AND digest = '')) AS alive_ver
    FROM model_events FINAL
    GROUP BY project, model
) AS e
LEFT JOIN
(
    SELECT project, model, countIf(NOT deleted) AS versions, argMaxIf(version, number, NOT deleted) AS latest,
           arraySort(arrayFilter(s -> s.1 != '', arrayMap(s -> (s.1, concat('v', toString(s.2))),
               arrayZip(arrayMap(p -> p.1, groupArrayIf((stage, number), NOT deleted AND is_newest) AS newest),
                        arrayMap(p -> p.2, newest))))) AS stages,
           arraySort(arrayFlatten(groupArrayIf(arrayMap(alias -> (alias, version), aliases), NOT deleted))) AS aliases
    FROM
    (
        SELECT project, model, version, toUInt32OrZero(substring(version, 2)) AS number, stage, aliases, deleted,
               number = max(if(deleted, 0, number)) OVER (PARTITION BY project, model, stage) AS is_newest
        FROM v_model_versions
    )
    GROUP BY project, model
) AS v ON v.project = e.project AND v.model = e.model
LEFT JOIN
(
    SELECT project, model, groupArray(tag) AS tags
    FROM
    (
        SELECT project, model, value AS tag
        FROM model_events FINAL
        WHERE action IN ('tag', 'untag') AND digest = ''
        GROUP BY project, model, value
        HAVING argMax(action, ver) = 'tag'
    )
    GROUP BY project, model
) AS t ON t.project = e.project AND t.model = e.model
COMMENT 'One row a registered model, deleted ones too.';

CREATE VIEW IF NOT EXISTS v_audit
(
    project  LowCardinality(String) COMMENT 'Project.',
    at       DateTime64(6, 'UTC') COMMENT 'When it was done.',
    actor    String COMMENT 'Who did it: user@host, agent@host or a user of the pages.',
    subject  String COMMENT 'The run, artifact or model that was changed.',
    action   String COMMENT 'What was done, or which attribute was set.',
    value    String COMMENT 'The new value.',
    kind     LowCardinality(String) COMMENT 'Kind of the event that says so.',
    run_id   UUID COMMENT 'The run; nil where it is about none.',
    run_name String COMMENT 'Name of the run, as last edited.'
)
AS
SELECT a.project AS project, fromUnixTimestamp64Micro(a.ts_us, 'UTC') AS at, a.actor AS actor, a.subject AS subject, a.action AS action,
       a.value AS value, a.kind AS kind, a.run_id AS run_id, n.run_name AS run_name
FROM (SELECT * FROM audit FINAL) AS a
LEFT ANY JOIN run_names AS n ON n.project = a.project AND n.run_id = a.run_id
COMMENT 'One row a change that somebody made to a run, an artifact or a model, deleted ones too.';
