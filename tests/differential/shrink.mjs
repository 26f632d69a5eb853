// Makes a failing case small.
//
// Single operators shrink by their choices: any list of choices is a case, and shorter lists and
// smaller numbers make simpler ones. Graphs lose nodes first: what a node gave is fed instead.

import { Choices } from './draw.mjs';
import { namesIn } from './graphs.mjs';

/**
 * The smallest case found for which `fails(case)` still holds, in at most `budget` tries. `draw`
 * makes a case from choices.
 */
export async function shrinkChoices(made, draw, fails, budget) {
  let best = [...made];
  let smallest;
  let tries = 0;
  const attempt = async (list) => {
    if (tries++ >= budget) return false;
    const choices = new Choices({ replayed: list });
    let one;
    try {
      one = draw(choices);
    } catch {
      return false; // no case at all
    }
    if (!simpler(choices.made, best) || !(await fails(one))) return false;
    best = choices.made;
    smallest = one;
    return true;
  };
  for (let progress = true; progress && tries < budget;) {
    progress = false;
    for (const size of [16, 4, 1]) {
      for (let at = 0; at < best.length && tries < budget; ++at) {
        const part = best.slice(at, at + size);
        if (part.every((x) => x === 0)) continue;
        const zeroed = [...best.slice(0, at), ...part.map(() => 0), ...best.slice(at + size)];
        const dropped = [...best.slice(0, at), ...best.slice(at + size)];
        if ((await attempt(zeroed)) || (await attempt(dropped))) progress = true;
      }
    }
    for (let at = 0; at < best.length && tries < budget; ++at) {
      for (const lower of new Set([Math.floor(best[at] / 2), best[at] - 1])) {
        if (lower < 0 || lower >= best[at]) continue;
        if (await attempt(best.map((x, i) => (i === at ? lower : x)))) {
          progress = true;
          break;
        }
      }
    }
  }
  return smallest;
}

function simpler(a, b) {
  if (a.length !== b.length) return a.length < b.length;
  for (let i = 0; i < a.length; ++i) if (a[i] !== b[i]) return a[i] < b[i];
  return false;
}

/** Only what the outputs need. */
export function pruned(one) {
  const needed = new Set(one.outputs.map(({ name }) => name));
  const nodes = [];
  for (const node of [...one.nodes].reverse()) {
    if (!node.outputs.some((name) => needed.has(name))) continue;
    nodes.unshift(node);
    for (const name of namesIn(node)) needed.add(name);
  }
  return { ...one, nodes, tensors: one.tensors.filter(({ name }) => needed.has(name)) };
}

/**
 * A graph with fewer nodes that still fails. `valuesOf(case)` computes values by name, of those that
 * the case lists as outputs.
 */
export async function shrinkGraph(one, fails, valuesOf) {
  const { intermediates } = one;
  const all = { ...one, outputs: intermediates.map(({ name, dtype }) => ({ name, dtype })) };
  const known = await valuesOf(all);
  let best = one;
  const attempt = async (candidate) => {
    const smaller = pruned(candidate);
    if (smaller.nodes.length === 0 || smaller.nodes.length > best.nodes.length) return false;
    if (smaller.outputs.length === 0 || !(await fails(smaller))) return false;
    best = smaller;
    return true;
  };
  // The first value that differs, alone.
  for (const { name, dtype } of intermediates) {
    if (await attempt({ ...best, outputs: [{ name, dtype }] })) break;
  }
  // Nodes from the front: their outputs are fed.
  for (let at = 0; known && at < best.nodes.length - 1;) {
    const node = best.nodes[at];
    const fed = node.outputs.map((name) => [name, known[name]]).filter(([, tensor]) => tensor);
    const names = new Set(fed.map(([name]) => name));
    const candidate = {
      ...best,
      nodes: best.nodes.filter((other) => other !== node),
      tensors: [
        ...best.tensors,
        ...fed.map(([name, tensor]) => ({ name, tensor, initializer: false, shown: tensor.dims })),
      ],
      outputs: best.outputs.filter(({ name }) => !names.has(name)),
    };
    if (fed.length === 0 || !(await attempt(candidate))) ++at;
  }
  return best;
}
