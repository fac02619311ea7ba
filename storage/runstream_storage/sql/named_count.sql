-- How many files and media there are, duplicates included. One row.
-- project, run String: only of these, a run with the versions that it made or read; empty: all.
SELECT
(
    SELECT sum(length(files))
    FROM artifacts
    WHERE {run:String} = '' AND ({project:String} = '' OR project = {project:String})
       OR {run:String} != '' AND (project, name, digest) IN
          (SELECT artifact_project, name, digest FROM artifact_links WHERE run_id = toUUIDOrZero({run:String}))
) +
(
    SELECT count()
    FROM media
    WHERE ({project:String} = '' OR project = {project:String})
      AND ({run:String} = '' OR run_id = toUUIDOrZero({run:String}))
) AS n
