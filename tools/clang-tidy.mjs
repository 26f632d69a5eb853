// Runs clang-tidy on C++ files, with the flags of build/debug. A file that passed, and whose text
// with all it includes is the same again, is not checked again (markers in QUERN_CACHE/tidy).
// After QUERN_TIDY_SECONDS (300) it starts no further file and says how many are left: a change of
// half the tree is checked in several runs.
// Usage: node tools/clang-tidy.mjs CLANG_VERSION FILE...
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

import { root } from './lib/files.mjs';

const [version, ...files] = process.argv.slice(2);
const run = promisify(execFile);
const options = { cwd: root, maxBuffer: 1 << 28 };
const cache = join(process.env.QUERN_CACHE ?? join(homedir(), '.cache/quern'), 'tidy');
const database = join(root, 'build/tidy');
const config = readFileSync(join(root, '.clang-tidy'), 'utf8') + version;
mkdirSync(cache, { recursive: true });
mkdirSync(database, { recursive: true });

// Without precompiled headers: they need not be built for this, and hide a missing #include.
const entries = JSON.parse(readFileSync(join(root, 'build/debug/compile_commands.json'), 'utf8'));
for (const entry of entries) {
  entry.command = entry.command.replaceAll(
    /-Xclang -(?:include|include-pch|fno-pch-\S+) -Xclang \S+/g,
    '',
  );
  entry.command = entry.command.replaceAll(/-Xclang -fno-pch-\S+|-Winvalid-pch/g, '');
}
writeFileSync(join(database, 'compile_commands.json'), JSON.stringify(entries, null, 1));
const commands = new Map(entries.map((entry) => [entry.file, entry]));

/** Names the state of `file` and all that it includes, comments too (NOLINT); paths don't count. */
async function fingerprint(file) {
  const entry = commands.get(resolve(root, file));
  if (!entry) return undefined;
  const [program, ...flags] = entry.command.split(/\s+/);
  const keep = flags.slice(0, flags.indexOf('-o'));
  const args = [...keep, '-E', '-C', '-P', entry.file];
  const { stdout } = await run(program, args, { ...options, cwd: entry.directory });
  return createHash('sha256').update(config).update(file).update(stdout).digest('hex');
}

async function check(file) {
  const key = await fingerprint(file).catch(() => undefined);
  const marker = key && join(cache, key);
  if (marker && existsSync(marker)) return 'known';
  try {
    await run(`clang-tidy-${version}`, ['-p', database, '--quiet', file], options);
  } catch (error) {
    const noise =
      /^\d+ warnings? generated|^\[\d+\/\d+\]|^Suppressed|^Use -header-filter|^Error while/;
    const lines = `${error.stdout ?? ''}${error.stderr ?? error.message}`.split('\n');
    console.error(
      lines
        .filter((line) => !noise.test(line))
        .join('\n')
        .trim(),
    );
    return 'failed';
  }
  if (marker) writeFileSync(marker, '');
  return 'passed';
}

const deadline = Date.now() + 1000 * Number(process.env.QUERN_TIDY_SECONDS ?? 300);
const counts = { known: 0, passed: 0, failed: 0, left: 0 };
const queue = [...files];
async function work() {
  for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
    counts[Date.now() < deadline ? await check(file) : 'left']++;
  }
}
const workers = Number(process.env.QUERN_JOBS ?? cpus().length);
await Promise.all(Array.from({ length: workers }, work));
const { passed, known, failed, left } = counts;
console.log(`clang-tidy: ${passed} passed, ${known} known, ${failed} failed, ${left} left`);
process.exit(failed > 0 ? 1 : 0);
