import type { Row } from './statistics.mjs';

export interface Verdict {
  what: string;
  /** A ratio, or bytes. */
  value: number;
  bar: number;
  ok: boolean;
  text: string;
}

export function verdicts(
  result: { rows: readonly Row[] },
  options?: { slower?: number },
): Verdict[];
export function verdictLine(found: readonly Verdict[]): string;
