// Writes plan messages (docs/plan-format.md), as src/plan/plan_writer.cc does.

import { numberOf } from '../dtype.js';
import {
  containerKinds,
  planMagic,
  planVersion,
  type PlanMessage,
  type Port,
  type Slice,
  type Step,
} from '../plan.js';
import { isContainer, type Tree } from '../value.js';
import { WordWriter } from '../words.js';

export function encodePlan(message: PlanMessage): Uint8Array<ArrayBuffer> {
  const out = new WordWriter().word(planMagic).word(planVersion);
  out.list(message.programs, (w, { number, label, wgsl, access, overrides }) => {
    w.word(number).text(label).text(wgsl);
    w.list(access, (_, kind) => w.word(kind));
    w.list(Object.entries(overrides), (_, [name, value]) => {
      const words = new Uint32Array(Float64Array.of(value).buffer);
      w.text(name).word(words[0]!).word(words[1]!);
    });
  });
  out.list(message.buffers, (w, { kind, index, bytes, planOwned, contents }) => {
    w.word(kind).word(index).wide(bytes).word(Number(planOwned)).blob(contents);
  });
  const { segment } = message;
  out.wide(segment.arenaBytes).wide(segment.arenaBufferBytes);
  out.wide(segment.liveBytes).word(Number(segment.done));
  out.list(segment.uploads, writePort);
  out.list(segment.once, writeStep).list(segment.steps, writeStep);
  out.list(segment.reads, writePort).list(segment.outputs, writeOutput);
  return out.blob(segment.params).finish();
}

function writeSlice(out: WordWriter, { kind, index, offset, bytes }: Slice): void {
  out.word(kind).word(index).wide(offset).wide(bytes);
}

function writeStep(out: WordWriter, step: Step): void {
  if (step.kind === 'copy') {
    for (const word of [1, step.node, 0, 1, 1, 1, 0, 0]) out.word(word);
    out.list([step.from, step.to], writeSlice);
    return;
  }
  out.word(0).word(step.node).word(step.program);
  for (const count of step.workgroups) out.word(count);
  out.word(step.paramsOffset).word(step.paramsBytes).list(step.slices, writeSlice);
}

function writeOutput(out: WordWriter, tree: Tree<Port>): void {
  if (isContainer(tree)) {
    out.word(1 + containerKinds.indexOf(tree.kind)).word(numberOf(tree.dtype));
    out.list(tree.items, writeOutput);
  } else {
    writePort(out.word(0), tree);
  }
}

function writePort(out: WordWriter, { index, dtype, dims, slice, host }: Port): void {
  out.word(index).word(numberOf(dtype));
  out.list(dims, (w, dim) => w.wide(dim)).word(host ? 1 : 0);
  if (host) out.blob(host.bytes).list(host.strings, (w, item) => w.text(item));
  else writeSlice(out, slice!);
}
