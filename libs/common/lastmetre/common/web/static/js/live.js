// On a page that updates itself: says when updates stop coming and when they come again, leaves open
// what the reader has opened, and leaves alone what he is typing.
(function () {
  'use strict';
  // The style sheets show that a page updates itself only where it does.
  document.documentElement.classList.add('scripted');
  function mark(lost) {
    document.querySelectorAll('[data-live]').forEach(function (badge) {
      badge.hidden = false;
      badge.classList.toggle('lost', lost);
      badge.querySelector('[data-live-text]').textContent =
        badge.getAttribute(lost ? 'data-lost' : 'data-live');
    });
  }
  ['htmx:sendError', 'htmx:timeout'].forEach(function (name) {
    document.addEventListener(name, function () { mark(true); });
  });
  // Of every answer, a refusal too: the figures are live only if it brought some.
  document.addEventListener('htmx:afterRequest', function (event) {
    mark(!event.detail.successful);
  });
  // Pages with a stream of their own say themselves whether it is there.
  document.addEventListener('live', function (event) { mark(event.detail.lost); });
  // Nothing but the time is another: the answer brings that alone.
  document.addEventListener('as-of', function (event) {
    document.querySelectorAll('time.clock').forEach(function (clock) {
      clock.textContent = event.detail.value;
    });
  });
  // A browser keeps no page that holds something personal, so it cannot ask by itself whether the page
  // has changed: the tags of the last answers are kept here, as long as the page is open.
  var tags = {};
  document.addEventListener('htmx:configRequest', function (event) {
    var tag = tags[event.detail.path];
    if (tag && event.detail.verb === 'get') event.detail.headers['If-None-Match'] = tag;
  });
  document.addEventListener('htmx:afterOnLoad', function (event) {
    var tag = event.detail.xhr.getResponseHeader('ETag');
    if (tag) tags[event.detail.pathInfo.requestPath] = tag;
  });
  Idiomorph.defaults.callbacks.beforeAttributeUpdated = function (name, element) {
    return !(name === 'open' && element.tagName === 'DETAILS');
  };
  Idiomorph.defaults.callbacks.beforeNodeMorphed = function (element) {
    return !(element.hasAttribute && element.hasAttribute('data-typed'));
  };
})();
