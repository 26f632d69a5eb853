// Shared buffers of weights of which much was freed: what is left moves to one of its own size.

import { align, storageUsage, type Gpu } from './gpu.js';
import type { Pool, Region } from './weights.js';

/** Bytes to where the next region may begin. */
const room = ({ bytes }: Region): number => align(Math.max(bytes, 1), 256);

/** Moves regions; nothing may hold their places. */
export function tidy(
  gpu: Gpu,
  regions: ReadonlyMap<number, Region>,
  pools: Map<GPUBuffer, Pool>,
): Promise<void> {
  return gpu.checked('weights', () => move(gpu, regions, pools));
}

function move(gpu: Gpu, regions: ReadonlyMap<number, Region>, pools: Map<GPUBuffer, Pool>): void {
  for (const [buffer] of [...pools]) {
    const kept = [...regions.values()].filter((region) => region.buffer === buffer);
    const used = kept.reduce((sum, region) => sum + room(region), 0);
    if (4 * used > 3 * buffer.size) continue;
    const to = gpu.createBuffer('weights', used, storageUsage);
    const encoder = gpu.device.createCommandEncoder();
    let offset = 0;
    for (const region of kept) {
      encoder.copyBufferToBuffer(buffer, region.offset, to, offset, align(region.bytes, 4));
      region.buffer = to;
      region.offset = offset;
      offset += room(region);
    }
    gpu.queue.submit([encoder.finish()]);
    gpu.destroyBuffer(buffer);
    pools.delete(buffer);
    pools.set(to, { buffer: to, used, live: kept.length });
  }
}
