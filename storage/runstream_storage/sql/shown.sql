    -- A part of questions about text, histograms and media: what runs show of $table, their ancestors' up to the fork
    -- and nothing that a rewind took back. A version keeps the attempt in its highest byte: up to 255.
    -- project String. names Array(String): which; empty: all. low_step, high_step Int64: inclusive. And arrays of one
    -- length, an element a run whose values a run shows: of_runs, sources Array(UUID). depths Array(UInt16): ancestors
    -- are deeper. uptos Array(Int64): the last step of it. cuts Array(Array(Tuple(UInt32, UInt32, Int64))): rank,
    -- attempt, step of rewinds.
    SELECT k.run_id AS run_id, k.depth AS depth, v.* EXCEPT (run_id)
    FROM
    (
        SELECT run_id, name, rank, step, ver, $columns
        FROM $table FINAL
        WHERE project = {project:String} AND run_id IN {sources:Array(UUID)}
          AND (empty({names:Array(String)}) OR name IN {names:Array(String)})
          AND step BETWEEN {low_step:Int64} AND {high_step:Int64}
        SETTINGS do_not_merge_across_partitions_select_final = 1
    ) AS v
    INNER JOIN
    (
        SELECT link.1 AS run_id, link.2 AS source, link.3 AS depth, link.4 AS upto, link.5 AS cuts
        FROM
        (
            SELECT arrayJoin(arrayZip({of_runs:Array(UUID)}, {sources:Array(UUID)}, {depths:Array(UInt16)},
                                      {uptos:Array(Int64)}, {cuts:Array(Array(Tuple(UInt32, UInt32, Int64)))})) AS link
        )
    ) AS k ON k.source = v.run_id
    WHERE v.step <= k.upto
      AND NOT arrayExists(cut -> cut.1 = v.rank AND if(cut.2 > 65535, cut.2, least(cut.2, 255)) > bitShiftRight(v.ver, 56)
                                 AND cut.3 < v.step, k.cuts)
    $nearest
