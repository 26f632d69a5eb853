// Hands the microphone's samples on, 512 at a time.

class Frames extends AudioWorkletProcessor {
  frame = new Float32Array(512);
  filled = 0;

  process([[channel]]) {
    if (!channel) return true;
    this.frame.set(channel, this.filled);
    this.filled += channel.length;
    if (this.filled === this.frame.length) {
      this.port.postMessage(this.frame);
      this.filled = 0;
    }
    return true;
  }
}

registerProcessor('frames', Frames);
