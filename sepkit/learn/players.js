// The players of one output: one clock and one transport, a gain per row, a limiter behind them.
function sepkitPlayers(name) {
  const root = document.getElementById(name);
  const Context = window.AudioContext || window.webkitAudioContext;
  if (!root || !Context || root.classList.contains("live")) return;
  root.classList.add("live");
  const find = (css, from) => (from || root).querySelector(css);
  const play = find(".play"), loop = find(".loop"), seek = find(".seek"), view = find(".view");
  const RAMP = 0.01;                                  // seconds; no level jumps, so nothing clicks
  const rows = [...root.querySelectorAll(".row")].map(box => ({
    box, label: box.getAttribute("aria-label"), source: find("audio", box).src,
    choice: find(".choice", box), solo: find(".solo", box), mute: find(".mute", box),
    slider: find(".gain input", box), shown: find(".gain span", box),
    picture: find(".picture", box), head: find(".head", box),
    gain: null, node: null, fade: null, buffer: null }));
  let context = null, startedAt = 0, offset = 0, playing = false, length = 0, loading = null;
  find(".transport").hidden = false;

  // --- what is heard -----------------------------------------------------------------------------
  const on = button => Boolean(button) && button.getAttribute("aria-pressed") === "true";
  const press = (button, state) => button.setAttribute("aria-pressed", String(state));
  const heard = row => {
    if (row.choice) return row.choice.checked;        // versions of one sound: one at a time
    const anySolo = rows.some(other => on(other.solo));
    return !on(row.mute) && (!anySolo || on(row.solo));
  };
  const level = row => heard(row) ? Math.pow(10, row.slider.value / 20) : 0;
  const ramp = (param, value) => {
    const now = context.currentTime;
    param.cancelScheduledValues(now);
    param.setValueAtTime(param.value, now);
    param.linearRampToValueAtTime(value, now + RAMP);
  };
  function mix() {
    rows.forEach(row => {
      row.box.classList.toggle("silent", !heard(row));
      if (row.gain) ramp(row.gain.gain, level(row));
    });
  }
  function announce() {                               // for screen readers
    const labels = rows.filter(heard).map(row => row.label);
    const what = labels.join(", ") || "nothing";
    find(".state").textContent = `${playing ? "playing" : "paused"}: ${what}`;
  }

  // --- sound -------------------------------------------------------------------------------------
  // Stems that cancel each other can sum to more than the mixture when one of them is muted.
  function limiter() {                                // y = x up to 0.9, then bent, always below 1
    const KNEE = 0.9, RANGE = 16, curve = new Float32Array(2000 * RANGE + 1);
    curve.forEach((_, i) => {
      const x = i / 1000 - RANGE, over = Math.max(0, Math.abs(x) - KNEE);
      curve[i] = Math.sign(x) * (Math.min(Math.abs(x), KNEE) + 0.09 * Math.tanh(over / 0.09));
    });
    const into = context.createGain(), shaper = context.createWaveShaper();
    into.gain.value = 1 / RANGE;                      // a shaper's curve spans -1 ... 1
    shaper.curve = curve;
    into.connect(shaper).connect(context.destination);
    return into;
  }
  async function load() {
    context = window.sepkitContext = window.sepkitContext || new Context();
    const output = limiter();
    await Promise.all(rows.map(async row => {
      const raw = atob(row.source.split(",")[1]);
      const bytes = Uint8Array.from(raw, character => character.charCodeAt(0));
      row.buffer = await context.decodeAudioData(bytes.buffer);
      row.gain = context.createGain();
      row.gain.gain.value = level(row);
      row.gain.connect(output);
    }));
    length = Math.max(...rows.map(row => row.buffer.duration));
  }
  const ready = () => loading = loading || load();
  function halt() {                                   // fade out, then stop
    rows.filter(row => row.node).forEach(row => {
      ramp(row.fade.gain, 0);
      row.node.stop(context.currentTime + RAMP);
      row.node = null;
    });
  }
  function start() {
    halt();
    startedAt = context.currentTime + 0.03;           // one common instant for all
    rows.forEach(row => {
      row.node = context.createBufferSource();
      row.node.buffer = row.buffer;
      row.node.loop = on(loop);
      row.fade = context.createGain();
      row.fade.gain.setValueAtTime(0, startedAt);
      row.fade.gain.linearRampToValueAtTime(1, startedAt + RAMP);
      row.node.connect(row.fade).connect(row.gain);
      row.node.start(startedAt, offset);
    });
  }
  function position() {
    if (!playing) return offset;
    const now = offset + Math.max(0, context.currentTime - startedAt);
    return on(loop) ? now % length : Math.min(length, now);
  }

  // --- the transport -----------------------------------------------------------------------------
  function become(state) {
    playing = state;
    play.innerHTML = playing ? "&#10073;&#10073;" : "&#9654;";
    play.setAttribute("aria-label", playing ? "pause" : "play");
    mix();
    announce();
  }
  async function toggle(wanted) {
    await ready();
    await context.resume();
    if (wanted === playing) return;
    if (wanted) {
      if (window.sepkitPlaying && window.sepkitPlaying !== toggle) window.sepkitPlaying(false);
      window.sepkitPlaying = toggle;                  // one output sounds at a time
      if (offset >= length - 0.05) offset = 0;
      start();
      become(true);
      draw();
    } else {
      offset = position();
      halt();
      become(false);
    }
  }
  async function go(share) {
    await ready();
    offset = share * length;
    if (playing) start(); else draw();
  }
  function draw() {
    if (!document.body.contains(root)) { halt(); return; }
    const now = position(), share = length ? now / length : 0;
    if (!seek.matches(":active")) seek.value = 1000 * share;
    seek.setAttribute("aria-valuetext", `${now.toFixed(1)} of ${length.toFixed(1)} seconds`);
    find(".time").textContent = `${now.toFixed(1)} s of ${length.toFixed(1)}`;
    rows.forEach(row => { if (row.head) row.head.style.left = `${100 * share}%`; });
    root.dataset.position = now.toFixed(3);
    if (!playing) return;
    if (now >= length) { halt(); offset = 0; become(false); }
    requestAnimationFrame(draw);
  }

  // --- controls ----------------------------------------------------------------------------------
  const changed = () => { mix(); announce(); };
  play.onclick = () => toggle(!playing);
  seek.oninput = () => go(seek.value / 1000);
  loop.onclick = () => {
    if (playing) { offset = position(); startedAt = context.currentTime; }
    press(loop, !on(loop));
    rows.forEach(row => { if (row.node) row.node.loop = on(loop); });
  };
  if (view) view.onclick = () => press(view, root.classList.toggle("frequencies"));
  rows.forEach(row => {
    if (row.choice) row.choice.onchange = changed;
    [row.solo, row.mute].filter(Boolean).forEach(button => {
      button.onclick = () => { press(button, !on(button)); changed(); };
    });
    row.slider.oninput = () => {
      row.shown.textContent = `${row.slider.value} dB`;
      row.slider.setAttribute("aria-valuetext", row.shown.textContent);
      mix();
    };
    if (row.picture) row.picture.onclick = event => {
      const box = row.picture.getBoundingClientRect();
      go(Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)));
    };
  });
  root.addEventListener("keydown", event => {         // 1 ... 9: that row
    const row = rows[Number(event.key) - 1];
    const button = row && (row.choice || row.solo);
    if (!button || event.ctrlKey || event.metaKey || event.altKey) return;
    button.click();
    event.preventDefault();
    event.stopPropagation();
  });
  mix();
}
