// A wall is never touched: at night it loads itself anew, so that a new build gets there too.
(function () {
  'use strict';
  const HOUR = 4;
  const RETRY_MS = 60000;
  async function reload() {
    // Not onto an error page: a wall cannot find its way back from there.
    const answer = await fetch(window.location.href, { cache: 'no-store' }).catch(() => null);
    if (answer && answer.ok) window.location.reload();
    else window.setTimeout(reload, RETRY_MS);
  }
  const at = new Date();
  at.setHours(HOUR, 0, 0, 0);
  if (at <= new Date()) at.setDate(at.getDate() + 1);
  window.setTimeout(reload, at - new Date());
})();
