// On a page that updates itself: says when updates stop coming and when they come again, and leaves
// open what the reader has opened.
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
  Idiomorph.defaults.callbacks.beforeAttributeUpdated = function (name, element) {
    return !(name === 'open' && element.tagName === 'DETAILS');
  };
})();
