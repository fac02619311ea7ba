function (x) { return (__DURATION__)(x) + ' after the start'; }
