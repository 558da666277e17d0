// The one stream of a page, none while nobody looks: what a service tells of changes (live_events.py).
(function () {
  'use strict';
  const REFRESH_MS = 4000;
  const SOON_MS = 1000; // after a stream that told something
  const RETRY_MS = 4000;
  const SILENT_MS = 10000;
  const live = (lost) => document.dispatchEvent(new CustomEvent('live', { detail: { lost } }));

  // `address` says where it is (null: nowhere), `events` what is done with each event, `refresh` asks for
  // what is shown: once the stream goes on although an answer did not come, and as often as the stream is
  // refused (too many of them, a proxy that lets none through). Returns what begins it anew.
  window.lastmetreStream = function (address, events, refresh) {
    let source = null;
    let silent = null;
    let retry = null;
    let opened = false;
    let told = false;
    let refused = false;
    let missed = false;
    function close() {
      window.clearTimeout(silent);
      window.clearTimeout(retry);
      if (source) source.close();
      source = null;
    }
    // Not all at once when a process has ended.
    function again(after) {
      close();
      retry = window.setTimeout(listen, after * (0.5 + Math.random()));
    }
    function heard() {
      live(false);
      expect();
    }
    function expect() {
      window.clearTimeout(silent);
      silent = window.setTimeout(() => {
        live(true);
        again(RETRY_MS);
      }, SILENT_MS);
    }
    function listen() {
      close();
      const where = document.hidden ? null : address();
      if (!where) return;
      opened = false;
      told = false;
      source = new EventSource(where);
      expect();
      source.onopen = () => { opened = true; };
      Object.keys(events).concat('beat').forEach((name) => {
        source.addEventListener(name, (event) => {
          told = true;
          refused = false;
          heard();
          if (events[name]) events[name](event);
          if (missed) {
            missed = false;
            refresh();
          }
        });
      });
      source.onerror = () => {
        refused = !opened;
        // One that is opened and tells nothing says that nobody can tell; offline nobody is asked.
        if (opened ? !told : !navigator.onLine) live(true);
        again(told ? SOON_MS : RETRY_MS);
        if (refused && navigator.onLine) refresh();
      };
    }
    ['htmx:sendError', 'htmx:timeout'].forEach((name) => {
      document.addEventListener(name, () => { missed = true; });
    });
    document.addEventListener('htmx:afterRequest', (event) => {
      missed = !event.detail.successful;
      if (refused && !missed) live(false);
    });
    document.addEventListener('visibilitychange', listen);
    window.addEventListener('pagehide', close);
    window.addEventListener('pageshow', (event) => { if (event.persisted) listen(); });
    // Nothing is claimed before something was heard.
    document.querySelectorAll('[data-live]').forEach((badge) => { badge.hidden = true; });
    listen();
    return listen;
  };

  // A part of a page that names a stream (data-stream) is asked for anew (hx-trigger="refresh") when the
  // stream tells of another version than it shows (data-version, on it or inside of it).
  const part = () => document.querySelector('[data-stream]');
  if (!part()) return;
  let newest = null;
  let refreshAt = 0;
  let waiting = null;
  function shown() {
    return (part().closest('[data-version]') || part().querySelector('[data-version]')).dataset.version;
  }
  function refresh() {
    if (waiting) return;
    waiting = window.setTimeout(() => {
      waiting = null;
      refreshAt = Date.now() + REFRESH_MS;
      if (part()) htmx.trigger(part(), 'refresh');
    }, Math.max(refreshAt - Date.now(), 0));
  }
  function compare() {
    if (newest && part() && newest !== shown()) refresh();
  }
  window.lastmetreStream(() => part() && part().dataset.stream, {
    version: (event) => {
      newest = event.data;
      compare();
    },
    'as-of': (event) => {
      if (!part() || newest !== shown()) return;
      document.querySelectorAll('time.clock').forEach((clock) => {
        clock.textContent = event.data;
      });
    },
    // Another process may have answered with what was before.
    beat: compare,
  }, refresh);
})();
