// A bin is named by its edges, low:high; the axis shows the lower one.
function (text) {
  const v = Number(text.split(':')[0]), a = Math.abs(v);
  if (a !== 0 && (a >= 1e5 || a < 1e-3)) return v.toExponential(1).replace('.0e', 'e').replace('e+', 'e');
  return String(+v.toPrecision(3));
}
