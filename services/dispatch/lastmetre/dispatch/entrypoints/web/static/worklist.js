// The worklist follows what happens, as long as somebody looks at it.
(function () {
  'use strict';
  const list = () => document.getElementById('worklist');
  function refresh() {
    htmx.trigger(list(), 'refresh');
  }
  document.addEventListener('steps-sent', refresh);
  window.lastmetreStream(() => '/work/events', {
    list: (event) => {
      if (event.data !== list().dataset.version) refresh();
    },
  }, refresh);
})();
