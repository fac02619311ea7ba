function (v) {
  if (v === null || v === undefined || v === '') return '';
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let at = 0, a = Math.abs(v);
  while (a >= 1024 && at < 4) { a /= 1024; at++; }
  return (v < 0 ? '-' : '') + +a.toPrecision(3) + ' ' + units[at];
}
