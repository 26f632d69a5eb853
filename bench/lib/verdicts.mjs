// What a model's rows say about the bars: Quern on WebGPU beside onnxruntime-web's best WebGPU mode
// and beside the floor.

/** The least of the numbers that rows have. */
function least(rows, get) {
  const numbers = rows.map(get).filter((number) => number > 0);
  return numbers.length > 0 ? Math.min(...numbers) : undefined;
}

const toFirst = ({ load, first }) => load + first;

/** Rows with errors above this answer another question. */
const right = ({ error }) => typeof error === 'number' && error < 1e-2;

/**
 * [{ what, value, bar, ok, text }] of the result of measure(), without what can't be told. `value`:
 * a ratio, or bytes. `slower`: how many times Quern's median the peer's is to be.
 */
export function verdicts({ rows }, { slower = 10 } = {}) {
  const ours = rows.find(({ key, failed }) => key === 'quern' && !failed);
  if (!ours) return [];
  const all = rows.filter(({ key, failed }) => /^ort(-jspi)?(-capture)?$/.test(key) && !failed);
  const good = all.filter(right);
  // Better than nothing: a peer's time for another answer, which is said.
  const peers = good.length > 0 ? good : all;
  const note = good.length > 0 ? '' : ' of wrong results';
  const floor = rows.find(({ key, failed }) => key === 'floor' && !failed);
  const found = [];
  const ratio = (what, peer, own, bar) => {
    if (!(peer > 0 && own > 0)) return;
    found.push({
      what,
      value: peer / own,
      bar,
      ok: peer / own >= bar,
      text: `x${(peer / own).toFixed(1)}${note}`,
    });
  };
  ratio(
    'median',
    least(peers, ({ run }) => run?.median),
    ours.run?.median,
    slower,
  );
  ratio(
    'throughput',
    least(peers, ({ pipelined }) => pipelined),
    ours.pipelined,
    2,
  );
  const share = (what, own, peer) => {
    if (!(peer > 0 && own > 0)) return;
    const value = own / peer;
    found.push({
      what,
      value,
      bar: 0.4,
      ok: value <= 0.4,
      text: `${(100 * value).toFixed(0)}%${note}`,
    });
  };
  share('load to first result', toFirst(ours), least(peers, toFirst));
  share(
    'the same, library loaded',
    ours.again?.both,
    least(peers, ({ again }) => again?.both),
  );
  if (floor?.run?.median > 0 && ours.gpu > 0) {
    const bar = 1.3 * floor.run.median + ours.gpu;
    const value = ours.run.median / bar;
    const text = `${ours.run.median.toFixed(3)} of ${bar.toFixed(3)} ms`;
    found.push({ what: '1.3 floors + GPU time', value, bar: 1, ok: value <= 1, text });
  }
  if (ours.hostBytes > 0) {
    const ok = ours.hostBytes <= 96e6;
    const text = `${(ours.hostBytes / 1e6).toFixed(0)} MB`;
    found.push({ what: 'host memory', value: ours.hostBytes, bar: 96e6, ok, text });
  }
  return found;
}

/** One line of text. */
export function verdictLine(found) {
  return found
    .map(({ what, text, ok }) => `${what} ${text}${ok ? '' : ' (bar missed)'}`)
    .join('; ');
}
