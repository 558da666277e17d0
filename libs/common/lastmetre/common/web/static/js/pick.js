// Lets the reader point at a place on a map drawn by AreaMap.draw(pick=True): a click puts a drop
// there, fills the hidden fields lat and lng and chooses the area in the list beside it. Without
// script the list alone is there, so nothing here is needed to report something.
(function () {
  'use strict';
  var STEP = 2, FURTHEST = 32;

  function setUp(picker) {
    var svg = picker.querySelector('svg[data-pick]');
    var form = picker.closest('form');
    var list = form.elements[picker.getAttribute('data-area-select')];
    var status = picker.querySelector('[data-pick-status]');
    var drop = svg.querySelector('.m-picked');
    var whole = svg.viewBox.baseVal;
    var width = whole.width, height = whole.height, zoom = 1, centre = [width / 2, height / 2];
    var west = number('data-west'), north = number('data-north');
    var xPerDegree = number('data-x-per-degree'), yPerDegree = number('data-y-per-degree');
    var names = [].slice.call(svg.querySelectorAll('.m-name'));
    var at = null;

    function number(name) { return parseFloat(svg.getAttribute(name)); }

    function view() {
      var w = width / zoom, h = height / zoom;
      var x = Math.min(Math.max(centre[0] - w / 2, 0), width - w);
      var y = Math.min(Math.max(centre[1] - h / 2, 0), height - h);
      svg.setAttribute('viewBox', [x, y, w, h].join(' '));
      names.forEach(function (name) {
        name.setAttribute('font-size', 12 / zoom);
        // From which zoom on there is room for it is written at each name.
        name.toggleAttribute('hidden', zoom < +name.getAttribute('data-fits'));
      });
      svg.querySelectorAll('.m-scale-g, .m-group').forEach(function (each) { each.toggleAttribute('hidden', zoom > 1); });
      if (at) drop.setAttribute('transform', 'translate(' + at.join(' ') + ') scale(' + 1.3 / zoom + ')');
    }

    // Which area lies there: asked of the drawing, so that the outlines are in one place only.
    function areaAt(x, y) {
      var point = svg.createSVGPoint();
      point.x = x; point.y = y;
      var shapes = svg.querySelectorAll('[data-area]');
      for (var i = 0; i < shapes.length; i++) if (shapes[i].isPointInFill(point)) return shapes[i];
      return null;
    }

    function show(area) {
      svg.querySelectorAll('.is-on').forEach(function (old) { old.classList.remove('is-on'); });
      if (!area) return;
      area.classList.add('is-on');
      // Above its neighbours, which would cover half of its outline.
      var above = [].filter.call(svg.children, function (each) { return !each.matches('.m-area, a'); })[0];
      svg.insertBefore(area, above || null);
    }

    function say(text) { status.textContent = text; }

    function forget() {
      at = null;
      drop.setAttribute('hidden', '');
      form.elements.lat.value = form.elements.lng.value = form.elements.accuracy.value = '';
    }

    // `accuracy`: how many metres off it may be, where a device has said so.
    function mark(x, y, accuracy) {
      var area = areaAt(x, y);
      if (!area) {
        // What was chosen before is not meant any more, and must not be sent.
        forget();
        show(null);
        list.value = '';
        say(status.getAttribute('data-outside'));
        return false;
      }
      at = [x, y];
      drop.removeAttribute('hidden');
      form.elements.lng.value = (west + x / xPerDegree).toFixed(6);
      form.elements.lat.value = (north - y / yPerDegree).toFixed(6);
      form.elements.accuracy.value = accuracy || '';
      list.value = area.getAttribute('data-area');
      var chosen = list.options && list.options[list.selectedIndex];
      say(status.getAttribute('data-picked') + (chosen ? ' ' + chosen.text : ''));
      show(area);
      // Once zoomed in, a tap also moves the map: what was tapped comes to the middle.
      if (zoom > 1) centre = at;
      view();
      form.dispatchEvent(new Event('change'));
      return true;
    }

    function zoomBy(factor) {
      zoom = Math.min(Math.max(zoom * factor, 1), FURTHEST);
      centre = at || centre;
      view();
    }

    svg.addEventListener('click', function (event) {
      var point = svg.createSVGPoint();
      point.x = event.clientX; point.y = event.clientY;
      point = point.matrixTransform(svg.getScreenCTM().inverse());
      mark(point.x, point.y);
    });
    picker.querySelector('[data-pick-in]').addEventListener('click', function () { zoomBy(STEP); });
    picker.querySelector('[data-pick-out]').addEventListener('click', function () { zoomBy(1 / STEP); });
    picker.querySelector('[data-pick-locate]').addEventListener('click', function () {
      if (!navigator.geolocation) { say(status.getAttribute('data-unknown')); return; }
      navigator.geolocation.getCurrentPosition(function (here) {
        if (mark((here.coords.longitude - west) * xPerDegree, (north - here.coords.latitude) * yPerDegree, Math.ceil(here.coords.accuracy))) {
          zoom = 8;
          zoomBy(1);
        }
      }, function () { say(status.getAttribute('data-unknown')); }, { enableHighAccuracy: true, timeout: 10000 });
    });
    // Another area chosen from the list: the old place would contradict it.
    list.addEventListener('change', function () {
      forget();
      say('');
      show([].filter.call(svg.querySelectorAll('[data-area]'), function (shape) {
        return shape.getAttribute('data-area') === list.value;
      })[0]);
    });

    picker.hidden = false;
    if (form.elements.lat.value && form.elements.lng.value) {
      mark((+form.elements.lng.value - west) * xPerDegree, (north - +form.elements.lat.value) * yPerDegree, form.elements.accuracy.value);
    }
  }

  document.querySelectorAll('[data-picker]').forEach(setUp);
})();
