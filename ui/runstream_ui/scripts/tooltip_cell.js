// One cell of a heat map of histograms: [place of the step, place of the bin, colour, count].
function (item) {
  const num = __NUMBER__, axes = chart.getOption();
  const [at, bin, , count] = item.value;
  const [low, high] = axes.yAxis[0].data[bin].split(':').map(Number);
  return '<div style="font-size:12px"><div style="opacity:.7">step ' + num(+axes.xAxis[0].data[at]) + '</div>' +
    '<span style="font-variant-numeric:tabular-nums">' + num(low) + ' … ' + num(high) + '</span>: <b>' + num(count) + '</b></div>';
}
