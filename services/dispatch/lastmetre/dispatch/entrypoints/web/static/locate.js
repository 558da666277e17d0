// A click on the map of a case fills in the coordinates of the form beside it, and how exact a click is.
(function () {
  'use strict';
  const METRES_A_DEGREE = 111195;
  const CLICK_PIXELS = 3;
  const formOf = (svg) => svg.closest('.side').querySelector('form[data-locate]');

  function hint() {
    document.querySelectorAll('[data-locate-hint]').forEach((each) => { each.hidden = false; });
  }
  document.addEventListener('click', (event) => {
    const svg = event.target.closest('.side svg[data-pick]');
    const form = svg && formOf(svg);
    if (!form) return;
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    const of = (name) => parseFloat(svg.getAttribute('data-' + name));
    form.elements.longitude.value = (of('west') + at.x / of('x-per-degree')).toFixed(6);
    form.elements.latitude.value = (of('north') - at.y / of('y-per-degree')).toFixed(6);
    form.elements.datum.value = 'wgs84';
    const metres = CLICK_PIXELS * METRES_A_DEGREE / of('y-per-degree');
    const exact = Array.from(form.elements.accuracy_metres.options).filter((each) => Number(each.value) >= metres);
    if (exact.length) form.elements.accuracy_metres.value = exact[0].value;
    const drop = svg.querySelector('.m-picked');
    drop.removeAttribute('hidden');
    drop.setAttribute('transform', 'translate(' + at.x + ' ' + at.y + ')');
    form.closest('details').open = true;
  });
  document.addEventListener('htmx:afterSwap', hint);
  hint();
})();
