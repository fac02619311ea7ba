function (v) { return v === null || v === undefined || v === '' ? '' : +(+v).toPrecision(4) + ' %'; }
