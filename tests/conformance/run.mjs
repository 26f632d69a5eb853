// The ONNX conformance cases and the zoo on the native CPU build, passes on and off.
//   node tests/conformance/run.mjs BINARY
// Every case whose operators are registered is claimed: it passes, or deny.txt says why not. The
// number of passing cases may only grow: claimed.json.

import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '../..');
const binary = process.argv[2];
if (binary === '--unpack') {
  for (const suite of ['onnx-node', 'zoo']) cases(suite);
  process.exit(0);
}
if (!binary) {
  console.error('usage: node tests/conformance/run.mjs BINARY');
  process.exit(2);
}

/** Unpacks an archive of tests/data once; gives the folders of its cases. */
function cases(name) {
  const folder = join(root, 'build/conformance', name);
  const stamp = join(folder, '.unpacked');
  if (!existsSync(stamp)) {
    mkdirSync(folder, { recursive: true });
    execFileSync('tar', ['-xJf', join(root, 'tests/data', `${name}.tar.xz`), '-C', folder]);
    writeFileSync(stamp, '');
  }
  return readdirSync(folder)
    .filter((entry) => existsSync(join(folder, entry, 'model.onnx')))
    .sort()
    .map((entry) => join(folder, entry));
}

const denied = new Map();
for (const line of readFileSync(join(here, 'deny.txt'), 'utf8').split('\n')) {
  const match = /^native (\S+): (.+)$/.exec(line);
  if (match) denied.set(match[1], match[2]);
}
const claimed = JSON.parse(readFileSync(join(here, 'claimed.json'), 'utf8'));

let passed = 0;
let failed = 0;
const fail = (message) => {
  ++failed;
  console.log(`FAIL  ${message}`);
};

for (const [suite, options] of [
  ['onnx-node', ['--rtol', '1e-3', '--atol', '1e-7']],
  ['zoo', ['--l2', '1e-5', '--rtol', '1e-3', '--atol', '1e-3']],
]) {
  const folders = cases(suite);
  for (const passes of [[], ['--no-passes']]) {
    const run = spawnSync(binary, ['check', ...folders, ...options, ...passes], {
      encoding: 'utf8',
      maxBuffer: 1 << 26,
    });
    const rows = run.stdout.split('\n').map((line) => /^(pass|FAIL|none) +(\S+) *(.*)$/.exec(line));
    let count = 0;
    for (const row of rows) {
      if (!row) continue;
      const [, status, name, message] = row;
      if (status === 'pass') {
        ++count;
        if (denied.has(name)) fail(`${name}: passes, though deny.txt says: ${denied.get(name)}`);
        else ++passed;
      } else if (status === 'FAIL' && !denied.has(name)) {
        fail(`${suite} ${passes.join(' ')} ${name}: ${message}`);
      }
    }
    if (run.status === null || rows.filter(Boolean).length !== folders.length) {
      fail(
        `${suite} ${passes.join(' ')}: ${rows.filter(Boolean).length} of ${folders.length} cases ran (${run.signal ?? run.status}) ${run.stderr.slice(-500)}`,
      );
    }
    const label = passes.length === 0 ? 'with passes' : 'without passes';
    console.log(
      `${suite} ${label}: ${count} of ${folders.length} pass, at least ${claimed[suite]}`,
    );
    if (count < claimed[suite]) fail(`${suite} ${label}: ${count} pass, fewer than before`);
  }
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
