// The worklist follows what happens, as long as somebody looks at it.
(function () {
  'use strict';
  const RETRY_MS = 5000;
  let source = null;
  let retry = null;
  const list = () => document.getElementById('worklist');
  function refresh() {
    htmx.trigger(list(), 'refresh');
  }
  function close() {
    window.clearTimeout(retry);
    if (source) source.close();
    source = null;
  }
  function listen() {
    close();
    if (document.hidden) return;
    source = new EventSource('/work/events');
    source.addEventListener('list', (event) => {
      if (event.data !== list().dataset.version) refresh();
    });
    source.onerror = () => {
      if (source && source.readyState === EventSource.CLOSED) retry = window.setTimeout(listen, RETRY_MS);
    };
  }
  document.addEventListener('steps-sent', refresh);
  document.addEventListener('visibilitychange', listen);
  window.addEventListener('pagehide', close);
  listen();
})();
