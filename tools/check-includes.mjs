// Checks the #include lines of src/: their direction, cycles, and headers that cost too much size.
// Usage: node tools/check-includes.mjs
import { readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

import { report, repositoryFiles, root } from './lib/files.mjs';

// What each folder of src/ may include, besides its own files and the generated ones.
const ALLOWED = {
  base: [],
  image: ['base'],
  ir: ['base'],
  shader: ['base', 'ir'],
  ops: ['base', 'image', 'ir', 'shader'],
  passes: ['base', 'ir', 'ops'],
  plan: ['base', 'ir', 'shader', 'ops', 'passes'],
  package: ['base', 'ir', 'ops', 'passes', 'plan'],
  cpu: ['base', 'ir', 'shader', 'ops', 'plan'],
  import: ['base', 'image', 'ir', 'ops'],
  api: ['base', 'ir', 'shader', 'ops', 'passes', 'plan', 'package', 'cpu', 'import'],
};

// Standard headers that bring much code into the shipped module.
const BANNED = new Map([
  ['format', 'anywhere'],
  ['print', 'anywhere'],
  ['regex', 'shipped'],
  ['iostream', 'shipped'],
  ['sstream', 'shipped'],
  ['fstream', 'shipped'],
  ['iomanip', 'shipped'],
  ['locale', 'shipped'],
]);

// Libraries that may stand in quotes, too.
const LIBRARY = /^(?:hwy|protozero|nlohmann|gtest|gmock)\//;

const isTest = (path) => /_(?:test|testing|fuzz)\.(?:cc|h)$/.test(path);
const isNativeProgram = (path) => path === 'api/native_main.cc';
const isCpuKernel = (path) => /^ops\/.*_cpu\.(?:cc|h)$/.test(path);

/** Why `path` may not include `target` (both below src/), or undefined. */
function wrongDirection(path, target) {
  const layer = path.split('/')[0];
  const other = target.split('/')[0];
  if (isTest(path) || layer === other || other === 'generated') return undefined;
  if (isCpuKernel(path) && other === 'cpu') {
    return target === 'cpu/cpu_kernel.h'
      ? undefined
      : 'a CPU kernel may include cpu/cpu_kernel.h only';
  }
  if (isCpuKernel(path) && other === 'shader') return 'a CPU kernel may not include shader';
  if (!(other in ALLOWED)) return `there is no layer ${other}`;
  if (ALLOWED[layer].includes(other)) return undefined;
  return `${layer} may include ${ALLOWED[layer].join(', ') || 'nothing else'}`;
}

/** A cycle in the graph `edges` (a Map of arrays), as a list of paths, or undefined. */
function findCycle(edges) {
  const done = new Set();
  const visit = (path, trail) => {
    if (trail.includes(path)) return [...trail.slice(trail.indexOf(path)), path];
    if (done.has(path)) return undefined;
    for (const next of edges.get(path) ?? []) {
      const cycle = visit(next, [...trail, path]);
      if (cycle) return cycle;
    }
    done.add(path);
    return undefined;
  };
  for (const path of edges.keys()) {
    const cycle = visit(path, []);
    if (cycle) return cycle;
  }
  return undefined;
}

const files = repositoryFiles('src')
  .filter((path) => /\.(?:cc|h)$/.test(path))
  .map((path) => path.slice('src/'.length));
const known = new Set(files);
const problems = [];
const edges = new Map();

for (const path of files) {
  const text = readFileSync(join(root, 'src', path), 'utf8');
  const shipped = !isTest(path) && !isNativeProgram(path);
  const layer = path.split('/')[0];
  edges.set(path, []);
  if (!(layer in ALLOWED)) problems.push(`src/${path}: src/${layer} is not a known layer`);
  if (path.endsWith('.h') && !/^#pragma once$/m.test(text)) {
    problems.push(`src/${path}: no #pragma once`);
  }
  text.split('\n').forEach((line, index) => {
    const at = `src/${path}:${index + 1}`;
    const system = /^\s*#\s*include\s*<([^>]+)>/.exec(line)?.[1];
    const scope = BANNED.get(system);
    if (scope === 'anywhere' || (scope && shipped)) problems.push(`${at}: <${system}> is banned`);

    const target = /^\s*#\s*include\s*"([^"]+)"/.exec(line)?.[1];
    if (!target || LIBRARY.test(target) || !(layer in ALLOWED)) return;
    if (!target.startsWith('generated/') && !known.has(target)) {
      const beside = normalize(join(dirname(path), target));
      const hint = known.has(beside)
        ? `write "${beside}"`
        : 'no such file under src/ (a library is included with <>)';
      problems.push(`${at}: "${target}": ${hint}`);
      return;
    }
    edges.get(path).push(target);
    const reason = wrongDirection(path, target);
    if (reason) problems.push(`${at}: "${target}": ${reason}`);
    if (shipped && isTest(target)) problems.push(`${at}: "${target}" is for tests`);
  });
}

const cycle = findCycle(edges);
if (cycle) problems.push(`include cycle: ${cycle.join(' -> ')}`);
report('check-includes', problems, files.length);
