-- Ancestors of runs that ancestry does not hold yet, or holds otherwise: those of the runs that they were forked from. A row
-- is as one of ancestry, with a version that takes the place of all before. Asked again after they were
-- written, it has the ancestors of those.
-- project String: only of this one; empty: all.
SELECT DISTINCT c.project AS project, c.run_id AS run_id, toUInt16(a.depth + 1) AS depth, a.source AS source,
       least(c.upto, a.upto) AS upto, (SELECT max(ver) + 1 FROM ancestry) AS ver
FROM (SELECT * FROM ancestry FINAL WHERE depth = 1) AS c
INNER JOIN (SELECT * FROM ancestry FINAL WHERE depth BETWEEN 1 AND 63) AS a ON a.project = c.project AND a.run_id = c.source
WHERE ({project:String} = '' OR c.project = {project:String})
  AND (c.project, c.run_id, toUInt16(a.depth + 1), a.source, least(c.upto, a.upto)) NOT IN
      (SELECT project, run_id, depth, source, upto FROM ancestry FINAL)
