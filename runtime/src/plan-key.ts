// Which runs may share a plan: those with the same dims of all inputs and the same contents of what
// the host reads.

import type { Shaped } from './messages.js';
import { Tensor, tensorBytes } from './tensor.js';
import { formOf, isContainer, leavesOf, type Tree } from './value.js';

type Inputs = readonly (Tree<Shaped> | undefined)[];

/** Making a decoder costs more than a small model's replay can spare. */
const oneByteText = new TextDecoder('latin1');

/** Dims of all inputs, contents of those that the host reads. */
export function planKey(inputs: Inputs, hostInputs: readonly number[]): string {
  let key = inputs
    .map((tree) => (tree ? formOf(tree, ({ dims }) => dims.join(',')) : '-'))
    .join(';');
  for (const input of hostInputs) {
    const tree = inputs[input] as Tree<Tensor> | undefined;
    if (!tree) continue;
    for (const tensor of leavesOf(tree)) {
      // One character a byte: the key is exact.
      key += '|';
      key +=
        tensor.dtype === 'string'
          ? JSON.stringify(tensor.data)
          : oneByteText.decode(tensorBytes(tensor));
    }
  }
  return key;
}

/** The plan of the run before: most runs are like it, and comparing is cheaper than a key. */
export class LatestPlan<Plan> {
  private constructor(
    private readonly plan: Plan,
    private readonly dims: readonly (readonly number[] | undefined)[],
    private readonly contents: ReadonlyMap<number, Uint8Array>,
  ) {}

  /** Undefined where inputs are no plain tensors, or the host reads strings or much. */
  static of<Plan>(
    plan: Plan,
    inputs: Inputs,
    hostInputs: readonly number[],
  ): LatestPlan<Plan> | undefined {
    const most = 64;
    const contents = new Map<number, Uint8Array>();
    for (const input of hostInputs) {
      const tensor = inputs[input];
      if (!tensor) continue;
      if (!(tensor instanceof Tensor) || tensor.dtype === 'string' || tensor.byteLength > most) {
        return undefined;
      }
      contents.set(input, tensorBytes(tensor as Tensor).slice());
    }
    const dims: (readonly number[] | undefined)[] = [];
    for (const tree of inputs) {
      if (tree && isContainer(tree)) return undefined;
      dims.push(tree && [...tree.dims]);
    }
    return new LatestPlan(plan, dims, contents);
  }

  /** The plan, where these inputs are alike. */
  planFor(inputs: Inputs): Plan | undefined {
    for (let i = 0; i < this.dims.length; i++) {
      const [before, now] = [this.dims[i], inputs[i]];
      if (!before || !now) {
        if (before || now) return undefined;
      } else if (isContainer(now) || !areEqual(before, now.dims)) {
        return undefined;
      }
    }
    for (const [input, bytes] of this.contents) {
      if (!areEqual(bytes, tensorBytes(inputs[input] as Tensor))) return undefined;
    }
    return this.plan;
  }
}

function areEqual(a: ArrayLike<number>, b: ArrayLike<number>): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
