// Beside the pointer and inside the window: the tooltip may be wider than a chart, and lives outside of it.
function (point, params, dom, rect, size) {
  const canvas = [...document.querySelectorAll('canvas:hover')].pop();
  const chart = canvas ? canvas.getBoundingClientRect() : {left: 0, top: 0};
  const [width, height] = size.contentSize;
  let x = point[0] + 16;
  if (chart.left + x + width > window.innerWidth - 12) x = point[0] - 16 - width;
  const y = Math.min(point[1] + 16, window.innerHeight - chart.top - height - 8);
  return [Math.max(x, 8 - chart.left), Math.max(y, 8 - chart.top)];
}
