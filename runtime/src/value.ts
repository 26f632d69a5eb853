// Values that are not one tensor: trees of tensors inside, arrays, maps and null for callers
// (docs/sequences.md).

import type { ContainerKind } from './backend.js';
import type { DType } from './dtype.js';
import { elementAt, type Tensor } from './tensor.js';

/** A sequence's items; an optional's one or none; a map's keys and values. */
export interface Container<T extends object> {
  kind: ContainerKind;
  /** Of the innermost elements. */
  dtype: DType;
  items: Tree<T>[];
}
export type Tree<T extends object> = T | Container<T>;

export function isContainer<T extends object>(tree: Tree<T>): tree is Container<T> {
  return 'items' in tree;
}

/** The leaves from left to right: their numbers in a run. */
export function leavesOf<T extends object>(tree: Tree<T>): T[] {
  return isContainer(tree) ? tree.items.flatMap(leavesOf) : [tree];
}

/** The same tree of other leaves. */
export function mapTree<T extends object, U extends object>(
  tree: Tree<T>,
  change: (leaf: T) => U,
): Tree<U> {
  if (!isContainer(tree)) return change(tree);
  return { ...tree, items: tree.items.map((item) => mapTree(item, change)) };
}

/** Waits for all leaves. */
export async function mapTreeAsync<T extends object, U extends object>(
  tree: Tree<T>,
  change: (leaf: T) => Promise<U>,
): Promise<Tree<U>> {
  if (!isContainer(tree)) return change(tree);
  const items = await Promise.all(tree.items.map((item) => mapTreeAsync(item, change)));
  return { ...tree, items };
}

/** A text that is equal for trees of one form whose leaves have equal texts. */
export function formOf<T extends object>(tree: Tree<T>, text: (leaf: T) => string): string {
  if (!isContainer(tree)) return text(tree);
  return `(${tree.items.map((item) => formOf(item, text)).join(';')})`;
}

type Element = number | bigint | string | boolean;

/** What a run takes and gives: a tensor, a sequence, a map, or null for an optional without value. */
export type Value = Tensor | Value[] | Map<number | bigint | string, Element> | null;

/** As callers see it; the tensors of maps must be in host memory. */
export function valueOf(tree: Tree<Tensor>): Value {
  if (!isContainer(tree)) return tree;
  switch (tree.kind) {
    case 'sequence':
      return tree.items.map(valueOf);
    case 'optional':
      return tree.items[0] ? valueOf(tree.items[0]) : null;
    case 'map': {
      const [keys, values] = tree.items as [Tensor, Tensor];
      const list = (tensor: Tensor): Element[] =>
        Array.from({ length: tensor.size }, (_, i) => elementAt(tensor, i));
      const names = list(keys) as string[];
      return new Map(list(values).map((value, i) => [names[i]!, value]));
    }
  }
}
