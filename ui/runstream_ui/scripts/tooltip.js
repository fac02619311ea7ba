// Every curve is drawn twice at a bucket (low, high), and once more when smoothed: gathered again here, names escaped.
function (items) {
  const esc = echarts.format.encodeHTML, num = __NUMBER__, head = __HEAD__;
  const rows = new Map();
  for (const it of items) {
    if (it.seriesId && /^(band|spread)-/.test(it.seriesId)) continue;
    const mark = it.seriesType === 'scatter' && it.data ? it.data.name : '';
    if (!mark && (!it.data || it.data[1] === null || it.data[1] === undefined)) continue;
    const row = rows.get(it.seriesName) || {colour: it.color, low: Infinity, high: -Infinity, smooth: null, marks: ''};
    if (mark) row.marks += ' ' + mark;
    else if (it.seriesId && it.seriesId.startsWith('smooth')) row.smooth = it.data[1];
    else if (it.seriesId && it.seriesId.startsWith('mean-')) {
      row.smooth = it.data[1];
      if (it.data[2] !== null && it.data[2] !== it.data[3]) { row.low = it.data[2]; row.high = it.data[3]; }
    }
    else {
      row.low = Math.min(row.low, it.data[1]);
      row.high = Math.max(row.high, it.data[1]);
    }
    rows.set(it.seriesName, row);
  }
  const sorted = [...rows].sort((a, b) => (b[1].smooth ?? b[1].high) - (a[1].smooth ?? a[1].high));
  const x = items.length ? items[0].axisValue : 0;
  let out = '<div style="font-size:12px;max-width:420px"><div style="opacity:.7;margin-bottom:3px">' + esc(head(x)) + '</div>';
  for (const [name, row] of sorted.slice(0, 14)) {
    let logged = '';
    if (row.low !== Infinity) logged = row.low === row.high ? num(row.high) : num(row.low) + ' … ' + num(row.high);
    logged += row.marks;
    let value = esc(logged);
    if (row.smooth !== null) value = esc(num(row.smooth)) + (logged ? ' <span style="opacity:.6">(' + value + ')</span>' : '');
    out += '<div style="display:flex;gap:8px;justify-content:space-between">' +
      '<span style="overflow:hidden;text-overflow:ellipsis;white-space:nowrap;max-width:240px">' +
      '<span style="color:' + esc(String(row.colour)) + '">■</span> ' + esc(name) + '</span>' +
      '<b style="font-variant-numeric:tabular-nums">' + value + '</b></div>';
  }
  if (sorted.length > 14) out += '<div style="opacity:.6">and ' + (sorted.length - 14) + ' more</div>';
  return out + '</div>';
}
