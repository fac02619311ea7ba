function (v) {
  const a = Math.abs(v);
  if (a !== 0 && (a >= 1e5 || a < 1e-3)) {
    const units = [[1e9, 'G'], [1e6, 'M'], [1e3, 'k']];
    for (const [size, unit] of units) if (a >= size && a < size * 1e3) return String(+(v / size).toPrecision(4)) + unit;
    return v.toExponential(2).replace(/\.?0+e/, 'e').replace('e+', 'e');
  }
  return String(+v.toPrecision(6));
}
