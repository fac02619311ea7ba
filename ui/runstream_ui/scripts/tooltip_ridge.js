// What lies in one bin at each step: items are [centre, height, count, low edge, high edge].
function (items) {
  const esc = echarts.format.encodeHTML, num = __NUMBER__;
  const drawn = items.filter((it) => it.data);
  if (!drawn.length) return '';
  const [, , , low, high] = drawn[0].data;
  const every = Math.max(1, Math.ceil(drawn.length / 11));
  let out = '<div style="font-size:12px"><div style="opacity:.7;margin-bottom:3px">' + num(low) + ' … ' + num(high) + '</div>';
  drawn.forEach((it, i) => {
    if (i % every && i !== drawn.length - 1) return;
    out += '<div style="display:flex;gap:12px;justify-content:space-between"><span><span style="color:' + esc(String(it.color)) +
      '">■</span> ' + esc(it.seriesName) + '</span><b style="font-variant-numeric:tabular-nums">' + num(it.data[2]) + '</b></div>';
  });
  return out + '</div>';
}
