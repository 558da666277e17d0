// Copies a field of the page: <p data-copy="id" hidden><button>…</button><span data-copied></span></p>.
// Without script, or where the browser has no clipboard for us, the button is not there.
(function () {
  'use strict';
  function show() {
    if (!navigator.clipboard) return;
    document.querySelectorAll('[data-copy]').forEach(function (each) { each.hidden = false; });
  }
  document.addEventListener('click', function (event) {
    var place = event.target.closest('[data-copy]');
    if (!place || !event.target.closest('button')) return;
    navigator.clipboard.writeText(document.getElementById(place.getAttribute('data-copy')).value).then(function () {
      var said = place.querySelector('[data-copied]');
      said.textContent = said.getAttribute('data-copied');
    });
  });
  // An update of the page brings the button as it is without script.
  document.addEventListener('htmx:afterSettle', show);
  show();
})();
