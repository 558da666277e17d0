// Says on a page that updates itself when updates stop coming, and when they come again.
(function () {
  'use strict';
  function mark(lost) {
    document.querySelectorAll('[data-live]').forEach(function (badge) {
      badge.classList.toggle('lost', lost);
      badge.querySelector('[data-live-text]').textContent =
        badge.getAttribute(lost ? 'data-lost' : 'data-live');
    });
  }
  ['htmx:sendError', 'htmx:responseError', 'htmx:timeout'].forEach(function (name) {
    document.addEventListener(name, function () { mark(true); });
  });
  document.addEventListener('htmx:afterOnLoad', function () { mark(false); });
})();
