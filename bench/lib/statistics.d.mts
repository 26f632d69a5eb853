export interface Spread {
  count: number;
  median: number | undefined;
  p10: number | undefined;
  p90: number | undefined;
}

export interface Row {
  engine: string;
  load?: number;
  first?: number;
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
}

type Outputs = Record<string, { data: ArrayLike<number | bigint> }>;

export function quantile(values: readonly number[], share: number): number | undefined;
export function spread(values: readonly number[]): Spread;
export function relativeError(expected: Outputs, got: Outputs): number | string;
export function modelTable(result: { title: string; nodes: number; rows: readonly Row[] }): string;
