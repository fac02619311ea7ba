// One cell of the heat map of devices: [place on the axis, row, value].
function (item) {
  const esc = echarts.format.encodeHTML, num = __NUMBER__, head = __HEAD__, axes = chart.getOption();
  const [at, row, value] = item.value;
  return '<div style="font-size:12px"><div style="opacity:.7">' + esc(head(+axes.xAxis[0].data[at])) + '</div>' +
    esc(String(axes.yAxis[0].data[row])) + ': <b>' + esc(num(value)) + '</b></div>';
}
