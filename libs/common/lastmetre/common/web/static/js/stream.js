// The one stream of a page, none while nobody looks: what a service tells of changes (live_events.py).
//
// The part of the page that names it (data-stream) is asked for anew (hx-trigger="refresh") when the stream
// tells of another version than that part shows (data-version, on it or inside of it); the stream's address
// takes what that request includes (hx-include). A page's own script may listen to further events.
(function () {
  'use strict';
  const REFRESH_MS = 2000;
  const SOON_MS = 1000; // after a stream that told something
  const RETRY_MS = 4000;
  const SILENT_MS = 10000;
  const live = (lost) => document.dispatchEvent(new CustomEvent('live', { detail: { lost } }));
  const part = () => document.querySelector('[data-stream]');
  if (!part()) return;

  // --- the part that is asked for anew ----------------------------------------------------
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
  function refreshNow() {
    window.clearTimeout(waiting);
    waiting = null;
    refreshAt = 0;
    refresh();
  }
  function compare() {
    if (newest && part() && newest !== shown()) refresh();
  }
  const events = {
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
  };

  // --- the stream ---------------------------------------------------------------------------
  let source = null;
  let silent = null;
  let retry = null;
  let opened = false;
  let told = false;
  let refused = false;
  let missed = false;
  function address() {
    const to = new URL(part().dataset.stream, window.location.href);
    const included = part().getAttribute('hx-include');
    const field = included && document.querySelector(included);
    if (field) to.searchParams.set(field.name, field.value);
    return to.href;
  }
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
  function expect() {
    window.clearTimeout(silent);
    silent = window.setTimeout(() => {
      live(true);
      again(RETRY_MS);
    }, SILENT_MS);
  }
  function hear(name) {
    source.addEventListener(name, (event) => {
      told = true;
      refused = false;
      live(false);
      expect();
      events[name](event);
      // The stream goes on although an answer did not come.
      if (missed) {
        missed = false;
        refresh();
      }
    });
  }
  function listen() {
    close();
    if (document.hidden || !part()) return;
    // A stream ends with the access token that it began with.
    if (window.lastmetreFresh) window.lastmetreFresh().then(open);
    else open();
  }
  function open() {
    close();
    if (document.hidden || !part()) return;
    opened = false;
    told = false;
    source = new EventSource(address());
    expect();
    source.onopen = () => { opened = true; };
    Object.keys(events).forEach(hear);
    source.onerror = () => {
      refused = !opened;
      // One that is opened and tells nothing says that nobody can tell; offline nobody is asked.
      if (opened ? !told : !navigator.onLine) live(true);
      again(told ? SOON_MS : RETRY_MS);
      // Too many of them, or a proxy that lets none through: the page asks by itself.
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

  window.lastmetreStream = {
    // To be called before an event comes: while the page's scripts run.
    on: (name, listener) => {
      events[name] = listener;
      if (source) hear(name);
    },
    // Begins it anew: what its address includes is another.
    listen,
    refreshNow,
  };
})();
