export interface Spread {
  count: number;
  median: number | undefined;
  p10: number | undefined;
  p90: number | undefined;
}

export interface Row {
  /** The engine's name on the command line. */
  key?: string;
  engine: string;
  load?: number;
  first?: number;
  /** Medians of further loads with their first runs. */
  again?: { load: number; first: number; both: number };
  run?: Spread;
  pipelined?: number;
  gpu?: number;
  submit?: number;
  dispatches?: number;
  gpuBytes?: number;
  hostBytes?: number;
  error?: number | string;
  failed?: string;
  missing?: string;
  detail?: string;
}

type Outputs = Record<string, { data: ArrayLike<number | bigint> }>;

export function quantile(values: readonly number[], share: number): number | undefined;
export function spread(values: readonly number[]): Spread;
export function relativeError(expected: Outputs, got: Outputs): number | string;
export function modelTable(result: { title: string; nodes: number; rows: readonly Row[] }): string;
