function sepkitPlayers(name) {
  const root = document.getElementById(name);
  const Context = window.AudioContext || window.webkitAudioContext;
  if (!root || !Context || root.classList.contains("live")) return;
  root.classList.add("live");
  const find = (css, from) => (from || root).querySelector(css);
  const play = find(".play"), seek = find(".seek"), time = find(".time"), RAMP = 0.01;
  const rows = [...root.querySelectorAll(".row")].map(box => ({
    box, source: find("audio", box).src, solo: find(".solo", box), mute: find(".mute", box),
    slider: find("input", box), shown: find("output", box), gain: null, node: null, buffer: null }));
  let context = null, startedAt = 0, offset = 0, playing = false, length = 0, loading = null;
  find(".transport").hidden = false;

  const on = button => button && button.getAttribute("aria-pressed") === "true";
  const level = row => {
    const anySolo = rows.some(r => on(r.solo));
    const heard = anySolo ? on(row.solo) : !on(row.mute);
    row.box.classList.toggle("silent", !heard);
    return heard ? Math.pow(10, row.slider.value / 20) : 0;
  };
  const ramp = (param, value) => {
    const now = context.currentTime;
    param.cancelScheduledValues(now);
    param.setValueAtTime(param.value, now);
    param.linearRampToValueAtTime(value, now + RAMP);
  };
  const levels = () => rows.forEach(row => { const v = level(row); if (row.gain) ramp(row.gain.gain, v); });
  const position = () => playing ? Math.min(length, offset + Math.max(0, context.currentTime - startedAt)) : offset;

  async function load() {
    context = new Context();
    await Promise.all(rows.map(async row => {
      const raw = atob(row.source.split(",")[1]), bytes = Uint8Array.from(raw, c => c.charCodeAt(0));
      row.buffer = await context.decodeAudioData(bytes.buffer);
      row.gain = context.createGain();
      row.gain.gain.value = level(row);
      row.gain.connect(context.destination);
    }));
    length = Math.max(...rows.map(row => row.buffer.duration));
  }
  function halt() {
    rows.forEach(row => { if (row.node) { row.node.stop(); row.node = null; } });
  }
  function start() {
    halt();
    startedAt = context.currentTime + 0.03;          // one common instant for all
    rows.forEach(row => {
      row.node = context.createBufferSource();
      row.node.buffer = row.buffer;
      const fade = context.createGain();             // no click at the start
      fade.gain.setValueAtTime(0, startedAt);
      fade.gain.linearRampToValueAtTime(1, startedAt + RAMP);
      row.node.connect(fade).connect(row.gain);
      row.node.start(startedAt, offset);
    });
  }
  async function toggle(wanted) {
    loading = loading || load();
    await loading;
    await context.resume();
    if (wanted === playing) return;
    if (!wanted) {                                    // fade out, then stop
      offset = position(); playing = false;
      rows.forEach(row => ramp(row.gain.gain, 0));
      setTimeout(() => { if (!playing) halt(); }, 3000 * RAMP);
    } else {
      if (window.sepkitPlaying && window.sepkitPlaying !== toggle) window.sepkitPlaying(false);
      window.sepkitPlaying = toggle;
      if (offset >= length - 0.05) offset = 0;
      playing = true; start(); levels(); draw();
    }
    play.innerHTML = playing ? "&#10073;&#10073;" : "&#9654;";
  }
  function draw() {
    if (!document.body.contains(root)) { halt(); return; }
    if (!seek.matches(":active")) seek.value = length ? 1000 * position() / length : 0;
    time.textContent = position().toFixed(1) + " s" + (length ? " of " + length.toFixed(1) : "");
    root.dataset.position = position().toFixed(3);
    if (playing && position() >= length) { halt(); playing = false; offset = 0; play.innerHTML = "&#9654;"; }
    if (playing) requestAnimationFrame(draw);
  }
  play.onclick = () => toggle(!playing);
  seek.oninput = async () => {
    loading = loading || load();
    await loading;
    offset = seek.value / 1000 * length;
    if (playing) { start(); } else { draw(); }
  };
  rows.forEach((row, index) => {
    if (row.solo) row.solo.onclick = () => {
      const was = on(row.solo);
      rows.forEach(r => r.solo.setAttribute("aria-pressed", "false"));
      row.solo.setAttribute("aria-pressed", String(!was));
      levels();
    };
    if (row.mute) row.mute.onclick = () => { row.mute.setAttribute("aria-pressed", String(!on(row.mute))); levels(); };
    row.slider.oninput = () => { row.shown.textContent = row.slider.value + " dB"; levels(); };
  });
  root.addEventListener("keydown", event => {        // 1 ... 9 solo a row
    const row = rows[Number(event.key) - 1];
    if (row && row.solo && !event.ctrlKey && !event.metaKey && !event.altKey) { row.solo.click(); event.preventDefault(); event.stopPropagation(); }
  });
  rows.forEach(level);
}
