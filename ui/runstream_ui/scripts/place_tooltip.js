function (point, params, dom, rect, size) {
  const chart = [...document.querySelectorAll('canvas:hover')].pop();
  const left = chart ? chart.getBoundingClientRect().left : 0, width = size.contentSize[0];
  let x = point[0] + 16;
  if (left + x + width > window.innerWidth - 12) x = point[0] - 16 - width;
  return [Math.max(x, 8 - left), Math.min(point[1] + 16, size.viewSize[1])];
}
