// A lead's steps: kept on his device and sent once, in their order, as soon as there is a connection.
// Each has an id of its own, so that sending it again changes nothing.
(function () {
  'use strict';
  const KEY = 'lastmetre-steps';
  const AGREE_MS = 5 * 60 * 1000;
  const AT_ONCE_MS = 10 * 1000;
  const RETRY_MS = 15 * 1000;
  const NEXT = { accept: 'arrive', arrive: 'resolve' };
  const bar = document.getElementById('sync');
  if (!bar) return;
  let sending = false;
  let retry = null;

  const read = () => JSON.parse(window.localStorage.getItem(KEY) || '[]');
  const write = (steps) => window.localStorage.setItem(KEY, JSON.stringify(steps));
  const say = (name) => bar.getAttribute('data-' + name);
  // In the demo's time-lapse the city's clock is another: then a step happens when it arrives.
  if (navigator.onLine) {
    const apart = Math.abs(Date.parse(bar.dataset.now) - Date.now());
    window.localStorage.setItem('lastmetre-clock', apart < AGREE_MS ? 'agrees' : 'differs');
  }

  function newId() {
    if (window.crypto.randomUUID) return window.crypto.randomUUID();
    const bytes = window.crypto.getRandomValues(new Uint8Array(16));
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
  }

  // --- what the page shows of it ---------------------------------------------------------
  function show(text, tone) {
    bar.textContent = text;
    bar.className = 'sync notice ' + (tone || 'soon');
    bar.hidden = !text;
  }
  function paint() {
    const steps = read();
    document.querySelectorAll('.steps[data-to]').forEach((place) => {
      const own = steps.filter((step) => step.url === place.dataset.to);
      const form = place.querySelector('form.one');
      place.querySelectorAll('.kept').forEach((each) => each.remove());
      own.forEach((step) => {
        const kept = document.createElement('p');
        kept.className = 'kept notice soon';
        kept.textContent = say(step.body.action) + ' · ' + say('kept');
        place.insertBefore(kept, form);
      });
      if (!own.length) return;
      const last = own[own.length - 1].body.action;
      const next = NEXT[last];
      place.querySelectorAll('details:not(.ways)').forEach((fold) => { fold.hidden = !next; });
      form.hidden = !next;
      if (next) {
        form.elements.action.value = next;
        form.querySelector('[data-label]').textContent = say(next);
      }
    });
    if (steps.length) show(steps.length + ' · ' + say(navigator.onLine && sending ? 'sending' : 'kept'));
    else if (!bar.dataset.stays) show('');
  }

  // --- keeping and sending ---------------------------------------------------------------
  function keep(form) {
    const fields = Object.fromEntries(new FormData(form));
    const steps = read();
    const before = steps.filter((step) => step.url === form.getAttribute('action')).length;
    const body = { action: fields.action, action_id: newId() };
    // Accepting, arriving and resolving need not say what was seen; giving back must.
    if (fields.action === 'return') {
      body.expected_seq = Number(fields.expected_seq) + before;
      body.return_reason = fields.return_reason;
    }
    delete bar.dataset.stays;
    write(steps.concat({ url: form.getAttribute('action'), body, at: Date.now() }));
  }
  function request(step) {
    const late = Date.now() - step.at > AT_ONCE_MS;
    const agrees = window.localStorage.getItem('lastmetre-clock') === 'agrees';
    const body = Object.assign({}, step.body);
    if (late && agrees) body.occurred_at = new Date(step.at).toISOString();
    return window.fetch(step.url + '/held', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', Accept: 'application/json' },
      body: JSON.stringify(body),
    });
  }
  function done(step) {
    write(read().filter((each) => each.body.action_id !== step.body.action_id));
  }
  async function send() {
    window.clearTimeout(retry);
    if (sending || !read().length) return;
    sending = true;
    let sent = false;
    try {
      for (let step = read()[0]; step; step = read()[0]) {
        paint();
        let answer = await request(step);
        if (answer.status === 401 && window.lastmetreRenew && (await window.lastmetreRenew())) {
          answer = await request(step);
        }
        if (answer.ok) {
          done(step);
        } else if (answer.status === 401 || answer.status === 403 && (await isOthers(answer))) {
          bar.dataset.stays = 'true';
          show(say('signed-out'), 'over');
          return;
        } else if (answer.status >= 400 && answer.status < 500 && answer.status !== 408 && answer.status !== 429) {
          // The server knows better: what is asked for cannot be, and never will.
          done(step);
          bar.dataset.stays = 'true';
          show(say('refused') + ' ' + say(step.body.action) + '. ' + say('moved-on'), 'over');
        } else {
          throw new Error(String(answer.status));
        }
        sent = true;
      }
    } catch {
      retry = window.setTimeout(send, RETRY_MS);
    } finally {
      sending = false;
      if (!bar.dataset.stays) paint();
      if (sent && window.lastmetreStream) window.lastmetreStream.refreshNow();
    }
  }
  // Somebody else has signed in on this device: his steps are not this lead's.
  async function isOthers(answer) {
    const problem = await answer.clone().json().catch(() => ({}));
    return problem.type === '/problems/not-allowed';
  }

  document.addEventListener('submit', (event) => {
    const form = event.target;
    if (!form.matches('form[data-queue]')) return;
    if (form.elements.return_reason && !form.elements.return_reason.value) return;
    event.preventDefault();
    keep(form);
    paint();
    send();
  });
  document.addEventListener('htmx:afterSwap', paint);
  window.addEventListener('online', send);
  document.addEventListener('visibilitychange', () => { if (!document.hidden) send(); });
  paint();
  send();
})();
