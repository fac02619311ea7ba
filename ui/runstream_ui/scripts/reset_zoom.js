function () { return {from: null, to: null}; }
