function (x) { return 'step ' + (__NUMBER__)(x); }
