// On a page that updates itself: says when updates stop coming and when they come again, leaves open
// what the reader has opened, and leaves alone what he is typing.
(function () {
  'use strict';
  // The style sheets show that a page updates itself only where it does.
  document.documentElement.classList.add('scripted');
  // Live is what has a stream that goes on, and whose last answer brought what was asked for.
  let streamLost = false;
  let answerLost = false;
  function show() {
    const lost = streamLost || answerLost;
    document.querySelectorAll('[data-live]').forEach((badge) => {
      badge.hidden = false;
      badge.classList.toggle('lost', lost);
      badge.querySelector('[data-live-text]').textContent =
        badge.getAttribute(lost ? 'data-lost' : 'data-live');
    });
  }
  ['htmx:sendError', 'htmx:timeout'].forEach((name) => {
    document.addEventListener(name, () => {
      answerLost = true;
      show();
    });
  });
  // Of every answer, a refusal too.
  document.addEventListener('htmx:afterRequest', (event) => {
    answerLost = !event.detail.successful;
    show();
  });
  // A page's stream says whether it goes on (stream.js).
  document.addEventListener('live', (event) => {
    streamLost = event.detail.lost;
    show();
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
