// Keeps what is typed into <form data-draft> with its place in the browser's history: whoever goes
// Back to it finds it as he left it, its hidden fields too, so that sending it again is the same
// report. A new visit begins empty. Load it before what reads the fields.
(function () {
  'use strict';
  var form = document.querySelector('form[data-draft]');
  if (!form) return;
  var draft = history.state && history.state.draft;

  function fields() {
    return [].filter.call(form.elements, function (each) {
      return each.name && each.type !== 'submit' && each.type !== 'button' && each.type !== 'file';
    });
  }

  function keep() {
    var values = {};
    fields().forEach(function (each) {
      if (each.type !== 'radio' && each.type !== 'checkbox') values[each.name] = each.value;
      else if (each.checked) values[each.name] = each.value;
    });
    history.replaceState({ draft: values }, '');
  }

  if (draft) {
    fields().forEach(function (each) {
      var value = draft[each.name];
      if (value === undefined) return;
      if (each.type === 'radio' || each.type === 'checkbox') each.checked = each.value === value;
      else each.value = value;
    });
  }
  ['input', 'change', 'submit'].forEach(function (name) { form.addEventListener(name, keep); });
  window.addEventListener('pagehide', keep);
})();
