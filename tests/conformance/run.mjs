// The ONNX conformance cases, those of com.microsoft's operators (contrib: what ONNX Runtime gives)
// and the zoo on one device, passes on and off; the zoo's torch.export archives with passes.
//   node tests/conformance/run.mjs native BINARY | wasm | webgpu | naga
//   node tests/conformance/run.mjs --unpack
// Every case whose operators are registered is claimed: it passes, or deny.txt says why not. The
// number of passing cases may only grow: claimed.json.
//
// webgpu is Dawn in Node, naga is wgpu in Deno. Both run the core that traps where the host does
// numeric work; without passes, and under naga, on a device with WebGPU's default limits. Where the
// GPU is emulated by a CPU, webgpu without passes takes the kernels for that, the others those that
// hardware has.

import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '../..');
const [device, binary] = process.argv.slice(2);

/** Arguments of the runs of a device, after the folders. */
const trap = ['--wasm', join(root, 'build/wasm-core/trap')];
const runsOf = {
  native: [[], ['--no-passes']],
  wasm: [
    ['--threads', '1'],
    ['--threads', '1', '--no-passes'],
  ],
  webgpu: [
    [...trap, '--as-hardware'],
    [...trap, '--default-limits', '--no-passes'],
  ],
  naga: [[...trap, '--default-limits', '--as-hardware']],
};
/** f32 sums in another order than the reference's are further away on a GPU. */
const relativeL2 = { native: '1e-5', wasm: '1e-5', webgpu: '1e-4', naga: '1e-4' };

if (device === '--unpack') {
  for (const suite of ['onnx-node', 'contrib', 'zoo']) cases(suite);
  process.exit(0);
}
if (!(device in runsOf) || (device === 'native') !== (binary !== undefined)) {
  console.error('usage: node tests/conformance/run.mjs native BINARY | wasm | webgpu | naga');
  process.exit(2);
}

/** Unpacks an archive of tests/data where it is new; gives the folders of its cases. */
function cases(name) {
  const folder = join(root, 'build/conformance', name);
  const stamp = join(folder, '.unpacked');
  const archive = join(root, 'tests/data', `${name}.tar.xz`);
  const hash = createHash('sha256').update(readFileSync(archive)).digest('hex');
  if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== hash) {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    execFileSync('tar', ['-xJf', archive, '-C', folder]);
    writeFileSync(stamp, hash);
  }
  return readdirSync(folder)
    .filter((entry) => existsSync(join(folder, entry, 'model.onnx')))
    .sort()
    .map((entry) => join(folder, entry));
}

/** Runs a program; never fails: what it printed, and why it ended. */
function spawn(command, args) {
  return new Promise((done) => {
    execFile(command, args, { maxBuffer: 1 << 26, encoding: 'utf8' }, (error, stdout, stderr) => {
      done({ stdout, stderr, why: error?.signal ?? error?.code ?? 0 });
    });
  });
}

/** Lines of the native program: status, name, message. */
async function checkNative(folders, options) {
  const { stdout, stderr, why } = await spawn(binary, ['check', ...folders, ...options]);
  const rows = [];
  for (const line of stdout.split('\n')) {
    const match = /^(pass|FAIL|none) +(\S+) *(.*)$/.exec(line);
    if (match) rows.push({ status: match[1], name: match[2], message: match[3] });
  }
  const statuses = { pass: 'pass', FAIL: 'fail', none: 'unsupported' };
  for (const row of rows) row.status = statuses[row.status];
  return { rows, hint: `${why} ${stderr.slice(-500)}` };
}

/** f32 models with tensors in f16 (docs/precision.md): the whole of an output counts. */
const narrow = ['--precision', 'f16', '--l2', '1e-2', '--rtol', '0', '--atol', 'Infinity'];

let part = 0;
/** The command line tool, in as many processes as there are cores; a lost process is a failure. */
async function checkByCli(folders, options) {
  const cli = join(root, 'runtime/dist/cli.js');
  const deno = join(root, 'node_modules/.bin/deno');
  const [command, ...before] =
    device === 'naga' ? [deno, 'run', '-A', '--unstable-webgpu', cli] : [process.execPath, cli];
  const on = device === 'wasm' ? 'wasm' : 'webgpu';
  const workers = Math.max(1, Math.min(8, availableParallelism()));
  const results = await Promise.all(
    Array.from({ length: workers }, async (_, worker) => {
      const own = folders.filter((_folder, i) => i % workers === worker);
      if (own.length === 0) return { rows: [], hint: '' };
      const json = join(root, 'build/conformance', `${device}-${process.pid}-${part++}.json`);
      const args = [...before, 'check', ...own, '--device', on, '--quiet', '--json', json];
      const { stderr, why } = await spawn(command, [...args, ...options]);
      if (!existsSync(json)) return { rows: [], hint: `${why} ${stderr.slice(-500)}` };
      const rows = JSON.parse(readFileSync(json, 'utf8')).cases;
      rmSync(json);
      return { rows, hint: '' };
    }),
  );
  return { rows: results.flatMap(({ rows }) => rows), hint: results.map((r) => r.hint).join(' ') };
}

const denied = new Map();
for (const line of readFileSync(join(here, 'deny.txt'), 'utf8').split('\n')) {
  const match = /^(\S+) (test_\S+|\w+): (.+)$/.exec(line);
  if (match && (match[1] === 'all' || match[1] === device)) denied.set(match[2], match[3]);
}
const claimed = JSON.parse(readFileSync(join(here, 'claimed.json'), 'utf8'));

let passed = 0;
let failed = 0;
const fail = (message) => {
  ++failed;
  console.log(`FAIL  ${message}`);
};

const zooTolerance = ['--l2', relativeL2[device], '--rtol', '1e-3', '--atol', '1e-3'];
const hasArchive = (_name, folder) => existsSync(join(folder, 'model.pt2'));
for (const [suite, tolerance, chosen, suffix = ''] of [
  ['onnx-node', ['--rtol', '1e-3', '--atol', '1e-7']],
  ['contrib', ['--rtol', '1e-3', '--atol', '1e-4'], (name) => !name.includes('_half')],
  // ONNX Runtime rounds to f16 at other places.
  ['contrib', ['--rtol', '1e-2', '--atol', '2e-3'], (name) => name.includes('_half'), '-half'],
  ['zoo', zooTolerance],
  // What torch.export made of the same models; their graphs meet the same kernels, so once is enough.
  ['zoo', [...zooTolerance, '--model', 'model.pt2'], hasArchive, '-pt2'],
  // Minutes on a software GPU, where tests/node/precision.test.ts has the models of packages in f16.
  ...(device === 'webgpu' && process.env.QUERN_LONG ? [['zoo', narrow, undefined, '-f16']] : []),
]) {
  const folders = cases(suite).filter((folder) => !chosen || chosen(basename(folder), folder));
  const key = suite + suffix;
  if (key === 'zoo-pt2' && device === 'naga') continue;
  const once = key === 'zoo-pt2' || key === 'zoo-f16';
  for (const options of once ? runsOf[device].slice(0, 1) : runsOf[device]) {
    const ways = { '--as-hardware': ' as hardware', '--no-passes': ' without passes' };
    const way = options.map((option) => ways[option] ?? '').join('');
    const label = `${key} on ${device}${way}`;
    const check = device === 'native' ? checkNative : checkByCli;
    const { rows, hint } = await check(folders, [...tolerance, ...options]);
    const seen = new Set(rows.map(({ name }) => name));
    let count = 0;
    for (const { status, name, message } of rows) {
      if (status === 'pass') {
        ++count;
        if (denied.has(name)) fail(`${name}: passes, though deny.txt says: ${denied.get(name)}`);
        else ++passed;
      } else if (status !== 'unsupported' && !denied.has(name)) {
        fail(`${label}: ${name}: ${message}`);
      }
    }
    const missing = folders.map((folder) => basename(folder)).filter((name) => !seen.has(name));
    if (missing.length > 0) {
      fail(`${label}: ${missing.length} cases did not run: ${missing.slice(0, 5)} (${hint})`);
    }
    console.log(`${label}: ${count} of ${folders.length} pass, at least ${claimed[key]}`);
    if (count < claimed[key]) fail(`${label}: ${count} pass, fewer than before`);
  }
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
