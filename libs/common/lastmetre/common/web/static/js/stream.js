// On a page with an element that names a stream (data-stream) and what it shows (data-version): loads it
// again when the stream tells of another version. None while nobody looks; without one it asks by itself.
(function () {
  'use strict';
  const SILENT_MS = 9000;
  const RETRY_MS = 4000;
  const part = () => document.querySelector('[data-stream]');
  let source = null;
  let silent = null;
  let retry = null;
  const live = (lost) => document.dispatchEvent(new CustomEvent('live', { detail: { lost } }));
  function heard() {
    window.clearTimeout(silent);
    silent = window.setTimeout(() => live(true), SILENT_MS);
  }
  function close() {
    window.clearTimeout(retry);
    window.clearTimeout(silent);
    if (source) source.close();
    source = null;
  }
  function refresh() {
    htmx.trigger(part(), 'refresh');
  }
  function listen() {
    close();
    if (document.hidden) return;
    heard();
    source = new EventSource(part().dataset.stream);
    source.addEventListener('version', (event) => {
      if (event.data !== part().dataset.version) {
        refresh();
        return;
      }
      heard();
      live(false);
    });
    source.onerror = () => {
      source.close();
      window.clearTimeout(retry);
      // Not all at once when a process has ended.
      retry = window.setTimeout(() => { refresh(); listen(); }, RETRY_MS * (0.5 + Math.random()));
    };
  }
  document.addEventListener('htmx:afterRequest', (event) => {
    if (event.detail.successful) heard();
  });
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden) refresh();
    listen();
  });
  window.addEventListener('pagehide', close);
  // Nothing is claimed before something was heard.
  document.querySelectorAll('[data-live]').forEach((badge) => { badge.hidden = true; });
  listen();
})();
