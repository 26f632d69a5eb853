// Checks all files of the repository: length, line ends, tabs, size, and paths of one machine.
// Usage: node tools/check-files.mjs
import { readFileSync } from 'node:fs';
import { extname, join } from 'node:path';

import { report, repositoryFiles, root } from './lib/files.mjs';

const MAX_LINES = 600;
const MAX_WGSL_LINES = 120;
const MAX_BYTES = 1 << 20;
const CODE = new Set(
  '.cc .h .ts .tsx .js .mjs .cjs .css .html .sh .cmake .wgsl .json .txt'.split(' '),
);
const TEXT = new Set([...CODE, '.md', '.yml', '.yaml', '.env', '.mts', '']);
const MACHINE_PATH = /(?<![\w.])\/(?:root|work|home\/\w+)\/\w/;
const REGISTRY_HOST = /https?:\/\/(?:registry\.|[\w.-]+:\d{4,5}\/(?:npm|debian|repository))/;

// { "path": { "lines": N, "bytes": N, "reason": "..." } }; each entry needs its reason.
const limits = JSON.parse(readFileSync(join(root, 'tools/file-limits.json'), 'utf8'));
const problems = [];
const files = repositoryFiles();
const known = new Set(files);

for (const [path, entry] of Object.entries(limits)) {
  if (!entry.reason) problems.push(`tools/file-limits.json: ${path} has no reason`);
  if (!known.has(path)) problems.push(`tools/file-limits.json: ${path} does not exist`);
}

for (const path of files) {
  const bytes = readFileSync(join(root, path));
  const limit = limits[path] ?? {};
  const maxBytes = limit.bytes ?? MAX_BYTES;
  if (bytes.length > maxBytes) problems.push(`${path}: ${bytes.length} bytes, over ${maxBytes}`);

  const extension = extname(path);
  if (!TEXT.has(extension) || bytes.includes(0)) continue;
  const text = bytes.toString('utf8');
  if (path.split('/').at(-1) === 'package-lock.json') {
    if (text.includes('"resolved": "http')) problems.push(`${path}: holds download addresses`);
    continue;
  }
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  else if (text !== '') problems.push(`${path}: no newline at the end`);
  const maxLines = limit.lines ?? (extension === '.wgsl' ? MAX_WGSL_LINES : MAX_LINES);
  if (CODE.has(extension) && lines.length > maxLines) {
    problems.push(`${path}: ${lines.length} lines, over ${maxLines}`);
  }
  lines.forEach((line, index) => {
    const at = `${path}:${index + 1}`;
    if (line.endsWith('\r')) problems.push(`${at}: CRLF line end`);
    if (CODE.has(extension) && line.includes('\t')) problems.push(`${at}: tab`);
    if (MACHINE_PATH.test(line)) problems.push(`${at}: a path of one machine: ${line.trim()}`);
    if (REGISTRY_HOST.test(line)) problems.push(`${at}: a registry's address: ${line.trim()}`);
  });
}
report('check-files', problems, files.length);
