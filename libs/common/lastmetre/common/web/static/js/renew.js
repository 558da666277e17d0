// An access token ends after some minutes: a page that stays open asks for a new one before it does.
(function () {
  'use strict';
  const LOOK_MS = 20 * 1000;
  const FRESH = /(?:^|; )(?:__Host-)?lastmetre_fresh=/; // gone two minutes before the token is
  let used = true;
  let asking = null;
  let over = false;
  ['pointerdown', 'keydown'].forEach((name) => {
    document.addEventListener(name, () => { used = true; }, { capture: true, passive: true });
  });

  // Whether there is a new token. A sign-in ends if nobody uses the page; on a wall nobody can.
  window.lastmetreRenew = function () {
    if (asking) return asking;
    const inUse = used || document.documentElement.hasAttribute('data-wall');
    used = false;
    asking = window.fetch('/sign-in/renew', {
      method: 'POST',
      headers: { Accept: 'application/json' },
      body: new URLSearchParams({ used: inUse ? 'yes' : 'no' }),
    }).then((answer) => {
      over = answer.status === 401;
      return answer.ok;
    }, () => false).then((renewed) => {
      used = used || (inUse && !renewed);
      asking = null;
      return renewed;
    });
    return asking;
  };
  window.lastmetreFresh = () => FRESH.test(document.cookie) ? Promise.resolve(true) : window.lastmetreRenew();

  function look() {
    if (!document.hidden && navigator.onLine) window.lastmetreFresh();
  }
  window.setInterval(() => { if (!over) look(); }, LOOK_MS);
  document.addEventListener('visibilitychange', look);
  window.addEventListener('online', look);
  // What htmx asks waits for it.
  document.addEventListener('htmx:confirm', (event) => {
    if (FRESH.test(document.cookie) || !navigator.onLine) return;
    event.preventDefault();
    window.lastmetreRenew().then(() => event.detail.issueRequest(true));
  });
  look();
})();
