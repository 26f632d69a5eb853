// The operators' versions and element types, from schema.txt.

import { readFileSync } from 'node:fs';

const sets = new Map();
const operators = new Map();

const listOf = (text) => sets.get(text) ?? text.split(',');

for (const line of readFileSync(new URL('schema.txt', import.meta.url), 'utf8').split('\n')) {
  if (line === '' || line.startsWith('#')) continue;
  const set = /^(s\d+) = (.*)$/.exec(line);
  if (set) {
    sets.set(set[1], set[2].split(' '));
    continue;
  }
  const [name, ...versions] = line.split(' | ');
  const byVersion = new Map();
  for (const version of versions) {
    const [since, constraints] = version.split(':').map((part) => part.trim());
    const types = new Map();
    for (const one of constraints.split('; ').filter(Boolean)) {
      const [variable, list] = one.split('=');
      types.set(variable, listOf(list));
    }
    byVersion.set(Number(since), types);
  }
  operators.set(name, byVersion);
}

export const allOperators = [...operators.keys()];

/** The operator-set versions in which the operator changed; the first may lie before 7. */
export function versionsOf(op) {
  const versions = operators.get(op);
  if (!versions) throw new Error(`schema.txt has no ${op}`);
  return [...versions.keys()];
}

/** Whether the operator only ends in this version: it has no types any more. */
export function endsIn(op, version) {
  return (op === 'Scatter' || op === 'Upsample') && operators.get(op).get(version).size === 0;
}

/** The types that a type variable of the operator may be, in the version that begins at `since`. */
export function typesOf(op, since, variable) {
  return operators.get(op).get(since).get(variable) ?? [];
}
