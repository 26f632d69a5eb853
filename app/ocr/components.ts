// Connected components of a bitmap.

/** Pixels of one row, from `start` to before `end`. */
export interface Run {
  y: number;
  start: number;
  end: number;
}

/**
 * The groups of set pixels that touch, by sides or corners; each as its runs from top to bottom.
 * Runs of neighbouring rows that touch are united, so the work grows with rows and runs.
 */
export function connectedComponents(
  isSet: (index: number) => boolean,
  width: number,
  height: number,
): Run[][] {
  const runs: Run[] = [];
  const parents: number[] = []; // of each run, another of its component, or itself: union-find
  const rootOf = (run: number): number => {
    while (parents[run] !== run) run = parents[run] = parents[parents[run]!]!;
    return run;
  };

  let above = 0; // the first run of the row above that may touch what comes
  for (let y = 0; y < height; y++) {
    const rowBegin = runs.length;
    for (let x = 0; x < width; x++) {
      if (!isSet(y * width + x)) continue;
      const start = x;
      while (x < width && isSet(y * width + x)) x++;
      const self = runs.push({ y, start, end: x }) - 1;
      parents.push(self);
      while (above < rowBegin && (runs[above]!.y < y - 1 || runs[above]!.end < start)) above++;
      for (let i = above; i < rowBegin && runs[i]!.start <= x; i++) {
        parents[rootOf(i)] = rootOf(self);
      }
    }
    above = rowBegin;
  }

  const components = new Map<number, Run[]>();
  runs.forEach((run, i) => {
    const root = rootOf(i);
    const component = components.get(root);
    if (component) component.push(run);
    else components.set(root, [run]);
  });
  return [...components.values()];
}
