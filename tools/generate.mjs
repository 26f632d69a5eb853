// Writes C++ files from the sources' names and texts, for cmake/Generate.cmake:
//   generate.mjs wgsl LIST OUT.cc   the texts of WGSL files (and OUT.h)
//   generate.mjs ops  LIST OUT.cc   the table of all operators
//   generate.mjs cpu  LIST OUT.cc   the table of all CPU kernels
// LIST is a file of paths, one a line. A file that would not change is left alone.
import { readFileSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';

const BANNER = '// Written by tools/generate.mjs; do not edit.\n';

function fail(message) {
  console.error(`generate: error: ${message}`);
  process.exit(1);
}

function readList(path) {
  const lines = readFileSync(path, 'utf8').split('\n');
  return lines.filter((line) => line !== '').sort();
}

function writeIfChanged(path, text) {
  let old;
  try {
    old = readFileSync(path, 'utf8');
  } catch {
    // Not there yet.
  }
  if (old !== text) writeFileSync(path, text);
}

/** Adds `name`, defined by `path`, to `seen`; the same name from two files is an error. */
function claim(seen, name, path) {
  if (seen.has(name)) fail(`${path} and ${seen.get(name)} both define ${name}`);
  seen.set(name, path);
}

/**
 * WGSL without comments, empty lines and indentation. Directives stay: `//@` and `//#`, on lines
 * of their own or at the end of one. (WGSL has no string literals, and its block comments nest.)
 */
export function stripWgsl(text) {
  let out = '';
  let depth = 0;
  for (let i = 0; i < text.length;) {
    const two = text.slice(i, i + 2);
    if (two === '/*') {
      depth++;
      i += 2;
    } else if (depth > 0 && two === '*/') {
      depth--;
      i += 2;
      if (depth === 0) out += ' ';
    } else if (depth > 0) {
      if (text[i] === '\n') out += '\n';
      i++;
    } else if (two === '//') {
      const newline = text.indexOf('\n', i);
      const end = newline < 0 ? text.length : newline;
      if (text[i + 2] === '@' || text[i + 2] === '#') out += text.slice(i, end);
      i = end;
    } else {
      out += text[i];
      i++;
    }
  }
  const lines = out.split('\n').map((line) => line.trim());
  return lines.filter((line) => line !== '').join('\n') + '\n';
}

function generateWgsl(paths, out) {
  const seen = new Map();
  const entries = [];
  for (const path of paths) {
    const name = basename(path, '.wgsl');
    claim(seen, name, path);
    const text = stripWgsl(readFileSync(path, 'utf8'));
    if (text.includes(')wgsl"')) fail(`${path} contains the text )wgsl"`);
    entries.push({ name, text });
  }
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  writeIfChanged(
    out.replace(/\.cc$/, '.h'),
    `${BANNER}#pragma once

#include <span>
#include <string_view>

namespace quern {

/// The text of src/**/NAME.wgsl, without comments and indentation.
struct WgslFile {
  std::string_view name;
  std::string_view text;
};

/// All of them, sorted by name.
std::span<const WgslFile> wgsl_files();

}  // namespace quern
`,
  );
  const rows = entries.map(({ name, text }) => `    {"${name}", R"wgsl(${text})wgsl"},\n`);
  const table =
    rows.length === 0
      ? 'std::span<const WgslFile> wgsl_files() { return {}; }\n'
      : `static constexpr WgslFile kFiles[] = {\n${rows.join('')}};

std::span<const WgslFile> wgsl_files() { return kFiles; }\n`;
  writeIfChanged(
    out,
    `${BANNER}#include "generated/wgsl_files.h"\n\nnamespace quern {\n\n${table}\n}  // namespace quern\n`,
  );
}

/** The C++ file that declares each of `names` and gives them all as one table. */
function registry(include, type, prefix, names, table) {
  const externs = names.map((name) => `extern const ${type} ${prefix}${name};\n`).join('');
  writeIfChanged(
    table.out,
    `${BANNER}#include "${include}"

#include <span>

namespace quern {

${externs}
std::span<const ${table.element}> ${table.function}() {
${
  names.length === 0
    ? '  return {};\n'
    : `  static constexpr ${table.constant} kTable[] = {
${names.map((name) => `      ${table.row(name)},\n`).join('')}  };
  return kTable;
`
}}

}  // namespace quern
`,
  );
}

/** NAME.cc defines op_NAME, and perhaps more: `const OpDef op_OTHER =` at the start of a line. */
function generateOps(paths, out) {
  const seen = new Map();
  const definition = /^(?:extern\s+)?(?:constinit\s+)?const(?:expr)?\s+OpDef\s+op_(\w+)\s*[={]/gm;
  for (const path of paths) {
    const own = basename(path, '.cc');
    claim(seen, own, path);
    for (const [, name] of readFileSync(path, 'utf8').matchAll(definition)) {
      if (name !== own) claim(seen, name, path);
    }
  }
  registry('ops/op_def.h', 'OpDef', 'op_', [...seen.keys()].sort(), {
    out,
    function: 'all_ops',
    element: 'OpDef* const',
    constant: 'const OpDef*',
    row: (name) => `&op_${name}`,
  });
}

function generateCpu(paths, out) {
  const seen = new Map();
  for (const path of paths) claim(seen, basename(path, '_cpu.cc'), path);
  registry('cpu/cpu_kernel.h', 'CpuKernel', 'cpu_', [...seen.keys()].sort(), {
    out,
    function: 'all_cpu_kernels',
    element: 'CpuKernelEntry',
    constant: 'CpuKernelEntry',
    row: (name) => `{"${name}", &cpu_${name}}`,
  });
}

const [kind, list, out] = process.argv.slice(2);
const generators = { wgsl: generateWgsl, ops: generateOps, cpu: generateCpu };
if (!(kind in generators) || !out) fail('usage: generate.mjs wgsl|ops|cpu LIST OUT.cc');
generators[kind](readList(list), out);
