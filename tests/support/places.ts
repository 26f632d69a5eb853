// Where the nodes of a model run.

import type { Model } from '../../runtime/src/node.js';

/** Nodes that do not run on the GPU of a model that does; those of shapes and control flow may. */
export function onHost(model: Model): string[] {
  const { device, nodes } = model.report();
  if (device !== 'webgpu') return [];
  const host = nodes.filter(({ place }) => place === 'host');
  return host.map(({ name, op }) => `node '${name}' (${op}) is on the host`);
}
