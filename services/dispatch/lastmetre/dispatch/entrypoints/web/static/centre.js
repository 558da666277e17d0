// The list of cases beside one of them: keys, the next case after a step, and what others do meanwhile.
(function () {
  'use strict';
  const KEYS = 'lastmetre-keys';
  const LIVE = 'X-Live-Case';
  const stream = window.lastmetreStream;
  const one = (selector) => document.querySelector(selector);
  const current = () => (one('#current') ? one('#current').value : '');

  // --- the list: which row is chosen, and which comes next -------------------------------
  function rows() {
    return Array.from(document.querySelectorAll('#list li[data-number]'));
  }
  function linkFrom(step) {
    const all = rows();
    const start = all.findIndex((row) => row.dataset.number === current());
    for (let i = start < 0 ? 0 : start + step; i >= 0 && i < all.length; i += step) {
      const link = all[i].querySelector('a[data-number]');
      if (link) return link;
    }
    return null;
  }
  function mark() {
    document.querySelectorAll('#list a[data-number]').forEach((link) => {
      if (link.dataset.number === current()) {
        link.setAttribute('aria-current', 'true');
        link.scrollIntoView({ block: 'nearest' });
      } else {
        link.removeAttribute('aria-current');
      }
    });
  }
  // Forms beside the list change the case there; the next one follows a step that was taken.
  document.addEventListener('submit', (event) => {
    const form = event.target;
    if (form.getAttribute('method') !== 'post' || !form.closest('#case, #told, [data-post]')) return;
    event.preventDefault();
    const next = linkFrom(1) || linkFrom(-1);
    const into = form.dataset.into || '#case';
    const after = 'stay' in form.dataset ? current() : next ? next.dataset.number : '';
    const values = form.closest('#case') && !form.dataset.into ? { next: after } : {};
    htmx.ajax('POST', form.getAttribute('action'), { source: form, target: into, swap: 'innerHTML', values });
  });
  let acting = 0;
  document.addEventListener('htmx:beforeRequest', (event) => {
    if (event.detail.requestConfig.verb === 'post') acting += 1;
  });
  document.addEventListener('htmx:afterRequest', (event) => {
    if (event.detail.requestConfig.verb !== 'post') return;
    acting -= 1;
    stream.refreshNow();
  });
  // A case that has moved on is put in its own place only, and not over what follows a step.
  document.addEventListener('htmx:beforeSwap', (event) => {
    const number = event.detail.requestConfig.headers[LIVE];
    if (number && (acting || number !== current())) event.detail.shouldSwap = false;
  });
  // A phone shows either the list or the case: there a row is a link like any other.
  document.addEventListener('htmx:beforeRequest', (event) => {
    const link = event.target.closest('a[data-number]');
    if (link && window.matchMedia('(max-width: 68rem)').matches) {
      event.preventDefault();
      window.location.assign(link.href);
    }
  });
  document.addEventListener('htmx:afterSwap', (event) => {
    if (event.target.id === 'case') {
      one('#problem').hidden = true;
      const link = one('#list a[data-number="' + current() + '"]');
      if (link) window.history.replaceState(null, '', link.href);
      mark();
      stream.listen();
      const notice = one('#case .err-sum') || one('#case .pane.mid');
      if (notice) notice.focus({ preventScroll: true });
    }
  });

  // --- what did not work is said, and stays until something works -------------------------
  function notDone(event) {
    if (event.detail.requestConfig.verb !== 'post') return;
    const box = one('#problem');
    const status = event.detail.xhr ? event.detail.xhr.status : 0;
    const words = { 401: 'data-signed-out', 410: 'data-too-late' }[status] || 'data-not-done';
    box.textContent = one('#list').getAttribute(words);
    box.hidden = false;
  }
  document.addEventListener('htmx:responseError', notDone);
  document.addEventListener('htmx:sendError', notDone);

  // --- keys ------------------------------------------------------------------------------
  function keysOn() {
    return window.localStorage.getItem(KEYS) !== 'off';
  }
  function assign() {
    const form = one('#case form[data-assign]');
    if (!form) return;
    const chosen = form.querySelector('input[name=area_id]:checked');
    const select = form.querySelector('select[name=area_id]');
    if (chosen || (select && select.value)) form.requestSubmit();
    else (form.querySelector('input[name=area_id]') || select).focus();
  }
  function choose(digit) {
    const candidate = document.querySelectorAll('#case [data-assign] .cand input')[digit - 1];
    if (candidate) {
      candidate.checked = true;
      candidate.focus();
    }
  }
  function takeBack() {
    const button = one('#told [data-take-back]') || one('#case [data-take-back]');
    if (button) button.click();
  }
  document.addEventListener('keydown', (event) => {
    const target = event.target;
    if (!keysOn() || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (target.matches('textarea, input:not([type=radio])')) return;
    if (event.key === 'Enter') {
      if (target.matches('select[name=area_id]') && target.value) {
        event.preventDefault();
        target.form.requestSubmit();
      } else if (!target.closest('a, button, summary, input, select')) {
        event.preventDefault();
        assign();
      }
      return;
    }
    if (target.matches('select')) return;
    const key = event.key.toLowerCase();
    if (key === 'j' || key === 'k') {
      const link = linkFrom(key === 'j' ? 1 : -1);
      if (link) link.click();
    } else if (key >= '1' && key <= '9') choose(Number(key));
    else if (key === 'u') takeBack();
    else if (key === '/') one('#number').focus();
    else return;
    event.preventDefault();
  });
  const keysButton = one('[data-keys]');
  keysButton.setAttribute('aria-pressed', String(keysOn()));
  keysButton.addEventListener('click', () => {
    window.localStorage.setItem(KEYS, keysOn() ? 'off' : 'on');
    keysButton.setAttribute('aria-pressed', String(keysOn()));
  });

  // --- what others do ---------------------------------------------------------------------
  stream.on('case', (event) => {
    const kept = one('#current');
    if (kept && kept.value && !acting && event.data !== kept.dataset.state) {
      const panes = one('#list').dataset.base + '/' + kept.value + '/panes';
      htmx.ajax('GET', panes, { target: '#case', swap: 'innerHTML', headers: { [LIVE]: kept.value } });
    }
  });
  stream.on('viewers', (event) => {
    const words = one('#viewers');
    if (words) words.textContent = event.data;
  });
  mark();
})();
