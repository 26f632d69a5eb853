// Plan messages by hand (docs/plan-format.md), to test their decoding and replay without the core.

import type { BufferRequest, PlanMessage, Program, Segment } from '../../runtime/src/plan.js';

export { encodePlan } from '../../runtime/src/compile/plan-writer.js';

/** A message of these parts; what is left out is empty. */
export function planMessage(parts: {
  programs?: Program[];
  buffers?: BufferRequest[];
  segment?: Partial<Segment>;
}): PlanMessage {
  return {
    programs: parts.programs ?? [],
    buffers: parts.buffers ?? [],
    segment: {
      arenaBytes: 0,
      arenaBufferBytes: 0,
      liveBytes: 0,
      done: true,
      uploads: [],
      once: [],
      steps: [],
      reads: [],
      outputs: [],
      params: new Uint8Array(),
      ...parts.segment,
    },
  };
}
