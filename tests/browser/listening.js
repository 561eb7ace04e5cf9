// Listens at every AudioContext's destination: window.heard has the peak since `forget()`, the
// power of the last block, and the frequency that is loudest in it.
(() => {
  const connect = AudioNode.prototype.connect;
  window.heard = { peak: 0, power: 0, frequency: 0 };
  window.forget = () => { window.heard.peak = 0; };
  AudioNode.prototype.connect = function (target, ...rest) {
    if (target instanceof AudioDestinationNode) {
      const context = target.context;
      const meter = context.createScriptProcessor(1024, 2, 1);
      const analyser = context.createAnalyser();
      const bins = new Float32Array(analyser.frequencyBinCount);
      meter.onaudioprocess = event => {
        const samples = event.inputBuffer.getChannelData(0);
        let power = 0;
        for (const x of samples) {
          power += x * x / samples.length;
          window.heard.peak = Math.max(window.heard.peak, Math.abs(x));
        }
        analyser.getFloatFrequencyData(bins);
        window.heard.power = power;
        window.heard.frequency =
          bins.indexOf(Math.max(...bins)) * context.sampleRate / analyser.fftSize;
      };
      analyser.smoothingTimeConstant = 0;
      connect.call(this, analyser);
      connect.call(this, meter);
      connect.call(meter, target);
    }
    return connect.call(this, target, ...rest);
  };
})();
